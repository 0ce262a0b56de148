"""@composeDirective, @cost and @listSize: what subgraphs tell of their own elements reaches the supergraph."""

from __future__ import annotations

import pytest

from graphrouter.composition import Code, SubgraphSdl, compose
from graphrouter.supergraph import ListSize, read_supergraph
from tests.unit.composition.composing import FEDERATION_2, codes, composed, printed, refused, shape

OWNER = """
extend schema @link(url: "https://specs.example.com/owner/v1.%d", import: ["@owner"]) @composeDirective(name: "@owner")
"""
DEFINITION = "directive @owner(team: String!, kind: Kind) repeatable on OBJECT | FIELD_DEFINITION scalar Kind "


def both(**subgraphs: str) -> str:
    """The supergraph of subgraphs whose texts have their own links beside federation's."""
    given = [SubgraphSdl(name, f"http://{name}", FEDERATION_2 + sdl) for name, sdl in subgraphs.items()]
    return compose(given).supergraph_sdl


def errors_of(**subgraphs: str) -> list[Code]:
    return codes(refused(**{name: FEDERATION_2 + sdl for name, sdl in subgraphs.items()}))


def test_a_composed_directive_arrives_with_its_definition_its_link_and_all_its_applications() -> None:
    a = OWNER % 2 + DEFINITION + 'type Query @owner(team: "a") { q: Int @owner(kind: 1, team: "b") @shareable }'
    b = OWNER % 10 + DEFINITION + 'type Query @owner(team: "c") @owner(team: "a") { q: Int @shareable }'
    sdl = both(a=a, b=b)
    assert '@link(url: "https://specs.example.com/owner/v1.10", import: ["@owner"])' in sdl
    assert "directive @owner(team: String!, kind: Kind) repeatable on OBJECT | FIELD_DEFINITION\n" in sdl
    assert 'type Query\n  @owner(team: "a")\n  @owner(team: "c")\n' in sdl
    assert 'q: Int @owner(kind: 1, team: "b")\n' in sdl
    assert read_supergraph(sdl).executable_directives == {}


def test_what_stands_on_the_schema_stands_on_the_supergraphs() -> None:
    a = OWNER % 2 + DEFINITION.replace("OBJECT", "SCHEMA") + 'extend schema @owner(team: "a") @tag(name: "t") '
    sdl = both(a=a + "type Query { q: Int }")
    head = sdl.split("{\n  query: Query")[0]
    assert '@owner(team: "a")' in head
    assert '@tag(name: "t")' in head


def test_where_a_directive_stands_once_the_arguments_of_most_subgraphs_count() -> None:
    definition = "directive @owner(team: String!) on OBJECT "
    parts = {
        name: OWNER % 1 + definition + f'type Query @owner(team: "{team}") {{ q: Int @shareable }}'
        for name, team in (("a", "x"), ("b", "y"), ("c", "y"))
    }
    result = compose([SubgraphSdl(name, "", FEDERATION_2 + sdl) for name, sdl in parts.items()])
    assert '@owner(team: "y")' in result.supergraph_sdl
    assert '@owner(team: "x")' not in result.supergraph_sdl
    assert codes(result.hints) == [Code.INCONSISTENT_NON_REPEATABLE_DIRECTIVE_ARGUMENTS]


def test_a_directive_that_is_not_composed_stays_behind() -> None:
    a = OWNER % 1 + DEFINITION + 'type Query { q: Int @owner(team: "a") @shareable }'
    b = (OWNER % 1).split("@compose")[0] + DEFINITION + 'type Query { q: Int @owner(team: "b") @shareable }'
    sdl = both(a=a, b=b)
    assert '@owner(team: "a")' in sdl
    assert '@owner(team: "b")' not in sdl


@pytest.mark.parametrize(("everywhere", "expected"), [(True, {"owner": frozenset({"FIELD"})}), (False, {})])
def test_operations_carry_a_composed_directive_where_every_subgraph_knows_it(
    everywhere: bool, expected: dict[str, frozenset[str]]
) -> None:
    a = OWNER % 1 + "directive @owner(team: String) on OBJECT | FIELD type Query { q: Int @shareable }"
    b = ("directive @owner(team: String) on FIELD " if everywhere else "") + "type Query { q: Int @shareable }"
    assert read_supergraph(both(a=a, b=b)).executable_directives == expected


