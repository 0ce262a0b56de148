"""The past of the three subgraphs: their ASGI apps over logs and views in SQLite, asked about then; and histories."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from eventkernel.clock import ManualClock
from eventkernel.events import EncodedEvent, Position, moment
from eventkernel.reading.bookmark import Bookmark
from tests.integration.test_friends_subgraph import ARE_FRIENDS, FRIENDS, FRIENDSHIP, user
from tests.integration.test_recommendations_subgraph import ENTITIES, MUTUAL, RECOMMENDATIONS
from tests.integration.test_users_subgraph import (
    ACTORS,
    BY_USERNAME,
    DELETE,
    SEARCH,
    UPDATE,
    USER,
    USERS,
    Users,
    asked_by,
    serving,
)
from tests.integration.test_users_subgraph import ENTITIES as USER_ENTITIES
from tests.support.social import ADD, Social, at_work

HISTORY = """query ($id: ID!, $first: Int, $after: String) { user(id: $id) { version
  history(first: $first, after: $after) {
    edges { cursor node { id type version time actor correlation causation changes { field before after } } }
  pageInfo { hasNextPage hasPreviousPage endCursor } } } }"""
FRIENDSHIP_HISTORY = """query ($id: ID!, $first: Int) { friendship(id: $id) { history(first: $first) {
  edges { node { type version time reason causation correlation } } pageInfo { hasNextPage } } } }"""


@pytest.fixture
async def users(tmp_path: Path) -> AsyncIterator[Users]:
    async with serving(tmp_path) as client:
        yield client


@pytest.fixture
async def known(tmp_path: Path) -> AsyncIterator[Users]:
    """Where routers say who asks."""
    async with serving(tmp_path, actors=ACTORS) as client:
        yield client


@pytest.fixture
async def social(tmp_path: Path) -> AsyncIterator[Social]:
    async with at_work(tmp_path) as social:
        yield social


def now(clock: ManualClock) -> str:
    return moment(clock.now_us()).isoformat()


async def at(users: Users, as_of: str, query: str, **variables: object) -> Any:
    users.headers["As-Of"] = as_of
    answer = await users.data(query, **variables)
    del users.headers["As-Of"]
    return answer


# Users


async def test_every_question_about_users_is_answered_as_of_then(users: Users) -> None:
    created = await users.create("Ada", "Byron", username="ada")
    ada = created["user"]
    then_by_time, then_by_bookmark = now(users.clock), users.bookmark
    users.clock.advance(60)
    await users.data(UPDATE, input={"id": ada["id"], "lastName": "Lovelace", "username": "countess"})
    grace = (await users.create("Grace", "Hopper", username="ADA"))["user"]["id"]
    users.clock.advance(60)
    await users.data(DELETE, input={"id": ada["id"]})
    representations = [{"__typename": "User", "id": i} for i in (grace, ada["id"])]
    for then in (then_by_time, then_by_bookmark):
        assert await at(users, then, USER, id=ada["id"]) == ada
        assert await at(users, then, USER, id=grace) is None
        assert (await at(users, then, BY_USERNAME, username="Ada"))["id"] == ada["id"]
        assert await at(users, then, BY_USERNAME, username="countess") is None
        assert [edge["node"]["firstName"] for edge in (await at(users, then, USERS))["edges"]] == ["Ada"]
        assert len((await at(users, then, SEARCH, text="byr"))["edges"]) == 1
        assert (await at(users, then, SEARCH, text="lov"))["edges"] == []
        assert await at(users, then, USER_ENTITIES, r=representations) == [None, {"id": ada["id"], "firstName": "Ada"}]
    assert await users.data(USER, id=ada["id"]) is None
    assert (await users.data(BY_USERNAME, username="ada"))["id"] == grace
    assert (await at(users, "2023-11-14T22:14:20Z", BY_USERNAME, username="countess"))["id"] == ada["id"]


async def test_a_moment_to_come_is_refused_and_now_is_not(users: Users) -> None:
    await users.create()
    assert len((await at(users, now(users.clock), USERS))["edges"]) == 1
    users.headers["As-Of"] = moment(users.clock.now_us() + 1).isoformat()
    answer = await users.ask(USERS)
    assert answer["errors"][0]["message"].startswith("As-Of: expected a moment that is not after now")
    assert answer["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


async def test_the_past_cannot_be_changed(users: Users) -> None:
    users.headers["As-Of"] = now(users.clock)
    assert await users.code(DELETE, input={"id": "x"}) == "INVALID_INPUT"


async def test_a_record_of_that_past_which_is_parked_makes_an_answer_impossible(users: Users) -> None:
    await users.create()
    before = now(users.clock)
    users.clock.advance(1)
    impossible = EncodedEvent("users.UserDeleted", 1, b"{}")
    await users.store.append("user-z", [impossible], expected_version=0, command_id="z", fingerprint="f")
    assert len((await at(users, before, USERS))["edges"]) == 1
    users.headers["As-Of"] = now(users.clock)
    assert await users.code(USERS) == "OUT_OF_DATE"


# Friends and recommendations


async def test_every_question_about_friends_is_answered_as_of_then(social: Social) -> None:
    await social.create(*"abc")
    await social.befriend([("a", "b"), ("b", "c")])
    await social.settled()
    friendship = await social.friends.data(FRIENDSHIP, {"id": "a~b"})
    ends = (await social.users_log.head()).join(await social.friends_log.head())
    pasts = [now(social.clock), Bookmark(ends).encode()]
    social.clock.advance(60)
    await social.remove("a", "b")
    await social.add("a", "b")
    await social.create("d")
    await social.add("a", "d")
    await social.delete("c")
    await social.settled()
    for then in pasts:
        assert await social.friends.data(FRIENDSHIP, {"id": "a~b"}, as_of=then) == friendship
        assert await social.friends.data(ARE_FRIENDS, {"a": "b", "b": "c"}, as_of=then) is True
        assert await social.friends.codes(ARE_FRIENDS, {"a": "a", "b": "d"}, as_of=then) == ["NOT_FOUND"]
        found = await social.friends.data(FRIENDS, user("b", "c", "d"), as_of=then)
        assert [one and one["friendCount"] for one in found] == [2, 1, None]
        assert [edge["node"]["id"] for edge in found[0]["friends"]["edges"]] == ["a", "c"]
        assert found[0]["friends"]["edges"][0]["since"] == friendship["since"]
        assert await social.recommendations.data(RECOMMENDATIONS, {"id": "a"}, as_of=then) == [
            {"user": {"id": "c"}, "mutualFriendCount": 1, "mutualFriends": [{"id": "b"}]}
        ]
        assert await social.recommendations.data(MUTUAL, {"a": "a", "b": "c"}, as_of=then) == [{"id": "b"}]
        assert await social.recommendations.data(ENTITIES, user("d"), as_of=then) == [None]
    assert await social.recommendations.data(RECOMMENDATIONS, {"id": "b"}) == [
        {"user": {"id": "d"}, "mutualFriendCount": 1, "mutualFriends": [{"id": "a"}]}
    ]


async def test_a_bookmark_of_the_past_names_every_log_that_is_read(social: Social) -> None:
    await social.create("a")
    await social.settled()
    of_users_only = Bookmark(await social.users_log.head()).encode()
    for client in (social.friends, social.recommendations):
        answer = await client.ask("{ __typename }", as_of=of_users_only)
        (error,) = answer["errors"]
        assert error["extensions"]["code"] == "INVALID_INPUT"
        assert error["message"].startswith(
            f"As-Of: expected a bookmark that names every partition of {social.friends_log.log}"
        )
    both = (await social.users_log.head()).join(await social.friends_log.head())
    for wrong in (
        both.join(Position.of(social.friends_log.log, 0, 1000)),
        both.join(Position.of("friends.other", 0, 1)),
        both.join(Position.of("nothing.x", 0, 1)),
    ):
        assert await social.friends.codes("{ __typename }", as_of=Bookmark(wrong).encode()) == ["INVALID_INPUT"]


async def test_a_query_about_the_past_waits_for_its_bookmark_and_for_all_of_that_past(social: Social) -> None:
    await social.create("a", "b")
    for number in range(20):
        social.clock.advance(1)
        await (social.remove("a", "b") if number % 2 else social.add("a", "b"))
        found = await social.friends.data(FRIENDSHIP, {"id": "a~b"}, bookmark="", as_of=now(social.clock))
        assert (found is None) == bool(number % 2)


# Histories


async def test_a_users_history_tells_what_changed_by_whom_and_when(known: Users) -> None:
    users = known
    users.headers = {**asked_by("somebody", "users:write"), "Correlation-Id": "c1"}
    ada = (await users.create("Ada", "Byron"))["user"]["id"]
    users.clock.advance(60)
    users.headers = {**asked_by(ada), "Correlation-Id": "c2"}
    await users.data(UPDATE, input={"id": ada, "lastName": "Lovelace", "username": "ada"})
    found = (await users.data(HISTORY, id=ada))["history"]
    records = await users.store.read_stream(f"user-{ada}")
    assert [edge["node"] for edge in found["edges"]] == [
        {
            "id": records[0].id,
            "type": "users.UserCreated",
            "version": 1,
            "time": "2023-11-14T22:13:20.000000Z",
            "actor": "somebody",
            "correlation": "c1",
            "causation": None,
            "changes": [
                {"field": "firstName", "before": None, "after": "Ada"},
                {"field": "lastName", "before": None, "after": "Byron"},
            ],
        },
        {
            "id": records[1].id,
            "type": "users.UserUpdated",
            "version": 2,
            "time": "2023-11-14T22:14:20.000000Z",
            "actor": ada,
            "correlation": "c2",
            "causation": None,
            "changes": [
                {"field": "lastName", "before": "Byron", "after": "Lovelace"},
                {"field": "username", "before": None, "after": "ada"},
            ],
        },
    ]
    assert found["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": False,
        "endCursor": found["edges"][1]["cursor"],
    }


async def test_a_history_comes_in_pages_and_ends_where_its_user_stands(users: Users) -> None:
    ada = (await users.create("Ada 1"))["user"]["id"]
    for number in range(2, 6):
        users.clock.advance(1)
        await users.data(UPDATE, input={"id": ada, "firstName": f"Ada {number}"})
    seen: list[str] = []
    after: str | None = None
    for more in (True, True, False):
        page = (await users.data(HISTORY, id=ada, first=2, after=after))["history"]
        seen += [edge["node"]["changes"][0]["after"] for edge in page["edges"]]
        assert (page["pageInfo"]["hasNextPage"], page["pageInfo"]["hasPreviousPage"]) == (more, after is not None)
        after = page["pageInfo"]["endCursor"]
    assert seen == [f"Ada {number}" for number in range(1, 6)]
    assert (await users.data(HISTORY, id=ada, first=0))["history"]["edges"] == []
    assert await users.code(HISTORY, id=ada, after="x") == "INVALID_INPUT"
    then = await at(users, "2023-11-14T22:13:22Z", HISTORY, id=ada)
    assert (then["version"], [edge["node"]["version"] for edge in then["history"]["edges"]]) == (3, [1, 2, 3])


async def test_the_history_of_a_deleted_user_is_read_as_of_before(users: Users) -> None:
    ada = (await users.create("Ada"))["user"]["id"]
    before = now(users.clock)
    users.clock.advance(1)
    await users.data(DELETE, input={"id": ada})
    assert await users.data(HISTORY, id=ada) is None
    then = await at(users, before, HISTORY, id=ada)
    assert [edge["node"]["type"] for edge in then["history"]["edges"]] == ["users.UserCreated"]


async def test_a_friendships_history_tells_why_it_ended_and_what_that_was_a_reaction_to(social: Social) -> None:
    await social.create("a", "b", "c")
    await social.add("a", "b")
    await social.remove("a", "b")
    social.clock.advance(60)
    added = await social.friends.data(
        ADD.replace("friendship {", "friendship { history { edges { node { version } } }"),
        {"input": {"userId": "a", "friendId": "b"}},
    )
    assert [edge["node"]["version"] for edge in added["friendship"]["history"]["edges"]] == [1, 2, 3]
    found = (await social.friends.data(FRIENDSHIP_HISTORY, {"id": "a~b"}))["history"]
    assert [(e["node"]["type"], e["node"]["version"], e["node"]["reason"]) for e in found["edges"]] == [
        ("friends.FriendAdded", 1, None),
        ("friends.FriendRemoved", 2, "by hand"),
        ("friends.FriendAdded", 3, None),
    ]
    assert found["edges"][2]["node"]["time"] == "2023-11-14T22:14:20.000000Z"
    one = (await social.friends.data(FRIENDSHIP_HISTORY, {"id": "a~b", "first": 1}))["history"]
    assert (len(one["edges"]), one["pageInfo"]["hasNextPage"]) == (1, True)
