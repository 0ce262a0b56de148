"""Plans of operations with streamed lists, whose `@stream` have numbers for labels."""

from __future__ import annotations

from textwrap import dedent

import pytest
from graphql import parse

from graphrouter.composition import SubgraphSdl, compose
from graphrouter.planning.check import check
from graphrouter.planning.plan import Deferral, Stream
from graphrouter.planning.planner import QueryPlanner
from graphrouter.planning.render import render
from graphrouter.supergraph import read_supergraph

LINK = """extend schema @link(url: "https://specs.apollo.dev/federation/v2.9",
  import: ["@key", "@requires", "@external", "@shareable"])
"""
SUBGRAPHS = {
    "shop": """
        type Query { product: Product products: [Product!]! grid: [[Product]] shown: [Shown!] best: Product }
        type Product @key(fields: "id") { id: ID! name: String! parts: [Part] tags: [String] }
        type Part @key(fields: "id") { id: ID! }
        type Film @key(fields: "id") { id: ID! parts: [Part] }
        union Shown = Product | Film
    """,
    "reviews": """
        type Product @key(fields: "id") { id: ID! stars: Int reviews: [Review!] parts: [Part] @external
          weight: Int @requires(fields: "parts { grams }") price: Int @requires(fields: "parts { cents }") }
        type Part @key(fields: "id") { id: ID! grams: Int @external cents: Int @external }
        type Review @key(fields: "id") { id: ID! text: String by: User }
        type User @key(fields: "id") { id: ID! }
    """,
    "stock": """
        type Part @key(fields: "id") @key(fields: "sku") { id: ID! sku: ID! grams: Int left: Int }
    """,
    "prices": 'type Part @key(fields: "sku") { sku: ID! cents: Int }',
    "users": 'type User @key(fields: "id") { id: ID! name: String }',
}
PLANNER = QueryPlanner(
    read_supergraph(compose([SubgraphSdl(name, "", LINK + sdl) for name, sdl in SUBGRAPHS.items()]).supergraph_sdl)
)
TWO = '@stream(label: "0", initialCount: 2)'
ONE_MORE = '@stream(label: "1", initialCount: 1)'


def fetches(query: str) -> str:
    document = parse(query)
    assert check(PLANNER.plan(document), document, PLANNER.supergraph) == []
    return PLANNER.explain(document)["fetch graph"]


def heads(query: str) -> list[str]:
    """The fetches without what they select."""
    return [line for line in fetches(query).splitlines() if not line.startswith(" ")]


def drawn(text: str) -> str:
    return dedent(text).lstrip("\n")


def test_what_is_fetched_for_the_items_is_fetched_for_the_first_ones_by_itself() -> None:
    assert fetches(f"{{ products {TWO} {{ name stars }} }}") == drawn("""
        0 shop
          products
            name
            id
        1 reviews at products.@[:2] after 0
          stars
        2 reviews at products.@[2:] after 0 @stream(0)
          stars
    """)


def test_both_requests_have_one_document() -> None:
    _, first, rest = PLANNER.plan(parse(f"{{ products {TWO} {{ name stars }} }}")).fetches
    assert (first.document, first.depends_on) == (rest.document, rest.depends_on)


def test_what_follows_waits_for_its_own_items_only() -> None:
    assert heads(f"{{ products {TWO} {{ reviews {{ by {{ name }} }} }} }}") == [
        "0 shop",
        "1 reviews at products.@[:2] after 0",
        "3 reviews at products.@[2:] after 0 @stream(0)",
        "2 users at products.@[:2].reviews.@.by after 1",
        "4 users at products.@[2:].reviews.@.by after 3 @stream(0)",
    ]


def test_a_list_that_an_entity_fetch_brings_is_divided_below_it() -> None:
    assert heads(f"{{ product {{ reviews {TWO} {{ by {{ name }} }} }} }}") == [
        "0 shop",
        "1 reviews at product after 0",
        "2 users at product.reviews.@[:2].by after 1",
        "3 users at product.reviews.@[2:].by after 1 @stream(0)",
    ]


def test_lists_in_lists_are_divided_as_often_as_there_are_lists_and_once_more() -> None:
    query = f"{{ products {TWO} {{ reviews {ONE_MORE} {{ by {{ name }} }} }} }}"
    assert [line.partition(" ")[2] for line in heads(query)] == [
        "shop",
        "reviews at products.@[:2] after 0",
        "reviews at products.@[2:] after 0 @stream(0)",
        "users at products.@[:2].reviews.@[:1].by after 1",
        "users at products.@[:2].reviews.@[1:].by after 1 @stream(1)",
        "users at products.@[2:].reviews.@.by after 3 @stream(0)",
    ]


def test_of_lists_in_lists_only_the_outer_one_is_divided() -> None:
    assert heads(f"{{ grid {TWO} {{ stars }} }}")[1:] == [
        "1 reviews at grid.@[:2].@ after 0",
        "2 reviews at grid.@[2:].@ after 0 @stream(0)",
    ]


