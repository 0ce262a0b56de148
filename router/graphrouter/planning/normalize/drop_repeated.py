"""A fragment loses the fields that its surroundings ask for anyway, unless it says something of them by directives.

One with a type condition that has nothing left keeps the question which type it is: shaping the response asks it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from graphrouter.planning.selection import TYPENAME_FIELD, Field, Operation, Selection, Selections
from graphrouter.supergraph import Supergraph


def drop_repeated(operation: Operation, _supergraph: Supergraph) -> Operation:
    """No fragment repeats a field of the selection sets around it; of a mutation, below its root fields."""
    if operation.kind == "mutation":
        kept = (part for one in operation.selections for part in _kept((one,), frozenset()))
        return replace(operation, selections=tuple(kept))
    return replace(operation, selections=tuple(_kept(operation.selections, frozenset())))


def _kept(selections: Selections, outer: frozenset[Field]) -> Iterator[Selection]:
    here = outer | {selection for selection in selections if isinstance(selection, Field)}
    for selection in selections:
        if isinstance(selection, Field):
            if selection not in outer:
                yield replace(selection, selections=tuple(_kept(selection.selections, frozenset())))
        else:
            inner = tuple(_kept(selection.selections, frozenset() if selection.directives else here))
            if inner or (selection.type_condition and not selection.deferrals):
                yield replace(selection, selections=inner or (TYPENAME_FIELD,))
