"""The friends subgraph as a whole: its ASGI app over both logs and its view in SQLite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from eventkernel.events import EncodedEvent
from eventkernel.reading.bookmark import Bookmark
from eventkernel.writing.store import Checkpoint
from subgraphs.friends.adapters.sqlite import SqliteFriendView
from subgraphs.friends.domain import Pair
from tests.support.social import ADD, REMOVE, Social, at_work, opened

FRIENDSHIP = "query ($id: ID!) { friendship(id: $id) { id since version users { id } } }"
ARE_FRIENDS = "query ($a: ID!, $b: ID!) { areFriends(userId: $a, friendId: $b) }"
FRIENDS = """query ($r: [_Any!]!, $first: Int, $after: String) { _entities(representations: $r) { ... on User {
  friendCount friends(first: $first, after: $after) {
    edges { node { id } since cursor } pageInfo { hasNextPage hasPreviousPage endCursor } } } } }"""


@pytest.fixture
async def social(tmp_path: Path) -> AsyncIterator[Social]:
    async with at_work(tmp_path) as social:
        await social.create(*"abcdef")
        yield social


def user(*ids: str) -> dict[str, Any]:
    return {"r": [{"__typename": "User", "id": user} for user in ids]}


async def friends_of(social: Social, one: str) -> list[str]:
    (found,) = await social.friends.data(FRIENDS, user(one))
    assert found["friendCount"] == len(found["friends"]["edges"])
    return [edge["node"]["id"] for edge in found["friends"]["edges"]]


# Adding and removing


async def test_a_friendship_is_answered_and_then_read_from_both_sides(social: Social) -> None:
    added = await social.add("b", "a", idempotencyKey="k1")
    friendship = {
        "id": "a~b",
        "since": "2023-11-14T22:13:20.000000Z",
        "version": 1,
        "users": [{"id": "a"}, {"id": "b"}],
    }
    assert added["friendship"] == friendship
    assert (added["version"], added["idempotencyKey"]) == (1, "k1")
    assert await social.friends.data(FRIENDSHIP, {"id": "a~b"}) == friendship
    assert await social.friends.data(ARE_FRIENDS, {"a": "a", "b": "b"}) is True
    assert await social.friends.data(ARE_FRIENDS, {"a": "b", "b": "a"}) is True
    assert (await friends_of(social, "a"), await friends_of(social, "b")) == (["b"], ["a"])


async def test_removed_and_added_again_it_is_the_same_friendship_with_a_new_since(social: Social) -> None:
    await social.add("a", "b")
    removed = await social.remove("b", "a", expectedVersion=1)
    assert (removed["removedFriendshipId"], removed["version"]) == ("a~b", 2)
    assert await social.friends.data(FRIENDSHIP, {"id": "a~b"}) is None
    assert await social.friends.data(ARE_FRIENDS, {"a": "a", "b": "b"}) is False
    assert (await friends_of(social, "a"), await friends_of(social, "b")) == ([], [])
    social.clock.advance(60)
    added = await social.add("b", "a")
    assert added["friendship"] == {
        "id": "a~b",
        "since": "2023-11-14T22:14:20.000000Z",
        "version": 3,
        "users": [{"id": "a"}, {"id": "b"}],
    }
    assert await social.friends.data(FRIENDSHIP, {"id": "a~b"}) == added["friendship"]


async def test_refusals_have_their_codes(social: Social) -> None:
    await social.add("a", "b")

    async def codes(mutation: str, one: str, other: str, **more: object) -> list[str]:
        return await social.friends.codes(mutation, {"input": {"userId": one, "friendId": other, **more}})

    assert await codes(ADD, "a", "a") == ["INVALID_INPUT"]
    assert await codes(ADD, "a", "no id") == ["INVALID_INPUT"]
    assert await codes(ADD, "b", "a") == ["ALREADY_EXISTS"]
    assert await codes(ADD, "a", "unknown") == ["NOT_FOUND"]
    assert await codes(ADD, "unknown", "unheard") == ["NOT_FOUND"]
    assert await codes(REMOVE, "a", "a") == ["INVALID_INPUT"]
    assert await codes(REMOVE, "a", "c") == ["NOT_FOUND"]
    assert await codes(REMOVE, "a", "c", expectedVersion=1) == ["NOT_FOUND"]
    assert await codes(REMOVE, "a", "b", expectedVersion=2) == ["VERSION_CONFLICT"]
    assert await codes(REMOVE, "a", "b", expectedVersion=0) == ["INVALID_INPUT"]
    assert await codes(ADD, "a", "c", idempotencyKey="") == ["INVALID_INPUT"]
    assert await social.friends.codes(ARE_FRIENDS, {"a": "a", "b": "unknown"}) == ["NOT_FOUND"]


async def test_a_retried_mutation_gives_the_first_answer_whatever_happened_since(social: Social) -> None:
    added = await social.add("a", "b", idempotencyKey="add")
    removed = await social.remove("a", "b", idempotencyKey="remove")
    await social.add("a", "b")
    assert (await social.add("b", "a", idempotencyKey="add"))["friendship"] == added["friendship"]
    assert (await social.remove("a", "b", idempotencyKey="remove"))["version"] == removed["version"]
    await social.delete("b")
    assert (await social.add("a", "b", idempotencyKey="add"))["friendship"] == added["friendship"]
    other = {"input": {"userId": "a", "friendId": "c", "idempotencyKey": "add"}}
    assert await social.friends.codes(ADD, other) == ["IDEMPOTENCY_MISMATCH"]


async def test_of_many_at_once_one_makes_the_friendship(social: Social) -> None:
    pairs = [("a", "b"), ("b", "a")] * 10
    answers = await asyncio.gather(
        *(social.friends.ask(ADD, {"input": {"userId": one, "friendId": other}}) for one, other in pairs)
    )
    codes = [answer["errors"][0]["extensions"]["code"] for answer in answers if "errors" in answer]
    assert codes == ["ALREADY_EXISTS"] * 19


# The replica of the users


async def test_a_user_created_a_moment_ago_is_waited_for_without_any_bookmark(social: Social) -> None:
    for number in range(20):
        await social.create(f"new{number}")
        answer = await social.friends.ask(ADD, {"input": {"userId": "a", "friendId": f"new{number}"}}, bookmark="")
        assert "errors" not in answer


async def test_where_the_replica_cannot_catch_up_nobody_says_that_there_is_no_such_user(tmp_path: Path) -> None:
    async with at_work(tmp_path) as social:
        await social.create("a")
        await social.friends.data(ARE_FRIENDS, {"a": "a", "b": "a"})
    async with opened(tmp_path) as social:
        await social.create("b")
        arguments = {"input": {"userId": "a", "friendId": "b"}}
        headers = {"bookmark": "", "Bookmark_Timeout": "0.01"}
        assert await social.friends.codes(ADD, arguments, **headers) == ["UNAVAILABLE"]


async def test_of_two_mutations_in_one_request_the_second_does_not_wait_until_the_first_is_seen(tmp_path: Path) -> None:
    async with at_work(tmp_path) as social:
        await social.create("a", "b", "c")
        await social.settled()
    async with opened(tmp_path) as social:
        both = """mutation {
          one: addFriend(input: {userId: "a", friendId: "b"}) { version }
          two: addFriend(input: {userId: "a", friendId: "c"}) { version } }"""
        answer = await social.friends.ask(both, bookmark="", Bookmark_Timeout="0.01")
        assert answer["data"] == {"one": {"version": 1}, "two": {"version": 1}}


PAYLOAD = "{ version friendship { users { id friendCount friends { edges { node { id } } } } } }"
FIRST = 'one: addFriend(input: {userId: "a", friendId: "b"}) ' + PAYLOAD
NESTED = "mutation { " + FIRST + ' two: addFriend(input: {userId: "a", friendId: "c"}) ' + PAYLOAD + " }"


async def test_a_mutations_answer_shows_what_it_and_those_before_it_have_written(tmp_path: Path) -> None:
    async with at_work(tmp_path) as social:
        await social.create("a", "b", "c")
        await social.settled()
    async with opened(tmp_path) as social:
        asked = asyncio.create_task(social.friends.data("mutation { " + FIRST + " }", bookmark=""))
        while not await social.friends_log.read_stream(Pair("a", "b").stream):  # noqa: ASYNC110  # a log has no event
            await asyncio.sleep(0)
        async with social.working():
            one = await asked
            assert [(user["id"], user["friendCount"]) for user in one["friendship"]["users"]] == [("a", 1), ("b", 1)]
            await social.remove("a", "b")
            answer = await social.friends.ask(NESTED, bookmark="")
    shown = [
        [(user["id"], user["friendCount"], [edge["node"]["id"] for edge in user["friends"]["edges"]]) for user in users]
        for users in (answer["data"][name]["friendship"]["users"] for name in ("one", "two"))
    ]
    assert shown == [[("a", 1, ["b"]), ("b", 1, ["a"])], [("a", 2, ["b", "c"]), ("c", 1, ["a"])]]


async def test_a_mutation_whose_view_is_late_is_done_and_shows_nothing_older(tmp_path: Path) -> None:
    async with at_work(tmp_path) as social:
        await social.create("a", "b", "c")
        await social.settled()
    async with opened(tmp_path) as social:
        answer = await social.friends.ask(NESTED, bookmark="", Bookmark_Timeout="0.01")
        for done in answer["data"].values():
            assert done["version"] == 1
            assert [(user["friendCount"], user["friends"]) for user in done["friendship"]["users"]] == [
                (None, None)
            ] * 2
        assert {error["extensions"]["code"] for error in answer["errors"]} == {"OUT_OF_DATE"}
        assert social.bookmark.position.covers(await social.friends_log.head())


async def test_whether_a_parked_user_is_there_nobody_can_tell(social: Social) -> None:
    impossible = EncodedEvent("users.UserDeleted", 1, b"{}")
    await social.users_log.append("user-z", [impossible], expected_version=0, command_id="z", fingerprint="f")
    arguments = {"input": {"userId": "a", "friendId": "z"}}
    answer = await social.friends.ask(ADD, arguments)
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "UNAVAILABLE"
    assert error["message"].startswith("A store does not answer now.")
    assert await social.friends.codes(ADD, {"input": {"userId": "a", "friendId": "y"}}) == ["NOT_FOUND"]


async def test_what_a_mutation_decided_on_is_in_its_bookmark(social: Social) -> None:
    await friends_of(social, "a")  # the replica is at the end of the users' log
    social.bookmark = Bookmark()
    await social.add("a", "b")
    head = (await social.users_log.head()).join(await social.friends_log.head())
    assert social.bookmark.position == head


async def test_what_a_mutation_decided_on_is_in_its_bookmark_before_the_views_checkpoint_is(
    social: Social, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without transactions a save writes its documents first: a new user is known before the checkpoint says so."""
    await friends_of(social, "a")
    social.bookmark = Bookmark()
    view = social.friends_view.live()
    saved, nothing_reached = await view.checkpoint(), Checkpoint()

    async def shown() -> Checkpoint:
        return saved

    async def checkpoint() -> Checkpoint:
        return nothing_reached

    monkeypatch.setattr(view, "shown", shown)
    monkeypatch.setattr(view, "checkpoint", checkpoint)
    await social.friends.ask(ADD, {"input": {"userId": "a", "friendId": "b"}})
    assert social.bookmark.position.covers(await social.users_log.head())