def test_what_a_field_outside_of_the_items_requires_of_them_is_fetched_for_all() -> None:
    assert heads(f"{{ product {{ parts {TWO} {{ left }} weight }} }}") == [
        "0 shop",
        "1 stock at product.parts.@ after 0",
        "2 reviews at product after 1",
    ]


def test_what_such_a_fetch_waits_for_is_fetched_for_all() -> None:
    assert heads(f"{{ product {{ parts {TWO} {{ left }} price }} }}") == [
        "0 shop",
        "1 stock at product.parts.@ after 0",
        "3 prices at product.parts.@ after 1",
        "2 reviews at product after 3",
    ]


def test_what_a_deferred_field_requires_of_the_items_is_not_for_their_rest() -> None:
    query = f'{{ product {{ parts {TWO} {{ left }} ... @defer(label: "1") {{ weight }} }} }}'
    assert [line.partition(" ")[2] for line in heads(query)] == [
        "shop",
        "stock at product.parts.@[:2] after 0",
        "stock at product.parts.@[2:] after 0 @stream(0)",
        "shop at product after 0 @defer(1)",
        "stock at product.parts.@ after 2 @defer(1)",
        "reviews at product after 4 @defer(1)",
    ]


def test_a_deferred_fragment_on_the_items_is_another_one_in_the_rest() -> None:
    query = f'{{ products {TWO} {{ name ... @defer(label: "1") {{ stars }} }} }}'
    rest = Deferral(0, ("products",), directive="stream")
    assert [one.deferrals for one in PLANNER.plan(parse(query)).fetches[1:]] == [
        {Deferral(1, ("products",))},
        {Deferral(1, ("products",), rest)},
    ]
    assert heads(query)[1:] == [
        "2 reviews at products.@[:2] after 0 @defer(1)",
        "3 reviews at products.@[2:] after 0 @defer(1)",
    ]


def test_a_list_in_a_deferred_fragment_is_divided() -> None:
    query = f'{{ product {{ name ... @defer(label: "1") {{ reviews {TWO} {{ by {{ name }} }} }} }} }}'
    assert heads(query)[1:] == [
        "2 reviews at product after 0 @defer(1)",
        "3 users at product.reviews.@[:2].by after 2 @defer(1)",
        "4 users at product.reviews.@[2:].by after 2 @stream(0)",
    ]


def test_other_places_go_with_the_first_items() -> None:
    first, rest = (
        one
        for one in PLANNER.plan(parse(f"{{ products {TWO} {{ stars }} best {{ stars }} }}")).fetches
        if one.subgraph == "reviews"
    )
    assert (first.deferrals, len(rest.deferrals)) == (frozenset(), 1)
    text = render(PLANNER.plan(parse(f"{{ products {TWO} {{ stars }} best {{ stars }} }}")))
    assert 'Flatten(path: "products.@[:2]", "best")' in text
    assert 'Flatten(path: "products.@[2:]")' in text


def test_lists_are_streamed_where_they_are_so_for_all_types_under_their_keys() -> None:
    both = "{{ shown {{ ... on Product {{ parts {} {{ left }} }} ... on Film {{ parts {} {{ left }} }} }} }}"
    key = ("shown", "parts")
    assert PLANNER.plan(parse(both.format(TWO, ""))).streams == {}
    assert PLANNER.plan(parse(both.format(TWO, ONE_MORE))).streams == {}
    plan = PLANNER.plan(parse(both.format(TWO, TWO.replace('"0"', '"1"'))))
    assert plan.streams == {key: Stream(0, 2)}
    assert len(plan.fetches) == 3


@pytest.mark.parametrize("query", [f"{{ products {TWO} {{ name }} }}", f"{{ product {{ tags {TWO} }} }}"])
def test_where_nothing_is_fetched_for_the_items_there_is_one_fetch(query: str) -> None:
    plan = PLANNER.plan(parse(query))
    assert (len(plan.fetches), len(plan.streams)) == (1, 1)


def test_the_fetches_of_nested_lists_grow_with_their_number_and_not_with_its_power() -> None:
    subgraphs = {
        "tree": 'type Query { nodes: [Node] } type Node @key(fields: "id") { id: ID! nodes: [Node] }',
        "names": 'type Node @key(fields: "id") { id: ID! name: String }',
    }
    composed = compose([SubgraphSdl(name, "", LINK + sdl) for name, sdl in subgraphs.items()])
    planner = QueryPlanner(read_supergraph(composed.supergraph_sdl))
    query = "name"
    for depth in range(8):
        query = f'nodes @stream(label: "{depth}", initialCount: 1) {{ {query} }}'
    assert len(planner.plan(parse(f"{{ {query} }}")).fetches) == 1 + 8 + 1
