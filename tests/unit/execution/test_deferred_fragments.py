"""Answers in parts: what comes at first, what comes later and when, and what becomes of errors.

The subgraphs answer from scripts, which wait at barriers; nothing depends on time.
"""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from graphrouter import GraphRouter, Hooks, Limits, PlannedOperation, RouterOptions, bookmarks
from graphrouter.execution.execute import Execution
from graphrouter.http.capacity import EndpointLimits
from graphrouter.http.endpoint import GraphQLEndpoint
from graphrouter.request import GraphQLAnswer, GraphQLRequest
from graphrouter.transport import SubgraphResponse
from infra.patience import seconds
from tests.support.incremental import merged
from tests.unit.execution.plans import Scripted, routed

PRODUCTS = """
type Query { product: Product products: [Product!]! shown: Shown plain: Plain now: String }
type Mutation { rename: Product }
type Product @key(fields: "id") { id: ID! name: String! slow: String }
type Film @key(fields: "id") { id: ID! name: String! }
union Shown = Product | Film
type Plain { a: Int b: Int c: Plain }
"""
REVIEWS = """
type Query { best: String }
type Product @key(fields: "id") { id: ID! score: Int! stars: Int review: Review }
type Review { text: String! author: Author }
type Author @key(fields: "id") { id: ID! }
"""
AUTHORS = 'type Author @key(fields: "id") { id: ID! name: String! }'
TWO = {"data": {"products": [{"name": "a", "id": "1"}, {"name": "b", "id": "2"}]}}


def router_of(
    products: Scripted, reviews: Scripted, authors: Scripted | None = None, options: RouterOptions | None = None
) -> GraphRouter:
    known = {"products": (PRODUCTS, products), "reviews": (REVIEWS, reviews)}
    return routed(options, **known, authors=(AUTHORS, authors or Scripted({"data": None})))


def entities(*found: Any, **more: Any) -> dict[str, Any]:
    return {"data": {"_entities": list(found)}, **more}


async def bodies_of(router: GraphRouter, query: str, **variables: object) -> list[dict[str, Any]]:
    async with asyncio.timeout(seconds(10)):
        return [part.body() async for part in router.parts(GraphQLRequest(query, variables))]


def waiting(barrier: asyncio.Event, answer: Any) -> Callable[[Any], Awaitable[Any]]:
    async def wait() -> Any:
        await barrier.wait()
        return answer

    return lambda _request: wait()


async def next_body(parts: AsyncGenerator[Any, None]) -> dict[str, Any]:
    async with asyncio.timeout(seconds(10)):
        return dict((await anext(parts)).body())


async def test_the_first_part_comes_while_a_deferred_subgraph_has_not_answered() -> None:
    barrier = asyncio.Event()
    reviews = Scripted(waiting(barrier, entities({"score": 5}, {"score": 7})))
    router = router_of(Scripted(TWO), reviews)
    query = '{ products { name ... @defer(label: "later") { score } } }'
    async with aclosing(router.parts(GraphQLRequest(query))) as parts:
        assert await next_body(parts) == {
            "data": {"products": [{"name": "a"}, {"name": "b"}]},
            "pending": [
                {"id": "0", "path": ["products", 0], "label": "later"},
                {"id": "1", "path": ["products", 1], "label": "later"},
            ],
            "hasNext": True,
        }
        barrier.set()
        assert await next_body(parts) == {
            "incremental": [{"data": {"score": 5}, "id": "0"}, {"data": {"score": 7}, "id": "1"}],
            "completed": [{"id": "0"}, {"id": "1"}],
            "hasNext": False,
        }
        assert [part async for part in parts] == []


