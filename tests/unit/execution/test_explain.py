"""A request that asks for it is told what each of its fetches took, and how far the answer of each had come."""

from __future__ import annotations

from typing import Any

import pytest

from graphrouter import GraphRouter, Retries, RouterOptions, Traffic, bookmarks
from graphrouter.request import GraphQLRequest
from graphrouter.transport import SubgraphRequest, SubgraphResponse, SubgraphUnreachable
from tests.unit.execution.plans import Scripted, routed

PRODUCTS = """
type Query { product: Product }
type Mutation { add: Product }
type Product @key(fields: "id") { id: ID! name: String }
"""
REVIEWS = 'type Product @key(fields: "id") { id: ID! stars: Int }'
QUERY = "query Q { product { name stars } }"
EARLY, LATE = bookmarks.encode({"log/0": 1}), bookmarks.encode({"log/0": 2, "other/0": 7})


def product(**more: Any) -> dict[str, Any]:
    return {"data": {"product": {"name": "a", "id": "1", "__typename": "Product"}}, **more}


def stars(**more: Any) -> dict[str, Any]:
    return {"data": {"_entities": [{"__typename": "Product", "stars": 5}]}, **more}


def router_of(products: Scripted, reviews: Scripted | None = None, options: RouterOptions | None = None) -> GraphRouter:
    return routed(options, products=(PRODUCTS, products), reviews=(REVIEWS, reviews or Scripted(stars())))


async def explained(router: GraphRouter, query: str = QUERY, wanted: object = "explain") -> dict[str, Any]:
    answer = await router.execute(query, extensions={"queryPlan": wanted})
    found = answer.extensions["explain"]
    assert isinstance(found, dict)
    return found


async def test_each_fetch_has_its_place_in_the_time_of_the_request() -> None:
    found = await explained(router_of(Scripted(product()), Scripted(stars())))
    first, second = found["fetches"]
    assert [(one["id"], one["service"], one["sent"]) for one in (first, second)] == [
        (0, "products", True),
        (1, "reviews", True),
    ]
    rounding = 0.01
    assert 0 <= found["preparing"]["milliseconds"] <= first["start"] + rounding
    assert found["preparing"]["planning"] > 0
    assert first["start"] + first["milliseconds"] <= second["start"] + rounding
    assert second["start"] + second["milliseconds"] <= found["milliseconds"] + rounding
    fetched = second["start"] + second["milliseconds"]
    assert found["milliseconds"] - fetched == pytest.approx(found["shaping"]["milliseconds"], abs=rounding)


async def test_a_fetch_tells_its_sizes_and_status() -> None:
    products, answer = Scripted(SubgraphResponse(203, {}, b'{"data":{"product":null}}')), b'{"data":{"product":null}}'
    first, second = (await explained(router_of(products)))["fetches"]
    assert (first["status"], first["bytes"]) == (203, len(answer))
    assert first["requestBytes"] == len(products.raw[0].body)
    assert (first["retries"], first["joined"]) == (0, False)
    assert second == {"id": 1, "service": "reviews", "sent": False}, "no product was found"


async def test_a_fetch_tells_the_bookmark_that_its_answer_came_with() -> None:
    products = Scripted(SubgraphResponse(200, {"bookmark": EARLY}, b'{"data":{"product":{"name":"a","id":"1"}}}'))
    reviews = Scripted(stars(extensions={"bookmark": LATE}))
    first, second = (await explained(router_of(products, reviews)))["fetches"]
    assert (first["bookmark"], first["positions"]) == (EARLY, {"log/0": 1})
    assert (second["bookmark"], second["positions"]) == (LATE, {"log/0": 2, "other/0": 7})


async def test_a_fetch_tells_its_bookmark_when_the_request_had_come_with_it() -> None:
    router = router_of(Scripted(product(extensions={"bookmark": LATE})))
    answer = await router.execute(QUERY, headers={"bookmark": LATE, "query-plan": "explain"})
    assert answer.extensions["explain"]["fetches"][0]["bookmark"] == LATE  # type: ignore[index]


