"""@override under labels: composed, planned and executed, the subgraphs answering so that one sees who did."""

from __future__ import annotations

from collections.abc import Collection
from itertools import combinations
from typing import Any

import pytest
from graphql import parse, validate

from graphrouter import GraphRouter, RouterOptions
from graphrouter.composition import SubgraphSdl, compose
from graphrouter.override_labels import LabelChoice, OverrideLabels
from graphrouter.planning.check import check
from graphrouter.planning.planner import PlanningError, QueryPlanner
from graphrouter.planning.render import render
from graphrouter.supergraph import Supergraph, read_supergraph
from tests.support.tiny_subgraph import TinySubgraph

_LINK = """
extend schema @link(url: "https://specs.apollo.dev/federation/v2.7",
                    import: ["@key", "@override", "@requires", "@external", "@shareable"])
"""
_OLD = (
    _LINK
    + """
type Query { product: Product! total: String! }
type Product @key(fields: "id") { id: ID! price: String! stock: String! name: String! maker: Maker! }
type Maker { town: String! }
"""
)
_NEW = (
    _LINK
    + """
type Query { total: String! @override(from: "old", label: "counting") }
type Product @key(fields: "id") {
  id: ID!
  price: String! @override(from: "old", label: "pricing")
  stock: String! @override(from: "old", label: "percent(25)")
  name: String! @override(from: "old")
  maker: Maker! @override(from: "old", label: "pricing")
}
type Maker { town: String! @override(from: "old", label: "pricing") }
"""
)
_SHIPPING = (
    _LINK
    + """
type Product @key(fields: "id") { id: ID! price: String! @external cost: String! @requires(fields: "price") }
type Query { cheapest: Product! }
"""
)
LABELS = ("counting", "percent(25)", "pricing")
SWITCHED = {"total": "counting", "price": "pricing", "stock": "percent(25)", "town": "pricing"}
QUERY = "{ total product { id price stock name cost maker { town } } cheapest { price } }"
CHOICES = [frozenset(on) for size in range(4) for on in combinations(LABELS, size)]


def _product(by: str, id: str) -> dict[str, Any]:
    return {"id": id, "maker": {"town": by}, **{name: f"{by} {name}" for name in ("price", "stock", "name")}}


def subgraphs() -> dict[str, TinySubgraph]:
    def owner(by: str, sdl: str) -> TinySubgraph:
        return TinySubgraph(
            sdl,
            {"product": _product(by, "1"), "total": f"{by} total"},
            {"Product": lambda one: _product(by, one["id"])},
        )

    shipping = TinySubgraph(
        _SHIPPING,
        {"cheapest": {"id": "2"}},
        {"Product": lambda one: {"id": one["id"], "cost": f"cost of {one.get('price')}"}},
    )
    return {"old": owner("old", _OLD), "new": owner("new", _NEW), "shipping": shipping}


def expected(on: Collection[str]) -> dict[str, Any]:
    """What one reading the directives by hand expects."""
    by = {field: "new" if label in on else "old" for field, label in SWITCHED.items()}
    price = f"{by['price']} price"
    return {
        "total": f"{by['total']} total",
        "product": {
            "id": "1",
            "price": price,
            "stock": f"{by['stock']} stock",
            "name": "new name",
            "cost": f"cost of {price}",
            "maker": {"town": by["town"]},
        },
        "cheapest": {"price": price},
    }


def composed() -> Supergraph:
    parts = [SubgraphSdl("old", "", _OLD), SubgraphSdl("new", "", _NEW), SubgraphSdl("shipping", "", _SHIPPING)]
    return read_supergraph(compose(parts).supergraph_sdl)


async def router(choice: LabelChoice | None) -> GraphRouter:
    return await GraphRouter.compose(subgraphs(), RouterOptions(override_labels=choice))


def _from_header(headers: Any) -> set[str]:
    return set(headers.get("labels", "").split())


async def test_who_answers_depends_on_the_labels_that_are_on() -> None:
    async with await router(_from_header) as federated:
        for _ in range(2):
            for on in CHOICES:
                answer = await federated.execute(QUERY, headers={"Labels": " ".join(on)})
                assert answer.body() == {"data": expected(on)}, on
        assert federated._pipeline.statistics()["plans"]["misses"] == len(CHOICES)


@pytest.mark.parametrize("on", CHOICES, ids=lambda on: "+".join(sorted(on)) or "none")
def test_plans_under_labels_are_right_and_wrong_under_others(on: frozenset[str]) -> None:
    document, planner = parse(QUERY), QueryPlanner(composed())
    assert validate(planner.supergraph.api_schema, document) == []
    plan = planner.under(on).plan(document)
    for other in CHOICES:
        problems = check(plan, document, planner.supergraph.with_labels(other))
        assert (problems == []) == (on == other), f"{problems}\n{render(plan)}"


async def test_a_label_that_an_operation_does_not_meet_makes_no_other_plan() -> None:
    async with await router(_from_header) as federated:
        for on in ("", "counting", "percent(25)", "counting percent(25)"):
            answer = await federated.execute("{ product { name } }", headers={"labels": on})
            assert answer.body() == {"data": {"product": {"name": "new name"}}}
        statistics = federated._pipeline.statistics()
        assert (statistics["plans"]["entries"], statistics["plans"]["misses"]) == (1, 1)


async def test_a_mapping_sets_the_share_of_requests() -> None:
    async with await router({"pricing": 100, "percent(25)": 0, "unheard of": 50}) as federated:
        answer = await federated.execute(QUERY)
        assert answer.body() == {"data": expected({"pricing"})}


async def test_without_a_choice_percentages_are_drawn_and_other_labels_are_off() -> None:
    async with await router(None) as federated:
        answers = [(await federated.execute("{ product { stock } }")).body()["data"] for _ in range(200)]
        assert all({"product": {"stock": f"{by} stock"}} in answers for by in ("old", "new"))
        assert (await federated.execute("{ total }")).body() == {"data": {"total": "old total"}}


@pytest.mark.parametrize(
    ("drawn", "on"),
    [
        (0.0, {"percent(1)", "percent(2.5)", "percent(100)"}),
        (0.02, {"percent(2.5)", "percent(100)"}),
        (0.025, {"percent(100)"}),
        (0.999999, {"percent(100)"}),
    ],
)
def test_one_draw_decides_all_percentages_of_a_request(drawn: float, on: set[str]) -> None:
    labels = OverrideLabels(["percent(0)", "percent(1)", "percent(2.5)", "percent(100)", "other"], draw=lambda: drawn)
    assert labels.on({}) == on


def test_a_share_outside_of_a_hundred_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a percentage from 0 to 100 for 'pricing', found 101"):
        OverrideLabels(["pricing"], {"pricing": 101})


def test_a_field_that_a_label_takes_away_is_explained() -> None:
    supergraph = read_supergraph(
        composed().sdl.replace(
            '@join__field(graph: NEW, override: "old", overrideLabel: "counting")',
            "@join__field(graph: SHIPPING, external: true)",
        )
    )
    planner = QueryPlanner(supergraph).under(frozenset(("counting",)))
    with pytest.raises(PlanningError, match='"old": does not have it while the label "counting" is on'):
        planner.plan(parse("{ total }"))
