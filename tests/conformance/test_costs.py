"""Costs are those that another router gives for the same weights.

The numbers are of the cases in Apollo Router's own tests of its static estimate (a list of unknown length is 100):
https://github.com/apollographql/router, apollo-router/src/plugins/demand_control/cost_calculator/static_cost.rs
"""

from __future__ import annotations

from typing import Any

import pytest
from graphql import FragmentDefinitionNode, OperationDefinitionNode, parse

from graphrouter.composition import SubgraphSdl, compose
from graphrouter.execution.cost import Cost
from graphrouter.limits import LimitExceeded
from graphrouter.supergraph import Supergraph, read_supergraph

LINK = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@cost", "@listSize", "@key"])\n'
BASIC = """
type Query {
  scalar(id: ID): String
  byInput(args: Outer): String
  object: First
  interface: Either
  union: Any
  objects: [First]
  objectsByInput(args: Outer): [First]
  ints: [Int]
}
type Mutation { change: Int }
type First { number: Int inner: [Second] }
interface Either { text: String }
type Second implements Either { number: Int text: String }
union Any = First | Second
input Inner { id: ID }
input Outer { inner: Inner inner2: Inner listOfInner: [Inner!] }
"""
WEIGHED = """
type Query {
  field: Int @cost(weight: 5)
  argument(arg: Int @cost(weight: 10)): Int
  enum: AorB
  input(some: Weighed): Int
  scalar: Dear
  object: DearObject
  sized: [String!] @listSize(assumedSize: 2000, requireOneSlicingArgument: false)
  page(first: Int = 10): Page @listSize(slicingArguments: ["first"], sizedFields: ["items"])
  two(first: Int, last: Int): [A] @listSize(slicingArguments: ["first", "last"])
  assumed(first: Int): [A] @listSize(slicingArguments: ["first"], assumedSize: 7, requireOneSlicingArgument: false)
  either: DearOrCheap
}
enum AorB @cost(weight: 15) { A B }
scalar Dear @cost(weight: 30)
type DearObject @cost(weight: 40) { id: ID }
input Weighed { some: Int @cost(weight: 20) more: [Weighed!] }
type A { id: ID }
type Page { items: [A] }
type Cheap { id: ID }
union DearOrCheap = DearObject | Cheap
"""
EVERYTHING = """field argument(arg: 3) enum input(some: {some: 10}) scalar object { id } sized"""
CAME: dict[str, Any] = {
    "field": 1,
    "argument": 2,
    "enum": "A",
    "input": 3,
    "scalar": 4,
    "object": {"id": 5},
    "sized": ["first", "second", "third"],
    "page": {"items": [{"id": 6}, {"id": 7}, {"id": 8}]},
}


def supergraph(sdl: str) -> Supergraph:
    return read_supergraph(compose([SubgraphSdl("a", "http://a/", LINK + sdl)]).supergraph_sdl)


BASIC_GRAPH, WEIGHED_GRAPH = supergraph(BASIC), supergraph(WEIGHED)


def cost(graph: Supergraph, query: str, typename: str = "__typename") -> Cost:
    document = parse(query)
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    return Cost(graph, operations[0], fragments, {}, 100, typename)


@pytest.mark.parametrize(
    ("query", "estimated"),
    [
        ("{ scalar }", 0),
        ("mutation { change }", 10),
        ("{ object { number } }", 1),
        ("{ interface { text } }", 1),
        ("{ union { ... on First { number } ... on Second { text } } }", 1),
        ("{ objects { number } }", 100),
        ("{ ints }", 0),
        ("{ objects { inner { text } } }", 10_100),
        ("{ byInput(args: {inner: {id: 1}, inner2: {id: 2}, listOfInner: [{id: 3}]}) }", 4),
        ("{ objectsByInput(args: {inner: {id: 1}, inner2: {id: 2}, listOfInner: [{id: 3}]}) { number } }", 104),
        ("{ object @skip(if: true) { number } }", 0),
        ("{ object @include(if: false) { number } }", 0),
        ("{ ...F interface { text } } fragment F on Query { objects { number } object { number } }", 102),
    ],
)
def test_without_weights_objects_count_one(query: str, estimated: int) -> None:
    assert cost(BASIC_GRAPH, query).of({}) == estimated


def test_arguments_count_after_as_before() -> None:
    query = "{ objectsByInput(args: {inner: {id: 1}, inner2: {id: 2}, listOfInner: [{id: 3}]}) { number } }"
    assert cost(BASIC_GRAPH, query).count({"objectsByInput": [{"number": n} for n in range(3)]}, {}) == 7


