"""Fragments that hold for every object of their parent's type become plain fields; those that hold for none go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from graphrouter.limits import INTROSPECTION_FIELDS
from graphrouter.planning.plan import Condition
from graphrouter.planning.selection import TYPENAME_FIELD, Field, Fragment, Operation, Selection, Selections
from graphrouter.supergraph import Supergraph


def flatten_fragments(operation: Operation, supergraph: Supergraph) -> Operation:
    """Every fragment that is left narrows its parent's type, or has conditions."""
    flattened = _Flattening(supergraph).selections(operation.selections, operation.root_type, ())
    return replace(operation, selections=flattened)


class _Flattening:
    def __init__(self, supergraph: Supergraph) -> None:
        self._supergraph = supergraph
        self._field_types = supergraph.field_types
        self._possible = supergraph.possible_types
        self._depth = 0

    def selections(self, selections: Selections, parent: str, known: tuple[Condition, ...]) -> Selections:
        """`known` are the conditions that hold here anyway."""
        return tuple(part for selection in selections for part in self._selection(selection, parent, known))

    def _selection(self, selection: Selection, parent: str, known: tuple[Condition, ...]) -> Iterator[Selection]:
        if isinstance(selection, Fragment):
            yield from self._fragment(selection, parent, known)
        elif selection.name in INTROSPECTION_FIELDS and self._depth:
            return  # the router answers it itself, wherever it stands; at the root planning goes by it
        elif inner := self._composite_type(parent, selection.name):
            self._depth += 1
            below = self.selections(selection.selections, inner, known)
            self._depth -= 1
            yield replace(selection, selections=below or (TYPENAME_FIELD,))
        else:
            yield selection

    def _fragment(self, fragment: Fragment, parent: str, known: tuple[Condition, ...]) -> Iterator[Selection]:
        if any(Condition(c.variable, not c.wanted) in (*known, *fragment.conditions) for c in fragment.conditions):
            return
        conditions = tuple(dict.fromkeys(c for c in fragment.conditions if c not in known))
        on = fragment.type_condition or parent
        if on != parent and not self._possible[on] & self._possible[parent]:
            return
        if self._adds_nothing(on, parent, fragment.selections):
            on = parent
        inner = self.selections(fragment.selections, on, (*known, *conditions))
        if on == parent and not conditions and not fragment.directives and not fragment.deferrals:
            yield from inner
        elif inner:
            on_type = on if on != parent else None
            yield from _nested(Fragment(on_type, conditions, inner, fragment.directives, fragment.deferrals))

    def _adds_nothing(self, on: str, parent: str, selections: Selections) -> bool:
        """Whether the condition holds for all objects of the parent's type, which has the fields itself.

        An abstract type with one object type behind it keeps the question: shaping the response asks it.
        """
        if on == parent:
            return True
        if not self._supergraph.is_abstract(on):
            return False
        return self._possible[parent] <= self._possible[on] and self._has_all(parent, selections)

    def _has_all(self, parent: str, selections: Selections) -> bool:
        return all(
            selection.name == "__typename" or (parent, selection.name) in self._field_types
            if isinstance(selection, Field)
            else selection.type_condition is not None or self._has_all(parent, selection.selections)
            for selection in selections
        )

    def _composite_type(self, parent: str, name: str) -> str | None:
        """The type of a field, if it has fields itself."""
        found = self._field_types.get((parent, name))
        return found if found in self._possible else None


def _nested(fragment: Fragment) -> Iterator[Selection]:
    """A fragment; one that only puts other fragments under conditions is joined with each of them."""
    fragments = [part for part in fragment.selections if isinstance(part, Fragment)]
    if (
        fragment.type_condition
        or fragment.directives
        or fragment.deferrals
        or len(fragments) < len(fragment.selections)
    ):
        yield fragment
        return
    for part in fragments:
        yield replace(part, conditions=tuple(dict.fromkeys((*fragment.conditions, *part.conditions))))
