"""Leaves out what nobody can answer where it stands under conditions: only who asks for it is refused."""

from __future__ import annotations

from dataclasses import replace

from graphrouter.planning.plan import Condition
from graphrouter.planning.selection import TYPENAME_FIELD, Field, Fragment, Operation, Selection, Selections

Conditions = tuple[Condition, ...]


def leave_out(operation: Operation, at: tuple[int, ...]) -> tuple[Operation, Conditions]:
    """The operation without the innermost conditional fragment on the way to a selection, and when that is asked for.

    No conditions: it is asked for in any case, and the operation is as it was.
    """
    conditional = [length for length in range(1, len(at) + 1) if _conditions(operation.selections, at[:length])]
    if not conditional:
        return operation, ()
    way = at[: conditional[-1]]
    conditions = dict.fromkeys(c for length in conditional for c in _conditions(operation.selections, at[:length]))
    return replace(operation, selections=_without(operation.selections, way)), tuple(conditions)


def _conditions(selections: Selections, at: tuple[int, ...]) -> Conditions:
    """Those on the last selection of the way."""
    found: Selection = selections[at[0]]
    for number in at[1:]:
        found = found.selections[number]
    return found.conditions if isinstance(found, Fragment) else ()


def _without(selections: Selections, at: tuple[int, ...]) -> Selections:
    number, *rest = at
    before, found, after = selections[:number], selections[number], selections[number + 1 :]
    inner = _without(found.selections, tuple(rest)) if rest else ()
    if inner:
        return (*before, replace(found, selections=inner), *after)
    if rest and isinstance(found, Field):
        return (*before, replace(found, selections=(TYPENAME_FIELD,)), *after)
    return (*before, *after)
