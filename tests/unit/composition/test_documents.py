"""From text to schema: @link, federation's machinery, Federation 1, root types, names of graphs."""

from __future__ import annotations

import pytest

from graphrouter.composition import Code, SubgraphSdl, compose
from tests.unit.composition.composing import codes, composed, printed, refused, shape

PLAIN = composed(a='type Query { x: X } type X @key(fields: "id") { id: ID! n: Int @shareable }').supergraph_sdl

LINK = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3"%s) '
SAME_SCHEMA_IN_OTHER_WORDS = {
    "no imports": LINK % ""
    + 'type Query { x: X } type X @federation__key(fields: "id") { id: ID! n: Int @federation__shareable }',
    "a namespace": LINK % ', as: "fed"'
    + 'type Query { x: X } type X @fed__key(fields: "id") { id: ID! n: Int @fed__shareable }',
    "renamed imports": LINK % ', import: [{name: "@key", as: "@primary"}, "@shareable"]'
    + 'type Query { x: X } type X @primary(fields: "id") { id: ID! n: Int @shareable }',
    "link itself renamed": 'extend schema @uses(url: "https://specs.apollo.dev/link/v1.0", as: "uses") '
    + '@uses(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key", "@shareable"]) '
    + 'type Query { x: X } type X @key(fields: "id") { id: ID! n: Int @shareable }',
    "Federation 1": '#fed1\ntype Query { x: X } type X @key(fields: "id") { id: ID! n: Int }',
    "Federation 1, a list as key": '#fed1\ntype Query { x: X } type X @key(fields: ["id"]) { id: ID! n: Int }',
    "braces in the key": LINK % ', import: ["@key", "@shareable"]'
    + 'type Query { x: X } type X @key(fields: " { id } ") { id: ID! n: Int @shareable }',
    "other root types": LINK % ', import: ["@key", "@shareable"]'
    + 'schema { query: Root } type Root { x: X } type X @key(fields: "id") { id: ID! n: Int @shareable }',
    "all of the machinery": LINK % ', import: ["@key", "@shareable", "FieldSet"]'
    + """
        directive @link(url: String!, as: String, for: link__Purpose, import: [link__Import]) repeatable on SCHEMA
        directive @key(fields: FieldSet!, resolvable: Boolean = true) repeatable on OBJECT | INTERFACE
        directive @shareable on FIELD_DEFINITION | OBJECT
        directive @federation__external on FIELD_DEFINITION
        scalar FieldSet scalar link__Import enum link__Purpose { SECURITY EXECUTION } scalar _Any
        union _Entity = X
        type _Service { sdl: String! }
        type Query { _service: _Service! _entities(representations: [_Any!]!): [_Entity]! x: X }
        type X @key(fields: "id") { id: ID! n: Int @shareable }
    """,
    "a key in an extension of the same document": LINK % ', import: ["@key", "@shareable"]'
    + 'type Query { x: X } type X { id: ID! } extend type X @key(fields: "id") { n: Int @shareable }',
}


@pytest.mark.parametrize("sdl", SAME_SCHEMA_IN_OTHER_WORDS.values(), ids=SAME_SCHEMA_IN_OTHER_WORDS)
def test_the_same_schema_in_other_words_gives_the_same_supergraph(sdl: str) -> None:
    assert composed(a=sdl).supergraph_sdl == PLAIN


def test_the_sdl_that_strawberry_prints_composes() -> None:
    sdl = """
        schema @link(url: "https://specs.apollo.dev/federation/v2.11", import: ["@key"]) { query: Query }
        type Query {
          _entities(representations: [_Any!]!): [_Entity]!
          _service: _Service!
          me: User!
        }
        type User @key(fields: "id") { id: ID! }
        scalar _Any
        union _Entity = User
        type _Service { sdl: String! }
    """
    result = composed(
        users=sdl, friends=sdl.replace("me: User!", "").replace("id: ID! }", "id: ID! friends: [User!] }")
    )
    assert printed(result, "Query") == shape("""
        type Query
        @join__type(graph: FRIENDS)
        @join__type(graph: USERS)
        {
        me: User! @join__field(graph: USERS)
        }
    """)
    assert "_Any" not in result.supergraph_sdl
    assert "_Entity" not in result.supergraph_sdl


