"""A fragment loses the fields that its surroundings ask for anyway."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from graphrouter.planning.selection import Field, Operation, Selection, Selections
from graphrouter.supergraph import Supergraph


def drop_repeated(operation: Operation, _supergraph: Supergraph) -> Operation:
    """No fragment repeats a field of the selection sets around it."""
    return replace(operation, selections=tuple(_kept(operation.selections, frozenset())))


def _kept(selections: Selections, outer: frozenset[Field]) -> Iterator[Selection]:
    here = outer | {selection for selection in selections if isinstance(selection, Field)}
    for selection in selections:
        if isinstance(selection, Field):
            if selection not in outer:
                yield replace(selection, selections=tuple(_kept(selection.selections, frozenset())))
        elif inner := tuple(_kept(selection.selections, here)):
            yield replace(selection, selections=inner)
