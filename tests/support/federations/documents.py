"""Writes random subgraphs: what each of a few entities, a value type, an interface, a union has in which subgraph.

Whether the documents fit together is not decided here: composition says so, and what it refuses is another draw. Every
feature that comes up is noted by name, so that a campaign can say what it has met.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

LINK = """extend schema @link(url: "https://specs.apollo.dev/federation/v2.8", import: ["@key", "@requires",
  "@provides", "@external", "@shareable", "@override", "@inaccessible", "@interfaceObject", "@context", "@fromContext"])
"""
COLORS = ("RED", "GREEN", "BLUE", "GREY")
PLAIN = {"a": "Int", "b": "String!", "c": "Int", "e": "Color", "l": "[[Int]]", "v": "Value", "vs": "[Value!]"}
ARGUMENTS = {"c": "(n: Int = 1, in: In)", "l": "(n: Int)", "v": "(n: Int)"}


@dataclass
class Entity:
    """One entity type: its subgraphs, and per subgraph the text of its fields and its keys."""

    name: str
    graphs: list[str]
    keys: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    fields: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    owners: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    types: dict[str, str] = field(default_factory=dict[str, str])
    unresolvable: set[str] = field(default_factory=set[str])


@dataclass
class Draw:
    """Subgraphs in the making. `features` are the names of what has come up."""

    random: Random
    graphs: list[str]
    old: set[str]
    entities: dict[str, Entity] = field(default_factory=dict[str, Entity])
    roots: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    blind: bool = False
    features: set[str] = field(default_factory=set[str])
    contexts: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def chance(self, probability: float, feature: str = "") -> bool:
        happens = self.random.random() < probability
        if happens and feature:
            self.features.add(feature)
        return happens

    def some(self, choices: Iterable[str]) -> list[str]:
        all_of = list(choices)
        return [one for one in all_of if self.random.random() < 0.5] or [self.random.choice(all_of)]


def random_documents(random: Random) -> tuple[dict[str, str], set[str]]:
    """The subgraphs' documents by name, and the names of the features in them."""
    graphs = [f"s{n}" for n in range(random.randint(2, 4))]
    draw = Draw(random, graphs, set())
    if draw.chance(0.3, "Federation 1 document"):
        draw.old.add(graphs[-1])
    draw.blind = draw.chance(0.25, "@interfaceObject")
    for number in range(random.randint(1, 3)):
        name = f"E{number}"
        owners = draw.some(graphs)
        owners = list(dict.fromkeys([graphs[0], *owners])) if draw.blind else owners
        draw.entities[name] = Entity(name, owners)
    for entity in draw.entities.values():
        _keys(draw, entity)
        _plain(draw, entity)
    for entity in draw.entities.values():
        _references(draw, entity)
    for entity in draw.entities.values():
        _provided(draw, entity)
        _required(draw, entity)
        _overridden(draw, entity)
    _roots(draw)
    _contextual(draw)
    return {graph: _document(draw, graph) for graph in graphs} | _blind(draw), draw.features


def _keys(draw: Draw, entity: Entity) -> None:
    styles = [["id"], ["id"], ["id", "k"], ["k", "id"], ["id k"], ["id", "org { oid }"], ["org { oid }", "id"]]
    for graph in entity.graphs:
        keys = ["id"] if graph in draw.old or draw.blind else draw.random.choice(styles)
        if (
            keys == ["id"]
            and graph not in draw.old
            and not draw.blind
            and draw.chance(0.1, "@key that is not resolvable")
        ):
            entity.unresolvable.add(graph)
        entity.keys[graph] = keys
        entity.fields[graph] = {"id": "ID!"}
        if len(keys) > 1:
            draw.features.add("several keys")
        for key in keys:
            if "k" in key.split():
                entity.fields[graph]["k"] = "ID!"
            if "org" in key:
                entity.fields[graph]["org"] = "Org!"
                draw.features.add("nested key")
            if key == "id k":
                draw.features.add("compound key")


