"""Equal fields become one field with all their selections, and equal fragments one fragment.

What differs in directives stays apart: each occurrence is sent with its own.
"""

from __future__ import annotations

from dataclasses import replace

from graphrouter.planning.selection import Field, Operation, Selection, Selections
from graphrouter.supergraph import Supergraph


def merge_equal(operation: Operation, _supergraph: Supergraph) -> Operation:
    """Each response key, and each type with conditions, occurs once in a selection set, for the same directives.

    A mutation's root fields stay where they are.
    """
    if operation.kind == "mutation":
        return replace(operation, selections=tuple(part for one in operation.selections for part in _merged((one,))))
    return replace(operation, selections=_merged(operation.selections))


def _merged(selections: Selections) -> Selections:
    groups: dict[object, list[Selection]] = {}
    for selection in selections:
        key: object
        if isinstance(selection, Field):
            key = selection.response_key, selection.directives
        else:
            key = selection.type_condition, selection.conditions, selection.directives, selection.deferrals
        groups.setdefault(key, []).append(selection)
    return tuple(
        replace(same[0], selections=_merged(tuple(part for one in same for part in one.selections)))
        if same[0].selections
        else same[0]
        for same in groups.values()
    )
