"""The last requests of a router: what each was, its correlation, and how far the subgraphs were that answered."""

from __future__ import annotations

import weakref
from typing import Any

import pytest

from graphrouter import GraphRouter, RouterOptions, bookmarks
from graphrouter.options import DEFAULT_FORWARDED_HEADERS
from graphrouter.request import GraphQLRequest
from graphrouter.telemetry.recent import CORRELATION_HEADER, AnsweredPart, RecentRequests
from graphrouter.transport import SubgraphUnreachable
from tests.unit.execution.plans import Scripted, routed

PRODUCTS = """
type Query { product: Product }
type Mutation { add: Product }
type Product @key(fields: "id") { id: ID! name: String }
"""
REVIEWS = 'type Product @key(fields: "id") { id: ID! stars: Int }'
QUERY = "query Shown { product { name stars } }"
EARLY, LATE = bookmarks.encode({"log/0": 1}), bookmarks.encode({"log/0": 2, "other/0": 7})
TOLD = {"Correlation-Id": "a request"}


def product(field: str = "product", bookmark: str = EARLY) -> dict[str, Any]:
    found = {"name": "a", "id": "1", "__typename": "Product"}
    return {"data": {field: found}, "extensions": {"bookmark": bookmark}}


def stars(bookmark: str = LATE) -> dict[str, Any]:
    return {
        "data": {"_entities": [{"__typename": "Product", "stars": 5}]},
        "extensions": {"bookmark": bookmark},
    }


def router_of(
    recent: RecentRequests | None, products: Scripted | None = None, reviews: Scripted | None = None
) -> GraphRouter:
    options = RouterOptions(recent=recent, forwarded_headers=DEFAULT_FORWARDED_HEADERS | {CORRELATION_HEADER})
    return routed(
        options,
        products=(PRODUCTS, products or Scripted(product())),
        reviews=(REVIEWS, reviews or Scripted(stars())),
    )


async def test_a_query_is_kept_with_the_bookmark_of_each_part_of_its_answer() -> None:
    recent = RecentRequests()
    await router_of(recent).execute(QUERY, headers=TOLD)

    (found,) = recent.of("a request")

    assert (found.kind, found.name, found.codes) == ("query", "Shown", ())
    assert found.at >= recent.since
    assert found.seconds >= 0
    assert found.parts == (AnsweredPart("products", "product", EARLY), AnsweredPart("reviews", "product", LATE))


async def test_a_mutation_without_a_correlation_gets_one_that_its_subgraphs_and_its_client_are_told() -> None:
    recent, products = RecentRequests(), Scripted(product("add"))
    answer = await router_of(recent, products).execute("mutation Adds { add { name stars } }")

    correlation = str(answer.extensions["correlation"])

    assert len(correlation) == 32
    assert dict(products.raw[0].headers)["correlation-id"] == correlation
    (found,) = recent.of(correlation)
    assert (found.kind, found.name) == ("mutation", "Adds")
    assert [part.place for part in found.parts] == ["add", "add"]


async def test_a_mutation_keeps_the_correlation_that_its_client_has_sent() -> None:
    recent, products = RecentRequests(), Scripted(product("add"))
    answer = await router_of(recent, products).execute("mutation { add { name } }", headers=TOLD)

    assert answer.extensions["correlation"] == "a request"
    assert dict(products.raw[0].headers)["correlation-id"] == "a request"
    assert [one.kind for one in recent.of("a request")] == ["mutation"]


async def test_queries_are_told_no_correlation_and_are_sent_none() -> None:
    products = Scripted(product())
    answer = await router_of(RecentRequests(), products).execute(QUERY)

    assert "correlation" not in answer.extensions
    assert "correlation-id" not in dict(products.raw[0].headers)


async def test_without_recent_requests_nothing_is_drawn_or_told() -> None:
    products = Scripted(product("add"))
    answer = await router_of(None, products).execute("mutation { add { name } }")

    assert "correlation" not in answer.extensions
    assert "correlation-id" not in dict(products.raw[0].headers)