def _own(draw: Draw, entity: Entity, name: str, type_text: str, owners: list[str]) -> None:
    """A field, resolved in each of these subgraphs."""
    old = [graph for graph in owners if graph in draw.old]
    owners = owners if not old else old[:1] if len(owners) == len(old) else [g for g in owners if g not in old]
    shareable = " @shareable" if len(owners) > 1 else ""
    if shareable:
        draw.features.add("@shareable")
    hidden = ""
    if name in {"a", "e", "c", "v"} and not draw.old.intersection(owners) and draw.chance(0.06, "@inaccessible field"):
        hidden = " @inaccessible"
    for graph in owners:
        entity.fields[graph][name] = f"{type_text}{shareable}{hidden}"
    entity.owners[name] = owners
    entity.types[name] = type_text


def _plain(draw: Draw, entity: Entity) -> None:
    for name, type_text in PLAIN.items():
        if name in {"a", "b"} or draw.chance(0.6):
            _own(draw, entity, name, type_text, draw.some(entity.graphs))


def _references(draw: Draw, entity: Entity) -> None:
    for number in range(draw.random.randint(0, 2)):
        owners = draw.some(entity.graphs)
        known = [one.name for one in draw.entities.values() if set(owners) <= set(one.graphs)]
        abstract = ["Thing", "Either"] if len(owners) == 1 and _members(draw, owners[0]) else []
        target = draw.random.choice([*known, "Value", *abstract])
        if target in {"Thing", "Either"}:
            draw.features.add("interface" if target == "Thing" else "union")
        wrapped = draw.random.choice(("{}", "{}", "[{}]", "[{}!]!", "[[{}]]")).format(target)
        if wrapped.startswith("[["):
            draw.features.add("nested list")
        _own(draw, entity, f"x{number}", wrapped, owners)


def _members(draw: Draw, graph: str) -> list[str]:
    return [entity.name for entity in draw.entities.values() if graph in entity.graphs]


def _mention(draw: Draw, entity: Entity, name: str, graph: str) -> bool:
    """Make a field of another subgraph known in this one, as external; False if it is there or cannot be."""
    if name not in entity.owners or name in entity.fields[graph]:
        return False
    target = entity.types[name].strip("[]!")
    if target in draw.entities and graph not in draw.entities[target].graphs:
        return False
    if target in {"Thing", "Either"} and set(_members(draw, graph)) != set(_members(draw, entity.owners[name][0])):
        return False
    entity.fields[graph][name] = f"{entity.types[name]} @external"
    return True


def _provided(draw: Draw, entity: Entity) -> None:
    for name, owners in list(entity.owners.items()):
        target = entity.types[name].strip("[]!")
        if not name.startswith("x") or len(owners) != 1:
            continue
        if target in {"Thing", "Either"}:
            _provided_of_members(draw, entity, name, owners[0])
        if target not in draw.entities:
            continue
        graph, other = owners[0], draw.entities[target]
        provided = draw.random.choice([one for one in ("a", "b", "e", "v") if one not in other.fields[graph]] or ["a"])
        if other.fields[graph].get("id") and draw.chance(0.9) and _mention(draw, other, provided, graph):
            text = "v { p }" if provided == "v" else provided
            entity.fields[graph][name] += f' @provides(fields: "{text}")'
            draw.features.add("@provides" if text != "v { p }" else "@provides nested")


def _provided_of_members(draw: Draw, entity: Entity, name: str, graph: str) -> None:
    """Of an abstract type, what some of its object types have is provided in fragments."""
    members = [draw.entities[one] for one in _members(draw, graph)]
    missing = [one for one in members if "a" not in one.fields[graph]]
    parts = [f"... on {one.name} {{ a }}" for one in missing if draw.chance(0.6) and _mention(draw, one, "a", graph)]
    if parts:
        entity.fields[graph][name] += f' @provides(fields: "{" ".join(parts)}")'
        draw.features.add("@provides with fragments")


