"""What is read from a supergraph's text, and what is refused."""

from __future__ import annotations

import pytest
from graphql import print_schema

from graphrouter.supergraph import (
    ListSize,
    RequiredField,
    RequiredFragment,
    SupergraphError,
    parse_field_set,
    read_supergraph,
)
from graphrouter.supergraph.subgraph_schema import subgraph_schema
from tests.support.supergraphs import supergraph, supergraph_sdl

INACCESSIBLE = '@link(url: "https://specs.apollo.dev/inaccessible/v0.2", for: SECURITY)'


def test_subgraphs_keep_the_names_that_people_gave_them() -> None:
    graph = supergraph("type Query @t(USERS) { x: Int }", "USERS")
    (info,) = graph.subgraphs.values()
    assert (info.name, info.url) == ("users", "http://users")
    assert list(graph.types["Query"]) == ["users"]


def test_keys_and_fields_are_told_apart_by_subgraph() -> None:
    graph = supergraph(
        """
        type Query @t(A) @t(B) { x: T @f(A) }
        type T @t(A, key: "id") @t(A, key: "k { id }", resolvable: false) @t(B, key: "id") {
          id: ID! @f(A, type: "ID!") @f(B, type: "ID")
          k: T
          e: Int @f(A) @f(B, external: true)
          r: [Int] @f(B, requires: "e")
          o: Int @f(A, usedOverridden: true) @f(B, override: "a")
          p: T @f(A, provides: "e ... on T { r }")
        }
        """,
        "A",
        "B",
    )
    a, b = graph.types["T"]["a"], graph.types["T"]["b"]
    assert [(key.text, key.resolvable) for key in a.keys] == [("id", True), ("k{id}", False)]
    assert (a.fields["id"].type, b.fields["id"].type) == ("ID!", "ID")
    assert "k" in a.fields
    assert "k" in b.fields
    assert (b.fields["e"].external, b.fields["e"].resolvable) == (True, False)
    assert b.fields["r"].requires == (RequiredField("e"),)
    assert "r" not in a.fields
    assert (a.fields["o"].overridden, a.fields["o"].resolvable) == (True, False)
    assert b.fields["o"].resolvable
    assert a.fields["p"].provides == (RequiredField("e"), RequiredFragment("T", (RequiredField("r"),)))


def test_clients_see_neither_the_machinery_nor_what_is_inaccessible() -> None:
    graph = supergraph(
        """
        directive @inaccessible on FIELD_DEFINITION | OBJECT | ENUM_VALUE | ARGUMENT_DEFINITION | INPUT_FIELD_DEFINITION
        directive @tag(name: String!) repeatable on FIELD_DEFINITION
        type Query @t(A) {
          "How much." x(a: Int, b: Int @inaccessible): E @tag(name: "t")
          y: Secret
          h: Int @inaccessible
          u: U
        }
        type Secret @t(A) @inaccessible { z: Int }
        type Open @t(A) { z(f: F): Int @deprecated(reason: "old") }
        union U @t(A) = Secret | Open
        enum E @t(A) { P Q @inaccessible }
        input F @t(A) { i: Int j: Int @inaccessible }
        """,
        "A",
        links=INACCESSIBLE,
    )
    assert print_schema(graph.api_schema) == (
        'type Query {\n  """How much."""\n  x(a: Int): E\n  u: U\n}\n\n'
        'type Open {\n  z(f: F): Int @deprecated(reason: "old")\n}\n\n'
        "union U = Open\n\nenum E {\n  P\n}\n\ninput F {\n  i: Int\n}"
    )
    assert "Secret" in graph.schema.type_map


