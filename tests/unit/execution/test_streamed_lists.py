"""Lists whose rest comes later: what comes at first, what comes later and when, and what becomes of errors.

The subgraphs answer from scripts, which wait at barriers; nothing depends on time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest

from graphrouter import GraphRouter, Hooks, Limits, RouterOptions, bookmarks
from graphrouter.request import GraphQLAnswer, GraphQLRequest
from graphrouter.transport import SubgraphResponse
from infra.patience import seconds
from tests.support.incremental import merged
from tests.unit.execution.plans import Scripted, routed

PRODUCTS = """
type Query { product: Product products: [Product!]! maybe: [Product] grid: [[Product]] shown: [Shown!] tags: [String!]
  numbers: [Int] plain: Plain must: Plain! }
type Mutation { rename: [Product!] }
type Product @key(fields: "id") { id: ID! name: String! slow: String }
type Film @key(fields: "id") { id: ID! tags: [Product!] }
union Shown = Product | Film
type Plain { items: [Product] a: Int }
"""
REVIEWS = """
type Product @key(fields: "id") { id: ID! score: Int! stars: Int reviews: [Review!] }
type Review { text: String by: Author }
type Author @key(fields: "id") { id: ID! }
"""
AUTHORS = 'type Author @key(fields: "id") { id: ID! name: String! }'
IDS = ["1", "2", "3"]


def products(*ids: str, field: str = "products", **more: Any) -> dict[str, Any]:
    return {"data": {field: [{"name": f"n{one}", "id": one} for one in ids or IDS]}, **more}


def router_of(
    products: Scripted, reviews: Scripted, authors: Scripted | None = None, options: RouterOptions | None = None
) -> GraphRouter:
    known = {"products": (PRODUCTS, products), "reviews": (REVIEWS, reviews)}
    return routed(options, **known, authors=(AUTHORS, authors or Scripted({"data": None})))


def entities(answer: Callable[[str], dict[str, Any] | None], **more: Any) -> Callable[[Any], Any]:
    """Answers each representation by its id."""
    return lambda asked: {"data": {"_entities": [answer(one) for one in asked_for(asked)]}, **more}


def asked_for(asked: Any) -> list[str]:
    return [one["id"] for one in asked["variables"]["representations"]]


def scored(number: str) -> dict[str, Any]:
    return {"score": int(number), "stars": -int(number)}


def first_at_once(barrier: asyncio.Event, answer: Callable[[Any], Any]) -> Callable[[Any], Awaitable[Any]]:
    """The request for the first entity is answered at once, others wait."""

    async def wait(asked: Any) -> Any:
        if "1" not in asked_for(asked):
            await barrier.wait()
        return answer(asked)

    return wait


async def bodies_of(router: GraphRouter, query: str, **variables: object) -> list[dict[str, Any]]:
    async with asyncio.timeout(seconds(10)):
        return [part.body() async for part in router.parts(GraphQLRequest(query, variables))]


async def next_body(parts: AsyncGenerator[Any, None]) -> dict[str, Any]:
    async with asyncio.timeout(seconds(10)):
        return dict((await anext(parts)).body())


async def test_the_first_items_come_while_what_is_fetched_for_the_others_has_not() -> None:
    barrier = asyncio.Event()
    reviews = Scripted(first_at_once(barrier, entities(scored)))
    router = router_of(Scripted(products()), reviews)
    query = '{ products @stream(initialCount: 1, label: "more") { name score } }'
    async with aclosing(router.parts(GraphQLRequest(query))) as parts:
        assert await next_body(parts) == {
            "data": {"products": [{"name": "n1", "score": 1}]},
            "pending": [{"id": "0", "path": ["products"], "label": "more"}],
            "hasNext": True,
        }
        barrier.set()
        assert await next_body(parts) == {
            "incremental": [{"items": [{"name": "n2", "score": 2}, {"name": "n3", "score": 3}], "id": "0"}],
            "completed": [{"id": "0"}],
            "hasNext": False,
        }
        assert [part async for part in parts] == []
    assert list(map(asked_for, reviews.requests)) == [["1"], ["2", "3"]]


async def test_the_rest_does_not_wait_for_the_first_items_of_another_list() -> None:
    """A part comes as soon as its own fetches are in."""
    barrier = asyncio.Event()

    async def authors(asked: Any) -> Any:
        if "a1" not in asked_for(asked):
            await barrier.wait()
        return entities(lambda one: {"name": one})(asked)

    reviews = Scripted(
        entities(lambda one: {"reviews": [{"text": "x", "by": {"id": f"a{one}"}}, {"by": {"id": f"b{one}"}}]})
    )
    router = router_of(Scripted(products("1")), reviews, Scripted(authors))
    query = "{ products { name reviews @stream(initialCount: 1) { by { name } } } }"
    async with aclosing(router.parts(GraphQLRequest(query))) as parts:
        first = await next_body(parts)
        assert first["data"] == {"products": [{"name": "n1", "reviews": [{"by": {"name": "a1"}}]}]}
        assert first["pending"] == [{"id": "0", "path": ["products", 0, "reviews"]}]
        barrier.set()
        assert (await next_body(parts))["incremental"] == [{"items": [{"by": {"name": "b1"}}], "id": "0"}]


@pytest.mark.parametrize(
    ("arguments", "variables", "first"),
    [
        ("", {}, 0),
        ("(initialCount: 0)", {}, 0),
        ("(initialCount: 2)", {}, 2),
        ("(initialCount: 3)", {}, None),
        ("(initialCount: 7)", {}, None),
        ("(initialCount: $n)", {"n": 2}, 2),
        ("(initialCount: $n)", {}, 1),
        ("(initialCount: $n)", {"n": 3}, None),
        ("(if: false)", {}, None),
        ("(if: $x)", {"x": False}, None),
        ("(if: $x, initialCount: 1)", {"x": True}, 1),
    ],
)
async def test_a_list_has_so_many_items_at_first(arguments: str, variables: dict[str, Any], first: int | None) -> None:
    """Where there are no more, the answer is one."""
    declared = {"$n": "$n: Int! = 1", "$x": "$x: Boolean! = true"}
    used = ", ".join(text for name, text in declared.items() if name in arguments)
    query = f"query{f' ({used})' if used else ''} {{ products @stream{arguments} {{ name score }} }}"
    router = router_of(Scripted(products()), Scripted(entities(scored)))
    bodies = await bodies_of(router, query, **variables)
    assert (len(bodies[0]["data"]["products"]), len(bodies) > 1) == (3 if first is None else first, first is not None)
    assert merged(bodies).data == {"products": [{"name": f"n{one}", "score": int(one)} for one in IDS]}


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        ("{ products @stream(initialCount: -1) { name } }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("{ products @stream(initialCount: null) { name } }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("query ($n: Int!) { products @stream(initialCount: $n) { name } }", {"n": -2}, "INVALID_VARIABLES"),
        ("query ($n: Int = 0) { products @stream(initialCount: $n) { name } }", {"n": None}, "INVALID_VARIABLES"),
        ("{ products { name @stream } }", {}, "GRAPHQL_VALIDATION_FAILED"),
        (
            "{ products @stream { name } ... @include(if: true) { products { id } } }",
            {},
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            '{ a: products @stream(label: "x") { id } b: products @stream(label: "x") { id } }',
            {},
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("mutation { rename @stream { name } }", {}, "GRAPHQL_VALIDATION_FAILED"),
    ],
)
async def test_what_cannot_be_streamed_is_refused_in_parts_and_as_a_whole(
    query: str, variables: dict[str, Any], code: str
) -> None:
    router = router_of(Scripted(products()), Scripted(entities(scored)))
    (refused,) = await bodies_of(router, query, **variables)
    answer = await router.execute(query, variables)
    assert [one["extensions"]["code"] for one in refused["errors"]] == [code]
    assert answer.body() == refused


@pytest.mark.parametrize("given", [None, []])
async def test_of_a_list_that_is_null_or_empty_nothing_is_to_come(given: Any) -> None:
    router = router_of(Scripted({"data": {"maybe": given}}), Scripted(entities(scored)))
    assert await bodies_of(router, "{ maybe @stream { name score } }") == [{"data": {"maybe": given}}]


async def test_lists_of_leaves_come_in_two_parts() -> None:
    router = router_of(Scripted({"data": {"tags": ["a", "b", "c"], "numbers": [1, None]}}), Scripted({"data": {}}))
    first, rest = await bodies_of(router, "{ tags @stream(initialCount: 2) numbers @stream }")
    assert first["data"] == {"tags": ["a", "b"], "numbers": []}
    assert [one["items"] for one in rest["incremental"]] == [["c"], [1, None]]


async def test_of_lists_in_lists_the_outer_one_comes_in_two_parts() -> None:
    grid = [[{"id": "1"}, None], [{"id": "2"}], None]
    router = router_of(Scripted({"data": {"grid": grid}}), Scripted(entities(scored)))
    first, rest = await bodies_of(router, "{ grid @stream(initialCount: 1) { score } }")
    assert first["data"] == {"grid": [[{"score": 1}, None]]}
    assert rest["incremental"] == [{"items": [[{"score": 2}], None], "id": "0"}]


async def test_inside_of_a_rest_lists_come_as_a_whole() -> None:
    reviews = Scripted(entities(lambda one: {"reviews": [{"text": f"{one}a"}, {"text": f"{one}b"}]}))
    router = router_of(Scripted(products("1", "2")), reviews)
    query = """{ products @stream(initialCount: 1, label: "outer") { reviews @stream(label: "inner") { text } } }"""
    bodies = await bodies_of(router, query)
    assert {one["label"]: one["path"] for one in bodies[0]["pending"]} == {
        "outer": ["products"],
        "inner": ["products", 0, "reviews"],
    }
    assert bodies[0]["data"] == {"products": [{"reviews": []}]}
    assert not any("pending" in one for one in bodies[1:])
    texts = [[{"text": f"{one}a"}, {"text": f"{one}b"}] for one in "12"]
    assert merged(bodies).data == {"products": [{"reviews": one} for one in texts]}


async def test_fragments_on_the_items_of_a_rest_are_announced_with_them() -> None:
    barrier = asyncio.Event()
    reviews = Scripted(first_at_once(barrier, entities(scored)))
    router = router_of(Scripted(products()), reviews)
    query = '{ products @stream(initialCount: 1) { name ... @defer(label: "later") { score } } }'
    async with aclosing(router.parts(GraphQLRequest(query))) as parts:
        first = await next_body(parts)
        assert [one["path"] for one in first["pending"]] == [["products"], ["products", 0]]
        second = await next_body(parts)
        assert second["pending"] == [
            {"id": "2", "path": ["products", 1], "label": "later"},
            {"id": "3", "path": ["products", 2], "label": "later"},
        ]
        assert {"items": [{"name": "n2"}, {"name": "n3"}], "id": "0"} in second["incremental"]
        barrier.set()
        later = [await next_body(parts)]
        while later[-1]["hasNext"]:
            later.append(await next_body(parts))
    assert merged([first, second, *later]).data == {"products": [{"name": f"n{one}", "score": int(one)} for one in IDS]}


async def test_a_list_in_a_deferred_fragment_is_announced_when_it_has_come() -> None:
    items = {"plain": {"a": 1, "items": [{"id": "1"}, {"id": "2"}]}}
    barrier = asyncio.Event()
    router = router_of(Scripted({"data": items}), Scripted(first_at_once(barrier, entities(scored))))
    query = """{ plain { a ... @defer(label: "list") { items @stream(initialCount: 1, label: "rest") { score } } } }"""
    async with aclosing(router.parts(GraphQLRequest(query))) as parts:
        first = await next_body(parts)
        assert [one["label"] for one in first["pending"]] == ["list"]
        second = await next_body(parts)
        assert second["incremental"] == [{"data": {"items": [{"score": 1}]}, "id": "0"}]
        assert second["pending"] == [{"id": "1", "path": ["plain", "items"], "label": "rest"}]
        barrier.set()
        assert (await next_body(parts))["incremental"] == [{"items": [{"score": 2}], "id": "1"}]


async def test_the_rest_of_a_list_in_a_fragment_that_failed_does_not_come() -> None:
    given = {"product": {"id": "1"}}
    reviews = Scripted(entities(lambda _: {"score": None, "reviews": [{"text": "x"}]}))
    router = router_of(Scripted({"data": given}), reviews)
    query = "{ product { id ... @defer { score reviews @stream { text } } } }"
    found = merged(await bodies_of(router, query))
    assert (found.data, found.failed) == ({"product": {"id": "1"}}, [("product",)])


async def test_the_rest_of_a_list_that_was_made_and_not_sent_does_not_come() -> None:
    """The fragment has failed at another object."""
    answers = {"plain": {"a": 1, "items": [{"id": "1", "name": "x"}]}, "must": None}
    given = Scripted({"data": answers})
    query = "{ plain { a } ... @defer { plain { items @stream { name } } must { a } } }"
    found = merged(await bodies_of(router_of(given, Scripted(entities(scored))), query))
    assert (found.data, found.failed) == ({"plain": {"a": 1}}, [()])


async def test_an_error_in_the_rest_is_not_told_with_a_fragment_around_the_list() -> None:
    barrier = asyncio.Event()
    raw = [{"message": "no", "path": ["maybe", 1, "slow"]}]
    items = [{"id": "1", "slow": "s"}, {"id": "2", "slow": None}]

    def answer(asked: Any) -> Any:
        if "maybe" in asked["query"]:
            return {"data": {"maybe": items}, "errors": raw}
        return {"data": {"tags": ["a"]}}

    router = router_of(Scripted(answer), Scripted(first_at_once(barrier, entities(scored))))
    query = "{ maybe @stream(initialCount: 1) { slow stars } ... @defer { tags } }"
    async with aclosing(router.parts(GraphQLRequest(query))) as parts:
        first, second = await next_body(parts), await next_body(parts)
        barrier.set()
        third = await next_body(parts)
    assert "errors" not in first
    assert second["incremental"] == [{"data": {"tags": ["a"]}, "id": "1"}]
    assert [error["path"] for error in third["incremental"][0]["errors"]] == [["maybe", 1, "slow"]]


async def test_beside_an_item_of_the_rest_that_is_null_fragments_are_announced() -> None:
    given = {"data": {"maybe": [{"id": "1", "name": "a"}, {"id": "2", "name": None}, {"id": "3", "name": "c"}]}}
    router = router_of(Scripted(given), Scripted(entities(scored)))
    query = "{ maybe @stream(initialCount: 1) { name ... @defer { stars } } }"
    found = merged(await bodies_of(router, query))
    assert found.data == {"maybe": [{"name": "a", "stars": -1}, None, {"name": "c", "stars": -3}]}


async def test_a_null_that_must_not_be_there_takes_the_rest_and_nothing_else() -> None:
    reviews = Scripted(entities(lambda one: {"score": None if one == "3" else int(one)}))
    first, last = await bodies_of(
        router_of(Scripted(products()), reviews), "{ products @stream(initialCount: 1) { score } }"
    )
    assert first["data"] == {"products": [{"score": 1}]}
    failed = {
        "message": "cannot give null for the non-null field score",
        "extensions": {"code": "NULL_VALUE"},
        "path": ["products", 2, "score"],
    }
    assert last == {"completed": [{"id": "0", "errors": [failed]}], "hasNext": False}


async def test_items_that_may_be_null_are_null_with_an_error() -> None:
    reviews = Scripted(entities(lambda one: {"score": None if one == "2" else int(one)}))
    _, last = await bodies_of(
        router_of(Scripted(products(field="maybe")), reviews), "{ maybe @stream(initialCount: 1) { score } }"
    )
    (increment,) = last["incremental"]
    assert increment["items"] == [None, {"score": 3}]
    assert [error["path"] for error in increment["errors"]] == [["maybe", 1, "score"]]


async def test_a_null_that_takes_the_list_leaves_nothing_to_come() -> None:
    reviews = Scripted(entities(lambda one: {"score": None if one == "1" else int(one)}))
    (body,) = await bodies_of(
        router_of(Scripted(products()), reviews), "{ products @stream(initialCount: 1) { score } }"
    )
    assert body["data"] is None


async def test_errors_of_leaves_in_the_rest_stand_at_their_positions() -> None:
    router = router_of(Scripted({"data": {"numbers": [1, "x", "y"]}}), Scripted({"data": {}}))
    _, rest = await bodies_of(router, "{ numbers @stream(initialCount: 1) }")
    assert [error["path"] for error in rest["incremental"][0]["errors"]] == [["numbers", 1], ["numbers", 2]]


async def test_errors_of_the_list_are_told_with_the_items_that_they_explain() -> None:
    raw = [{"message": f"no {one}", "path": ["maybe", one, "slow"]} for one in (0, 2, 9, -1)]
    given = products(field="maybe", errors=raw)
    for item in given["data"]["maybe"]:
        item["slow"] = None
    first, rest = await bodies_of(
        router_of(Scripted(given), Scripted(entities(scored))), "{ maybe @stream(initialCount: 1) { slow stars } }"
    )
    assert [error["message"] for error in first["errors"]] == ["no 0", "no -1"]
    assert [error["message"] for error in rest["incremental"][0]["errors"]] == ["no 2", "no 9"]


async def test_a_subgraph_that_fails_for_the_rest_leaves_the_first_items_as_they_are() -> None:
    reviews = Scripted(
        lambda asked: entities(scored)(asked) if asked_for(asked) == ["1"] else SubgraphResponse(503, {}, b"")
    )
    first, rest = await bodies_of(
        router_of(Scripted(products()), reviews), "{ products @stream(initialCount: 1) { name stars } }"
    )
    assert (first["data"], "errors" in first) == ({"products": [{"name": "n1", "stars": -1}]}, False)
    (increment,) = rest["incremental"]
    assert increment["items"] == [{"name": "n2", "stars": None}, {"name": "n3", "stars": None}]
    assert [error["path"] for error in increment["errors"]] == [["products", 1], ["products", 2]]


async def test_an_error_at_an_entity_of_the_rest_stands_at_its_item() -> None:
    async def answer(asked: Any) -> Any:
        raw = [{"message": "no", "path": ["_entities", asked_for(asked).index("3"), "stars"]}]
        return entities(lambda _: {"stars": None}, **({"errors": raw} if "3" in asked_for(asked) else {}))(asked)

    def raising(asked: Any) -> Any:
        return answer(asked) if "3" in asked_for(asked) else entities(scored)(asked)

    _, rest = await bodies_of(
        router_of(Scripted(products()), Scripted(raising)), "{ products @stream(initialCount: 1) { stars } }"
    )
    assert [error["path"] for error in rest["incremental"][0]["errors"]] == [["products", 2, "stars"]]


async def test_one_entity_may_be_among_the_first_items_and_in_the_rest() -> None:
    reviews = Scripted(entities(scored))
    found = merged(
        await bodies_of(
            router_of(Scripted(products("1", "2", "1")), reviews), "{ products @stream(initialCount: 1) { score } }"
        )
    )
    assert found.data == {"products": [{"score": 1}, {"score": 2}, {"score": 1}]}


async def test_what_nobody_asked_the_lists_subgraph_for_does_not_stand_for_the_answer() -> None:
    given = products("1", "2")
    for item in given["data"]["products"]:
        item["stars"] = 99
    reviews = Scripted(entities(lambda one: {"stars": int(one)} if one == "1" else None))
    found = merged(
        await bodies_of(router_of(Scripted(given), reviews), "{ products @stream(initialCount: 1) { stars } }")
    )
    assert found.data == {"products": [{"stars": 1}, {"stars": None}]}


async def test_a_mutation_is_answered_as_a_whole() -> None:
    reviews = Scripted(entities(lambda one: {"reviews": [{"text": one}]}))
    router = router_of(Scripted(products("1", field="rename")), reviews)
    (body,) = await bodies_of(router, "mutation { rename { reviews @stream { text } } }")
    assert body == {"data": {"rename": [{"reviews": [{"text": "1"}]}]}}


async def test_who_takes_no_parts_gets_the_whole_answer_in_as_many_requests_as_without() -> None:
    reviews = Scripted(entities(scored))
    router = router_of(Scripted(products()), reviews)
    answer = await router.execute("{ products @stream(initialCount: 1) { score } }")
    assert answer.body() == {"data": {"products": [{"score": 1}, {"score": 2}, {"score": 3}]}}
    assert len(reviews.requests) == 1


async def test_objects_are_counted_over_both_parts() -> None:
    def options(objects: int) -> RouterOptions:
        return RouterOptions(limits=Limits(objects=objects, list_length=1))

    given = Scripted({"data": {"products": [{"name": "x", "id": "1"}] * 4}})
    query = "{ products @stream(initialCount: 1) { name } }"
    # The subgraph gives four objects and the root; the response has four.
    enough = merged(await bodies_of(router_of(given, Scripted({"data": {}}), options=options(5)), query))
    assert (enough.errors, len(enough.data["products"])) == ([], 4)

    items = 'type Query { items: [Item!]! } type Item @key(fields: "id") { id: ID! }'
    inner = 'type Item @key(fields: "id") { id: ID! inner: Inner } type Inner { x: Int }'
    router = routed(
        options(7),
        items=(items, Scripted({"data": {"items": [{"id": "1"}] * 4}})),
        inner=(inner, Scripted({"data": {"_entities": [{"inner": {"x": 1}}]}})),
    )
    first, last = await bodies_of(router, "{ items @stream(initialCount: 1) { inner { x } } }")
    assert first["data"] == {"items": [{"inner": {"x": 1}}]}
    assert [error["extensions"]["code"] for error in last["completed"][0]["errors"]] == ["TOO_MANY_OBJECTS"]


async def test_the_bookmark_of_each_part_is_how_far_the_router_has_read() -> None:
    early, late = bookmarks.encode({"log": 1}), bookmarks.encode({"log": 2})
    barrier = asyncio.Event()

    def answer(asked: Any) -> Any:
        moved = {} if "1" in asked_for(asked) else {"extensions": {"bookmark": late}}
        return entities(scored, **moved)(asked)

    given = products("1", "2", extensions={"bookmark": early})
    router = router_of(Scripted(given), Scripted(first_at_once(barrier, answer)))
    async with aclosing(router.parts(GraphQLRequest("{ products @stream(initialCount: 1) { score } }"))) as parts:
        assert (await next_body(parts))["extensions"] == {"bookmark": early}
        barrier.set()
        assert (await next_body(parts))["extensions"] == {"bookmark": late}


async def test_a_defect_of_the_router_fails_the_rest_and_nothing_else() -> None:
    barrier = asyncio.Event()

    async def broken(asked: Any) -> Any:
        if asked_for(asked) == ["1"]:
            return entities(scored)(asked)
        await barrier.wait()
        raise ZeroDivisionError

    router = router_of(Scripted(products()), Scripted(broken))
    async with aclosing(router.parts(GraphQLRequest("{ products @stream(initialCount: 1) { score } }"))) as parts:
        assert (await next_body(parts))["data"] == {"products": [{"score": 1}]}
        barrier.set()
        last = await next_body(parts)
    failed = {"message": "the router failed to execute the operation", "extensions": {"code": "INTERNAL_ERROR"}}
    assert last == {"completed": [{"id": "0", "errors": [failed]}], "hasNext": False}


async def test_the_end_of_the_reader_is_the_end_of_what_is_asked() -> None:
    asked_rest, ended = asyncio.Event(), asyncio.Event()

    async def hanging(asked: Any) -> Any:
        if asked_for(asked) == ["1"]:
            return entities(scored)(asked)
        asked_rest.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    router = router_of(Scripted(products()), Scripted(hanging))
    async with aclosing(router.parts(GraphQLRequest("{ products @stream(initialCount: 1) { score } }"))) as parts:
        await next_body(parts)
        async with asyncio.timeout(seconds(10)):
            await asked_rest.wait()
    assert ended.is_set()


async def test_the_plan_says_what_is_for_the_rest() -> None:
    router = router_of(Scripted(products()), Scripted(entities(scored)))
    request = GraphQLRequest("{ products @stream(initialCount: 1) { score } }", headers={"query-plan": "1"})
    bodies = [part.body() async for part in router.parts(request)]
    lines = bodies[0]["extensions"]["queryPlan"]["lines"]  # type: ignore[index]
    assert any('Fetch(service: "reviews"' in line and "@stream(0)" in line for line in lines)


async def test_introspection_comes_as_a_whole() -> None:
    router = router_of(Scripted(products("1")), Scripted(entities(scored)))
    query = "{ products @stream { name } __schema { directives @stream(initialCount: 1) { name } } }"
    first, _ = await bodies_of(router, query)
    assert {"defer", "stream"} <= {one["name"] for one in first["data"]["__schema"]["directives"]}


async def test_hooks_of_the_response_see_the_whole_answer() -> None:
    def look(_request: GraphQLRequest, answer: GraphQLAnswer) -> GraphQLAnswer:
        return answer

    router = router_of(
        Scripted(products()), Scripted(entities(scored)), options=RouterOptions(hooks=Hooks(response=(look,)))
    )
    (body,) = await bodies_of(router, "{ products @stream { score } }")
    assert len(body["data"]["products"]) == 3


async def test_stream_is_switched_off_with_defer() -> None:
    router = router_of(Scripted(products()), Scripted({"data": {}}), options=RouterOptions(defer=False))
    (refused,) = await bodies_of(router, "{ products @stream { name } }")
    assert refused["errors"][0]["message"] == "Unknown directive '@stream'."


async def test_a_directive_of_the_subgraphs_own_that_has_the_name_is_left_to_them() -> None:
    sdl = "directive @stream(label: String, initialCount: Int) on FIELD  type Query { a: [Int] b: Int }"
    subgraph = Scripted({"data": {"a": [1, 2], "b": 3}})
    router = routed(a=(sdl, subgraph))
    query = '{ a @stream(label: "0", initialCount: 1) ... @defer { b } }'
    assert (await bodies_of(router, query))[0]["data"] == {"a": [1, 2]}
    assert "@stream" in subgraph.requests[0]["query"]


async def test_what_the_caller_may_not_see_is_not_in_the_rest_either() -> None:
    sdl = """extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@authenticated"])
    type Query { items: [Item] } type Item { a: Int secret: Int @authenticated }"""
    subgraph = Scripted({"data": {"items": [{"a": 1}, {"a": 2}]}})
    found = merged(await bodies_of(routed(a=(sdl, subgraph)), "{ items @stream(initialCount: 1) { a secret } }"))
    assert found.data == {"items": [{"a": 1, "secret": None}, {"a": 2, "secret": None}]}
    assert [error["path"] for error in found.errors] == [["items", 0, "secret"], ["items", 1, "secret"]]
    assert "secret" not in subgraph.requests[0]["query"]


async def test_types_of_a_rest_have_their_fields() -> None:
    shown = [{"__typename": "Film", "id": "f"}, {"__typename": "Product", "id": "2"}]
    router = router_of(Scripted({"data": {"shown": shown}}), Scripted(entities(scored)))
    query = "{ shown @stream(initialCount: 1) { ... on Film { id } ... on Product { score } } }"
    assert merged(await bodies_of(router, query)).data == {"shown": [{"id": "f"}, {"score": 2}]}