def _required(draw: Draw, entity: Entity) -> None:
    """Up to two fields with a requirement; the second one may need the first, or the same field as the first."""
    before: tuple[str, str] | None = None
    for name in ("r0", "r1"):
        graph = draw.random.choice(entity.graphs)
        if not draw.chance(0.5):
            continue
        choices = [one for one in ("a", "c", "v", "x0", "x1", "r0") if one not in entity.fields[graph]]
        wanted = draw.random.choice([one for one in choices if one in entity.owners and one != name] or [""])
        if before and draw.chance(0.6, "@requires of what another field requires"):
            wanted, graph = before
        text = _requirement(draw, entity, wanted, graph) if wanted else ""
        if text:
            entity.fields[graph][name] = f'String @requires(fields: "{text}")'
            entity.owners[name], entity.types[name] = [graph], "String"
            before = wanted, graph


def _requirement(draw: Draw, entity: Entity, name: str, graph: str) -> str:
    """The field set that asks for a field of another subgraph; empty if this subgraph cannot know the field."""
    target = entity.types[name].strip("[]!")
    if target in draw.entities and (graph not in draw.entities[target].graphs or draw.entities[target] is entity):
        return ""
    if name not in entity.fields[graph] and not _mention(draw, entity, name, graph):
        return ""
    draw.features.add("@requires in a chain" if name == "r0" else "@requires")
    if entity.types[name].startswith("["):
        draw.features.add("@requires through a list")
    if name == "c":
        draw.features.add("@requires with arguments")
        return f"c(n: {draw.random.randint(1, 3)})"
    arguments = ""
    if name == "v" and draw.chance(0.6, "@requires with arguments of an object"):
        arguments = f"(n: {draw.random.randint(1, 2)})"
    return f"{name}{arguments}{_selected(draw, target, graph)}"


def _selected(draw: Draw, target: str, graph: str) -> str:
    """What is required of an object; nothing of a leaf."""
    if target in {"Thing", "Either"}:
        draw.features.add("@requires with fragments through an abstract type")
        return f" {{ {' '.join(f'... on {member} {{ id }}' for member in _members(draw, graph))} }}"
    if target == "Value":
        draw.features.add("@requires nested")
        number = draw.random.randint(1, 2)
        if draw.chance(0.6, "@requires with arguments below an object"):
            return f" {{ q p(n: {number}) }}"
        return draw.random.choice((" { p }", " { q p }"))
    if target in draw.entities:
        return " { a }" if "a" in draw.entities[target].fields[graph] else " { id }"
    return ""


def _overridden(draw: Draw, entity: Entity) -> None:
    for name in "abc":
        owners = entity.owners.get(name, [])
        strangers = [g for g in entity.graphs if name not in entity.fields[g] and g not in draw.old]
        if len(owners) != 1 or not strangers or not draw.chance(0.25):
            continue
        label = f', label: "l{draw.random.randint(1, 2)}"' if draw.chance(0.5) else ""
        draw.features.add("@override with a label" if label else "@override")
        new = draw.random.choice(strangers)
        entity.fields[new][name] = f'{entity.types[name]} @override(from: "{owners[0]}"{label})'


def _roots(draw: Draw) -> None:
    roots = draw.roots
    for entity in draw.entities.values():
        for graph in draw.some(entity.graphs)[:1]:
            roots.setdefault(graph, []).append(f"{entity.name.lower()}(id: ID): {entity.name}")
    for number in range(3):
        graph = draw.random.choice(draw.graphs)
        members = _members(draw, graph)
        abstract = ["Thing", "Either"] if members else []
        target = draw.random.choice([*members, *abstract, "Value"])
        wrapped = draw.random.choice(("{}", "[{}]", "[{}!]!", "[[{}]]")).format(target)
        roots.setdefault(graph, []).append(f"q{number}: {wrapped}")
        if target in {"Thing", "Either"}:
            draw.features.add("interface" if target == "Thing" else "union")


