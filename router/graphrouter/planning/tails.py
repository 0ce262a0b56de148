"""Tails: the steps on which the objects of a place can be found, and what each can do inside its own subgraph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from graphrouter.planning.plan import Condition, Directives
from graphrouter.planning.query_graph import QueryGraph
from graphrouter.planning.selection import Field
from graphrouter.planning.steps import REQUEST_COST, FieldMove, Narrow, Step, Under
from graphrouter.supergraph import ContextValue, FieldInSubgraph, FieldSet, RequiredField, RequiredFragment

KEPT_PER_SUBGRAPH = 3

Tails: TypeAlias = tuple[Step, ...]
Move: TypeAlias = tuple[Step, FieldInSubgraph]
"""A tail whose subgraph gives a field, and the field as it has it."""


def kept(steps: Iterable[Step]) -> Tails:
    """The cheapest few per type and subgraph, the cheapest of all first."""
    by_place: dict[tuple[str, str], list[Step]] = {}
    for step in sorted(dict.fromkeys(steps), key=lambda step: step.total):
        by_place.setdefault((step.type_name, step.subgraph), []).append(step)
    few = (step for place in by_place.values() for step in place[:KEPT_PER_SUBGRAPH])
    return tuple(sorted(few, key=lambda step: step.total))


def nearer(tails: Tails, moves: list[Move]) -> Tails:
    """The tails from which a request more costs no more than the cheapest of the moves."""
    cheapest_move = min(tail.total for tail, _ in moves)
    return tuple(tail for tail in tails if tail.total + REQUEST_COST <= cheapest_move)


def under(tail: Step, conditions: tuple[Condition, ...], directives: Directives) -> Step:
    """The same objects, where the conditions hold."""
    return tail.next(
        ("under", conditions, directives),
        lambda: Step(
            tail,
            Under(conditions, directives),
            tail.subgraph,
            tail.type_name,
            static=tail.static,
            types=tail.types,
            position=tail.position,
            provided=tail.provided,
        ),
    )


class TailMoves:
    """The moves that need no other subgraph."""

    def __init__(self, graph: QueryGraph, context_prefix: str) -> None:
        self._graph = graph
        self._supergraph = graph.supergraph
        self._context_prefix = context_prefix

    def is_interface_object(self, tail: Step) -> bool:
        """Whether the tail's subgraph has the interface as an object type: it cannot tell the types apart."""
        return self._graph.known(tail.type_name, tail.subgraph).is_interface_object

    def types(self, type_name: str, subgraph: str) -> frozenset[str]:
        """The object types behind a type in a subgraph."""
        known = self._graph.known(type_name, subgraph)
        return self._supergraph.possible_types[type_name] if known.is_interface_object else known.possible_types

    # Fields

    def giving(self, name: str, tails: Tails) -> list[Move]:
        """The tails whose subgraph gives the field."""
        return [(tail, found) for tail in tails if (found := self._given(tail, name))]

    def _given(self, tail: Step, name: str) -> FieldInSubgraph | None:
        known = self._graph.known(tail.type_name, tail.subgraph)
        found = known.fields.get(name)
        if found is None:
            return None
        if any(isinstance(part, RequiredField) and part.name == name for part in tail.provided):
            return found
        if known.is_abstract and tail.provided:
            uniform = found.resolvable and all(
                self._graph.field(possible, tail.subgraph, name) or self._is_provided(tail.provided, possible, name)
                for possible in tail.types
            )
            return found if uniform else None
        return self._graph.field(tail.type_name, tail.subgraph, name)

    def _is_provided(self, provided: FieldSet, possible: str, name: str) -> bool:
        here = self._provided_on(provided, frozenset((possible,)))
        return any(isinstance(part, RequiredField) and part.name == name for part in here)

    def leaf(self, field: Field, tail: Step, found: FieldInSubgraph | None) -> Step:
        """The step along a field without selections; `found` is None for `__typename`."""
        move = self._field_move(field, found)
        return tail.next(
            ("field", move.key),
            lambda: Step(
                tail,
                move,
                tail.subgraph,
                type_name="",
                static="",
                types=frozenset(),
                position=tail.position,
            ),
        )

    def children(self, field: Field, moves: list[Move]) -> Tails:
        """The tails below a field. Those of a union are narrowed to the members that all of them know."""
        static = self._graph.field_type(moves[0][0].static, field.name)
        common: frozenset[str] = frozenset()
        if self._supergraph.kinds[static] == "union":
            known = [self.types(found.named_type, tail.subgraph) for tail, found in moves]
            common = known[0].intersection(*known[1:])
        return kept(self._child(field, tail, found, static, common) for tail, found in moves)

    def _child(self, field: Field, tail: Step, found: FieldInSubgraph, static: str, common: frozenset[str]) -> Step:
        types = self.types(found.named_type, tail.subgraph)
        narrowed = types & common if common else types
        return tail.next(
            ("field", field.response_key, field.directives, narrowed),
            lambda: Step(
                tail,
                self._field_move(field, found),
                tail.subgraph,
                found.named_type,
                static=static,
                types=narrowed,
                position=tail.position.child(field.response_key),
                provided=(*_provided_below(tail.provided, field.name), *found.provides),
            ),
        )

    def context_variable(self, value: ContextValue) -> str:
        """The name of the variable that holds a value from a context."""
        return f"{self._context_prefix}{self._graph.context_values[value]}"

    def _field_move(self, field: Field, found: FieldInSubgraph | None) -> FieldMove:
        given = [f"{one.name}:${self.context_variable(one.value)}" for one in (found.contexts if found else ())]
        arguments = field.arguments
        if given:
            arguments = f"({','.join([*([arguments[1:-1]] if arguments else []), *given])})"
        return FieldMove(
            field.response_key,
            field.name,
            arguments,
            field.directives,
            field.variables,
            is_leaf=not field.selections,
            type_text=found.type if found else "String!",
        )

    # Types

    def narrow_all(self, tails: Tails, on: str) -> Tails | frozenset[str]:
        """The tails on objects of that type; none where there are no such objects.

        The object types instead, where a subgraph does not see the abstract type as the supergraph does.
        """
        possible = self._supergraph.possible_types[on]
        matching = [tail for tail in tails if tail.types & possible]
        if self._supergraph.is_abstract(on) and any(not self._agrees(tail, on) for tail in matching):
            return frozenset(name for tail in matching for name in tail.types & possible)
        return kept(self.narrow(tail, on) for tail in matching)

    def _agrees(self, tail: Step, on: str) -> bool:
        """Whether the tail's subgraph counts the same of its objects to an abstract type as the supergraph does."""
        if not self._graph.known(tail.type_name, tail.subgraph).is_abstract:
            return True  # one object type, which the supergraph knows to belong to it
        known = self._supergraph.in_subgraph(on, tail.subgraph)
        if known is None or not known.is_abstract:
            return False
        return known.possible_types & tail.types == self._supergraph.possible_types[on] & tail.types

    def narrow(self, tail: Step, on: str) -> Step:
        """The step to those objects that are of this type; a tail on one object type stays on it."""
        types = tail.types & self._supergraph.possible_types[on]
        name = on if self._graph.known(tail.type_name, tail.subgraph).is_abstract else tail.type_name
        return tail.next(
            ("narrow", on),
            lambda: Step(
                tail,
                Narrow(name),
                tail.subgraph,
                name,
                static=name,
                types=types,
                position=tail.position,
                provided=tuple(self._provided_on(tail.provided, types)),
            ),
        )

    def _provided_on(self, provided: FieldSet, types: frozenset[str]) -> Iterator[RequiredField | RequiredFragment]:
        for part in provided:
            if isinstance(part, RequiredField):
                yield part
            elif types <= self._supergraph.possible_types[part.type_condition]:
                yield from self._provided_on(part.selections, types)


def _provided_below(provided: FieldSet, name: str) -> Iterator[RequiredField | RequiredFragment]:
    for part in provided:
        if isinstance(part, RequiredField) and part.name == name:
            yield from part.selections
