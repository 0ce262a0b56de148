"""Subscriptions of the whole system: completed from several subgraphs, and resumed from."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import msgspec
import pytest

from tests.support.event_stream import listening_at
from tests.support.kith import RunningKith

pytestmark = pytest.mark.asyncio(loop_scope="module")

CREATE = "mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id } bookmark } }"
UPDATE = "mutation ($input: UpdateUserInput!) { updateUser(input: $input) { version } }"
ADD = "mutation ($input: AddFriendInput!) { addFriend(input: $input) { version } }"
REMOVE = "mutation ($input: RemoveFriendInput!) { removeFriend(input: $input) { version } }"
USER_CHANGED = "subscription ($id: ID!) { userChanged(id: $id) { firstName version friendCount } }"
FRIENDSHIPS_CHANGED = """subscription ($id: ID!) { friendshipsChanged(userId: $id) {
  firstName friendCount friends(first: 50) { edges { node { firstName } } } } }"""
RECOMMENDATIONS_CHANGED = """subscription ($id: ID!) { recommendationsChanged(userId: $id) {
  firstName recommendations { mutualFriendCount user { firstName } } } }"""
WAIT = {"bookmark_timeout": "30"}


def keys_of(bookmark: str) -> Mapping[str, int]:
    return msgspec.msgpack.decode(base64.urlsafe_b64decode(bookmark + "=" * (-len(bookmark) % 4)), type=dict[str, int])


async def created(kith: RunningKith, name: str) -> str:
    answer = await kith.ask(CREATE, {"input": {"firstName": name, "lastName": "Live"}})
    user: str = answer.data["createUser"]["user"]["id"]
    return user


async def test_a_message_is_completed_from_other_subgraphs_and_can_be_resumed_from(kith: RunningKith) -> None:
    ada, bob = await created(kith, "Ada"), await created(kith, "Bob")
    url = f"{kith.origin}/graphql"
    async with listening_at(kith.client, url, FRIENDSHIPS_CHANGED, {"id": ada}, **WAIT) as listener:
        begun = listener.last_id
        await kith.ask(ADD, {"input": {"userId": ada, "friendId": bob}})
        added = await listener.next()
        assert added.data == {
            "firstName": "Ada", "friendCount": 1, "friends": {"edges": [{"node": {"firstName": "Bob"}}]},
        }  # fmt: skip
        await kith.ask(REMOVE, {"input": {"userId": ada, "friendId": bob}})
        removed = await listener.next()
        assert removed.data["friendCount"] == 0
    async with listening_at(
        kith.client, url, FRIENDSHIPS_CHANGED, {"id": ada}, last_event_id=begun, **WAIT
    ) as listener:
        assert [(await listener.next()).bookmark for _ in range(2)] == [added.bookmark, removed.bookmark]


async def test_a_friendship_of_a_friend_changes_what_is_recommended(kith: RunningKith) -> None:
    ada, bob, cy = [await created(kith, name) for name in ("Ada", "Bob", "Cy")]
    await kith.ask(ADD, {"input": {"userId": ada, "friendId": bob}})
    url = f"{kith.origin}/graphql"
    async with listening_at(kith.client, url, RECOMMENDATIONS_CHANGED, {"id": ada}, **WAIT) as listener:
        begun = listener.last_id
        added = await kith.ask(ADD, {"input": {"userId": bob, "friendId": cy}})
        assert added.data
        message = await listener.next()
        expected = {"firstName": "Ada", "recommendations": [{"mutualFriendCount": 1, "user": {"firstName": "Cy"}}]}
        assert message.data == expected
    async with listening_at(
        kith.client, url, RECOMMENDATIONS_CHANGED, {"id": ada}, last_event_id=begun, **WAIT
    ) as listener:
        assert (await listener.next()).bookmark == message.bookmark


async def test_a_deleted_user_is_told_as_null(kith: RunningKith) -> None:
    ada = await created(kith, "Ada")
    query = "subscription ($id: ID!) { userChanged(id: $id) { firstName } }"
    async with listening_at(kith.client, f"{kith.origin}/graphql", query, {"id": ada}, **WAIT) as listener:
        await kith.ask("mutation ($i: DeleteUserInput!) { deleteUser(input: $i) { version } }", {"i": {"id": ada}})
        assert (await listener.next()).data is None


async def test_a_user_can_be_awaited_before_they_are_changed_by_the_bookmark_of_their_creation(
    kith: RunningKith,
) -> None:
    answer = await kith.ask(CREATE, {"input": {"firstName": "Ada", "lastName": "Live"}})
    ada, bookmark = answer.data["createUser"]["user"]["id"], answer.data["createUser"]["bookmark"]
    for name in ("Eve", "Ida"):
        await kith.ask(UPDATE, {"input": {"id": ada, "firstName": name}})
    url = f"{kith.origin}/graphql"
    async with listening_at(kith.client, url, USER_CHANGED, {"id": ada}, bookmark=bookmark, **WAIT) as listener:
        versions = [
            keys_of((await listener.next()).bookmark)[key]
            for key in [next(key for key in keys_of(bookmark) if key.endswith(f"/user-{ada}"))] * 2
        ]
    assert versions == [2, 3]
