"""Properties of composition, on schemas drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

from graphql import (
    DirectiveDefinitionNode,
    DirectiveNode,
    DocumentNode,
    SchemaDefinitionNode,
    TypeDefinitionNode,
    Visitor,
    VisitorAction,
    build_ast_schema,
    build_schema,
    lexicographic_sort_schema,
    parse,
    print_schema,
    visit,
)
from graphql.language import REMOVE
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrouter.composition import Code, CompositionError, SubgraphSdl, compose

IMPORTS = '["@key", "@shareable", "@external", "@requires"]'
LINK = f'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: {IMPORTS})\n'
FEW = settings(max_examples=60, deadline=None)


# ----------------------------------------------------------------------------------------------- one schema, any kind


@st.composite
def schemas(draw: st.DrawFn) -> str:
    """A schema with types of every kind, arguments, defaults, descriptions and deprecations."""
    numbers = st.integers(0, 3)
    enums = [f"E{n}" for n in range(draw(st.integers(1, 2)))]
    inputs = [f"F{n}" for n in range(draw(st.integers(0, 2)))]
    interfaces = [f"I{n}" for n in range(draw(st.integers(0, 2)))]
    objects = [f"O{n}" for n in range(draw(st.integers(1, 4)))]
    unions = [f"U{n}" for n in range(draw(st.integers(0, 1)))]
    leaves = ["Int", "String", "ID", "Date", *enums]

    def wrapped(names: list[str]) -> str:
        name = draw(st.sampled_from(names))
        return draw(st.sampled_from([name, f"{name}!", f"[{name}]", f"[{name}!]!"]))

    def argument(name: str) -> str:
        default = draw(st.sampled_from(["", " = null", ""]))
        kind = wrapped([*leaves, *inputs])
        return f"{name}: {kind}{default if not kind.endswith('!') else ''}"

    def fields(prefix: str) -> str:
        lines: list[str] = []
        for n in range(1 + draw(numbers)):
            arguments = ", ".join(argument(f"a{m}") for m in range(draw(numbers)))
            description = draw(st.sampled_from(["", '"words" ', '"""\nlines\n\nof "words"\n"""\n']))
            deprecated = draw(st.sampled_from(["", ' @deprecated(reason: "old")']))
            kind = wrapped([*leaves, *objects, *interfaces, *unions])
            lines.append(f"{description}{prefix}{n}{f'({arguments})' if arguments else ''}: {kind}{deprecated}")
        return "\n".join(lines)

    asked = {interface: fields(f"{interface.lower()}f") for interface in interfaces}
    parts = ['scalar Date @specifiedBy(url: "https://example.com/date")', "type Query {", fields("q"), "}"]
    parts += [f"enum {name} {{ {' '.join(f'V{n}' for n in range(1 + draw(numbers)))} }}" for name in enums]
    parts += [f"input {name} {{ x: Int y: [{draw(st.sampled_from([*leaves, *inputs]))}] }}" for name in inputs]
    parts += [f"interface {name} {{ {asked[name]} }}" for name in interfaces]
    for name in objects:
        implemented = draw(st.sets(st.sampled_from(interfaces))) if interfaces else set[str]()
        clause = f" implements {' & '.join(sorted(implemented))}" if implemented else ""
        inherited = "\n".join(asked[interface] for interface in sorted(implemented))
        parts.append(f"type {name}{clause} {{ {inherited}\n{fields(name.lower())} }}")
    for name in unions:
        parts.append(f"union {name} = {' | '.join(sorted(draw(st.sets(st.sampled_from(objects), min_size=1))))}")
    return "\n".join(parts)


@FEW
@given(schemas())
def test_composing_one_subgraph_alone_gives_its_schema(sdl: str) -> None:
    composed = compose([SubgraphSdl("only", "http://only", LINK + sdl)])
    assert composed.hints == ()
    assert api(composed.supergraph_sdl) == sorted_schema(sdl)


@FEW
@given(schemas())
def test_composing_what_was_composed_changes_nothing(sdl: str) -> None:
    once = compose([SubgraphSdl("only", "http://only", LINK + sdl)]).supergraph_sdl
    again = compose([SubgraphSdl("only", "http://only", LINK + api(once))]).supergraph_sdl
    assert sorted(again.splitlines()) == sorted(once.splitlines())
    assert compose([SubgraphSdl("only", "http://only", LINK + sdl)]).supergraph_sdl == once


# ------------------------------------------------------------------------------------ one schema cut into subgraphs


@dataclass(frozen=True)
class Cut:
    """Types whose fields are spread over subgraphs.

    `owner[type, field]` is the one subgraph that resolves a field, `target[type, field]` the type it returns (None for
    a leaf), `requires[type, field]` another field of the type that it needs, `keys[type, subgraph]` the keys of a type
    in a subgraph: field name → whether it resolves.
    """

    types: tuple[str, ...]
    subgraphs: tuple[str, ...]
    owner: dict[tuple[str, str], str]
    target: dict[tuple[str, str], str | None]
    requires: dict[tuple[str, str], str]
    keys: dict[tuple[str, str], dict[str, bool]]

    def sdl(self, subgraph: str) -> str:
        lines = [LINK]
        for type_name in ("Query", *self.types):
            own = [field for (parent, field), by in self.owner.items() if (parent, by) == (type_name, subgraph)]
            keys = self.keys.get((type_name, subgraph), {})
            if not own and not keys and not self.is_returned(type_name, subgraph):
                continue
            texts = [self.field(type_name, field) for field in own]
            required = {self.requires[type_name, field] for field in own if (type_name, field) in self.requires}
            texts += [f"{field}: Int @external" for field in sorted(required)]
            texts += [f"{key}: ID! @shareable" for key in keys]
            if type_name != "Query":
                texts.append("known: Int @shareable")
            marks = " ".join(f'@key(fields: "{key}", resolvable: {str(on).lower()})' for key, on in keys.items())
            lines.append(f"type {type_name} {marks} {{ {' '.join(texts)} }}")
        return "\n".join(lines)

    def field(self, type_name: str, field: str) -> str:
        requires = self.requires.get((type_name, field))
        directive = f' @requires(fields: "{requires}")' if requires is not None else ""
        return f"{field}: {self.target[type_name, field] or 'Int'}{directive}"

    def is_returned(self, type_name: str, subgraph: str) -> bool:
        return any(by == subgraph and self.target[at] == type_name for at, by in self.owner.items())

    def composable(self) -> bool:
        """The oracle: breadth first over (type, the subgraph that returned it); no path needs more than one."""
        open_pairs = [("Query", subgraph) for subgraph in self.subgraphs]
        seen: set[tuple[str, str]] = set()
        while open_pairs:
            type_name, came_from = open_pairs.pop()
            if (type_name, came_from) in seen:
                continue
            seen.add((type_name, came_from))
            fields = {field for parent, field in self.owner if parent == type_name}
            keys = {key for (parent, _), found in self.keys.items() if parent == type_name for key in found}
            if not fields | keys <= self.got(type_name, came_from):
                return False
            for field in fields:
                child = self.target[type_name, field]
                if child is not None:
                    open_pairs.append((child, self.owner[type_name, field]))
        return True

    def got(self, type_name: str, came_from: str) -> set[str]:
        """The fields of an object that can be got, by trying again until nothing more comes."""
        entered = set(self.subgraphs) if type_name == "Query" else {came_from}
        got: set[str] = set()
        while True:
            before = (len(entered), len(got))
            for subgraph in self.subgraphs:
                keys = self.keys.get((type_name, subgraph), {})
                can_enter = any(on and key in got for key, on in keys.items())
                if can_enter:
                    entered.add(subgraph)
                if subgraph in entered:
                    got |= set(keys)
                    for (parent, field), by in self.owner.items():
                        requires = self.requires.get((parent, field))
                        if (parent, by) == (type_name, subgraph) and (
                            requires is None or (requires in got and can_enter)
                        ):
                            got.add(field)
            if (len(entered), len(got)) == before:
                return got


@st.composite
def cuts(draw: st.DrawFn) -> Cut:
    types = tuple(f"T{n}" for n in range(draw(st.integers(1, 4))))
    subgraphs = tuple(f"s{n}" for n in range(draw(st.integers(1, 4))))
    owner: dict[tuple[str, str], str] = {}
    target: dict[tuple[str, str], str | None] = {}
    requires: dict[tuple[str, str], str] = {}
    keys: dict[tuple[str, str], dict[str, bool]] = {}
    resolvable = st.sampled_from([True, True, True, False])
    for type_name in ("Query", *types):
        names = [f"{type_name.lower()}f{n}" for n in range(draw(st.integers(1, 3)))]
        for name in names:
            owner[type_name, name] = draw(st.sampled_from(subgraphs))
            target[type_name, name] = draw(st.sampled_from([None, *types]))
        if type_name == "Query":
            continue
        for name in names:
            needed = draw(st.sampled_from([None, None, *names]))
            if needed is None or target[type_name, needed] is not None:
                continue
            if owner[type_name, needed] != owner[type_name, name]:
                requires[type_name, name] = needed
        for subgraph in subgraphs:
            chosen = draw(st.dictionaries(st.sampled_from(["ka", "kb", "kc"]), resolvable, max_size=3))
            if chosen:
                keys[type_name, subgraph] = dict(sorted(chosen.items()))
    return Cut(types, subgraphs, owner, target, requires, keys)


def composed_text(cut: Cut, order: list[str]) -> str | None:
    """The supergraph, or None where there are queries that cannot be answered."""
    try:
        return compose([SubgraphSdl(name, f"http://{name}", cut.sdl(name)) for name in order]).supergraph_sdl
    except CompositionError as error:
        if {found.code for found in error.errors} != {Code.SATISFIABILITY_ERROR}:
            raise
        return None


@settings(max_examples=200, deadline=None)
@given(cuts())
def test_a_cut_schema_composes_exactly_where_a_search_finds_every_field(cut: Cut) -> None:
    assert (composed_text(cut, list(cut.subgraphs)) is not None) == cut.composable()


@FEW
@given(st.data())
def test_the_order_of_the_subgraphs_has_no_meaning(data: st.DataObject) -> None:
    cut = data.draw(cuts())
    order = data.draw(st.permutations(cut.subgraphs))
    assert composed_text(cut, list(order)) == composed_text(cut, list(cut.subgraphs))


# ------------------------------------------------------------------------------------------------------- the API schema


def api(supergraph: str) -> str:
    """What clients see of a supergraph, sorted."""

    class Strip(Visitor):
        def enter_directive(self, node: DirectiveNode, *_args: object) -> VisitorAction | None:
            return REMOVE if node.name.value.startswith(("join__", "link")) else None

    stripped: DocumentNode = visit(parse(supergraph, no_location=True), Strip())
    kept = [
        definition
        for definition in stripped.definitions
        if not isinstance(definition, SchemaDefinitionNode)
        and not (
            isinstance(definition, TypeDefinitionNode | DirectiveDefinitionNode)
            and definition.name.value.startswith(("join__", "link"))
        )
    ]
    return print_schema(lexicographic_sort_schema(build_ast_schema(DocumentNode(definitions=tuple(kept)))))


def sorted_schema(sdl: str) -> str:
    return print_schema(lexicographic_sort_schema(build_schema(sdl)))