@pytest.mark.parametrize(
    ("link", "named"),
    [
        ('@link(url: "https://specs.apollo.dev/authenticated/v9.0", for: SECURITY)', "authenticated v9.0 for SECURITY"),
        ('@link(url: "https://specs.apollo.dev/policy/v9.0", for: SECURITY)', "policy v9.0 for SECURITY"),
        ('@link(url: "https://example.com/specs/magic/v1.0", for: EXECUTION)', "magic v1.0 for EXECUTION"),
        ('@link(url: "https://specs.apollo.dev/inaccessible/v9.0", for: SECURITY)', "inaccessible v9.0 for SECURITY"),
    ],
)
def test_a_feature_that_must_be_understood_is_refused_by_name(link: str, named: str) -> None:
    with pytest.raises(SupergraphError) as caught:
        supergraph("type Query @t(A) { x: Int }", "A", links=link)
    assert caught.value.code == "UNSUPPORTED_FEATURE"
    assert named in caught.value.message


def test_a_feature_that_only_informs_is_let_pass() -> None:
    supergraph("type Query @t(A) { x: Int }", "A", links='@link(url: "https://specs.apollo.dev/cost/v0.1")')


@pytest.mark.parametrize(
    ("sdl", "code", "text"),
    [
        ("type Query { x: Int }", "NOT_A_SUPERGRAPH", "Compose subgraphs first"),
        ("type Query {", "INVALID_SUPERGRAPH", "not GraphQL"),
        (supergraph_sdl("type Query @t(B) { x: Int }", "A"), "INVALID_SUPERGRAPH", "names the subgraph B"),
        (supergraph_sdl('type Query @t(A, key: "{") { x: Int }', "A"), "INVALID_SUPERGRAPH", "Query @key"),
        (supergraph_sdl("type Query @t(A) { x: Missing }", "A"), "INVALID_SUPERGRAPH", "Missing"),
        (supergraph_sdl('type Query @t(A) { x: Int @f(A, contextArguments: [{ name: "a" }]) }', "A"),
         "INVALID_SUPERGRAPH", "lacks 'context'"),
        (supergraph_sdl('type Query @t(A) { x: Int @f(A, contextArguments: [{ name: "a", context: "a__c",'
                        ' type: "Int", selection: "{ x }" }]) }', "A"), "INVALID_SUPERGRAPH", "no type sets"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_a_reason(sdl: str, code: str, text: str) -> None:
    with pytest.raises(SupergraphError) as caught:
        read_supergraph(sdl)
    assert caught.value.code == code
    assert text in caught.value.message


def test_a_field_set_has_one_canonical_text_however_it_is_written() -> None:
    first = supergraph('type Query @t(A, key: "b a { d  c }") { a: Query b: Int c: Int d: Int }', "A")
    second = supergraph('type Query @t(A, key: "{ a { c d } b }") { a: Query b: Int c: Int d: Int }', "A")
    assert first.types["Query"]["a"].keys[0].text == second.types["Query"]["a"].keys[0].text == "a{c d} b"
    assert parse_field_set('x(b: 2, a: "1")') == (RequiredField("x", '(a:"1",b:2)'),)


def test_a_subgraph_s_schema_is_what_it_may_be_asked() -> None:
    graph = supergraph(
        """
        type Query @t(A) @t(B) { x(e: E, f: F): T @f(A) }
        interface I @t(A) @t(B, key: "id", isInterfaceObject: true) { id: ID! n: Int @f(B) }
        type T implements I @t(A, key: "id") @i(A, interface: "I") { id: ID! n: Int @join__field }
        enum E @t(A) @t(B) { P @v(A) @v(B) Q @v(B) }
        input F @t(A) @t(B) { i: Int }
        """,
        "A",
        "B",
    )
    text = print_schema(subgraph_schema(graph, "a"))
    assert "type T implements I {\n  id: ID!\n}" in text
    assert "enum E {\n  P\n}" in text
    assert "union _Entity = T" in text
    text = print_schema(subgraph_schema(graph, "b"))
    assert "type I {\n  id: ID!\n  n: Int\n}" in text
    assert "union _Entity = I" in text


def test_version_0_1_has_owners_and_value_types_without_a_subgraph() -> None:
    sdl = """
    schema @core(feature: "https://specs.apollo.dev/core/v0.1")
           @core(feature: "https://specs.apollo.dev/join/v0.1", for: EXECUTION) { query: Query }
    enum join__Graph {
      ACCOUNTS @join__graph(name: "accounts" url: "http://accounts")
      REVIEWS @join__graph(name: "reviews" url: "http://reviews")
    }
    type Query { me: User @join__field(graph: ACCOUNTS) page: Page @join__field(graph: REVIEWS) }
    type User @join__owner(graph: ACCOUNTS)
      @join__type(graph: ACCOUNTS, key: "id") @join__type(graph: REVIEWS, key: "id") {
      id: ID! @join__field(graph: ACCOUNTS)
      name: String @join__field(graph: ACCOUNTS)
      reviews: [String] @join__field(graph: REVIEWS)
    }
    type Page { next: Int }
    """
    graph = read_supergraph(sdl)
    assert set(graph.types["User"]["accounts"].fields) == {"id", "name"}
    assert set(graph.types["User"]["reviews"].fields) == {"id", "reviews"}
    assert set(graph.types["Page"]) == {"accounts", "reviews"}
    assert set(graph.api_schema.type_map) >= {"User", "Page"}
    assert "join__Graph" not in graph.schema.type_map


COST = '@link(url: "https://specs.apollo.dev/cost/v0.1"%s)'
COSTLY = """
directive @cost(weight: Int!) on OBJECT | FIELD_DEFINITION | ARGUMENT_DEFINITION
directive @%(size)s(assumedSize: Int, slicingArguments: [String!], sizedFields: [String!],
  requireOneSlicingArgument: Boolean = true) on FIELD_DEFINITION
type Query @t(A) {
  all(first: Int @cost(weight: 3)): [X] @cost(weight: 5) @%(size)s(slicingArguments: ["first"], assumedSize: 10)
  page: X @%(size)s(sizedFields: ["items"], requireOneSlicingArgument: false)
  plain: [X]
}
type X @t(A) @cost(weight: 2) { items: [X] }
"""


@pytest.mark.parametrize(
    ("link", "size"),
    [
        (', import: ["@listSize"]', "listSize"),
        (', import: [{ name: "@listSize", as: "@size" }]', "size"),
        ("", "cost__listSize"),
    ],
)
def test_what_the_subgraphs_tell_of_costs_is_read_by_whatever_name_it_has(link: str, size: str) -> None:
    graph = supergraph(COSTLY % {"size": size}, "A", links=COST % link)
    assert graph.costs == {"X": 2, "Query.all": 5, "Query.all(first:)": 3}
    assert graph.list_sizes == {
        ("Query", "all"): ListSize(10, ("first",)),
        ("Query", "page"): ListSize(None, (), ("items",), require_one_slicing_argument=False),
    }
    assert not [directive for directive in graph.api_schema.directives if directive.name in {"cost", size}]


def test_a_weight_that_is_no_number_is_refused_and_says_where() -> None:
    with pytest.raises(SupergraphError, match=r"Query\.x: @cost\(weight:\): expected an integer, found heavy"):
        supergraph('type Query @t(A) { x: Int @cost(weight: "heavy") }', "A", links=COST % "")


def test_what_is_hidden_under_another_name_is_hidden() -> None:
    link = INACCESSIBLE.replace('v0.2"', 'v0.2", import: [{ name: "@inaccessible", as: "@private" }]')
    graph = supergraph(
        "directive @private on FIELD_DEFINITION type Query @t(A) { x: Int hidden: Int @private }", "A", links=link
    )
    assert "hidden" not in print_schema(graph.api_schema)


def test_the_directives_that_operations_may_carry_are_known_with_their_places() -> None:
    graph = supergraph(
        "directive @live(every: Int) on QUERY | FIELD | OBJECT directive @owner on OBJECT type Query @t(A) { x: Int }",
        "A",
    )
    assert graph.executable_directives == {"live": frozenset({"QUERY", "FIELD"})}


def test_a_subgraphs_schema_has_the_directives_of_operations() -> None:
    graph = supergraph("directive @live(every: Int) repeatable on QUERY | FIELD type Query @t(A) { x: Int }", "A")
    printed = print_schema(subgraph_schema(graph, "a"))
    assert "directive @live(every: Int) repeatable on QUERY | FIELD" in printed
