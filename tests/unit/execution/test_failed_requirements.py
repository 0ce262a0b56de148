"""What a failed request was to bring is not there: no representation says null in its place."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.dict_subgraph import DictSubgraph, router_over

ITEMS = 'type Query { items: [Item] } type Item @key(fields: "id") { id: ID! }'
SIZES = """type Item @key(fields: "id") { id: ID! size(unit: String): Int box: Box }
type Box { edge: Int }"""
POSTAGE = """type Item @key(fields: "id") {
  id: ID!
  size(unit: String): Int @external
  box: Box @external
  weight: Int @external
  name: String
  europe: Int @requires(fields: "size")
  asia: Int @requires(fields: "box { edge }")
  both: Int @requires(fields: "size weight")
  other: Int @requires(fields: "weight")
}
type Box { edge: Int @external }"""
WEIGHTS = 'type Item @key(fields: "id") { id: ID! weight: Int }'


def subgraphs() -> dict[str, DictSubgraph]:
    items = [{"id": "1"}, {"id": "2"}]
    postage = {"Item": lambda r: {"name": "n", "europe": r.get("size"), "asia": 1, "both": 2, "other": r.get("weight")}}
    return {
        "items": DictSubgraph(ITEMS, {"items": items}, {"Item": lambda r: r}),
        "sizes": DictSubgraph(SIZES, {}, {"Item": lambda _: {"size": 5, "box": {"edge": 6}}}),
        "postage": DictSubgraph(POSTAGE, {}, postage),
        "weights": DictSubgraph(WEIGHTS, {}, {"Item": lambda _: {"weight": 7}}),
    }


def brought(subgraph: DictSubgraph) -> list[dict[str, Any]]:
    """All representations that a subgraph got, without what is the same in all."""
    lists = [value for given in subgraph.variables for value in given.values() if isinstance(value, list)]
    return [{key: one[key] for key in one if key not in ("__typename", "id")} for given in lists for one in given]


@pytest.mark.parametrize(
    ("selected", "expected", "item"),
    [
        ("europe", [], {"europe": None}),
        ("asia", [], {"asia": None}),
        ("both", [], {"both": None}),
        ("name", [{}, {}], {"name": "n"}),
        ("other", [{"weight": 7}, {"weight": 7}], {"other": 7}),
        # One representation serves all fields: where it lacks something, it is not sent.
        ("europe name", [], {"europe": None, "name": None}),
        ("asia other", [], {"asia": None, "other": None}),
    ],
)
async def test_what_a_failed_request_was_to_bring_is_not_sent(
    selected: str, expected: list[dict[str, Any]], item: dict[str, Any]
) -> None:
    running = subgraphs()
    running["sizes"].down = True
    async with router_over(running) as router:
        body: dict[str, Any] = (await router.execute(f"{{ items {{ {selected} }} }}", {})).body()
        assert brought(running["postage"]) == expected
        assert body["data"] == {"items": [item, item]}
        told = {(error["extensions"]["code"], error["extensions"]["service"]) for error in body.get("errors", ())}
        assert told == (set() if expected else {("SUBREQUEST_HTTP_ERROR", "sizes")})


async def test_a_field_that_failed_by_itself_is_null_as_its_subgraph_said() -> None:
    running = subgraphs()
    failing = {"size": lambda *_, **__: ValueError("no scale"), "box": None}
    running["sizes"] = DictSubgraph(SIZES, {}, {"Item": lambda _: failing})
    async with router_over(running) as router:
        body: dict[str, Any] = (await router.execute("{ items { europe } }", {})).body()
        assert brought(running["postage"]) == [{"size": None}, {"size": None}]
        assert [error["path"] for error in body["errors"]] == [["items", 0], ["items", 1]]
