"""What the process manager of deleted users does to one event."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest

from eventkernel.adapters.memory import MemoryEventStore
from eventkernel.clock import ManualClock
from eventkernel.errors import Unavailable
from eventkernel.events import DomainEvent, Record, RecordedEvent
from eventkernel.testing.reactions_spec import ReactionsSpec
from eventkernel.writing.aggregates import CommandHandlers
from eventkernel.writing.codec import Codec
from eventkernel.writing.commands import CommandHandler
from subgraphs.friends.domain import (
    AddFriend,
    FriendAdded,
    FriendRemoved,
    FriendshipCommand,
    FriendshipEvent,
    FriendshipState,
    Pair,
    Reason,
    RemoveFriend,
    decider,
)
from subgraphs.friends.endings import ENDINGS
from subgraphs.friends.events import UserDeleted
from subgraphs.friends.friendships import FRIENDSHIPS
from subgraphs.friends.projection import UserDoc
from subgraphs.friends.views import FriendView

Handler = CommandHandler[FriendshipState, FriendshipCommand, FriendshipEvent]


@dataclass
class View:
    """The two questions that reactions ask, with whatever answers a test has for them."""

    deleted: set[str] = field(default_factory=set)
    pairs: list[Pair] = field(default_factory=list)

    async def users(self, ids: Sequence[str]) -> Mapping[str, UserDoc]:
        return {user: UserDoc(user, 0, 0, deleted=user in self.deleted) for user in ids}

    async def standing(self, user_id: str) -> Sequence[Pair]:
        return [pair for pair in self.pairs if user_id in pair.users]


@pytest.fixture
def handler() -> Handler:
    return CommandHandler(
        MemoryEventStore("friends", clock=ManualClock()), Codec((FriendAdded, FriendRemoved)), decider
    )


async def befriend(handler: Handler, *pairs: Pair) -> None:
    for number, pair in enumerate(pairs):
        await handler.execute(pair.stream, AddFriend(pair), command_id=f"{pair}/{number}", fingerprint="f")


async def versions(handler: Handler, *pairs: Pair) -> list[int]:
    return [len(await handler.store.read_stream(pair.stream)) for pair in pairs]


async def react(handler: Handler, stream: str, event: DomainEvent, view: View, event_id: str = "e1") -> None:
    record = Record(
        log="any.x",
        partition=0,
        offset=7,
        id=event_id,
        type="any",
        time_us=1,
        stream=stream,
        version=1,
        first_version=1,
        commit_size=1,
        command_id="c1",
        fingerprint="f",
        actor="somebody",
        correlation="request",
    )
    handlers = CommandHandlers(handler.store, handler.codec, [FRIENDSHIPS])
    await ENDINGS.react(handlers, RecordedEvent(event, record), cast("FriendView", view))


A_B, A_C, B_C = Pair("a", "b"), Pair("a", "c"), Pair("b", "c")


def test_a_deletion_asks_for_the_end_of_what_stands() -> None:
    ended = ReactionsSpec(ENDINGS).when("user-b", UserDeleted(), found=[A_B, B_C])
    assert ended.commands == [(pair.stream, RemoveFriend(pair, Reason.USER_DELETED)) for pair in (A_B, B_C)]
    ReactionsSpec(ENDINGS).when(A_B.stream, FriendAdded(users=("a", "b")), found=False).then()


async def test_an_event_that_release_0_1_0_has_reacted_to_comes_again_and_ends_what_is_to_end(handler: Handler) -> None:
    """The command of 0.1.0 had another id: its key was made from the log's id, and it may have been the last before the
    process ended."""
    view = View(deleted={"b"}, pairs=[A_B])
    await befriend(handler, A_B, A_C)
    key = json.dumps(["process\nfriends-endings", "any.x/e1/a~b"], separators=(",", ":"))
    content = '["friends-endings",{"users":["a","b"]}]'
    await handler.execute(
        A_B.stream,
        RemoveFriend(A_B, Reason.USER_DELETED),
        command_id=hashlib.sha256(key.encode()).hexdigest()[:32],
        fingerprint=hashlib.sha256(content.encode()).hexdigest(),
        binding=True,
    )
    for _ in range(2):
        await react(handler, "user-b", UserDeleted(), view)
        assert await versions(handler, A_B, A_C) == [2, 1]
    await handler.execute(A_B.stream, AddFriend(A_B), command_id="again", fingerprint="f")
    await react(handler, A_B.stream, FriendAdded(users=("a", "b")), view, "e2")
    assert await versions(handler, A_B, A_C) == [4, 1]


async def test_a_deletion_ends_all_friendships_of_the_user_and_no_others(handler: Handler) -> None:
    await befriend(handler, A_B, A_C, B_C)
    await react(handler, "user-b", UserDeleted(), View(pairs=[A_B, A_C, B_C]))
    assert await versions(handler, A_B, A_C, B_C) == [2, 1, 2]
    ended = (await handler.store.read_stream(A_B.stream))[-1]
    assert handler.codec.decode(ended) == FriendRemoved(users=("a", "b"), reason="user deleted")
    assert (ended.causation, ended.correlation, ended.actor) == ("e1", "request", "somebody")


async def test_a_friendship_that_has_ended_meanwhile_does_not_save_the_others(handler: Handler) -> None:
    await befriend(handler, A_B, A_C)
    await handler.execute(A_B.stream, RemoveFriend(A_B, Reason.BY_HAND), command_id="by hand", fingerprint="f")
    await react(handler, "user-a", UserDeleted(), View(pairs=[A_B, A_C]))
    assert await versions(handler, A_B, A_C) == [2, 2]


async def test_a_new_friendship_with_a_deleted_user_is_ended(handler: Handler) -> None:
    await befriend(handler, A_B, A_C)
    await react(handler, A_B.stream, FriendAdded(users=("a", "b")), View(deleted={"b"}))
    await react(handler, A_C.stream, FriendAdded(users=("a", "c")), View(deleted={"b"}))
    assert await versions(handler, A_B, A_C) == [2, 1]


async def test_an_event_that_comes_again_does_nothing_again(handler: Handler) -> None:
    await befriend(handler, A_B)
    view = View(deleted={"a"}, pairs=[A_B])
    for _ in range(3):
        await react(handler, "user-a", UserDeleted(), view)
    await befriend(handler, A_B)
    assert await versions(handler, A_B) == [2]
    # Whoever adds the friendship again makes an event of their own, and that one is reacted to.
    await handler.execute(A_B.stream, AddFriend(A_B), command_id="again", fingerprint="f")
    await react(handler, "user-a", UserDeleted(), view)
    assert await versions(handler, A_B) == [3]
    await react(handler, A_B.stream, FriendAdded(users=("a", "b")), view, "e2")
    assert await versions(handler, A_B) == [4]


async def test_what_may_pass_is_for_the_process_manager_to_try_again(
    handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [Pair("a", f"b{number}") for number in range(5)]
    await befriend(handler, *pairs)
    read = handler.store.read_stream

    async def failing(stream: str, up_to: int | None = None, after: int = 0) -> Sequence[Record]:
        if stream == pairs[1].stream:
            raise Unavailable("the disk is full")
        return await read(stream, up_to, after)

    monkeypatch.setattr(handler.store, "read_stream", failing)
    with pytest.raises(Unavailable):
        await react(handler, "user-a", UserDeleted(), View(pairs=pairs))
    monkeypatch.undo()
    await react(handler, "user-a", UserDeleted(), View(pairs=pairs))
    assert await versions(handler, *pairs) == [2] * 5