async def test_events_of_users_that_are_made_after_this_was_written_stop_nothing(social: Social) -> None:
    promoted = EncodedEvent("users.UserPromoted", 3, b'{"to": {"$person": "user-a", "$encrypted": "rank"}}')
    deleted = EncodedEvent("users.UserDeleted", 2, b'{"why": {"$person": "user-a", "$encrypted": "reason"}}')
    await social.users_log.append("user-a", [promoted], expected_version=1, command_id="promote", fingerprint="f")
    await social.add("a", "b")
    await social.settled()
    assert await friends_of(social, "b") == ["a"]
    await social.users_log.append("user-a", [deleted], expected_version=2, command_id="delete", fingerprint="f")
    await social.settled()
    assert await friends_of(social, "b") == []
    assert await social.friends_view.live().parked() == []
    assert await social.recommendations_view.live().parked() == []


# Deleted users


async def test_friends_of_a_deleted_user_are_hidden_at_once(social: Social) -> None:
    await social.befriend([("a", "b"), ("a", "c"), ("b", "c")])
    await social.delete("b")
    assert await friends_of(social, "a") == ["c"]
    assert await social.friends.data(FRIENDSHIP, {"id": "a~b"}) is None
    assert await social.friends.data(FRIENDS, user("b")) == [None]
    assert await social.friends.codes(ARE_FRIENDS, {"a": "a", "b": "b"}) == ["NOT_FOUND"]
    assert await social.friends.codes(ADD, {"input": {"userId": "b", "friendId": "d"}}) == ["NOT_FOUND"]


