"""Random supergraphs, operations and data, with one resolver for all of it.

Every value is a function of (type, id, field, arguments), so that the same resolver serves each subgraph and the
monolith. What the federation must add is checked on the way: a field with `@requires` computes its value from what its
representation brought.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from random import Random
from typing import Any

from graphql import (
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
)

from graphrouter.supergraph import Supergraph
from tests.support.supergraphs import supergraph_sdl

REQUIRED = {"r1": "a", "r2": "r1"}
"""Fields with a requirement, and the field that they require."""


@dataclass
class World:
    """A supergraph in the making: which subgraph has which fields of which types."""

    random: Random
    graphs: list[str]
    entities: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def some(self, choices: list[str]) -> list[str]:
        return [one for one in choices if self.random.random() < 0.5] or [self.random.choice(choices)]


def random_supergraph(random: Random) -> str:
    """A supergraph of two to four subgraphs and up to four entity types, an interface and a union."""
    world = World(random, [f"S{n}" for n in range(random.randint(2, 4))])
    world.entities = {f"E{n}": world.some(world.graphs) for n in range(random.randint(1, 4))}
    body = [_entity(world, name) for name in world.entities]
    body += [_value_type(world), _interface(world), _union(world), _query(world)]
    return supergraph_sdl("\n".join(body), *world.graphs)


def _entity(world: World, name: str) -> str:
    random = world.random
    graphs = world.entities[name]
    second_key = random.random() < 0.3
    keys: list[str] = []
    for graph in graphs:
        keys.append(f'@t({graph}, key: "id")')
        if second_key and random.random() < 0.5:
            keys.append(f'@t({graph}, key: "k")')
    if second_key and len(graphs) > 1 and random.random() < 0.5:
        # One subgraph knows the entity by its second key only; another one can tell both.
        keys = [key for key in keys if f"({graphs[0]}" not in key]
        keys += [f'@t({graphs[0]}, key: "k")', f'@t({graphs[1]}, key: "k")']
    fields = ["id: ID!", "k: ID!"]
    fields += [f"{plain} {_joined(world.some(graphs))}" for plain in ("a: Int", "b: String!", "c(n: Int): Int")]
    fields += _required(world, graphs, fields)
    for number in range(random.randint(0, 3)):
        owners = world.some(graphs)
        fields.append(f"x{number}: {_reference(world, owners)} {_joined(owners)}")
    fields.append(f"v: Value {_joined(graphs)}")
    implements = "".join(f'@i({graph}, interface: "Thing") ' for graph in graphs)
    return f"type {name} implements Thing {implements}{' '.join(dict.fromkeys(keys))} {{ {' '.join(fields)} }}"


def _joined(graphs: list[str]) -> str:
    return " ".join(f"@f({graph})" for graph in graphs)


def _required(world: World, graphs: list[str], fields: list[str]) -> list[str]:
    """`r1` requires `a`, `r2` requires `r1`: each in a subgraph that does not have what it requires."""
    found: list[str] = []
    home = {"a": fields[2]}
    for name, required in REQUIRED.items():
        if required not in home:
            break
        strangers = [graph for graph in graphs if f"({graph})" not in home[required]]
        if not strangers or world.random.random() < 0.4:
            break
        graph = world.random.choice(strangers)
        home[name] = f'{name}: String @f({graph}, requires: "{required}")'
        found.append(home[name])
        for index, text in enumerate(fields):
            if text.startswith(f"{required}:"):
                fields[index] = f"{text} @f({graph}, external: true)"
        for index, text in enumerate(found):
            if text.startswith(f"{required}:"):
                found[index] = f"{text} @f({graph}, external: true)"
    return found


def _reference(world: World, owners: list[str]) -> str:
    """A type that all these subgraphs know."""
    known = [name for name, graphs in world.entities.items() if set(owners) <= set(graphs)]
    one_owner = len(owners) == 1 and any(owners[0] in graphs for graphs in world.entities.values())
    target = world.random.choice([*known, "Value", *(["Thing", "Either"] if one_owner else [])])
    return world.random.choice(("{}", "{}", "[{}]", "[{}!]!")).format(target)


def _value_type(world: World) -> str:
    fields = [f"{plain} {_joined(world.graphs)}" for plain in ("p: Int", "q: String")]
    # Nothing leads from a value type to another subgraph: what is in it has to be in all of them.
    everywhere = [name for name, graphs in world.entities.items() if len(graphs) == len(world.graphs)]
    if everywhere:
        fields.append(f"e: {world.random.choice(everywhere)}")
    return f"type Value {' '.join(f'@t({graph})' for graph in world.graphs)} {{ {' '.join(fields)} }}"


def _interface(world: World) -> str:
    """Fields that all entities of the supergraph have; a subgraph's interface may have fewer of them."""
    fields = ["id: ID!"]
    for plain in ("a: Int", "b: String!"):
        fields.append(f"{plain} {_joined(world.some(world.graphs))}")
    return f"interface Thing {' '.join(f'@t({graph})' for graph in world.graphs)} {{ {' '.join(fields)} }}"