async def test_what_goes_wrong_is_kept_by_its_code() -> None:
    recent = RecentRequests()
    reviews = Scripted(SubgraphUnreachable("gone"))
    await router_of(recent, None, reviews).execute(QUERY, headers=TOLD)

    (found,) = recent.of("a request")

    assert found.codes == ("SUBREQUEST_FAILED",)
    assert [part.subgraph for part in found.parts] == ["products"]


async def test_an_answer_in_parts_is_kept_once_with_all_of_them() -> None:
    recent = RecentRequests()
    request = GraphQLRequest("query Later { product { name ... @defer { stars } } }", headers={"correlation-id": "c"})
    parts = [part async for part in router_of(recent).parts(request)]

    assert len(parts) == 2
    (found,) = recent.of("c")
    assert [(part.subgraph, part.bookmark) for part in found.parts] == [("products", EARLY), ("reviews", LATE)]


async def test_what_goes_wrong_in_each_part_of_an_answer_is_kept() -> None:
    recent, nameless = RecentRequests(), product()
    nameless["data"]["product"]["name"] = None
    nameless["errors"] = [{"message": "?", "path": ["product", "name"], "extensions": {"code": "NAMELESS"}}]
    router = router_of(recent, Scripted(nameless), Scripted(SubgraphUnreachable("gone")))
    request = GraphQLRequest("{ product { name ... @defer { stars } } }", headers={"correlation-id": "c"})
    parts = [part async for part in router.parts(request)]

    assert len(parts) == 2
    assert recent.of("c")[0].codes == ("NAMELESS", "SUBREQUEST_FAILED")


async def test_a_bounded_number_is_kept_and_queries_push_out_no_change() -> None:
    recent = RecentRequests(kept=2)
    router = router_of(recent, Scripted(product("add"), product()))
    await router.execute("mutation { add { name } }", headers={"Correlation-Id": "change"})
    for number in range(5):
        await router.execute(QUERY, headers={"Correlation-Id": f"query {number}"})

    assert len(recent.of("change")) == 1
    assert not recent.of("query 2")
    assert [one.correlation for one in recent.queries_since(0)] == ["query 3", "query 4"]
    assert recent.kept_since("query") > recent.since
    assert recent.kept_since("mutation") == recent.since


@pytest.mark.parametrize("correlation", ["x" * 513, "x" * 100_000])
async def test_a_correlation_that_is_too_long_is_neither_kept_nor_echoed(correlation: str) -> None:
    recent = RecentRequests()
    headers = {"Correlation-Id": correlation}
    answer = await router_of(recent, Scripted(product("add"))).execute("mutation { add { name } }", headers=headers)

    assert "correlation" not in answer.extensions
    assert not recent.of(correlation)


class Text(str):
    """One that can be seen to be gone."""

    __slots__ = ("__weakref__",)


def test_a_long_name_does_not_stay_in_memory() -> None:
    """Names are their clients', and may be as long as a request."""
    recent, name = RecentRequests(), Text("N" * 1_000_000)
    kept = weakref.ref(name)
    recent.executed("query", name, (("correlation-id", "c"),), 1.0, (), [])
    del name

    assert kept() is None
    assert [len(one.name) for one in recent.of("c")] == [200]


async def test_long_names_and_many_parts_are_cut() -> None:
    recent = RecentRequests()
    name, fields = "N" * 5_000, " ".join(f"p{number}: product {{ name }}" for number in range(60))
    answer = {"data": {f"p{number}": {"name": "a"} for number in range(60)}, "extensions": {"bookmark": EARLY}}
    await router_of(recent, Scripted(answer)).execute(f"query {name} {{ {fields} }}", headers=TOLD)

    (found,) = recent.of("a request")

    assert len(found.name) == 200
    assert found.parts
    assert all(len(part.place) <= 200 for part in found.parts)