def test_mutations_and_subscriptions_are_joined_where_they_are() -> None:
    result = composed(
        a="type Query { a: Int } type Mutation { m: Int }", b="type Query { b: Int } type Subscription { s: Int }"
    )
    assert "{\n  query: Query\n  mutation: Mutation\n  subscription: Subscription\n}" in result.supergraph_sdl
    assert "@join__type(graph: A)" in printed(result, "Mutation")
    assert "@join__type(graph: B)" not in printed(result, "Mutation")
    assert "m: Int\n" in printed(result, "Mutation")


def test_a_federation_directive_without_import_is_explained() -> None:
    (error,) = refused(a="#fed1\ntype Query { q: Int @shareable }")
    assert error.code == Code.INVALID_GRAPHQL
    assert 'import "@shareable" in the schema\'s @link' in error.message


def test_names_of_the_join_specification_are_reserved() -> None:
    (error,) = refused(a="type Query { x: join__X } type join__X { a: Int }")
    assert error.code == Code.INVALID_GRAPHQL
    assert 'the name "join__X" is reserved' in error.message


def test_a_syntax_error_names_its_subgraph() -> None:
    (error,) = refused(a="type Query {", b="type Query { b: Int }")
    assert (error.code, error.subgraphs) == (Code.INVALID_GRAPHQL, ("a",))
    assert 'subgraph "a": Syntax Error' in error.message


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("cacheTag", 'type Query { q: Int @cacheTag(format: "q") }'),
    ],
)
def test_a_directive_that_would_be_lost_is_refused_by_name(name: str, use: str) -> None:
    link = f'extend schema @link(url: "https://specs.apollo.dev/federation/v2.12", import: ["@{name}"]) '
    (error,) = refused(a=link + use)
    assert error.code == Code.UNSUPPORTED_FEATURE
    assert f"@{name}" in error.message
    assert composed(a=link + "type Query { q: Int }").hints == ()


def test_federation_one_loses_what_never_had_an_effect() -> None:
    result = composed(
        a="""#fed1
            type Query { x: X @provides(fields: "n m") i: I }
            extend type X @key(fields: "id") {
                id: ID! @external
                n: Int @external
                m: Int
                unused: Int @external
                sum: Int @requires(fields: "m")
            }
            interface I @key(fields: "id") { id: ID! @external }
            type Y implements I { id: ID! }
        """,
        b='#fed1\ntype X @key(fields: "id") { id: ID! n: Int m: Int unused: Int }',
    )
    assert 'x: X @join__field(graph: A, provides: "n")' in printed(result, "Query")
    assert printed(result, "X") == shape("""
        type X
        @join__type(graph: A, key: "id")
        @join__type(graph: B, key: "id")
        {
        id: ID!
        n: Int @join__field(graph: A, external: true) @join__field(graph: B)
        m: Int
        sum: Int @join__field(graph: A)
        unused: Int @join__field(graph: B)
        }
    """)
    assert "key" not in printed(result, "I")


def test_federation_one_and_two_compose_with_each_other() -> None:
    result = composed(
        old='#fed1\nextend type X @key(fields: "id") { id: ID! @external n: Int }',
        new='type Query { x: X } type X @key(fields: "id") { id: ID! n: Int @shareable }',
    )
    assert "n: Int\n" in printed(result, "X")


def test_graphs_are_named_in_capitals_and_apart() -> None:
    names = ["a-b", "a.b", "1st", "é"]
    subgraphs = [SubgraphSdl(name, f"http://{name}", f"type Query {{ f{n}: Int }}") for n, name in enumerate(names)]
    text = compose(subgraphs).supergraph_sdl
    assert shape(text.split("enum join__Graph {")[1].split("}")[0]) == shape("""
        _1ST @join__graph(name: "1st", url: "http://1st")
        A_B @join__graph(name: "a-b", url: "http://a-b")
        A_B_1 @join__graph(name: "a.b", url: "http://a.b")
        _ @join__graph(name: "é", url: "http://é")
    """)


