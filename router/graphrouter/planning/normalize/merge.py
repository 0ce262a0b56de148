"""Equal fields become one field with all their selections, and equal fragments one fragment."""

from __future__ import annotations

from dataclasses import replace

from graphrouter.planning.plan import Condition
from graphrouter.planning.selection import Field, Operation, Selection, Selections
from graphrouter.supergraph import Supergraph


def merge_equal(operation: Operation, _supergraph: Supergraph) -> Operation:
    """Each response key, and each pair of type and conditions, occurs once in a selection set.

    A mutation's root fields stay where they are.
    """
    if operation.kind == "mutation":
        return replace(operation, selections=tuple(part for one in operation.selections for part in _merged((one,))))
    return replace(operation, selections=_merged(operation.selections))


def _merged(selections: Selections) -> Selections:
    groups: dict[str | tuple[str | None, tuple[Condition, ...]], list[Selection]] = {}
    for selection in selections:
        key = (
            selection.response_key if isinstance(selection, Field) else (selection.type_condition, selection.conditions)
        )
        groups.setdefault(key, []).append(selection)
    return tuple(
        replace(same[0], selections=_merged(tuple(part for one in same for part in one.selections)))
        if same[0].selections
        else same[0]
        for same in groups.values()
    )