@pytest.mark.parametrize(
    ("query", "variables", "estimated", "actual"),
    [
        (f"{{ {EVERYTHING} page(first: 5) {{ ...Items }} }} fragment Items on Page {{ items {{ id }} }}", {}, 127, 125),
        (f"{{ {EVERYTHING} page {{ items {{ id }} }} }}", {}, 132, 125),
        (
            f"query ($i: Weighed, $n: Int) {{ {EVERYTHING} page(first: $n) {{ items {{ id }} }} }}".replace(
                "{some: 10}", "$i"
            ),
            {"i": {"some": 10}, "n": 5},
            127,
            125,
        ),
    ],
)
def test_weights_count_before_and_after(query: str, variables: dict[str, Any], estimated: int, actual: int) -> None:
    found = cost(WEIGHED_GRAPH, query)
    assert found.of(variables) == estimated
    assert found.count(CAME, variables) == actual


@pytest.mark.parametrize(
    ("query", "data", "estimated", "actual"),
    [
        ("{ page(first: 2) { items { id } } }", {"page": {"items": [{}] * 5}}, 3, 6),
        ("{ page(first: 2) { items { id } } }", {"page": None}, 3, 0),
        ("{ page(first: 2) { items { id } } }", {}, 3, 0),
        ("{ assumed { id } }", {"assumed": [{"id": 1}, None]}, 7, 1),
        ("{ assumed(first: 3) { id } }", {"assumed": []}, 3, 0),
        ("{ field b: field }", {"field": None, "b": 2}, 10, 10),
        ("{ field b: field }", {"field": 1}, 10, 5),
        ("{ either { __typename } }", {"either": {"__typename": "Cheap"}}, 40, 1),
        ("{ either { __typename } }", {"either": {"__typename": []}}, 40, 40),
        ("{ either { ... on Cheap { id } } }", {"either": {"__typename": "DearObject", "id": 1}}, 40, 40),
        ("{ input(some: {more: [{some: 1}, {some: 1}]}) }", {"input": 1}, 43, 43),
        ("{ input(some: null) }", {"input": 1}, 0, 0),
        ("{ argument(arg: null) }", {"argument": 1}, 0, 0),
        ("{ argument }", {"argument": 1}, 0, 0),
        ("{ __schema { types { name } } __typename }", {}, 0, 0),
        ("{ __typename: field }", {"__typename": "Query", "_typename": 1}, 5, 5),
    ],
)
def test_what_came_counts_and_not_what_might_have(
    query: str, data: dict[str, Any], estimated: int, actual: int
) -> None:
    found = cost(WEIGHED_GRAPH, query, "_typename")
    assert (found.of({}), found.count(data, {})) == (estimated, actual)


@pytest.mark.parametrize(
    ("arguments", "variables", "found"),
    [
        ("", {}, "none"),
        ("(first: 1, last: 2)", {}, "first and last"),
        ("(first: null)", {}, "none"),
        ("(first: $n)", {}, "none"),
        ("(first: $n, last: 3)", {"n": 4}, "first and last"),
    ],
)
def test_one_slicing_argument_has_to_be_given_where_the_schema_asks_for_it(
    arguments: str, variables: dict[str, Any], found: str
) -> None:
    with pytest.raises(LimitExceeded) as refused:
        cost(WEIGHED_GRAPH, f"query ($n: Int) {{ two{arguments} {{ id }} }}").check(variables, 10**6)
    assert refused.value.code == "SLICING_ARGUMENT_REQUIRED"
    assert str(refused.value) == f"Query.two: expected one of the arguments first, last, found {found}"


@pytest.mark.parametrize(("arguments", "variables"), [("(first: 4)", {}), ("(first: $n, last: 4)", {})])
def test_one_that_is_given_is_the_length(arguments: str, variables: dict[str, Any]) -> None:
    found = cost(WEIGHED_GRAPH, f"query ($n: Int) {{ two{arguments} {{ id }} }}")
    found.check(variables, 1000)


def test_a_default_is_a_slicing_argument_that_is_given() -> None:
    cost(WEIGHED_GRAPH, "{ page { items { id } } }").check({}, 11)
    with pytest.raises(LimitExceeded, match="an operation costs at most 10, this one 11 by estimate: ask for less"):
        cost(WEIGHED_GRAPH, "{ page { items { id } } }").check({}, 10)


def test_a_slicing_argument_that_is_no_argument_is_asked_of_nobody() -> None:
    sdl = compose([SubgraphSdl("a", "http://a/", LINK + WEIGHED)]).supergraph_sdl
    foreign = sdl.replace('slicingArguments: ["first", "last"]', 'slicingArguments: ["first", "page.size"]')
    assert foreign != sdl
    found = cost(read_supergraph(foreign), "{ two { id } }")
    found.check({}, 100)
    assert found.of({}) == 100


def test_an_object_that_stands_at_many_positions_counts_at_each_and_is_looked_at_once() -> None:
    levels = 55
    graph = supergraph("type Query { root: Node } type Node { both: [Node] }")
    data: dict[str, Any] = {"both": None}
    for _ in range(levels):
        data = {"both": [data, data]}
    found = cost(graph, "{ root " + "{ both " * levels + "{ __typename } " + "} " * (levels + 1))
    assert found.count({"root": data}, {}) == 2 ** (levels + 1) - 1