async def test_friendships_of_a_deleted_user_end_and_the_log_says_why(social: Social) -> None:
    await social.befriend([("a", "b"), ("b", "c"), ("c", "d")])
    await social.remove("b", "c")
    await social.delete("b")
    await social.settled()
    *_, last = await social.friends_log.read_stream("friendship-a~b")
    assert (last.type, last.version, last.data) == (
        "friends.FriendRemoved",
        2,
        b'{"users":["a","b"],"reason":"user deleted"}',
    )
    *_, deleted = await social.users_log.read_stream("user-b")
    assert last.causation == deleted.id
    assert len(await social.friends_log.read_stream("friendship-b~c")) == 2
    assert len(await social.friends_log.read_stream("friendship-c~d")) == 1


async def test_all_friendships_of_a_deleted_user_end_also_where_some_have_ended_meanwhile(social: Social) -> None:
    others = [f"x{number:03}" for number in range(150)]
    await social.create(*others)
    await asyncio.gather(*(social.add("a", other) for other in others))
    view = social.friends_view.live()
    await asyncio.gather(
        social.delete("a"),
        *(social.friends.ask(REMOVE, {"input": {"userId": "a", "friendId": other}}) for other in others[::3]),
    )
    await social.settled()
    assert await view.standing("a") == []
    lives = [await social.friends_log.read_stream(Pair.of("a", other).stream) for other in others]
    assert [len(life) for life in lives] == [2] * 150