@pytest.mark.parametrize(
    "sdl",
    [
        'extend schema @composeDirective(name: "") type Query { q: Int }',
        'extend schema @composeDirective(name: "owner") type Query { q: Int }',
        'extend schema @composeDirective(name: "@gone") type Query { q: Int }',
        'extend schema @composeDirective(name: "@key") type Query { q: Int }',
        'extend schema @composeDirective(name: "@cost") type Query { q: Int }',
        'extend schema @composeDirective(name: "@own") directive @own on OBJECT type Query { q: Int }',
        'extend schema @link(url: "https://specs.example.com/join/v1.0", import: ["@own"])'
        ' @composeDirective(name: "@own") directive @own on OBJECT type Query { q: Int }',
    ],
    ids=["empty", "no @", "undefined", "a key", "a cost", "of no feature", "of a feature that a supergraph has itself"],
)
def test_what_cannot_be_composed_is_refused(sdl: str) -> None:
    assert errors_of(a=sdl) == [Code.DIRECTIVE_COMPOSITION_ERROR]


@pytest.mark.parametrize(
    "other",
    [
        OWNER.replace("owner/v1", "owner/v2") % 1,
        OWNER.replace("specs.example.com", "other.example.com") % 1,
        (OWNER % 1).replace('["@owner"]', '[{ name: "@boss", as: "@owner" }]'),
    ],
    ids=["another major version", "another feature", "another directive"],
)
def test_one_name_means_one_directive(other: str) -> None:
    query = "type Query { q: Int @shareable }"
    assert errors_of(a=OWNER % 1 + DEFINITION + query, b=other + DEFINITION + query) == [
        Code.DIRECTIVE_COMPOSITION_ERROR
    ]


def test_one_directive_goes_by_one_name() -> None:
    query = "type Query { q: Int @shareable }"
    renamed = (
        (OWNER % 1)
        .replace('["@owner"]', '[{ name: "@owner", as: "@boss" }]')
        .replace('name: "@owner")', 'name: "@boss")')
    )
    boss = DEFINITION.replace("@owner", "@boss")
    assert Code.DIRECTIVE_COMPOSITION_ERROR in errors_of(a=OWNER % 1 + DEFINITION + query, b=renamed + boss + query)


COSTLY_A = """
type Query {
  users(first: Int @cost(weight: 2), last: Int): [User] @shareable @cost(weight: 5)
    @listSize(assumedSize: 10, slicingArguments: ["first"], requireOneSlicingArgument: false)
}
type User @cost(weight: 3) { page: Page @shareable @listSize(sizedFields: ["items"]) }
type Page @shareable { items: [Int] }
enum E @cost(weight: 1) { A }
"""
COSTLY_B = """
type Query {
  users(first: Int @cost(weight: 4), last: Int): [User] @shareable @cost(weight: 1)
    @listSize(assumedSize: 20, slicingArguments: ["last"])
}
type User { page: Page @shareable }
type Page @shareable { items: [Int] }
"""


def test_of_costs_and_sizes_the_dearest_reading_arrives() -> None:
    result = composed(a=COSTLY_A, b=COSTLY_B)
    graph = read_supergraph(result.supergraph_sdl)
    assert graph.costs == {"Query.users": 5, "Query.users(first:)": 4, "User": 3, "E": 1}
    assert graph.list_sizes == {
        ("Query", "users"): ListSize(20, ("first", "last"), (), require_one_slicing_argument=False),
        ("User", "page"): ListSize(None, (), ("items",)),
    }
    assert set(codes(result.hints)) == {Code.MERGED_NON_REPEATABLE_DIRECTIVE_ARGUMENTS}
    assert '@link(url: "https://specs.apollo.dev/cost/v0.1", import: ["@listSize"])' in result.supergraph_sdl


def test_a_supergraph_without_costs_does_not_speak_of_them() -> None:
    assert "cost" not in composed(a="type Query { q: Int }").supergraph_sdl


@pytest.mark.parametrize("value", ['"a"', "1.5", "null"])
def test_a_cost_that_is_no_integer_is_refused(value: str) -> None:
    (error,) = refused(a=f"type Query {{ q: Int @cost(weight: {value}) }}")
    assert error.code == Code.INVALID_GRAPHQL
    assert f"@cost(weight: {value}): expected a value of the type Int!" in error.message


def test_costs_may_be_linked_by_their_own_specification() -> None:
    link = (
        'extend schema @link(url: "https://specs.apollo.dev/cost/v0.1", import: [{ name: "@listSize", as: "@size" }])'
    )
    result = composed(a=link + "type Query { q: [Int] @size(assumedSize: 3) @cost(weight: 2) }")
    assert printed(result, "Query") == shape("""
        type Query
        @join__type(graph: A)
        {
        q: [Int] @cost(weight: 2) @listSize(assumedSize: 3)
        }
    """)