def test_a_link_to_something_unknown_is_no_obstacle_unless_a_router_must_know_it() -> None:
    link = 'extend schema @link(url: "https://example.com/own/v1.0"%s) type Query { q: Int }'
    assert composed(a=link % "").hints == ()
    assert codes(refused(a=link % ", for: SECURITY")) == [Code.UNSUPPORTED_FEATURE]


EXTENDED = 'type User %s @key(fields: "id") { id: ID! @external n: Int }'
DEFINED = 'type Query { u: User } type User @key(fields: "id") { id: ID! }'


@pytest.mark.parametrize(
    ("one", "other", "refused_in"),
    [
        ("#fed1\nextend " + EXTENDED % "", DEFINED, ()),
        ("extend " + EXTENDED % "", DEFINED, ()),
        ("#fed1\n" + EXTENDED % "@extends", DEFINED, ()),
        ("#fed1\nextend " + EXTENDED % "", "extend " + DEFINED.replace(" type User", " extend type User"), ("a", "b")),
        ("#fed1\n" + EXTENDED % "@extends", DEFINED.replace(" type User", " extend type User"), ("a",)),
        (EXTENDED % "@extends", DEFINED.replace(" type User", " extend type User"), ()),
        ("extend enum E { A } type Query @shareable { e: E }", "type Query @shareable { e: Int }", ("a",)),
    ],
    ids=[
        "Federation 1",
        "Federation 2",
        "by @extends",
        "nowhere",
        "@extends of Federation 1 defines nothing for itself",
        "@extends of Federation 2 defines",
        "an enum",
    ],
)
def test_what_is_extended_is_defined_somewhere(one: str, other: str, refused_in: tuple[str, ...]) -> None:
    if not refused_in:
        assert composed(a=one, b=other).supergraph_sdl
        return
    errors = [error for error in refused(a=one, b=other) if error.code == Code.EXTENSION_WITH_NO_BASE]
    assert tuple(name for error in errors for name in error.subgraphs) == refused_in


@pytest.mark.parametrize(
    "schema",
    [
        "schema { query: Gone } type Query { q: Int }",
        "schema { query: Query mutation: Gone } type Query { q: Int }",
        "schema { query: Query mutation: Mutation } type Query { q: Int }",
        "schema { query: Query mutation: E } type Query { q: Int } enum E { A }",
        "schema { query: Q mutation: Q } type Q { q: Int }",
        "type Query { q: Int } type Mutation",
        "type Query { q: Int } type Subscription @shareable",
    ],
)
def test_a_root_type_is_an_object_type_with_fields_for_one_kind_of_operations(schema: str) -> None:
    assert codes(refused(a="#fed1\n" + schema if "@" not in schema else schema)) == [Code.INVALID_GRAPHQL]


@pytest.mark.parametrize("schema", ["schema { query: Query }", "type Query", "type Query { _service: _Service! }"])
def test_a_subgraph_may_have_no_queries_of_its_own(schema: str) -> None:
    a = f'#fed1\n{schema} type User @key(fields: "id") {{ id: ID! n: Int }}'
    assert "n: Int @join__field(graph: A)" in composed(a=a, b=DEFINED).supergraph_sdl


@pytest.mark.parametrize(
    "sdl",
    [
        "type Query { x: X } type X",
        "type Query { i: I } interface I",
        "type Query { u: U } union U",
        "type Query { e: E } enum E",
        "type Query { q(f: F): Int } input F",
        "type Query { x: X } extend type X @shareable",
    ],
)
def test_no_type_is_empty(sdl: str) -> None:
    assert set(codes(refused(a=sdl))) == {Code.INVALID_GRAPHQL}
