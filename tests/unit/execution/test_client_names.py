"""The names that a client writes and those that the router draws never meet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from graphql import parse, validate

from graphrouter import GraphRouter
from graphrouter.planning.check import check
from tests.support.dict_subgraph import DictSubgraph, router_over

CATALOGUE = """
type Query { only: Int items: [Item] node(n: Int): Node either: [Either] blind: [Named] }
interface Node { id: ID! }
interface Named @key(fields: "id") { id: ID! label: String }
union Either = Item | Box
type Item implements Node & Named @key(fields: "id") {
  id: ID! label: String size(unit: String): Int kind: String! @shareable
}
type Box implements Node @key(fields: "id") { id: ID! kind: String weight: String }
"""
POSTAGE = """
type Item @key(fields: "id") {
  id: ID!
  size(unit: String): Int @external
  kind: String @shareable
  posts(first: Int): String
  europe: Int @requires(fields: "size(unit: \\"cm\\")")
}
"""
BLIND = """type Named @interfaceObject @key(fields: "id") { id: ID! note: String inner: Inner }
type Inner { x: Int } type Query { seen: [Named] }"""

ITEM = {"__typename": "Item", "id": "1", "label": "one", "kind": "special"}


def size(_info: Any, unit: str | None = None) -> int:
    return 254 if unit == "cm" else 100


@pytest.fixture
def subgraphs() -> dict[str, DictSubgraph]:
    item = {**ITEM, "size": size}
    box = {"__typename": "Box", "id": "2", "kind": "large", "weight": "heavy"}
    root = {"items": [item], "node": lambda _, n=None: item if n is None else box, "either": [item, box], "only": 1}
    return {
        "catalogue": DictSubgraph(
            CATALOGUE, {**root, "blind": [item]}, {"Item": lambda _: item, "Named": lambda _: item}
        ),
        "postage": DictSubgraph(
            POSTAGE,
            {},
            {"Item": lambda r: {"posts": lambda _, first=None: f"{first} of {r['id']}", "europe": r.get("size")}},
        ),
        "blind": DictSubgraph(
            BLIND,
            {"seen": [{"id": "1", "note": "seen", "inner": {"x": 5}}]},
            {"Named": lambda r: {"note": f"note {r['id']}", "inner": {"x": 5}}},
        ),
    }


@pytest.fixture
async def router(subgraphs: dict[str, DictSubgraph]) -> AsyncIterator[GraphRouter]:
    async with router_over(subgraphs) as running:
        yield running


async def answer(router: GraphRouter, text: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
    document = parse(text)
    supergraph = router.planner.supergraph
    assert validate(supergraph.api_schema, document) == []
    plan = router.planner.plan(document)
    assert check(plan, document, supergraph) == []
    return (await router.execute(text, variables or {})).body()


@pytest.mark.parametrize(
    "name", ["n", "representations", "representations_0", "_representations", "representations_0_1", "context_0", "_e0"]
)
async def test_a_client_may_call_its_variable_as_it_likes(router: GraphRouter, name: str) -> None:
    text = f"query (${name}: Int, $x: Boolean!) {{ items {{ posts(first: ${name}) @include(if: $x) europe }} }}"
    expected = {"data": {"items": [{"posts": "3 of 1", "europe": 254}]}}
    assert await answer(router, text, {name: 3, "x": True}) == expected


@pytest.mark.parametrize("name", ["representations", "representations_0"])
async def test_a_condition_s_variable_may_be_called_as_it_likes(router: GraphRouter, name: str) -> None:
    text = f"query (${name}: Boolean!) {{ items {{ posts ... @include(if: ${name}) {{ europe }} }} }}"
    assert await answer(router, text, {name: True}) == {"data": {"items": [{"posts": "None of 1", "europe": 254}]}}
    assert await answer(router, text, {name: False}) == {"data": {"items": [{"posts": "None of 1"}]}}


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (
            "{ items { size: kind _size_1: label europe } }",
            {"items": [{"size": "special", "_size_1": "one", "europe": 254}]},
        ),
        (
            "{ items { id: kind posts _id_1: label } }",
            {"items": [{"id": "special", "posts": "None of 1", "_id_1": "one"}]},
        ),
        ("{ _e0: items { _entities: posts europe } }", {"_e0": [{"_entities": "None of 1", "europe": 254}]}),
        (
            "{ either { ... on Item { kind _kind_1: label } ... on Box { kind _kind_1: weight } } }",
            {"either": [{"kind": "special", "_kind_1": "one"}, {"kind": "large", "_kind_1": "heavy"}]},
        ),
        (
            "{ seen { _: note inner { _: x } ... on Item { __: note } } }",
            {"seen": [{"_": "seen", "inner": {"_": 5}, "__": "note 1"}]},
        ),
        (
            "query ($f: Boolean! = false) { seen { inner { x @include(if: $f) } _: id } }",
            {"seen": [{"inner": {}, "_": "1"}]},
        ),
    ],
)
async def test_a_client_may_call_its_fields_as_the_router_would(
    router: GraphRouter, text: str, data: dict[str, Any]
) -> None:
    assert await answer(router, text) == {"data": data}


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("{ __typename: only }", {"__typename": 1}),
        ("{ items { __typename: kind id } }", {"items": [{"__typename": "special", "id": "1"}]}),
        ("{ items { __typename: posts type: __typename } }", {"items": [{"__typename": "None of 1", "type": "Item"}]}),
        ("{ items { __typename: europe } }", {"items": [{"__typename": 254}]}),
        ("{ node { __typename: id } }", {"node": {"__typename": "1"}}),
        ("{ node { __typename: id ... on Item { posts } } }", {"node": {"__typename": "1", "posts": "None of 1"}}),
        (
            "{ either { ... on Item { __typename: kind } ... on Box { __typename } } }",
            {"either": [{"__typename": "special"}, {"__typename": "Box"}]},
        ),
        (
            "{ either { ... on Item { __typename: kind } ... on Box { __typename: kind } } }",
            {"either": [{"__typename": "special"}, {"__typename": "large"}]},
        ),
        (
            "{ either { ...F } } fragment F on Node { __typename: id ... on Item { posts _typename: label } }",
            {"either": [{"__typename": "1", "posts": "None of 1", "_typename": "one"}, {"__typename": "2"}]},
        ),
        ("{ seen { __typename: note label } }", {"seen": [{"__typename": "seen", "label": "one"}]}),
        ("{ seen { __typename: label note } }", {"seen": [{"__typename": "one", "note": "seen"}]}),
        ("{ seen { __typename: inner { __typename: x } } }", {"seen": [{"__typename": {"__typename": 5}}]}),
        ("{ __typename: items { __typename: posts } }", {"__typename": [{"__typename": "None of 1"}]}),
        (
            "{ __typename: __schema { __typename: queryType { name } } }",
            {"__typename": {"__typename": {"name": "Query"}}},
        ),
    ],
)
async def test_another_field_may_be_called___typename(router: GraphRouter, text: str, data: dict[str, Any]) -> None:
    assert await answer(router, text) == {"data": data}


async def test_an_error_of_what_the_client_did_not_ask_for_is_told_at_the_object(
    subgraphs: dict[str, DictSubgraph],
) -> None:
    failing = {**ITEM, "size": lambda *_, **__: ValueError("no scale")}
    subgraphs["catalogue"] = DictSubgraph(CATALOGUE, {"items": [failing, failing]}, {"Item": lambda _: failing})
    async with router_over(subgraphs) as router:
        for text in ("{ items { europe } }", "{ items { size: kind europe } }"):
            errors = (await answer(router, text))["errors"]
            assert [error["path"] for error in errors] == [["items", 0], ["items", 1]], text
        errors = (await answer(router, '{ items { europe size(unit: "cm") } }'))["errors"]
        assert [error["path"] for error in errors] == [["items", 0, "size"], ["items", 1, "size"]]
        errors = (await answer(router, "{ items { europe __typename: size } }"))["errors"]
        assert [error["path"] for error in errors[:2]] == [["items", 0], ["items", 0, "__typename"]]
        text = 'query ($f: Boolean!) { items { europe size(unit: "cm") @include(if: $f) } }'
        errors = (await answer(router, text, {"f": False}))["errors"]
        assert [error["path"] for error in errors] == [["items", 0], ["items", 1]]