def _union(world: World) -> str:
    joined = " ".join(f"@t({graph})" for graph in world.graphs)
    members = " ".join(f'@u({graph}, member: "{name}")' for name, graphs in world.entities.items() for graph in graphs)
    return f"union Either {joined} {members} = {' | '.join(world.entities)}"


def _query(world: World) -> str:
    fields: list[str] = []
    for name, graphs in world.entities.items():
        fields.append(f"{name.lower()}(id: ID): {name} {_joined(world.some(graphs))}")
    for number in range(3):
        owners = world.some(world.graphs)
        if number:
            owners = owners[:1]
        fields.append(f"q{number}: {_reference(world, owners)} {_joined(owners)}")
    return f"type Query {' '.join(f'@t({graph})' for graph in world.graphs)} {{ {' '.join(fields)} }}"


# Data


@dataclass(frozen=True)
class Thing:
    """An object: what is said about it follows from its type and id. `brought` are a representation's fields."""

    type_name: str
    id: str
    graph: str | None = None
    brought: Any = None


def _number(*parts: object) -> int:
    return zlib.crc32("|".join(map(str, parts)).encode())


class Data:
    """Resolvers over a supergraph's types: `graph` is None for the monolith."""

    def __init__(self, supergraph: Supergraph) -> None:
        self._supergraph = supergraph
        self.asked: list[str] = []

    def resolve(self, source: Any, info: Any, **arguments: Any) -> Any:
        """The value of any field."""
        thing = source if isinstance(source, Thing) else Thing(info.parent_type.name, "root", source)
        return self.value(thing, info.field_name, arguments, info.return_type)

    def value(self, thing: Thing, name: str, arguments: dict[str, Any], type_: Any) -> Any:
        if name in REQUIRED:
            return self._required(thing, name)
        if name == "id":
            return thing.id
        if name == "k":
            return f"k{thing.id}"
        if thing.id == "root" and arguments.get("id"):
            return Thing(get_named_type(type_).name, arguments["id"], thing.graph)
        owner = self._owner(thing.type_name, name)
        return self._typed(type_, (thing.type_name, thing.id, name, sorted(arguments.items())), thing.graph, owner)

    def _owner(self, type_name: str, name: str) -> str:
        """A subgraph that resolves the field: only types that it knows can be there."""
        here = self._supergraph.types[type_name]
        return next(graph for graph, known in here.items() if name in known.fields and known.fields[name].resolvable)

    def _required(self, thing: Thing, name: str) -> str:
        required = REQUIRED[name]
        if thing.graph is None:
            value = self._required(thing, required) if required in REQUIRED else self._a(thing)
        elif thing.brought is None or required not in thing.brought:
            raise LookupError(f"{thing.type_name}.{name} was asked for without {required}")
        else:
            value = thing.brought[required]
        return f"{name}({value})"

    def _a(self, thing: Thing) -> Any:
        return self._typed(self._supergraph.schema.type_map["Int"], (thing.type_name, thing.id, "a", []), None, "")

    def _typed(self, type_: Any, seed: tuple[Any, ...], graph: str | None, owner: str) -> Any:
        if isinstance(type_, GraphQLNonNull):
            value = self._typed(type_.of_type, seed, graph, owner)
            return value if value is not None else self._typed(type_.of_type, (*seed, "again"), graph, owner)
        if isinstance(type_, GraphQLList):
            return [self._typed(type_.of_type, (*seed, n), graph, owner) for n in range(_number(*seed, "length") % 3)]
        if is_leaf_type(type_):
            number = _number(*seed)
            return number % 1000 if type_.name == "Int" else f"s{number % 1000}"
        if not any(isinstance(part, str) and part == "again" for part in seed) and _number(*seed, "null") % 7 == 0:
            return None
        names = sorted(self._supergraph.types[type_.name][owner].possible_types)
        return Thing(names[_number(*seed, "type") % len(names)], f"i{_number(*seed) % 5}", graph)


