"""The data of a random federation: every value follows from type, id, field and arguments.

So the same functions serve each subgraph and the one schema over everything. What the federation has to bring along
shows: a field with `@requires` says in its value what its representation brought, one with `@fromContext` what came in
its argument; the one schema looks both up itself. What the subgraphs are is read from their documents here, with
graphql-core alone.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DirectiveNode,
    EnumTypeDefinitionNode,
    FieldDefinitionNode,
    FieldNode,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    InputObjectTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    ObjectTypeExtensionNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    UnionTypeDefinitionNode,
    build_schema,
    is_leaf_type,
    parse,
    print_ast,
    value_from_ast_untyped,
)

FAILING = frozenset(("b", "l", "vs"))
"""Fields that fail on some objects; nothing needs them but clients."""


@dataclass(frozen=True)
class Thing:
    """An object. `brought` are a representation's fields; `around` is the object that it was found in."""

    type_name: str
    id: str
    brought: Any = None
    around: Thing | None = None


class DataError(Exception):
    """A field that fails because the data say so."""


class Data:
    """Resolvers: `graph` is a subgraph's name, or None for the one schema."""

    def __init__(self, documents: Mapping[str, str]) -> None:
        self._fields: dict[tuple[str, str], dict[str, FieldDefinitionNode]] = {}
        self._mentions: dict[tuple[str, str], set[str]] = {}
        self._members: dict[str, dict[str, list[str]]] = {"Thing": {}, "Either": {}}
        self._colors: dict[str, list[str]] = {}
        self._hidden: set[str] = set()
        self._inputs: dict[str, set[str]] = {}
        self.setters: frozenset[str] = frozenset()
        self.wrongly_brought: list[str] = []
        for graph, text in documents.items():
            self._read(graph, text)

    def _read(self, graph: str, text: str) -> None:
        for node in parse(text).definitions:
            if isinstance(node, ObjectTypeDefinitionNode | ObjectTypeExtensionNode):
                if _applied(node, "interfaceObject") is None:
                    for interface in node.interfaces or ():
                        self._members[interface.name.value].setdefault(graph, []).append(node.name.value)
                if _applied(node, "context"):
                    self.setters |= {node.name.value}
                for field in node.fields or ():
                    self._mentions.setdefault((node.name.value, field.name.value), set()).add(graph)
                    if _applied(field, "external") is None:
                        self._fields.setdefault((node.name.value, field.name.value), {})[graph] = field
            elif isinstance(node, UnionTypeDefinitionNode):
                self._members[node.name.value][graph] = [member.name.value for member in node.types or ()]
            elif isinstance(node, EnumTypeDefinitionNode):
                self._colors[graph] = [value.name.value for value in node.values or ()]
                self._hidden |= {v.name.value for v in node.values or () if _applied(v, "inaccessible")}
            elif isinstance(node, InputObjectTypeDefinitionNode):
                self._inputs[graph] = {field.name.value for field in node.fields or ()}

    def value(self, graph: str | None, thing: Thing, name: str, arguments: dict[str, Any], type_: Any) -> Any:
        """The value of any field."""
        known = {"id": thing.id, "k": f"k{thing.id}", "oid": thing.id, "io": f"io {thing.id}"}
        if name in known:
            return known[name]
        if thing.id == "root":
            return self._root_value(graph, thing, name, arguments, type_)
        if name == "org":
            return Thing("Org", f"o{thing.id}")
        if name == "z":
            return f"z {arguments.get('w') if graph else self._around(thing)}"
        if name.startswith("r"):
            return self._required(graph, thing, name)
        return self._plain(graph, thing, name, arguments, type_)

    def _root_value(self, graph: str | None, root: Thing, name: str, arguments: dict[str, Any], type_: Any) -> Any:
        if arguments.get("id"):
            fits = arguments["id"].startswith(f"{name.upper()}-")
            return Thing(name.upper(), arguments["id"], around=root) if fits else None
        return 1 if name.startswith("only_") else self._plain(graph, root, name, arguments, type_)

    def _plain(self, graph: str | None, thing: Thing, name: str, arguments: dict[str, Any], type_: Any) -> Any:
        seed = (thing.type_name, thing.id, name, json.dumps(self._visible(arguments), sort_keys=True))
        if name in FAILING and _number(*seed, "fails") % 11 == 0:
            raise DataError(f"{thing.type_name}.{name} of {thing.id} fails")
        return self._typed(graph, type_, seed, thing)

    def _visible(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments without the fields of the input type that only some subgraphs have."""
        common = set.intersection(*self._inputs.values()) if self._inputs else set[str]()
        found = {name: value for name, value in arguments.items() if value is not None}
        if isinstance(given := found.get("in"), dict):
            found["in"] = {name: value for name, value in given.items() if name in common}
        return found

    def _typed(self, graph: str | None, type_: Any, seed: tuple[Any, ...], thing: Thing) -> Any:
        if isinstance(type_, GraphQLNonNull):
            value = self._typed(graph, type_.of_type, seed, thing)
            return value if value is not None else self._typed(graph, type_.of_type, (*seed, "again"), thing)
        if isinstance(type_, GraphQLList):
            if "again" not in seed and _number(*seed, "null list") % 9 == 0:
                return None
            count = _number(*seed, "length") % 3
            return [self._typed(graph, type_.of_type, (*seed, n), thing) for n in range(count)]
        if "again" not in seed and _number(*seed, "null") % 7 == 0:
            return None
        return self._leaf(graph, type_.name, seed) if is_leaf_type(type_) else self._object(type_.name, seed, thing)

    def _leaf(self, graph: str | None, type_name: str, seed: tuple[Any, ...]) -> Any:
        number = _number(*seed)
        if type_name == "Color":
            colors = self._common(seed, self._colors)
            value = colors[number % len(colors)]
            return None if graph is None and value in self._hidden else value
        return number % 1000 if type_name == "Int" else f"s{number % 1000}"

    def _object(self, type_name: str, seed: tuple[Any, ...], thing: Thing) -> Thing:
        names = self._common(seed, self._members[type_name]) if type_name in self._members else [type_name]
        name = names[_number(*seed, "type") % len(names)]
        return Thing(name, f"{name}-{_number(*seed) % 5}", around=thing)

    def _common(self, seed: tuple[Any, ...], of: Mapping[str, list[str]]) -> list[str]:
        """What all subgraphs know that have the field; of an interface object, what any subgraph knows."""
        owners = [graph for graph in self._mentions[seed[0], seed[2]] if graph in of]
        if not owners:
            return sorted({name for names in of.values() for name in names})
        return sorted(set.intersection(*(set(of[graph]) for graph in owners)))

    # What a federation brings along

    def _required(self, graph: str | None, thing: Thing, name: str) -> str:
        (field,) = self._fields[thing.type_name, name].values()
        selections = _field_set(_text(field, "requires", "fields"))
        if not graph:
            found = self._looked_up(thing, selections)
        elif thing.brought is None:
            raise LookupError(f"{thing.type_name}.{name} was asked for without a representation")
        else:
            found = _brought(thing.brought, selections)
            if found != (meant := self._looked_up(thing, selections)):
                self.wrongly_brought.append(f"{thing.type_name}.{name} of {thing.id}: meant {meant}, brought {found}")
        return f"{name} {json.dumps(found, sort_keys=True)}"

    def _looked_up(self, thing: Thing, selections: SelectionSetNode) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for node in selections.selections:
            if isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                if condition is not None and condition.name.value == thing.type_name:
                    found |= self._looked_up(thing, node.selection_set)
            elif isinstance(node, FieldNode):
                name = node.name.value
                arguments = {a.name.value: value_from_ast_untyped(a.value) for a in node.arguments or ()}
                value = self.value("", thing, name, self._with_defaults(name, arguments), self._type_of(thing, name))
                found[name] = self._nested(value, node.selection_set)
        return found

    def _nested(self, value: Any, selections: SelectionSetNode | None) -> Any:
        if isinstance(value, list):
            return [self._nested(item, selections) for item in value]
        if isinstance(value, Thing) and selections is not None:
            return self._looked_up(value, selections)
        return value

    def _with_defaults(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return {"n": 1, **arguments} if name == "c" else arguments

    def _type_of(self, thing: Thing, name: str) -> Any:
        nodes = self._fields[thing.type_name, name]
        return _Types.of(print_ast(next(iter(nodes.values())).type))

    def _around(self, thing: Thing) -> Any:
        around = thing.around
        while around is not None and around.type_name not in self.setters:
            around = around.around
        if around is None:
            return None
        name = "ambient" if around.type_name == "Query" else "a"
        return self.value("", around, name, {}, _Types.of("Int"))


class _Types:
    """The types that requirements can be about, as graphql-core has them."""

    _schema = build_schema(
        "type Value { p: Int } type Org { id: ID } type E0 { id: ID } type E1 { id: ID } type E2 { id: ID } "
        "interface Thing { id: ID } union Either = E0 | E1 enum Color { RED } type Query { id: ID }",
        assume_valid=True,
    )

    @classmethod
    def of(cls, text: str) -> Any:
        if text.endswith("!"):
            return GraphQLNonNull(cls.of(text[:-1]))
        if text.startswith("["):
            return GraphQLList(cls.of(text[1:-1]))
        return cls._schema.type_map.get(text) or build_schema(f"type Query {{ q: {text} }}").type_map[text]


def _brought(value: Any, selections: SelectionSetNode) -> Any:
    """What a representation says about these selections; LookupError where it says nothing."""
    if isinstance(value, list):
        return [_brought(item, selections) for item in value]
    if value is None:
        return None
    found: dict[str, Any] = {}
    for node in selections.selections:
        if isinstance(node, InlineFragmentNode):
            condition = node.type_condition
            if condition is not None and condition.name.value == value["__typename"]:
                found |= _brought(value, node.selection_set)
        elif isinstance(node, FieldNode):
            if node.name.value not in value:
                raise LookupError(f"a representation lacks {node.name.value}: {value}")
            below = value[node.name.value]
            found[node.name.value] = _brought(below, node.selection_set) if node.selection_set else below
    return found


def bind(schema: GraphQLSchema, data: Data, graph: str | None) -> GraphQLSchema:
    """Bind the data to all fields of a schema."""

    def resolve(source: Any, info: Any, **arguments: Any) -> Any:
        thing = source if isinstance(source, Thing) else Thing(info.parent_type.name, "root")
        return data.value(graph, thing, info.field_name, arguments, info.return_type)

    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__"):
            for field in type_.fields.values():
                field.resolve = resolve
        if isinstance(type_, GraphQLInterfaceType | GraphQLUnionType):
            type_.resolve_type = lambda thing, *_: thing.type_name
    return schema


def subgraph_schema(text: str, data: Data, graph: str) -> GraphQLSchema:
    """The schema of a subgraph's own server."""
    own = text.replace("extend type", "type")
    entities = [node.name.value for node in _keyed(own)]
    machinery = "\nscalar _Any type _Service { sdl: String }"
    if entities:
        machinery += f"\nunion _Entity = {' | '.join(entities)}"
        machinery += "\nextend type Query { _entities(representations: [_Any!]!): [_Entity]! }"
    if "type Query" not in own:
        own += "\ntype Query { _nothing: Int }"
    schema = bind(build_schema(own + machinery, assume_valid_sdl=True), data, graph)
    if entities:
        assert schema.query_type is not None
        schema.query_type.fields["_entities"].resolve = lambda _source, _info, representations: [
            _entity(one) for one in representations
        ]
        union = schema.type_map["_Entity"]
        assert isinstance(union, GraphQLUnionType)
        blind = entities == ["Thing"]
        union.resolve_type = lambda thing, *_: "Thing" if blind else thing.type_name
    return schema


def _entity(representation: dict[str, Any]) -> Thing:
    """The object that is meant: an id says of which type it is."""
    if "id" in representation:
        id_ = representation["id"]
    elif "k" in representation:
        id_ = representation["k"].removeprefix("k")
    else:
        id_ = representation["org"]["oid"].removeprefix("o")
    return Thing(id_.split("-")[0], id_, brought=representation)


def _keyed(text: str) -> Iterator[ObjectTypeDefinitionNode]:
    for node in parse(text).definitions:
        if isinstance(node, ObjectTypeDefinitionNode) and _applied(node, "key") is not None:
            yield node


def _applied(node: Any, name: str) -> DirectiveNode | None:
    return next((directive for directive in node.directives or () if directive.name.value == name), None)


def _text(node: Any, directive: str, argument: str) -> str:
    applied = _applied(node, directive)
    given = applied.arguments if applied is not None else None
    values = (a.value for a in given or () if a.name.value == argument)
    return next(value.value for value in values if isinstance(value, StringValueNode))


def _field_set(text: str) -> SelectionSetNode:
    (operation,) = parse(f"{{ {text} }}").definitions
    assert isinstance(operation, OperationDefinitionNode)
    return operation.selection_set


def _number(*parts: object) -> int:
    return zlib.crc32("|".join(map(str, parts)).encode())
