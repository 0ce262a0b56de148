"""The cost of an operation is estimated before anything is asked, counted after, and told where that is wanted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from graphrouter import GraphQLAnswer, GraphQLRequest, GraphRouter, Limits, RouterOptions
from tests.support.dict_subgraph import DictSubgraph, router_over
from tests.unit.router_server.test_subscriptions import CHANGED, COMPLETE, Streamed, event

LINK = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@cost", "@listSize"])\n'
USERS = """
    type Query { some(first: Int, last: Int): [User] @listSize(slicingArguments: ["first", "last"])
      users(first: Int = 10): [User!]! @listSize(slicingArguments: ["first"]) either: Either }
    type Mutation { change(input: Change): User }
    type User @key(fields: "id") { id: ID! name: String avatar: String @cost(weight: 5) }
    input Change { name: String @cost(weight: 3) }
    union Either = User | Other
    type Other { id: ID }
"""
PHOTOS = """
    type User @key(fields: "id") { id: ID! photos: [Photo!] @listSize(assumedSize: 4) }
    type Photo @cost(weight: 2) { url: String }
"""
PEOPLE = [{"id": str(n), "name": f"n{n}", "avatar": "a"} for n in range(2)]


class Weighed(DictSubgraph):
    def __init__(self, sdl: str, *more: Any) -> None:
        super().__init__(sdl, *more)
        self.sdl = LINK + sdl


def federation(**options: Any) -> tuple[GraphRouter, Weighed, Weighed]:
    root = {"users": PEOPLE, "some": PEOPLE, "either": {"__typename": "Other", "id": "1"}, "change": PEOPLE[0]}
    users = Weighed(USERS, root, {"User": lambda one: one})
    photos = Weighed(PHOTOS, {}, {"User": lambda one: {"id": one["id"], "photos": [{"url": "u"}] * 3}})
    return router_over({"users": users, "photos": photos}, RouterOptions(**options)), users, photos


PICTURES = "query ($n: Int) { users(first: $n) { avatar photos { url } } }"


async def test_what_may_cost_too_much_is_refused_before_anything_is_asked() -> None:
    router, users, photos = federation(limits=Limits(cost=100))
    answer = await router.execute(PICTURES, {"n": 8})
    assert answer.refused
    (error,) = answer.errors
    assert error["extensions"] == {"code": "COST_ESTIMATED_TOO_EXPENSIVE"}
    # Each user costs 1, with the avatar 5, and 4 photos of 2.
    assert error["message"] == "an operation costs at most 100, this one 112 by estimate: ask for less"
    assert users.documents == photos.documents == []
    assert (await router.execute(PICTURES, {"n": 7})).errors == []
    assert (await router.execute("mutation { change(input: {name: $n}) { id } }".replace("$n", '"x"'))).errors == []


async def test_how_long_lists_get_has_to_be_said_once_where_the_schema_asks_for_it() -> None:
    router, users, _ = federation(limits=Limits(cost=100))
    answer = await router.execute("query ($n: Int) { some(first: 1, last: $n) { id } }", {"n": 1})
    assert [error["extensions"]["code"] for error in answer.errors] == ["SLICING_ARGUMENT_REQUIRED"]
    assert users.documents == []
    assert (await router.execute("query ($n: Int) { some(first: 1, last: $n) { id } }")).errors == []
    router, users, _ = federation()  # without a limit on costs nobody is asked to say it
    assert (await router.execute("{ some { id } }")).errors == []


async def test_answers_tell_what_they_were_estimated_to_cost_and_what_they_did() -> None:
    router, _, _ = federation(expose_cost=True)
    answer = await router.execute(PICTURES, {"n": 3})
    assert answer.extensions == {"cost": {"estimated": 3 * (1 + 5 + 4 * 2), "actual": 2 * (1 + 5 + 3 * 2)}}
    answer = await router.execute('mutation { change(input: {name: "x"}) { avatar } }')
    assert answer.extensions == {"cost": {"estimated": 20, "actual": 20}}
    answer = await router.execute("{ either { ... on User { avatar } } }")
    assert answer.extensions == {"cost": {"estimated": 6, "actual": 1}}
    router, _, _ = federation()
    assert (await router.execute(PICTURES, {"n": 3})).extensions == {}


async def test_a_scalar_costs_once_whatever_is_in_it() -> None:
    """Also where it is nested deeper than an answer may be, and is told as null."""
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    sdl = "scalar JSON @cost(weight: 5) type Query { one: JSON some: [JSON] grid: [[JSON]] }"
    answers = {"one": deep, "some": [deep, {"a": [1, 2]}, [1, 2, 3]], "grid": [[[1, 2], 3], [[]]]}
    router = router_over({"json": Weighed(sdl, answers, {})}, RouterOptions(expose_cost=True))
    answer = await router.execute("{ one some grid }")
    assert [error["extensions"]["code"] for error in answer.errors] == ["INVALID_VALUE"] * 2
    assert answer.extensions["cost"]["actual"] == 5 * (1 + 3 + 3)  # type: ignore[index]


async def test_what_did_not_come_costs_nothing() -> None:
    router, _, photos = federation(expose_cost=True)
    photos.down = True
    answer = await router.execute(PICTURES, {"n": 2})
    assert answer.extensions["cost"] == {"estimated": 28, "actual": 12}


@pytest.mark.parametrize("include", [True, False])
async def test_what_is_left_out_costs_nothing(include: bool) -> None:
    router, _, _ = federation(expose_cost=True)
    query = "query ($v: Boolean!) { users(first: 2) { name avatar @include(if: $v) } }"
    for _ in range(2):
        answer = await router.execute(query, {"v": include})
        assert answer.extensions["cost"] == dict.fromkeys(("estimated", "actual"), 12 if include else 2)


async def test_equal_requests_that_are_joined_are_told_the_same() -> None:
    router, _, _ = federation(expose_cost=True, join_equal_requests=True)
    answers = await asyncio.gather(*(router.execute("{ users(first: 2) { name } }") for _ in range(3)))
    assert [answer.extensions for answer in answers] == [{"cost": {"estimated": 2, "actual": 2}}] * 3


async def test_a_large_answer_is_counted_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    router, users, _ = federation(expose_cost=True, limits=Limits(objects=10**6))
    users._root["users"] = PEOPLE * 20_000
    monkeypatch.setattr("graphrouter.execution.background.LARGE_BYTES", 1000)
    answer = await router.execute("{ users(first: 50000) { name } }")
    assert answer.extensions["cost"] == {"estimated": 50_000, "actual": 40_000}


async def test_each_message_of_a_subscription_tells_its_cost() -> None:
    users = Streamed([event(1), event(2), COMPLETE])
    friends = DictSubgraph(
        'type User @key(fields: "id") { id: ID! friends: Int }', {}, {"User": lambda _: {"friends": 3}}
    )
    router = router_over({"users": users, "friends": friends}, RouterOptions(expose_cost=True, limits=Limits(cost=1)))
    items = [item async for item in router.stream(GraphQLRequest(CHANGED)) if isinstance(item, GraphQLAnswer)]
    assert [item.extensions["cost"] for item in items] == [{"estimated": 1, "actual": 1}] * 2