def _contextual(draw: Draw) -> None:
    graph = draw.random.choice(draw.graphs)
    members = [draw.entities[name] for name in _members(draw, graph)]
    if graph in draw.old or not members or not draw.chance(0.35):
        return
    user = draw.random.choice(members)
    setters = draw.some([member.name for member in members])
    parts = ["... on Query { ambient }"]
    for name in list(setters):
        entity = draw.entities[name]
        if "a" in entity.fields[graph] or _mention(draw, entity, "a", graph):
            parts.append(f"... on {name} {{ a }}")
        else:
            setters.remove(name)
    draw.features.add("@context")
    draw.contexts[graph] = ["Query", *setters]
    draw.roots.setdefault(graph, []).append("ambient: Int")
    user.fields[graph]["z"] = "String"
    user.fields[graph]["z"] += f'\x00(w: Int @fromContext(field: "$around {{ {" ".join(parts)} }}"))'
    user.owners["z"], user.types["z"] = [graph], "String"


def _document(draw: Draw, graph: str) -> str:
    old = graph in draw.old
    random = draw.random
    colors = [c for c in COLORS if c == "RED" or random.random() < 0.8]
    if colors != list(COLORS):
        draw.features.add("enum that differs")
    in_fields = "n: Int" + (" m: Int" if draw.chance(0.7) else "")
    if "m" not in in_fields:
        draw.features.add("input that differs")
    share = "" if old else " @shareable"
    parts = ["# Federation 1" if old else LINK]
    around = ' @context(name: "around")'
    for name in _members(draw, graph):
        entity = draw.entities[name]
        word = "extend type" if old and len(entity.graphs) > 1 else "type"
        resolvable = ", resolvable: false" if graph in entity.unresolvable else ""
        keys = " ".join(f'@key(fields: "{key}"{resolvable})' for key in entity.keys[graph])
        context = around if name in draw.contexts.get(graph, ()) else ""
        fields = [_field(name, text) for name, text in entity.fields[graph].items()]
        if word == "extend type":
            fields[0] = "id: ID! @external"
        parts.append(f"{word} {name} implements Thing {keys}{context} {{ {' '.join(fields)} }}")
    if _members(draw, graph):
        key = ' @key(fields: "id")' if draw.blind and graph == draw.graphs[0] else ""
        parts.append(f"interface Thing{key} {{ {_common_fields(draw, graph)} }}")
        parts.append(f"union Either = {' | '.join(_members(draw, graph))}")
    parts.append(f"type Value {{ p(n: Int): Int{share} q: String{share} }}")
    text = "\n".join(parts)
    if "Org!" in text:
        text += f"\ntype Org {{ oid: ID!{share} }}"
    if "Color" in text:
        hide = " @inaccessible" if not old and draw.chance(0.1, "@inaccessible enum value") else ""
        text += f"\nenum Color {{ {' '.join(colors)}{hide} }}"
    if "in: In" in text:
        text += f"\ninput In {{ {in_fields} }}"
    roots = draw.roots.get(graph, [])
    context = around if "Query" in draw.contexts.get(graph, ()) else ""
    if roots or graph == draw.graphs[0]:
        word = "extend type" if old else "type"
        text += f"\n{word} Query{context} {{ {' '.join([f'only_{graph}: Int', *roots])} }}"
    if draw.chance(0.3, "mutation") and _members(draw, graph):
        text += f"\n{'extend type' if old else 'type'} Mutation {{ m_{graph}(n: Int): {_members(draw, graph)[0]} }}"
    return text + "\n"


def _common_fields(draw: Draw, graph: str) -> str:
    """What the interface has: fields that all entities of the subgraph have there, to give."""
    members = [draw.entities[name] for name in _members(draw, graph)]
    found = ["id: ID!"]
    for name in "ab":
        texts = [one.fields[graph].get(name, "@external") for one in members]
        if not any("@external" in text or "@inaccessible" in text for text in texts) and draw.chance(0.6):
            draw.features.add("interface with fields")
            found.append(f"{name}: {PLAIN[name]}")
    return " ".join(found)


def _field(name: str, text: str) -> str:
    type_text, _, arguments = text.partition("\x00")
    return f"{name}{arguments or ARGUMENTS.get(name, '')}: {type_text}"


def _blind(draw: Draw) -> dict[str, str]:
    if not draw.blind:
        return {}
    text = 'type Thing @key(fields: "id") @interfaceObject { id: ID! io: String } type Query { blind: [Thing] }'
    return {"blind": f"{LINK}{text}\n"}
