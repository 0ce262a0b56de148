"""What the subgraphs send to those who subscribe: over their apps, on logs and views in SQLite."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import uvicorn

from eventkernel.events import Position
from eventkernel.reading.bookmark import Bookmark
from eventkernel.writing.codec import Codec
from graphrouter import GraphQLAnswer, GraphQLRequest, GraphRouter, RouterOptions
from graphrouter.http.connection import HttpServer
from graphrouter.request import StreamItem
from graphrouter.transport.inprocess import InProcessTransport
from graphrouter.transport.websocket import WebSocketStreams
from infra.patience import seconds
from subgraphs.friends.domain import FriendRemoved, Pair
from tests.support.event_stream import Event, listening, refused
from tests.support.social import Social, opened

CHANGED = "subscription ($id: ID!) { friendshipsChanged(userId: $id) { id friendCount } }"
ADA = {"id": "ada"}


@dataclass
class Subscribed:
    """The friends subgraph with its workers, and the way to it."""

    social: Social
    transport: InProcessTransport

    async def asked(self, query: str, **headers: str) -> tuple[int, str]:
        return await refused(self.transport, query, **headers)


@pytest.fixture
async def subscribed(tmp_path: Path) -> AsyncGenerator[Subscribed]:
    async with opened(tmp_path) as social, social.working():
        transport = InProcessTransport(social.subgraphs["friends"].app)
        await social.create("ada", "bob", "cy", "dan")
        yield Subscribed(social, transport)
        await transport.aclose()


def offset_of(bookmark: str) -> int:
    (offset,) = [at for one, at in Bookmark.decode(bookmark).position.items() if one.log.startswith("friends.")]
    return offset


async def test_each_event_of_the_user_is_one_message_that_shows_it(subscribed: Subscribed) -> None:
    social = subscribed.social
    async with listening(subscribed.transport, CHANGED, ADA) as listener:
        await social.add("ada", "bob")
        await social.add("bob", "cy")  # none of Ada's
        first = await listener.next()
        assert (first.name, first.data) == ("next", {"id": "ada", "friendCount": 1})
        await social.add("ada", "cy")
        await social.remove("bob", "ada")
        second, third = await listener.next(), await listener.next()
        assert [offset_of(one.bookmark) for one in (first, second, third)] == [2, 4, 5]
        assert third.data["friendCount"] == 1


async def test_a_message_s_bookmark_names_the_users_by_whom_others_complete_it(subscribed: Subscribed) -> None:
    social = subscribed.social
    async with listening(subscribed.transport, CHANGED, ADA) as listener:
        await social.create("eve")
        await social.add("ada", "eve")
        bookmark = Bookmark.decode((await listener.next()).bookmark)
    ends = await social.users_log.head()
    assert bookmark.position.within(log for log, _ in ends) == ends


async def test_it_resumes_from_each_bookmark_that_it_gave(subscribed: Subscribed) -> None:
    social = subscribed.social
    async with listening(subscribed.transport, CHANGED, ADA) as listener:
        bookmarks = [listener.last_id]
        for friend in ("bob", "cy", "dan"):
            await social.add("ada", friend)
            bookmarks.append((await listener.next()).bookmark)
    for place, bookmark in enumerate(bookmarks):
        async with listening(subscribed.transport, CHANGED, ADA, last_event_id=bookmark) as listener:
            assert [(await listener.next()).bookmark for _ in bookmarks[place + 1 :]] == bookmarks[place + 1 :]


async def test_the_later_of_the_bookmarks_in_a_request_counts(subscribed: Subscribed) -> None:
    social = subscribed.social
    async with listening(subscribed.transport, CHANGED, ADA) as listener:
        begun = listener.last_id
        await social.add("ada", "bob")
        first = (await listener.next()).bookmark
        await social.add("ada", "cy")
        second = (await listener.next()).bookmark
    async with listening(subscribed.transport, CHANGED, ADA, bookmark=begun, last_event_id=first) as listener:
        assert (await listener.next()).bookmark == second


async def test_a_message_waits_for_the_view(tmp_path: Path) -> None:
    async with opened(tmp_path) as social:
        transport = InProcessTransport(social.subgraphs["friends"].app)
        async with social.working():
            await social.create("ada", "bob")
            await social.settled()
        async with listening(transport, CHANGED, ADA) as listener:
            await social.add_unchecked("ada", "bob")
            async with social.working():
                assert (await listener.next()).data == {"id": "ada", "friendCount": 1}
        await transport.aclose()


async def test_the_friendships_of_a_deleted_user_end_with_a_message_each(subscribed: Subscribed) -> None:
    social = subscribed.social
    await social.befriend([("ada", "bob"), ("ada", "cy")])
    async with (
        listening(subscribed.transport, CHANGED, ADA) as ada,
        listening(subscribed.transport, CHANGED, {"id": "bob"}) as bob,
    ):
        await social.delete("ada")
        assert [(await ada.next()).data for _ in range(2)] == [None, None]
        assert (await bob.next()).data == {"id": "bob", "friendCount": 0}


async def test_an_event_that_the_view_cannot_show_is_told_as_that(subscribed: Subscribed) -> None:
    social = subscribed.social
    async with listening(subscribed.transport, CHANGED, ADA) as listener:
        never_begun = FriendRemoved(users=("ada", "bob"), reason="by hand")
        stream = Pair.of("ada", "bob").stream
        encoded = Codec((FriendRemoved,)).encode(never_begun, stream)
        await social.friends_log.append(stream, [encoded], expected_version=0, command_id="1", fingerprint="-")
        await social.add("ada", "cy")
        first, second = await listener.next(), await listener.next()
        assert first.body["errors"][0]["extensions"]["code"] == "OUT_OF_DATE"
        assert (first.bookmark, second.data) == (first.id, {"id": "ada", "friendCount": 1})
    async with listening(subscribed.transport, CHANGED, ADA, bookmark=first.bookmark) as listener:
        assert (await listener.next()).bookmark == second.bookmark


async def test_what_cannot_be_subscribed_to_is_refused_before_the_stream(subscribed: Subscribed) -> None:
    field = 'friendshipsChanged(userId: "ada") { id }'
    query = f"subscription {{ {field} }}"
    past = Bookmark(Position.of(subscribed.social.friends_log.log, 0, 99)).encode()
    foreign = Bookmark(Position.of("friends.other", 0, 1)).encode()
    for headers in (
        {"bookmark": past},
        {"bookmark": foreign},
        {"last_event_id": "?"},
        {"as_of": "2026-01-01T00:00:00Z"},
    ):
        assert await subscribed.asked(query, **headers) == (400, "INVALID_INPUT"), headers
    assert await subscribed.asked('subscription { friendshipsChanged(userId: "a b") { id } }') == (400, "INVALID_INPUT")
    assert await subscribed.asked("subscription { nothing }") == (400, "GRAPHQL_VALIDATION_FAILED")
    both = f"subscription {{ {field} other: {field} }}"
    assert await subscribed.asked(both) == (400, "GRAPHQL_VALIDATION_FAILED")


async def test_a_subscription_without_a_stream_is_told_how_to_ask(subscribed: Subscribed) -> None:
    answer = await subscribed.social.friends.ask('subscription { friendshipsChanged(userId: "ada") { id } }')
    assert "text/event-stream" in answer["errors"][0]["message"]


# What depends on friends of friends

RECOMMENDED = """subscription ($id: ID!) { recommendationsChanged(userId: $id) {
  recommendations { user { id } mutualFriendCount } } }"""


@pytest.fixture
async def recommended(tmp_path: Path) -> AsyncGenerator[Subscribed]:
    async with opened(tmp_path) as social, social.working():
        transport = InProcessTransport(social.subgraphs["recommendations"].app)
        await social.create("ada", "bob", "cy", "dan", "eve")
        yield Subscribed(social, transport)
        await transport.aclose()


def who(event: Event) -> dict[str, int]:
    return {one["user"]["id"]: one["mutualFriendCount"] for one in event.data["recommendations"]}


async def test_what_happens_to_a_users_friends_changes_what_is_recommended(recommended: Subscribed) -> None:
    social = recommended.social
    await social.befriend([("ada", "bob")])
    await social.settled()
    async with listening(recommended.transport, RECOMMENDED, ADA) as listener:
        begun = listener.last_id
        for one, other in (("bob", "cy"), ("dan", "eve"), ("ada", "dan"), ("dan", "cy")):
            await social.add(one, other)
            await social.settled()
        told = [await listener.next() for _ in range(3)]
        assert who(told[-1]) == {"cy": 2, "eve": 1}
        await social.remove("ada", "bob")
        told.append(await listener.next())
        await social.remove("bob", "cy")  # no friend's any more
        await social.remove("ada", "dan")
        told.append(await listener.next())
        assert who(told[-1]) == {}
    assert [offset_of(one.bookmark) for one in told] == [3, 5, 6, 7, 9]
    for place, bookmark in enumerate([begun, *(one.bookmark for one in told)]):
        async with listening(recommended.transport, RECOMMENDED, ADA, last_event_id=bookmark) as listener:
            rest = [await listener.next() for _ in told[place:]]
            assert [one.bookmark for one in rest] == [one.bookmark for one in told[place:]]


async def test_a_deletion_is_told_by_the_friendships_that_it_ends(recommended: Subscribed) -> None:
    social = recommended.social
    await social.befriend([("ada", "bob"), ("bob", "cy")])
    await social.settled()
    async with listening(recommended.transport, RECOMMENDED, ADA) as listener:
        await social.delete("cy")
        assert who(await listener.next()) == {}
        await social.add("bob", "dan")
        assert who(await listener.next()) == {"dan": 1}
        await social.delete("ada")
        assert (await listener.next()).data is None


async def test_one_with_too_many_friends_is_refused(recommended: Subscribed, monkeypatch: pytest.MonkeyPatch) -> None:
    social = recommended.social
    await social.befriend([("ada", "bob"), ("ada", "cy")])
    monkeypatch.setattr("subgraphs.recommendations.schema.FRIENDS_LIMIT", 1)
    query = 'subscription { recommendationsChanged(userId: "ada") { id } }'
    assert (await recommended.asked(query))[1] == "TOO_COSTLY"


# Over WebSocket


@pytest.fixture
async def socketed(tmp_path: Path) -> AsyncGenerator[tuple[Social, str]]:
    """The friends subgraph at a port, and its URL."""
    async with opened(tmp_path) as social, social.working():
        await social.create("ada", "bob", "cy")
        listener = socket.create_server(("127.0.0.1", 0))
        http = cast("Any", HttpServer())
        config = uvicorn.Config(social.subgraphs["friends"].app, http=http, ws="none", lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield social, f"127.0.0.1:{listener.getsockname()[1]}/graphql"
        server.should_exit = True
        await serving


async def test_a_router_subscribes_over_websocket_and_resumes(socketed: tuple[Social, str]) -> None:
    social, url = socketed
    streams = WebSocketStreams(f"ws://{url}")
    async with listening(streams, CHANGED, ADA) as listener:
        begun = listener.last_id
        told: list[str] = []
        for friend in ("bob", "cy"):
            await social.add("ada", friend)
            event = await listener.next()
            told.append(event.bookmark)
        assert event.data == {"id": "ada", "friendCount": 2}
    for place, bookmark in enumerate([begun, *told]):
        async with listening(streams, CHANGED, ADA, bookmark=bookmark) as listener:
            assert [(await listener.next()).bookmark for _ in told[place:]] == told[place:]
    options = RouterOptions(subgraph_subscriptions={"friends": f"ws://{url}"})
    async with await GraphRouter.compose({"friends": f"http://{url}"}, options) as router:
        request = GraphQLRequest(CHANGED, ADA, extensions={"bookmark": begun})
        async with aclosing(router.stream(request)) as items:
            found = [item async for item in _until(items, 2)]
        assert [one.bookmark for one in found] == told
        refused = GraphQLRequest('subscription { friendshipsChanged(userId: "a b") { id } }')
        async with aclosing(router.stream(refused)) as items:
            (only,) = [item async for item in items]
        assert isinstance(only, GraphQLAnswer)
        assert only.errors[0]["extensions"]["code"] == "INVALID_INPUT"
    await streams.aclose()


async def _until(items: AsyncGenerator[StreamItem, None], count: int) -> AsyncGenerator[GraphQLAnswer, None]:
    """The first messages, so many."""
    async with asyncio.timeout(seconds(60)):
        async for item in items:
            if isinstance(item, GraphQLAnswer):
                yield item
                count -= 1
                if not count:
                    return