async def test_an_answer_in_parts_leaves_nothing_to_the_garbage_collector() -> None:
    router = router_of(Scripted(TWO), Scripted(entities({"score": 5}, {"score": 7})))
    query = "{ products { name ... @defer { score } } }"
    gc.collect()
    gc.disable()
    try:
        assert len(await bodies_of(router, query)) == 2
        await asyncio.sleep(0)  # the last of its tasks is let go
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        assert not [one for one in gc.garbage if isinstance(one, Execution)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def test_a_fragment_comes_while_another_one_has_not() -> None:
    barrier = asyncio.Event()
    products = Scripted(
        {"data": {"product": {"name": "a", "id": "1"}}}, waiting(barrier, entities({"slow": "at last"}))
    )
    router = router_of(products, Scripted(entities({"score": 5})))
    query = '{ product { name ... @defer(label: "s") { slow } ... @defer(label: "r") { score } } }'
    async with aclosing(router.parts(GraphQLRequest(query))) as parts:
        first = await next_body(parts)
        assert {one["label"]: one["id"] for one in first["pending"]} == {"s": "0", "r": "1"}
        assert await next_body(parts) == {
            "incremental": [{"data": {"score": 5}, "id": "1"}],
            "completed": [{"id": "1"}],
            "hasNext": True,
        }
        barrier.set()
        assert (await next_body(parts))["incremental"] == [{"data": {"slow": "at last"}, "id": "0"}]


async def test_root_fields_are_deferred_in_a_request_of_their_own() -> None:
    barrier = asyncio.Event()
    products = Scripted(
        lambda asked: (
            waiting(barrier, {"data": {"now": "later"}})(asked)
            if "now" in asked["query"]
            else {"data": {"product": {"name": "a"}}}
        )
    )
    router = router_of(products, Scripted({"data": {"best": "b"}}))
    async with aclosing(router.parts(GraphQLRequest("{ product { name } ... @defer { now best } }"))) as parts:
        assert (await next_body(parts))["data"] == {"product": {"name": "a"}}
        barrier.set()
        assert (await next_body(parts))["incremental"] == [{"data": {"now": "later", "best": "b"}, "id": "0"}]


async def test_what_is_asked_for_at_once_and_deferred_comes_once_and_is_fetched_once() -> None:
    products = Scripted({"data": {"product": {"name": "a", "id": "1"}}})
    reviews = Scripted(entities({"review": {"text": "good"}, "stars": 4}))
    router = router_of(products, reviews)
    query = "{ product { name review { text } stars ... @defer { name stars review { text } } } }"
    assert await bodies_of(router, query) == [
        {"data": {"product": {"name": "a", "review": {"text": "good"}, "stars": 4}}}
    ]
    assert (len(products.requests), len(reviews.requests)) == (1, 1)


async def test_what_two_fragments_have_in_common_comes_with_the_first_of_them() -> None:
    products = Scripted({"data": {"product": {"name": "a", "id": "1"}}}, entities({"slow": "s"}))
    reviews = Scripted(entities({"score": 5}))
    router = router_of(products, reviews)
    query = '{ product { name ... @defer(label: "x") { score } ... @defer(label: "y") { score slow } } }'
    found = merged(await bodies_of(router, query))
    assert found.data == {"product": {"name": "a", "score": 5, "slow": "s"}}
    assert len(reviews.requests) == 1


@pytest.mark.parametrize(
    "query",
    [
        '{ ... @defer(label: "x") { products { name } } ... @defer(label: "y") { products { slow } } }',
        """query ($a: Boolean = true) {
          ... @include(if: $a) { products { name } } ... @defer(label: "y") { products { slow } } }""",
        """query ($a: Boolean = true) {
          ... @include(if: $a) { ... @defer(label: "x") { products { name } } }
          ... @defer(label: "y") { products { slow } } }""",
    ],
)
async def test_a_list_that_fragments_select_differently_is_one_list(query: str) -> None:
    """The subgraph's list is another one each time that it is asked for."""
    lists = iter((["1", "2"], ["2", "1"]))

    def answer(asked: Any) -> Any:
        keys = asked.get("variables", {}).get("representations")
        ids = next(lists) if keys is None else [key["id"] for key in keys]
        fields = [name for name in ("id", "name", "slow") if name in asked["query"]]
        found = [{name: f"{name}{number}" if name != "id" else number for name in fields} for number in ids]
        return {"data": {"products": found}} if keys is None else entities(*found)

    found = merged(await bodies_of(router_of(Scripted(answer), Scripted({"data": None})), query))
    assert found.data == {"products": [{"name": f"name{one}", "slow": f"slow{one}"} for one in (1, 2)]}


async def test_fields_below_one_that_is_there_at_once_come_at_their_sub_path() -> None:
    products = Scripted({"data": {"plain": {"a": 1, "b": 2, "c": {"a": 3, "b": 4}}}})
    bodies = await bodies_of(
        router_of(products, Scripted({"data": {}})), "{ plain { a c { a } ... @defer { b c { b } } } }"
    )
    assert bodies[0]["data"] == {"plain": {"a": 1, "c": {"a": 3}}}
    assert sorted(bodies[1]["incremental"], key=str) == [
        {"data": {"b": 2}, "id": "0"},
        {"data": {"b": 4}, "id": "0", "subPath": ["c"]},
    ]
    assert len(products.requests) == 1


async def test_a_fragment_in_a_fragment_is_announced_when_the_outer_one_comes() -> None:
    barrier = asyncio.Event()
    reviews = Scripted(entities({"review": {"text": "good", "author": {"id": "7"}}}))
    authors = Scripted(waiting(barrier, entities({"name": "Ada"})))
    router = router_of(Scripted({"data": {"product": {"name": "a", "id": "1"}}}), reviews, authors)
    query = """{ product { name ... @defer(label: "outer") {
      review { text ... @defer(label: "inner") { author { name } } } } } }"""
    async with aclosing(router.parts(GraphQLRequest(query))) as parts:
        assert [one["label"] for one in (await next_body(parts))["pending"]] == ["outer"]
        outer = await next_body(parts)
        assert outer["incremental"] == [{"data": {"review": {"text": "good"}}, "id": "0"}]
        assert outer["pending"] == [{"id": "1", "path": ["product", "review"], "label": "inner"}]
        barrier.set()
        assert (await next_body(parts))["incremental"] == [{"data": {"author": {"name": "Ada"}}, "id": "1"}]


async def test_a_null_that_must_not_be_there_takes_its_fragment_and_nothing_else() -> None:
    reviews = Scripted(entities({"score": 5}, {"score": None}))
    bodies = await bodies_of(router_of(Scripted(TWO), reviews), "{ products { name ... @defer { score } } }")
    assert bodies[0]["data"] == {"products": [{"name": "a"}, {"name": "b"}]}
    assert bodies[1]["incremental"] == [{"data": {"score": 5}, "id": "0"}]
    failed = {
        "message": "cannot give null for the non-null field score",
        "extensions": {"code": "NULL_VALUE"},
        "path": ["products", 1, "score"],
    }
    assert bodies[1]["completed"] == [{"id": "0"}, {"id": "1", "errors": [failed]}]


async def test_errors_of_a_deferred_subgraph_stand_in_its_fragments() -> None:
    raw = [{"message": "no stars", "path": ["_entities", 1, "stars"]}]
    reviews = Scripted(entities({"stars": 4}, {"stars": None}, errors=raw))
    bodies = await bodies_of(router_of(Scripted(TWO), reviews), "{ products { name ... @defer { stars } } }")
    assert "errors" not in bodies[0]
    told = {
        "message": "no stars",
        "extensions": {"code": "SUBGRAPH_ERROR", "service": "reviews"},
        "path": ["products", 1, "stars"],
    }
    assert bodies[1]["incremental"] == [
        {"data": {"stars": 4}, "id": "0"},
        {"data": {"stars": None}, "id": "1", "errors": [told]},
    ]


async def test_a_deferred_subgraph_that_fails_leaves_the_first_part_as_it_is() -> None:
    router = router_of(Scripted(TWO), Scripted(SubgraphResponse(503, {}, b"")))
    bodies = await bodies_of(router, "{ products { name ... @defer { score } } }")
    assert "errors" not in bodies[0]
    assert [one["errors"][0]["extensions"]["code"] for one in bodies[1]["completed"]] == ["SUBREQUEST_HTTP_ERROR"] * 2


async def test_an_error_at_a_deferred_field_that_came_at_once_is_told_with_its_fragment() -> None:
    raw = [{"message": "no b", "path": ["plain", "b"]}, {"message": "no a", "path": ["plain", "a"]}]
    products = Scripted({"data": {"plain": {"a": None, "b": None}}, "errors": raw})
    bodies = await bodies_of(router_of(products, Scripted({"data": {}})), "{ plain { a ... @defer { b } } }")
    assert [one["path"] for one in bodies[0]["errors"]] == [["plain", "a"]]
    assert [one["path"] for one in bodies[1]["incremental"][0]["errors"]] == [["plain", "b"]]


@pytest.mark.parametrize("index", [9, -9])
async def test_an_error_of_an_item_that_is_not_there_takes_nothing_with_it(index: int) -> None:
    products = Scripted({**TWO, "errors": [{"message": "no", "path": ["products", index, "name"]}]})
    router = router_of(products, Scripted(entities({"score": 5}, {"score": 7})))
    found = merged(await bodies_of(router, "{ products { name ... @defer { score } } }"))
    assert found.data == {"products": [{"name": "a", "score": 5}, {"name": "b", "score": 7}]}
    assert [error["message"] for error in found.errors] == ["no"]


async def test_below_a_null_nothing_is_to_come() -> None:
    router = router_of(Scripted({"data": {"product": None}}), Scripted(entities({"score": 1})))
    assert await bodies_of(router, "{ product { name ... @defer { score } } }") == [{"data": {"product": None}}]


async def test_an_object_that_a_null_has_taken_with_it_has_nothing_to_come() -> None:
    given = {"data": {"product": {"name": None, "id": "1"}}}
    bodies = await bodies_of(
        router_of(Scripted(given), Scripted(entities({"score": 1}))), "{ product { ... @defer { score } name } }"
    )
    assert (len(bodies), bodies[0]["data"]) == (1, {"product": None})


async def test_what_was_noted_before_a_null_came_up_is_not_to_come() -> None:
    given = {"data": {"products": [{"name": "a", "id": "1"}, {"name": None, "id": "2"}]}}
    router = router_of(Scripted(given), Scripted(entities({"score": 1}, {"score": 2})))
    bodies = await bodies_of(router, "{ products { name ... @defer { score } } }")
    assert (len(bodies), bodies[0]["data"]) == (1, None)


async def test_a_fragment_inside_is_not_announced_before_the_one_around_it_has_come() -> None:
    barrier = asyncio.Event()
    products = Scripted({"data": {"product": {"name": "a", "id": "1"}}}, waiting(barrier, entities({"slow": "s"})))
    router = router_of(products, Scripted(entities({"score": None})))
    query = """{ product { name ... @defer(label: "outer") { slow ... @defer(label: "inner") { score } } } }"""
    async with aclosing(router.parts(GraphQLRequest(query))) as parts:
        assert [one["label"] for one in (await next_body(parts))["pending"]] == ["outer"]
        barrier.set()
        second = await next_body(parts)
        assert ([one["label"] for one in second["pending"]], second["hasNext"]) == (["inner"], True)
        assert [one["id"] for one in (await next_body(parts))["completed"]] == ["1"]


async def test_a_fragment_inside_one_that_failed_does_not_come() -> None:
    router = router_of(
        Scripted({"data": {"product": {"name": "a", "id": "1"}}}, entities({"slow": "s"})),
        Scripted(entities({"score": None})),
    )
    found = merged(await bodies_of(router, "{ product { name ... @defer { score ... @defer { slow } } } }"))
    assert (found.data, found.failed) == ({"product": {"name": "a"}}, [("product",)])


@pytest.mark.parametrize(
    ("directive", "variables", "in_parts"),
    [
        ("@defer(if: false)", {}, False),
        ("@defer(if: true)", {}, True),
        ("@defer(if: $x)", {"x": True}, True),
        ("@defer(if: $x)", {"x": False}, False),
        ("@defer @skip(if: $x)", {"x": True}, False),
        ("@defer @include(if: $x)", {"x": True}, True),
        ("@defer @include(if: $x)", {"x": False}, False),
    ],
)
async def test_a_fragment_is_deferred_where_its_conditions_hold(
    directive: str, variables: dict[str, bool], in_parts: bool
) -> None:
    declared = "query($x: Boolean! = false)" if variables else ""
    router = router_of(Scripted({"data": {"product": {"name": "a", "id": "1"}}}), Scripted(entities({"score": 1})))
    bodies = await bodies_of(router, f"{declared} {{ product {{ name ... {directive} {{ score }} }} }}", **variables)
    assert (len(bodies) > 1, "hasNext" in bodies[0]) == (in_parts, in_parts)
    is_there = not ("skip" in directive or (variables == {"x": False} and "include" in directive))
    assert merged(bodies).data == {"product": {"name": "a", **({"score": 1} if is_there else {})}}


async def test_objects_defer_what_their_types_have() -> None:
    shown = {"data": {"shown": {"__typename": "Film", "title": "f", "id": "1"}}}
    router = router_of(Scripted(shown), Scripted(entities({"score": 1})))
    query = "{ shown { ... on Film { title: name } ... on Product @defer { score } } }"
    assert await bodies_of(router, query) == [{"data": {"shown": {"title": "f"}}}]
    shown = {"data": {"shown": {"__typename": "Product", "id": "1"}}}
    router = router_of(Scripted(shown), Scripted(entities({"score": 1})))
    found = merged(await bodies_of(router, query))
    assert (found.data, found.parts) == ({"shown": {"score": 1}}, 2)


async def test_a_named_fragment_may_be_deferred_at_several_places() -> None:
    products = Scripted(
        {"data": {"product": {"name": "a", "id": "1"}, "products": [{"name": "b", "id": "2"}]}},
    )
    reviews = Scripted(
        lambda asked: entities(*({"stars": int(one["id"])} for one in asked["variables"]["representations"]))
    )
    query = "{ product { ...P } products { ...P } } fragment P on Product { name ... @defer { stars } }"
    found = merged(await bodies_of(router_of(products, reviews), query))
    assert found.data == {"product": {"name": "a", "stars": 1}, "products": [{"name": "b", "stars": 2}]}


async def test_a_mutation_is_answered_as_a_whole() -> None:
    products = Scripted({"data": {"rename": {"name": "a", "id": "1"}}})
    router = router_of(products, Scripted(entities({"score": 1})))
    assert await bodies_of(router, "mutation { rename { name ... @defer { score } } }") == [
        {"data": {"rename": {"name": "a", "score": 1}}}
    ]
    (refused,) = await bodies_of(router, "mutation { ... @defer { rename { name } } }")
    assert refused["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_who_takes_no_parts_gets_the_whole_answer() -> None:
    products = Scripted({"data": {"product": {"name": "a", "slow": "s", "id": "1"}}})
    router = router_of(products, Scripted(entities({"score": 1})))
    answer = await router.execute("{ product { name ... @defer { slow score } } }")
    assert answer.body() == {"data": {"product": {"name": "a", "slow": "s", "score": 1}}}
    assert len(products.requests) == 1


async def test_the_end_of_the_reader_is_the_end_of_what_is_asked() -> None:
    asked, ended = asyncio.Event(), asyncio.Event()

    async def hanging() -> Any:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    router = router_of(Scripted(TWO), Scripted(lambda _request: hanging()))
    async with aclosing(router.parts(GraphQLRequest("{ products { name ... @defer { score } } }"))) as parts:
        await next_body(parts)
        async with asyncio.timeout(seconds(10)):
            await asked.wait()
    assert ended.is_set()


async def test_objects_are_counted_over_all_parts() -> None:
    reviews = Scripted(entities({"review": {"text": "x"}}, {"review": {"text": "y"}}))
    router = router_of(Scripted(TWO), reviews, options=RouterOptions(limits=Limits(objects=7, list_length=1)))
    assert merged(await bodies_of(router, "{ products { name } }")).errors == []
    query = "{ products { name ... @defer { review { text } } } }"
    assert merged(await bodies_of(router, query)).errors == []
    few = RouterOptions(limits=Limits(objects=3, list_length=1))
    found = merged(await bodies_of(router_of(Scripted(TWO), reviews, options=few), query))
    assert {error["extensions"]["code"] for error in found.errors} == {"TOO_MANY_OBJECTS"}
    assert found.data["products"][0] == {"name": "a", "review": None}


async def test_of_a_response_with_too_many_objects_nothing_is_to_come() -> None:
    """Subgraphs give six objects, and the response would have eight: one item's is at four positions."""
    items = """type Query { plain: Plain items: [Item!]! } type Plain { a: Int b: Int }
    type Item @key(fields: "id") { id: ID! }"""
    inner = 'type Item @key(fields: "id") { id: ID! inner: Inner } type Inner { x: Int }'
    given = Scripted({"data": {"plain": {"a": 1, "b": 2}, "items": [{"id": "1"}] * 4}})
    router = routed(
        RouterOptions(limits=Limits(objects=7, list_length=1)),
        items=(items, given),
        inner=(inner, Scripted(entities({"inner": {"x": 1}}))),
    )
    (body,) = await bodies_of(router, "{ plain { a ... @defer { b } } items { inner { x } } }")
    assert (body["data"], [error["extensions"]["code"] for error in body["errors"]]) == (None, ["TOO_MANY_OBJECTS"])


async def test_the_bookmark_of_each_part_is_how_far_the_router_has_read() -> None:
    early, late = bookmarks.encode({"log": 1}), bookmarks.encode({"log": 2})
    given = {"data": {"product": {"name": "a", "id": "1"}}, "extensions": {"bookmark": early}}
    barrier = asyncio.Event()
    reviews = Scripted(waiting(barrier, entities({"stars": 1}, extensions={"bookmark": late})))
    query = "{ product { name ... @defer { stars } } }"
    async with aclosing(router_of(Scripted(given), reviews).parts(GraphQLRequest(query))) as parts:
        assert (await next_body(parts))["extensions"] == {"bookmark": early}
        barrier.set()
        assert (await next_body(parts))["extensions"] == {"bookmark": late}


async def test_the_plan_says_what_is_deferred() -> None:
    router = router_of(Scripted({"data": {"product": {"name": "a", "id": "1"}}}), Scripted(entities({"stars": 1})))
    request = GraphQLRequest("{ product { name ... @defer { stars } } }", headers={"query-plan": "1"})
    bodies = [part.body() async for part in router.parts(request)]
    lines = bodies[0]["extensions"]["queryPlan"]["lines"]  # type: ignore[index]
    assert any('Fetch(service: "reviews"' in line and "@defer(0)" in line for line in lines)


async def test_a_hook_sees_the_plan_that_is_carried_out() -> None:
    """Of an answer in parts it is another one than of the same answer as a whole."""
    seen: list[list[bool]] = []

    def look(planned: PlannedOperation) -> None:
        seen.append([bool(fetch.deferrals) for fetch in planned.plan.fetches])

    query = "{ product { name ... @defer { stars } } }"
    products = Scripted({"data": {"product": {"name": "a", "id": "1"}}})
    router = router_of(products, Scripted(entities({"stars": 1})), options=RouterOptions(hooks=Hooks(plan=(look,))))
    await bodies_of(router, query)
    await router.execute(query)
    await bodies_of(router, "{ product { name stars } }")
    assert seen == [[False, True], [False, False], [False, False]]


async def test_the_cost_is_told_with_the_last_part() -> None:
    options = RouterOptions(expose_cost=True)
    products = Scripted({"data": {"product": {"name": "a", "id": "1"}}})
    router = router_of(products, Scripted(entities({"review": {"text": "x"}})), options=options)
    *before, last = await bodies_of(router, "{ product { name ... @defer { review { text } } } }")
    assert last["extensions"]["cost"]["actual"] == 2
    assert not any("cost" in body.get("extensions", {}) for body in before)


async def test_a_defect_of_the_router_fails_what_is_pending_and_nothing_else() -> None:
    barrier = asyncio.Event()

    async def broken() -> Any:
        await barrier.wait()
        raise ZeroDivisionError

    router = router_of(Scripted(TWO), Scripted(lambda _request: broken()))
    async with aclosing(router.parts(GraphQLRequest("{ products { name ... @defer { score } } }"))) as parts:
        assert (await next_body(parts))["data"] == {"products": [{"name": "a"}, {"name": "b"}]}
        barrier.set()
        last = await next_body(parts)
    failed = {"message": "the router failed to execute the operation", "extensions": {"code": "INTERNAL_ERROR"}}
    assert last == {"completed": [{"id": one, "errors": [failed]} for one in ("0", "1")], "hasNext": False}


async def test_a_defect_before_the_first_part_is_told_as_ever() -> None:
    router = router_of(Scripted(lambda _request: 1 / 0), Scripted({"data": {}}))
    (body,) = await bodies_of(router, "{ products { name ... @defer { score } } }")
    assert [error["extensions"]["code"] for error in body["errors"]] == ["INTERNAL_ERROR"]


async def test_subscribers_to_events_get_each_part_as_an_event() -> None:
    router = router_of(Scripted(TWO), Scripted(entities({"score": 5}, {"score": 7})))
    transport = httpx.ASGITransport(GraphQLEndpoint(lambda: router, EndpointLimits(1_000, 1)))
    async with asyncio.timeout(seconds(10)), httpx.AsyncClient(transport=transport, base_url="http://r") as client:
        response = await client.post(
            "/graphql",
            json={"query": "{ products { name ... @defer { score } } }"},
            headers={"accept": "text/event-stream"},
        )
    *events, end, _ = response.text.split("\n\n")
    assert end == "event: complete\ndata:"
    found = merged(json.loads(event.removeprefix("event: next\ndata: ")) for event in events)
    assert (found.data, found.parts) == (
        {"products": [{"name": "a", "score": 5}, {"name": "b", "score": 7}]},
        2,
    )


async def test_introspection_is_deferred_like_any_field() -> None:
    router = router_of(Scripted({"data": {"now": "n"}}), Scripted({"data": {}}))
    query = "{ now ... @defer { __schema { queryType { name ... @defer { kind } } } } }"
    found = merged(await bodies_of(router, query))
    assert found.data == {"now": "n", "__schema": {"queryType": {"name": "Query", "kind": "OBJECT"}}}


async def test_hooks_of_the_response_see_the_whole_answer() -> None:
    seen: list[object] = []

    def look(_request: GraphQLRequest, answer: GraphQLAnswer) -> GraphQLAnswer:
        seen.append(answer.data)
        return answer

    options = RouterOptions(hooks=Hooks(response=(look,)))
    products = Scripted({"data": {"product": {"name": "a", "id": "1"}}})
    router = router_of(products, Scripted(entities({"stars": 1})), options=options)
    bodies = await bodies_of(router, "{ product { name ... @defer { stars } } }")
    assert bodies == [{"data": {"product": {"name": "a", "stars": 1}}}]
    assert seen == [{"product": {"name": "a", "stars": 1}}]


async def test_defer_can_be_switched_off() -> None:
    router = router_of(Scripted(TWO), Scripted({"data": {}}), options=RouterOptions(defer=False))
    (refused,) = await bodies_of(router, "{ products { ... @defer { name } } }")
    assert refused["errors"][0]["message"] == "Unknown directive '@defer'."


async def test_a_directive_of_the_subgraphs_own_that_has_the_name_is_left_to_them() -> None:
    sdl = "directive @defer(why: String) on FIELD | INLINE_FRAGMENT  type Query { a: Int }"
    subgraph = Scripted({"data": {"a": 1}})
    router = routed(a=(sdl, subgraph))
    assert await bodies_of(router, '{ a @defer(why: "x") }') == [{"data": {"a": 1}}]
    assert "@defer" in subgraph.requests[0]["query"]


async def test_what_the_caller_may_not_see_is_not_in_a_later_part_either() -> None:
    sdl = """extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@authenticated"])
    type Query { plain: Plain } type Plain { a: Int secret: Int @authenticated }"""
    subgraph = Scripted({"data": {"plain": {"a": 1}}})
    found = merged(await bodies_of(routed(a=(sdl, subgraph)), "{ plain { a ... @defer { secret } } }"))
    assert found.data == {"plain": {"a": 1, "secret": None}}
    assert [error["path"] for error in found.errors] == [["plain", "secret"]]
    assert "secret" not in subgraph.requests[0]["query"]
