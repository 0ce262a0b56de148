"""Plans of operations with deferred fragments, whose `@defer` have numbers for labels."""

from __future__ import annotations

from textwrap import dedent

import pytest
from graphql import parse

from graphrouter.composition import SubgraphSdl, compose
from graphrouter.planning.check import check
from graphrouter.planning.plan import Deferral
from graphrouter.planning.planner import QueryPlanner
from graphrouter.supergraph import read_supergraph

LINK = """extend schema @link(url: "https://specs.apollo.dev/federation/v2.9",
  import: ["@key", "@requires", "@external", "@shareable", "@provides"])
"""
SUBGRAPHS = {
    "products": """
        type Query { product: Product plain: Plain shown: [Shown!] provided: Product @provides(fields: "stars")
          now: Int }
        type Product @key(fields: "id") { id: ID! name: String! slow: Int weight: Int size: Size stars: Int @external }
        type Size { w: Int h: Int }
        type Plain { a: Int b: Int }
        type Film @key(fields: "id") { id: ID! title: String }
        union Shown = Product | Film
    """,
    "reviews": """
        type Query { best: Int }
        type Product @key(fields: "id") { id: ID! stars: Int @shareable weight: Int @external
          price: Int @requires(fields: "weight") review: Review }
        type Review @key(fields: "id") { id: ID! text: String by: User }
        type User @key(fields: "id") { id: ID! }
    """,
    "users": 'type User @key(fields: "id") { id: ID! name: String }',
}
PLANNER = QueryPlanner(
    read_supergraph(compose([SubgraphSdl(name, "", LINK + sdl) for name, sdl in SUBGRAPHS.items()]).supergraph_sdl)
)


def stage(name: str, query: str) -> str:
    document = parse(query)
    assert check(PLANNER.plan(document), document, PLANNER.supergraph) == []
    return PLANNER.explain(document)[name]


def fetches(query: str) -> str:
    return stage("fetch graph", query)


def drawn(text: str) -> str:
    return dedent(text).lstrip("\n")


def test_a_deferred_fragment_has_fetches_of_its_own_that_wait_for_the_key_only() -> None:
    query = '{ product { name ... @defer(label: "0") { slow review { text } } } }'
    assert fetches(query) == drawn("""
        0 products
          product
            name
            id
        1 products at product after 0 @defer(0)
          slow
        2 reviews at product after 0 @defer(0)
          review
            text
    """)


def test_what_follows_in_a_deferred_fragment_is_deferred() -> None:
    query = '{ product { name ... @defer(label: "0") { review { by { name } } } } }'
    *_, last = PLANNER.plan(parse(query)).fetches
    assert (last.subgraph, last.deferrals) == ("users", frozenset({Deferral(0, ("product",))}))


def test_root_fields_are_deferred_in_requests_of_their_own() -> None:
    assert fetches('{ product { name } ... @defer(label: "0") { now best } }') == drawn("""
        0 products
          product
            name
        1 products @defer(0)
          now
        3 reviews @defer(0)
          best
    """)


def test_where_all_is_deferred_nothing_is_fetched_at_once() -> None:
    assert fetches('{ ... @defer(label: "0") { now } }').splitlines()[0].endswith("products @defer(0)")
    assert len(PLANNER.plan(parse('{ ... @defer(label: "0") { now } }')).fetches) == 1


def test_objects_without_a_key_come_as_a_whole() -> None:
    query = '{ plain { a ... @defer(label: "0") { b } } product { size { w ... @defer(label: "1") { h } } } }'
    (only,) = PLANNER.plan(parse(query)).fetches
    assert only.deferrals == frozenset()


def test_fields_that_are_provided_here_only_come_as_a_whole() -> None:
    query = '{ provided { ... @defer(label: "0") { stars } } }'
    (only,) = PLANNER.plan(parse(query)).fetches
    assert (only.subgraph, only.deferrals) == ("products", frozenset())


def test_what_only_a_deferred_field_requires_is_not_waited_for_at_first() -> None:
    assert fetches('{ product { name ... @defer(label: "0") { price } } }') == drawn("""
        0 products
          product
            name
            id
        1 products at product after 0 @defer(0)
          weight
        2 reviews at product after 1 @defer(0)
          price
    """)
    query = '{ best... on Query @defer(label: "0") { product { text: review { by { name } } } } }'
    assert [len(one.deferrals) for one in PLANNER.plan(parse(query)).fetches] == [0, 1, 1, 1]