# Queries


async def test_every_page_holds_each_friend_once(social: Social) -> None:
    others = [f"x{number:02}" for number in range(7)]
    await social.create(*others)
    await social.befriend([("a", other) for other in reversed(others)])
    seen: list[str] = []
    after: str | None = None
    for page in range(3):
        (found,) = await social.friends.data(FRIENDS, {**user("a"), "first": 3, "after": after})
        assert found["friendCount"] == 7
        info = found["friends"]["pageInfo"]
        assert info["hasPreviousPage"] is (page > 0)
        assert info["hasNextPage"] is (page < 2)
        seen += [edge["node"]["id"] for edge in found["friends"]["edges"]]
        after = info["endCursor"]
    assert seen == others
    answer = await social.friends.ask(FRIENDS, {**user("a"), "first": 1001})
    assert answer["errors"][0]["extensions"]["code"] == "INVALID_INPUT"
    answer = await social.friends.ask(FRIENDS, {**user("a"), "after": "rubbish"})
    assert answer["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


async def test_many_entities_are_three_reads(social: Social, monkeypatch: pytest.MonkeyPatch) -> None:
    await social.befriend([("a", "b"), ("b", "c"), ("c", "d"), ("a", "f")])
    await social.settled()
    view = social.friends_view.live()
    reads: list[object] = []
    read = view.read

    async def counted(query: object) -> object:
        reads.append(query)
        return await read(query)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(view, "read", counted)
    found = await social.friends.data(FRIENDS, user("a", "b", "unknown", "e", "a"))
    assert [one["friendCount"] for one in found] == [2, 2, 0, 0, 2]
    assert [[edge["node"]["id"] for edge in one["friends"]["edges"]] for one in found] == [
        ["b", "f"],
        ["a", "c"],
        [],
        [],
        ["b", "f"],
    ]
    assert len(reads) == 3  # who is deleted, the counts, the pages


async def test_more_friends_than_an_answer_may_have_are_asked_for_in_part(
    social: Social, monkeypatch: pytest.MonkeyPatch
) -> None:
    await social.befriend([("a", "b"), ("a", "c"), ("a", "d"), ("b", "c")])
    monkeypatch.setattr("subgraphs.friends.schema.FRIENDS_LIMIT", 4)
    answer = await social.friends.ask(FRIENDS, user("a", "b"))
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"TOO_COSTLY"}
    assert answer["data"]["_entities"] == [{"friendCount": 3, "friends": None}, {"friendCount": 2, "friends": None}]
    found = await social.friends.data(FRIENDS, {**user("a", "b"), "first": 1})
    assert [[edge["node"]["id"] for edge in one["friends"]["edges"]] for one in found] == [["b"], ["a"]]