def executable(schema: GraphQLSchema, data: Data) -> GraphQLSchema:
    """Bind the one resolver to all fields."""
    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__"):
            for one in type_.fields.values():
                one.resolve = data.resolve
        if isinstance(type_, GraphQLInterfaceType | GraphQLUnionType):
            type_.resolve_type = lambda thing, *_: thing.type_name
    return schema


def entities(representations: list[dict[str, Any]], graph: str) -> list[Thing]:
    """The objects of representations, which may know them by `k` alone."""
    return [
        Thing(one["__typename"], one["id"] if "id" in one else one["k"].removeprefix("k"), graph, one)
        for one in representations
    ]


# Operations


def random_operation(random: Random, schema: GraphQLSchema) -> str:
    """A query with aliases, arguments, fragments and conditions."""
    assert schema.query_type is not None
    body = _selection_set(random, schema, schema.query_type, 0)
    variables = ("$t: Boolean! = true", "$f: Boolean! = false", "$n: Int = 2")
    used = [one for one in variables if re.search(rf"\{one[:2]}\b", body)]
    return f"query{f'({chr(44).join(used)})' if used else ''} {body}"


def _selection_set(random: Random, schema: GraphQLSchema, parent: Any, depth: int) -> str:
    parts: list[str] = []
    fields = list(getattr(parent, "fields", {}).items())
    for name, one in fields:
        inner = get_named_type(one.type)
        leaf = is_leaf_type(inner)
        if (depth >= 4 and not leaf) or random.random() < (0.45 if leaf else 0.5):
            continue
        below = "" if leaf else _selection_set(random, schema, inner, depth + 1)
        written = _field(random, name, one)
        if name.startswith("x") and random.random() < 0.95:
            written = f"{parent.name}_{name}: {name}"  # the types of x0 differ between object types
        parts.append(f"{written}{_condition(random)} {below}")
    if isinstance(parent, GraphQLInterfaceType | GraphQLUnionType):
        for possible in schema.get_possible_types(parent):
            if random.random() < 0.5:
                inner = _selection_set(random, schema, possible, depth + 1)
                parts.append(f"... on {possible.name}{_condition(random)} {inner}")
    if random.random() < 0.15 and parts:
        parts.append(f"...{_condition(random)} {{ {random.choice(parts)} }}")
    if not parts or random.random() < 0.2:
        parts.append("__typename")
    random.shuffle(parts)
    return f"{{ {' '.join(parts)} }}"


def _field(random: Random, name: str, one: Any) -> str:
    if "n" in one.args:
        argument = random.choice(("1", "2", "$n"))
        return f"c{argument.strip('$')}: c(n: {argument})" if random.random() < 0.7 else name
    if "id" in one.args:
        number = random.randint(0, 2)
        return f'{name}_{number}: {name}(id: "i{number}")'
    aliased = random.random()
    if aliased < 0.01:
        return f"id: {name}"
    return f"{random.choice('yz')}{name}: {name}" if aliased < 0.15 else name


def _condition(random: Random) -> str:
    return random.choice([""] * 8 + [" @include(if: $t)", " @skip(if: $t)", " @include(if: $f)", " @skip(if: $f)"])
