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
    """A supergraph in the making: which subgraph has which fields of which types.

    `fields` has, per type and field, the field's type and its `@join__field`s. In `blind`, if there is one, the
    interface is an interface object.
    """

    random: Random
    graphs: list[str]
    blind: str | None
    entities: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    fields: dict[str, dict[str, tuple[str, list[str]]]] = field(
        default_factory=dict[str, dict[str, tuple[str, list[str]]]]
    )

    def some(self, choices: list[str]) -> list[str]:
        return [one for one in choices if self.random.random() < 0.5] or [self.random.choice(choices)]

    def add(self, type_name: str, name: str, type_text: str, graphs: list[str] | None = None, more: str = "") -> None:
        """A field, in these subgraphs (without `graphs`, wherever its type is)."""
        joined = [f"@f({graph}{more})" for graph in graphs or ()]
        self.fields.setdefault(type_name, {}).setdefault(name, (type_text, []))[1].extend(joined)

    def owners(self, type_name: str, name: str) -> list[str]:
        joined = self.fields[type_name][name][1]
        return [
            graph for graph in self.graphs if any(one.startswith((f"@f({graph})", f"@f({graph},")) for one in joined)
        ]

    def body(self, type_name: str) -> str:
        written = (
            f"{name}: {type_text} {' '.join(joined)}" for name, (type_text, joined) in self.fields[type_name].items()
        )
        return f"{{ {' '.join(written)} }}".replace("c:", "c(n: Int):").replace("_by_id:", "(id: ID):")


def random_supergraph(random: Random) -> str:
    """A supergraph of two to four subgraphs and up to four entity types, an interface and a union."""
    graphs = [f"S{n}" for n in range(random.randint(2, 4))]
    world = World(random, graphs, "BLIND" if random.random() < 0.4 else None)
    world.entities = {f"E{n}": world.some(world.graphs) for n in range(random.randint(1, 4))}
    if world.blind:
        # The interface has a key where all of its object types are.
        world.entities = {name: list(dict.fromkeys(("S0", *graphs))) for name, graphs in world.entities.items()}
    for name, owners in world.entities.items():
        _plain_fields(world, name, owners)
    _value_type(world)
    for name, owners in world.entities.items():
        _references(world, name, owners)
    _query(world)
    _labelled_overrides(world)
    body = [_entity(world, name) for name in world.entities]
    body += [f"type Value {' '.join(f'@t({graph})' for graph in world.graphs)} {world.body('Value')}"]
    body += [_interface(world), _union(world)]
    everywhere = [*graphs, *([world.blind] if world.blind else [])]
    body += [f"type Query {' '.join(f'@t({graph})' for graph in everywhere)} {world.body('Query')}"]
    return supergraph_sdl("\n".join(body), *everywhere)


def _plain_fields(world: World, name: str, graphs: list[str]) -> None:
    world.add(name, "id", "ID!")
    world.add(name, "k", "ID!")
    for plain, type_text in (("a", "Int"), ("b", "String!"), ("c", "Int")):
        world.add(name, plain, type_text, world.some(graphs))
    world.add(name, "v", "Value", graphs)
    known = world.fields[name]
    for later, required in REQUIRED.items():
        # In a subgraph that does not have what it requires.
        if required not in known:
            break
        strangers = [graph for graph in graphs if graph not in world.owners(name, required)]
        if strangers and world.random.random() < 0.6:
            graph = world.random.choice(strangers)
            world.add(name, later, "String", [graph], f', requires: "{required}"')
            world.add(name, required, "", [graph], ", external: true")


def _labelled_overrides(world: World) -> None:
    """Under labels, fields move to a subgraph that had nothing to do with them; that must not change any answer."""
    random = Random(repr(world.fields))
    for name, graphs in world.entities.items():
        for plain in "abc":
            joined = world.fields[name][plain][1]
            strangers = [graph for graph in graphs if not any(one.startswith(f"@f({graph}") for one in joined)]
            owners = [graph for graph in graphs if f"@f({graph})" in joined]
            if strangers and owners and random.random() < 0.3:
                source, label = random.choice(owners), f'overrideLabel: "label{random.randint(1, 3)}"'
                joined[joined.index(f"@f({source})")] = f"@f({source}, {label})"
                joined.append(f'@f({random.choice(strangers)}, override: "{source.lower()}", {label})')


def _references(world: World, name: str, graphs: list[str]) -> None:
    for number in range(world.random.randint(0, 3)):
        _reference(world, name, f"x{number}", world.some(graphs))


def _reference(world: World, parent: str, name: str, owners: list[str]) -> None:
    """A field of a type that all these subgraphs know; it may bring along a field of its target."""
    known = [one for one, graphs in world.entities.items() if set(owners) <= set(graphs)]
    alone = len(owners) == 1 and any(owners[0] in graphs for graphs in world.entities.values())
    abstract = ["Thing", "Either"] if alone else []
    target: str = world.random.choice([*known, "Value", *abstract])
    provides = ""
    if target in known and len(owners) == 1 and world.random.random() < 0.4:
        provided = world.random.choice("abc")
        if owners[0] not in world.owners(target, provided):
            world.add(target, provided, "", owners, ", external: true")
        if provided != "c":
            provides = f', provides: "{provided}"'
    world.add(parent, name, world.random.choice(("{}", "{}", "[{}]", "[{}!]!")).format(target), owners, provides)


