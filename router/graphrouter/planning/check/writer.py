"""Writes what a fetch answers into the abstract response, and checks that its subgraph can answer it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from graphql import FieldNode, InlineFragmentNode, SelectionSetNode

from graphrouter.planning.check.response import Context, Known, Place
from graphrouter.planning.check.syntax import TYPENAME, conditions_of, response_key, without_arguments
from graphrouter.planning.plan import Fetch, Key, Path, Rename, RootFetch
from graphrouter.supergraph import FieldSet, RequiredField, Supergraph
from graphrouter.supergraph.field_set import arguments_text


@dataclass(frozen=True, slots=True)
class Spot:
    """Where selections count: a place of the response, the object types that matter there, their type in the subgraph.

    `keys` is the way there within the fetch's answer, `provided` what a `@provides` on that way brings along.
    """

    place: Place
    types: frozenset[str]
    type_name: str
    keys: tuple[str, ...] = ()
    provided: FieldSet = ()


class Writer:
    """Writes one fetch's answer."""

    def __init__(self, context: Context, fetch: Fetch, renames: tuple[Rename, ...]) -> None:
        self._context = context
        self._supergraph = context.supergraph
        self._fetch = fetch
        self._renames = {(_keys(rename.path), rename.alias): rename.name for rename in renames}

    def write(self, spot: Spot, selections: SelectionSetNode) -> None:
        """The answer to these selections."""
        for node in selections.selections:
            if not self._context.holds(conditions_of(node.directives or ())):
                continue
            if isinstance(node, InlineFragmentNode):
                on = node.type_condition.name.value if node.type_condition else spot.type_name
                inner = spot.types & self._types(on)
                if inner:
                    self.write(replace(spot, types=inner, type_name=on), node.selection_set)
            elif isinstance(node, FieldNode):
                key = response_key(node)
                final = self._renames.get((spot.keys, key), key)
                if node.name.value == TYPENAME:
                    self._typename(spot, final)
                else:
                    self._field(spot, node, final)

    def _types(self, type_name: str) -> frozenset[str]:
        """The object types behind a type, as the fetch's subgraph has it."""
        known = self._supergraph.types[type_name][self._fetch.subgraph]
        return self._context.possible(type_name) if known.is_interface_object else known.possible_types

    def _typename(self, spot: Spot, key: str) -> None:
        known = self._supergraph.types[spot.type_name][self._fetch.subgraph]
        if known.is_interface_object and key == TYPENAME:
            self._problem(f"{spot.type_name} is an interface object and cannot tell its types")
        for one in spot.types:
            spot.place.add(one, key, Known(TYPENAME, "", self._fetch.id, None))

    def _field(self, spot: Spot, node: FieldNode, key: str) -> None:
        name = node.name.value
        found = self._supergraph.types[spot.type_name][self._fetch.subgraph].fields.get(name)
        if found is None:
            self._problem(f"{spot.type_name}.{name} is not defined there")
            return
        if not found.is_plain and (spot.keys or isinstance(self._fetch, RootFetch)):
            self._problem(f"{spot.type_name}.{name} requires fields that only a representation brings")
        for one in sorted(spot.types):
            if not self._can_give(spot, one, name):
                self._problem(f"{one}.{name} is not resolved there")
            below = None
            if node.selection_set:
                below = self._place(spot.place, one, key, self._types(found.named_type))
                provided = (*_provided_below(spot.provided, name, one, self._supergraph), *found.provides)
                keys = (*spot.keys, response_key(node))
                self.write(Spot(below, below.types, found.named_type, keys, provided), node.selection_set)
            given = arguments_text(without_arguments(node, {argument.name for argument in found.contexts}))
            spot.place.add(one, key, Known(name, given, self._fetch.id, below))

    def _place(self, place: Place, type_name: str, key: str, types: frozenset[str]) -> Place:
        """The place below a response key; the one that is there already, where other fetches have been."""
        for known in place.known(type_name, key):
            if known.place:
                known.place.types = (known.place.types & types) or known.place.types
                return known.place
        return Place(types)

    def _can_give(self, spot: Spot, object_type: str, name: str) -> bool:
        if any(part.name == name for part in _fields_for(spot.provided, object_type, self._supergraph)):
            return True
        known = self._supergraph.types[spot.type_name][self._fetch.subgraph]
        if known.is_abstract:
            known = self._supergraph.types[object_type][self._fetch.subgraph]
        found = known.fields.get(name)
        return found is not None and found.resolvable

    def _problem(self, text: str) -> None:
        self._context.problem(self._fetch, text)


def _fields_for(fields: FieldSet, object_type: str, supergraph: Supergraph) -> Iterator[RequiredField]:
    for part in fields:
        if isinstance(part, RequiredField):
            yield part
        elif object_type in supergraph.possible_types[part.type_condition]:
            yield from _fields_for(part.selections, object_type, supergraph)


def _provided_below(fields: FieldSet, name: str, object_type: str, supergraph: Supergraph) -> FieldSet:
    found = [part for part in _fields_for(fields, object_type, supergraph) if part.name == name]
    return tuple(inner for part in found for inner in part.selections)


def _keys(path: Path) -> tuple[str, ...]:
    return tuple(step.name for step in path if isinstance(step, Key))
