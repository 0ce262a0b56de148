"""Compares the abstract response, at its end, with what the client asks for."""

from __future__ import annotations

from dataclasses import dataclass

from graphql import FieldNode, SelectionSetNode

from graphrouter.planning.check.response import Context, Place, together
from graphrouter.planning.check.syntax import TYPENAME, Fragments, body_of, conditions_of, data_key
from graphrouter.supergraph.field_set import arguments_text


@dataclass(frozen=True, slots=True)
class Expected:
    """Compares selections with a place of the response; `static` is the type that the client's schema gives it."""

    context: Context
    fragments: Fragments

    def compare(self, place: Place, sets: list[SelectionSetNode], static: str, where: str = "") -> None:
        """Every field has to be there on every object type that clients can see."""
        visible = self.context.supergraph.api_schema.type_map
        for type_name in sorted(name for name in place.types if name in visible):
            fields: dict[str, list[FieldNode]] = {}
            for selections in sets:
                self._collect(place, type_name, static, selections, fields)
            for key, nodes in fields.items():
                self._field(place, type_name, static, nodes, f"{where}.{key}" if where else key)

    def _collect(
        self,
        place: Place,
        type_name: str,
        static: str,
        selections: SelectionSetNode,
        into: dict[str, list[FieldNode]],
    ) -> None:
        """The fields that count for objects of this type."""
        possible = self.context.possible
        for node in selections.selections:
            if not self.context.holds(conditions_of(node.directives or ())):
                continue
            if isinstance(node, FieldNode):
                into.setdefault(data_key(node, self.context.plan.typename), []).append(node)
                continue
            body = body_of(node, self.fragments)
            on = body.type_condition.name.value if body.type_condition else static
            if not possible(static) <= possible(on) and not place.known(type_name, TYPENAME):
                self.context.problems.append(f"... on {on}: the type of {type_name} is not fetched")
            if type_name in possible(on):
                self._collect(place, type_name, static, body.selection_set, into)

    def _field(self, place: Place, type_name: str, static: str, nodes: list[FieldNode], where: str) -> None:
        name = nodes[0].name.value
        if name == TYPENAME:
            if len(self.context.supergraph.possible_types[static]) != 1 and not place.known(type_name, TYPENAME):
                self.context.problems.append(f"{where}: the type of {type_name} is not fetched")
            return
        if name.startswith("__"):
            return  # the router answers introspection itself
        found = place.known(type_name, data_key(nodes[0], self.context.plan.typename))
        if not found:
            self.context.problems.append(f"{where}: {type_name}.{name} is not fetched")
        for known in found:
            if (known.name, known.arguments) != (name, arguments_text(nodes[0])):
                text = f"{where}: expected {name}, the plan puts {known.name}{known.arguments} there"
                self.context.problems.append(text)
        below = [node.selection_set for node in nodes if node.selection_set]
        places = list({id(known.place): known.place for known in found if known.place}.values())
        if below and places:
            inner = self.context.supergraph.field_types[type_name, name]
            merged = together(places)
            merged.types = (merged.types & self._sure_members(type_name, name, inner)) or merged.types
            self.compare(merged, below, inner, where)

    def _sure_members(self, type_name: str, name: str, inner: str) -> frozenset[str]:
        """The object types that are to be had: of a union, the members that all subgraphs with this field know."""
        if self.context.supergraph.kinds[inner] != "union":
            return self.context.possible(inner)
        known = [
            self.context.supergraph.types[found.named_type][subgraph].possible_types
            for subgraph, here in self.context.supergraph.types[type_name].items()
            if (found := here.fields.get(name)) and found.resolvable
        ]
        return known[0].intersection(*known[1:])