def test_a_key_that_lies_elsewhere_is_not_waited_for_at_first() -> None:
    sdls = {
        "shop": 'type Query { product: Product } type Product @key(fields: "id") { id: ID! name: String }',
        "catalogue": 'type Product @key(fields: "id") @key(fields: "upc") { id: ID! upc: ID! }',
        "stock": 'type Product @key(fields: "upc") { upc: ID! left: Int }',
    }
    composed = compose([SubgraphSdl(name, "", LINK + sdl) for name, sdl in sdls.items()])
    document = parse('{ product { name ... @defer(label: "0") { left } } }')
    planned = QueryPlanner(read_supergraph(composed.supergraph_sdl)).plan(document).fetches
    assert [(one.subgraph, len(one.deferrals)) for one in planned] == [("shop", 0), ("catalogue", 1), ("stock", 1)]


def test_the_objects_that_a_deferred_fragment_stands_on_are_waited_for() -> None:
    first, second = PLANNER.plan(parse('{ product { ... @defer(label: "0") { slow } } }')).fetches
    assert (len(first.deferrals), len(second.deferrals)) == (0, 1)


def test_a_fragment_in_a_fragment_does_not_wait_for_the_outer_ones_fields() -> None:
    query = '{ product { ... @defer(label: "0") { slow ... @defer(label: "1") { weight review { text } } } } }'
    outer = Deferral(0, ("product",))
    inner = Deferral(1, ("product",), outer)
    first, *later = PLANNER.plan(parse(query)).fetches
    assert {(one.subgraph, one.deferrals, one.depends_on) for one in later} == {
        ("products", frozenset({outer}), (first.id,)),
        ("products", frozenset({inner}), (first.id,)),
        ("reviews", frozenset({inner}), (first.id,)),
    }


def test_conditions_and_types_stand_around_what_is_deferred() -> None:
    query = """query ($x: Boolean!) { shown { ... on Film { title }
      ... on Product @include(if: $x) @defer(label: "0") { slow } } }"""
    assert stage("normalize", query) == drawn("""
        query($x:Boolean!) {
          shown {
            ... on Film {
              title
            }
            ... on Product @include(if:$x) {
              ... @defer(0) {
                slow
              }
            }
          }
        }
    """)


@pytest.mark.parametrize("directive", ['@defer(label: "0")', '@include(if: true) @defer(label: "0")'])
def test_what_is_asked_for_at_once_is_deferred_below_it_only(directive: str) -> None:
    query = f"{{ product {{ name size {{ w }} ... {directive} {{ name size {{ w h }} }} }} }}"
    assert stage("normalize", query) == drawn("""
        query {
          product {
            name
            size {
              w
              ... @defer(0) {
                h
              }
            }
          }
        }
    """)


def test_what_fragments_have_in_common_is_deferred_by_both_and_fetched_once() -> None:
    query = '{ product { name ... @defer(label: "0") { slow weight } ... @defer(label: "1") { slow stars } } }'
    planned = PLANNER.plan(parse(query)).fetches[1:]
    assert sorted((one.subgraph, sorted(by.number for by in one.deferrals)) for one in planned) == [
        ("products", [0]),
        ("products", [0, 1]),
        ("reviews", [1]),
    ]


def test_a_field_that_fragments_select_differently_is_fetched_once() -> None:
    query = """{ product { name ... @defer(label: "0") { review { text } }
      ... @defer(label: "1") { review { by { name } } } } }"""
    planned = PLANNER.plan(parse(query)).fetches[1:]
    assert sorted((one.subgraph, sorted(by.number for by in one.deferrals)) for one in planned) == [
        ("reviews", [0]),
        ("reviews", [0, 1]),
        ("reviews", [1]),
        ("users", [1]),
    ]
    assert stage("normalize", query) == drawn("""
        query {
          product {
            name
            ... @defer(0,1) {
              review {
                ... @defer(0) {
                  text
                }
                ... @defer(1) {
                  by {
                    name
                  }
                }
              }
            }
          }
        }
    """)


def test_a_named_fragment_is_deferred_at_each_place_by_itself() -> None:
    query = """{ product { ...P } provided { ...P } }
      fragment P on Product { name ... @defer(label: "0") { price } }"""
    deferrals = {by for one in PLANNER.plan(parse(query)).fetches for by in one.deferrals}
    assert deferrals == {Deferral(0, ("product",)), Deferral(0, ("provided",))}