def _entity(world: World, name: str) -> str:
    graphs = world.entities[name]
    keys = [f'@t({graph}, key: "id")' for graph in graphs]
    if world.random.random() < 0.3:
        keys += [f'@t({graph}, key: "k")' for graph in world.some(graphs)]
        if len(graphs) > 1 and not world.blind and world.random.random() < 0.5:
            # One subgraph knows the entity by its second key only; another one can tell both.
            keys = [key for key in keys if f"({graphs[0]}," not in key]
            keys += [f'@t({graphs[0]}, key: "k")', f'@t({graphs[1]}, key: "k")']
    implements = "".join(f'@i({graph}, interface: "Thing") ' for graph in graphs)
    body = world.body(name)
    if world.blind:
        body = body.replace("}", "io: String @join__field }")
    return f"type {name} implements Thing {implements}{' '.join(dict.fromkeys(keys))} {body}"


def _value_type(world: World) -> None:
    world.add("Value", "p", "Int", world.graphs)
    world.add("Value", "q", "String", world.graphs)
    # Nothing leads from a value type to another subgraph: what is in it has to be in all of them.
    everywhere = [name for name, graphs in world.entities.items() if len(graphs) == len(world.graphs)]
    if everywhere:
        world.add("Value", "e", world.random.choice(everywhere))


def _interface(world: World) -> str:
    """Fields that all entities of the supergraph have; a subgraph's interface may have fewer of them."""
    world.add("Thing", "id", "ID!")
    for plain, type_text in (("a", "Int"), ("b", "String!")):
        world.add("Thing", plain, type_text, world.some(world.graphs))
    joined = [f"@t({graph})" for graph in world.graphs]
    if world.blind:
        joined[0] = '@t(S0, key: "id")'
        joined.append(f'@t({world.blind}, key: "id", isInterfaceObject: true)')
        world.add("Thing", "io", "String", [world.blind])
    return f"interface Thing {' '.join(joined)} {world.body('Thing')}"


def _union(world: World) -> str:
    joined = " ".join(f"@t({graph})" for graph in world.graphs)
    members = " ".join(f'@u({graph}, member: "{name}")' for name, graphs in world.entities.items() for graph in graphs)
    return f"union Either {joined} {members} = {' | '.join(world.entities)}"


def _query(world: World) -> None:
    for name, graphs in world.entities.items():
        world.add("Query", f"{name.lower()}_by_id", name, world.some(graphs))
    for number in range(3):
        owners = world.some(world.graphs)
        _reference(world, "Query", f"q{number}", owners[:1] if number else owners)
    if world.blind:
        world.add("Query", "blind", "[Thing]", [world.blind])


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
        if name == "io":
            return f"io({thing.id})"
        if name == "k":
            return f"k{thing.id}"
        if thing.id == "root" and arguments.get("id"):
            return Thing(get_named_type(type_).name, arguments["id"], thing.graph)
        owner = self._owner(thing.type_name, name)
        return self._typed(type_, (thing.type_name, thing.id, name, sorted(arguments.items())), thing.graph, owner)

    def _owner(self, type_name: str, name: str) -> str:
        """A subgraph that resolves the field: only types that it knows can be there."""
        here = self._supergraph.types[type_name]
        owners = (graph for graph, known in here.items() if name in known.fields and known.fields[name].resolvable)
        return next(owners, "")

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
        known = self._supergraph.types[type_.name][owner]
        possible = self._supergraph.possible_types[type_.name] if known.is_interface_object else known.possible_types
        names = sorted(possible)
        name = names[_number(*seed, "type") % len(names)]
        return Thing(name, f"{name}-{_number(*seed) % 5}", graph)


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
    """The objects of representations, which may know them by `k` alone. An id says of which type it is."""
    found: list[Thing] = []
    for one in representations:
        id_ = one["id"] if "id" in one else one["k"].removeprefix("k")
        found.append(Thing(id_.split("-")[0], id_, graph, one))
    return found


def entity_type(thing: Thing) -> str:
    """The type of an entity in its subgraph; only an interface object's differs from the object's own."""
    return "Thing" if thing.graph == "blind" else thing.type_name


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
        return f'{name}_{number}: {name}(id: "{name.upper()}-{number}")'
    aliased = random.random()
    if aliased < 0.01:
        return f"id: {name}"
    return f"{random.choice('yz')}{name}: {name}" if aliased < 0.15 else name


def _condition(random: Random) -> str:
    return random.choice([""] * 8 + [" @include(if: $t)", " @skip(if: $t)", " @include(if: $f)", " @skip(if: $f)"])