@pytest.mark.parametrize("given", ["no bookmark!", 7, None, [LATE]])
async def test_a_malformed_bookmark_is_not_told(given: object) -> None:
    first = (await explained(router_of(Scripted(product(extensions={"bookmark": given})))))["fetches"][0]
    assert "bookmark" not in first
    assert "positions" not in first


@pytest.mark.parametrize(
    ("outcome", "code", "status"),
    [
        (SubgraphUnreachable("gone"), "SUBREQUEST_FAILED", None),
        (SubgraphResponse(500, {}, b"<html>"), "SUBREQUEST_HTTP_ERROR", 500),
        (b"[]", "SUBREQUEST_MALFORMED", 200),
    ],
)
async def test_a_fetch_that_failed_tells_why(outcome: Any, code: str, status: int | None) -> None:
    first, second = (await explained(router_of(Scripted(outcome))))["fetches"]
    assert (first["code"], first["status"]) == (code, status)
    assert "code" not in second


async def test_a_fetch_tells_how_often_it_was_sent_again() -> None:
    options = RouterOptions(traffic=Traffic(retries=Retries(attempts=3, first_pause=0)))
    unreachable = SubgraphUnreachable("gone")
    router = router_of(Scripted(unreachable, unreachable, product()), options=options)
    first, second = (await explained(router))["fetches"]
    assert (first["retries"], first["status"], second["retries"]) == (2, 200, 0)
    assert "code" not in first


class Joined(Scripted):
    """Says of each request that an equal one was on its way."""

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        assert request.trace is not None
        request.trace.joined = True
        return await super().send(request)


async def test_a_fetch_tells_that_it_was_joined_with_an_equal_one() -> None:
    first, second = (await explained(router_of(Joined(product()))))["fetches"]
    assert (first["joined"], second["joined"]) == (True, False)


async def test_requests_of_others_carry_no_trace() -> None:
    products = Scripted(product())
    await router_of(products).execute(QUERY)
    assert products.raw[0].trace is None


async def test_a_mutation_is_explained_as_well() -> None:
    added = {"data": {"add": {"name": "a", "id": "1", "__typename": "Product"}}}
    found = await explained(router_of(Scripted(added)), "mutation { add { name stars } }")
    assert [one["service"] for one in found["fetches"]] == ["products", "reviews"]


@pytest.mark.parametrize("wanted", [True, "only", False])
async def test_who_asks_for_the_plan_alone_gets_no_explanation(wanted: object) -> None:
    answer = await router_of(Scripted(product())).execute(QUERY, extensions={"queryPlan": wanted})
    assert "explain" not in answer.extensions
    assert ("queryPlan" in answer.extensions) is bool(wanted)


async def test_an_explanation_comes_with_the_plan() -> None:
    answer = await router_of(Scripted(product())).execute(QUERY, headers={"query-plan": "explain"})
    assert answer.data == {"product": {"name": "a", "stars": 5}}
    assert set(answer.extensions) == {"queryPlan", "explain"}


async def test_where_plans_are_not_exposed_nothing_is_explained() -> None:
    router = router_of(Scripted(product()), options=RouterOptions(expose_query_plan=False))
    answer = await router.execute(QUERY, extensions={"queryPlan": "explain"})
    assert answer.extensions == {}


async def test_an_answer_in_parts_is_explained_with_the_last_one() -> None:
    router = router_of(Scripted(product()), Scripted(stars(extensions={"bookmark": LATE})))
    request = GraphQLRequest("{ product { name ... @defer { stars } } }", headers={"query-plan": "explain"})
    *before, last = [part.body() async for part in router.parts(request)]
    assert before
    assert not any("explain" in body.get("extensions", {}) for body in before)  # type: ignore[operator]
    fetches = last["extensions"]["explain"]["fetches"]  # type: ignore[index]
    assert [one["sent"] for one in fetches] == [True, True]
    assert fetches[1]["bookmark"] == LATE