async def test_friends_of_all_levels_and_occurrences_count_together(
    social: Social, monkeypatch: pytest.MonkeyPatch
) -> None:
    await social.befriend([("a", "b"), ("a", "c"), ("b", "c")])
    nested = """query ($r: [_Any!]!) { _entities(representations: $r) { ... on User {
        friends { edges { node { friends { edges { node { id } } } } } } } } }"""
    monkeypatch.setattr("subgraphs.friends.schema.FRIENDS_LIMIT", 6)  # a has two, and each of these has two
    assert "errors" not in await social.friends.ask(nested, user("a"))
    monkeypatch.setattr("subgraphs.friends.schema.FRIENDS_LIMIT", 5)
    answer = await social.friends.ask(nested, user("a"))
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["TOO_COSTLY"]
    (found,) = answer["data"]["_entities"]
    assert [edge["node"]["friends"] is None for edge in found["friends"]["edges"]] == [False, True]


async def test_no_read_is_for_many_more_friends_than_an_answer_may_have(
    social: Social, monkeypatch: pytest.MonkeyPatch
) -> None:
    await social.befriend([("a", "b"), ("a", "c"), ("b", "c"), ("d", "e")])
    asked: list[int] = []
    original = SqliteFriendView.friends

    async def counted(self: Any, ids: Any, after: Any, limit: int) -> Any:
        asked.append(len(ids) * limit)
        return await original(self, ids, after, limit)

    monkeypatch.setattr(SqliteFriendView, "friends", counted)
    monkeypatch.setattr("subgraphs.friends.schema.FRIENDS_LIMIT", 7)
    assert "errors" not in await social.friends.ask(FRIENDS, {**user("d", "e", "a"), "first": 2})
    assert asked == [6, 3]
    await social.friends.ask(FRIENDS, {**user("a", "b", "c", "d", "e"), "first": 4})
    assert max(asked) <= 7


@pytest.mark.parametrize("friendship", ["a", "b~a", "a~a", "a~b~c", "~a", "a~", "a~b"])
async def test_what_is_no_friendship_is_null(social: Social, friendship: str) -> None:
    assert await social.friends.data(FRIENDSHIP, {"id": friendship}) is None
