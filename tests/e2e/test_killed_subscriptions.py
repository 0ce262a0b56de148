"""Subscriptions while routers and subgraphs are killed: what clients are told is what the log has, each event once."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from infra.patience import seconds
from tests.support.distributed import SUBGRAPHS, Engines, part
from tests.support.event_stream import events_of
from tests.support.kith import Json, kith_up, run_kith, running_kith
from tests.support.proxy import Proxy

pytestmark = pytest.mark.asyncio(loop_scope="module")

CREATE = "mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id } } }"
UPDATE = "mutation ($input: UpdateUserInput!) { updateUser(input: $input) { version } }"
ADD = "mutation ($input: AddFriendInput!) { addFriend(input: $input) { version } }"
REMOVE = "mutation ($input: RemoveFriendInput!) { removeFriend(input: $input) { version } }"
USER_CHANGED = "subscription ($id: ID!) { changed: userChanged(id: $id) { firstName version friendCount } }"
FRIENDSHIPS_CHANGED = """subscription ($id: ID!) { changed: friendshipsChanged(userId: $id) {
  firstName friendCount friends(first: 50) { edges { node { firstName } } } } }"""
WAIT = {"bookmark-timeout": "30"}


def keys_of(bookmark: str) -> Mapping[str, int]:
    return msgspec.msgpack.decode(base64.urlsafe_b64decode(bookmark + "=" * (-len(bookmark) % 4)), type=dict[str, int])


Start = Callable[[], "contextlib.AbstractAsyncContextManager[Mapping[str, str]]"]
"""Starts a process; gives where the subgraphs are that it serves."""


@dataclass
class Mortal:
    """The system: a router, and behind ports that stay the processes of its subgraphs. Any may be killed."""

    stack: AsyncExitStack
    starts: Mapping[str, Start]
    proxies: dict[str, Proxy] = field(default_factory=dict[str, Proxy])
    urls: dict[str, str] = field(default_factory=dict[str, str])
    running: dict[str, AsyncExitStack] = field(default_factory=dict[str, AsyncExitStack])

    @property
    def url(self) -> str:
        """Where clients find the router."""
        return self.urls["router"]

    async def start(self) -> None:
        for name in (*SUBGRAPHS, "router"):
            self.proxies[name] = Proxy()
            self.urls[name] = await self.stack.enter_async_context(self.proxies[name].listening())
        await asyncio.gather(*map(self.restart, self.starts))
        await self.restart("router")

    async def restart(self, process: str) -> None:
        """SIGKILL, and another one in its place."""
        for name in (process,) if process in self.proxies else SUBGRAPHS:
            self.proxies[name].behind = ""
        if process in self.running:
            await self.running.pop(process).aclose()
        self.running[process] = await self.stack.enter_async_context(AsyncExitStack())
        started = await self.running[process].enter_async_context(
            self._router() if process == "router" else self.starts[process]()
        )
        for name, url in started.items():
            self.proxies[name].behind = url

    @asynccontextmanager
    async def _router(self) -> AsyncGenerator[Mapping[str, str]]:
        environment = {f"KITH_{name.upper()}_URL": self.urls[name] for name in SUBGRAPHS}
        async with running_kith("serve", "router", "--port", "0", environment=environment) as running:
            yield {"router": running.origin}

    async def ask_until_done(self, client: httpx.AsyncClient, query: str, given: dict[str, Json]) -> Json:
        """Again with the same key, until it is acknowledged."""
        variables = {"input": {**given, "idempotencyKey": str(uuid.uuid4())}}
        while True:
            with contextlib.suppress(httpx.HTTPError, json.JSONDecodeError):
                body = {"query": query, "variables": variables}
                answer = (await client.post(self.url, json=body)).json()
                if "errors" not in answer:
                    return answer["data"]
            await asyncio.sleep(0.05)


@dataclass
class Follower:
    """One subscription of one client, over as many connections as it takes."""

    system: Mortal
    query: str
    user: str
    received: list[str] = field(default_factory=list[str])
    """Of each message the stream and the version that its bookmark has named since the one before."""
    last_bookmark: str = ""
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    came: asyncio.Condition = field(default_factory=asyncio.Condition)
    _known: Mapping[str, int] = field(default_factory=dict[str, int])

    async def over_events(self, client: httpx.AsyncClient) -> None:
        """Server-Sent Events."""
        while True:
            with contextlib.suppress(httpx.HTTPError):
                await self._stream(client)
            await asyncio.sleep(0.05)

    async def over_websocket(self) -> None:
        while True:
            with contextlib.suppress(OSError, WebSocketException):
                await self._socket()
            await asyncio.sleep(0.05)

    async def _stream(self, client: httpx.AsyncClient) -> None:
        headers = {"accept": "text/event-stream", **WAIT}
        if self.last_bookmark:
            headers["last-event-id"] = self.last_bookmark
        body = {"query": self.query, "variables": {"id": self.user}}
        timeout = httpx.Timeout(60, read=None)
        async with client.stream("POST", self.system.url, json=body, headers=headers, timeout=timeout) as found:
            if found.status_code != 200:
                return
            async with aclosing(events_of(found.aiter_lines())) as events:
                async for event in events:
                    if event.name:
                        assert event.name == "next", event
                        assert event.bookmark == event.id
                        await self._take(event.body)
                    elif event.id:
                        self._reached(event.id)

    async def _socket(self) -> None:
        url = self.system.url.replace("http", "ws", 1)
        protocols = [Subprotocol("graphql-transport-ws")]
        async with connect(
            url, subprotocols=protocols, additional_headers=WAIT, open_timeout=seconds(30), ping_interval=None
        ) as socket:
            await socket.send(json.dumps({"type": "connection_init"}))
            async for text in socket:
                message = json.loads(text)
                match message["type"]:
                    case "connection_ack":
                        payload: dict[str, Json] = {"query": self.query, "variables": {"id": self.user}}
                        if self.last_bookmark:
                            payload["extensions"] = {"bookmark": self.last_bookmark}
                        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
                    case "next":
                        await self._take(message["payload"])
                    case "ping":
                        await socket.send(json.dumps({"type": "pong"}))
                        if bookmark := message["payload"].get("bookmark"):
                            self._reached(bookmark)
                    case _:
                        assert message["type"] == "error", message
                        codes = {error["extensions"]["code"] for error in message["payload"]}
                        assert codes == {"UNAVAILABLE"}, message
                        return

    def _reached(self, bookmark: str) -> None:
        self.last_bookmark = bookmark
        self.begun.set()

    async def _take(self, body: Json) -> None:
        bookmark = body["extensions"]["bookmark"]
        known = {key: version for key, version in keys_of(bookmark).items() if key.count("/") > 1}
        new = {key.split("/", 2)[2]: version for key, version in known.items() if self._known.get(key) != version}
        assert len(new) == 1, (new, body)
        ((stream, version),) = new.items()
        changed = (body.get("data") or {}).get("changed") or {}
        assert changed.get("version", version) >= version, "what it shows is older than its event"
        self._known = known
        self._reached(bookmark)
        async with self.came:
            self.received.append(f"{stream}@{version}")
            self.came.notify_all()

    async def has(self, count: int) -> None:
        async with asyncio.timeout(seconds(60)), self.came:
            await self.came.wait_for(lambda: len(self.received) >= count)


async def campaign(system: Mortal, kills: list[str], logged: Callable[[], Awaitable[list[Json]]]) -> None:
    """Writes go on while one process after the other is killed; what was received is what the log has."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=60, limits=limits) as client, asyncio.TaskGroup() as group:
        people = [
            (await system.ask_until_done(client, CREATE, {"firstName": f"P{number}", "lastName": "Live"}))
            for number in range(8)
        ]
        ada, *friends = [one["createUser"]["user"]["id"] for one in people]
        of_user = [Follower(system, USER_CHANGED, ada) for _ in range(2)]
        of_friendships = [Follower(system, FRIENDSHIPS_CHANGED, ada) for _ in range(2)]
        followers = [*of_user, *of_friendships]
        following = [
            group.create_task(one.over_events(client) if number % 2 else one.over_websocket())
            for number, one in enumerate(followers)
        ]
        for follower in followers:
            async with asyncio.timeout(seconds(60)):
                await follower.begun.wait()
        enough = asyncio.Event()
        writing = [
            group.create_task(change_users(system, client, ada, friends[0], enough)),
            group.create_task(change_friends(system, client, ada, friends, enough)),
        ]
        for kill in kills:
            await all_hear_more(followers)
            await system.restart(kill)
        await all_hear_more(followers)
        enough.set()
        await asyncio.gather(*writing)
        user_events, friendship_events = of_the_log(await logged(), ada)
        for follower in of_user:
            await follower.has(len(user_events))
        for follower in of_friendships:
            await follower.has(len(friendship_events))
        for task in following:
            task.cancel()
    assert [one.received for one in of_user] == [user_events] * 2
    assert [sorted(one.received) for one in of_friendships] == [sorted(friendship_events)] * 2


async def change_users(system: Mortal, client: httpx.AsyncClient, ada: str, bob: str, enough: asyncio.Event) -> None:
    number = 0
    while not enough.is_set():
        for one in (ada, bob):
            await system.ask_until_done(client, UPDATE, {"id": one, "firstName": f"Name{number}"})
        number += 1


async def change_friends(
    system: Mortal, client: httpx.AsyncClient, ada: str, friends: list[str], enough: asyncio.Event
) -> None:
    while not enough.is_set():
        for change in (ADD, REMOVE):
            for friend in friends:
                await system.ask_until_done(client, change, {"userId": ada, "friendId": friend})


async def all_hear_more(followers: list[Follower]) -> None:
    counts = [len(follower.received) for follower in followers]
    for follower, count in zip(followers, counts, strict=True):
        await follower.has(count + 3)


def of_the_log(records: list[Json], ada: str) -> tuple[list[str], list[str]]:
    """The events of Ada after her creation, and those of her friendships. Where a commit stands on the log twice, its
    first record counts."""
    events = {one["id"]: one for one in records if one["streamversion"]}
    return (
        [key for key, one in events.items() if one["subject"] == f"user-{ada}"][1:],
        [key for key, one in events.items() if one["type"].startswith("friends.") and ada in one["subject"]],
    )


async def _events(*arguments: str, environment: Mapping[str, str] | None = None) -> list[Json]:
    finished = await run_kith("events", *arguments, environment=environment or {})
    assert finished.code == 0, finished.errors
    return [json.loads(line) for line in finished.output.splitlines()]


@pytest.mark.timeout(900)
async def test_over_killed_routers_and_subgraphs_what_is_received_is_what_the_log_has(tmp_path: Path) -> None:
    data = tmp_path / "data"

    @asynccontextmanager
    async def everything() -> AsyncGenerator[Mapping[str, str]]:
        async with kith_up(data, "--http") as running:
            rows = [line.split() for line in running.banner.splitlines()]
            yield {row[0]: row[1] for row in rows if len(row) == 2 and row[0] in SUBGRAPHS}

    async with AsyncExitStack() as stack:
        system = Mortal(stack, {"subgraphs": everything})
        await system.start()
        await campaign(system, ["subgraphs", "router", "subgraphs"], lambda: _events("--data", str(data)))


@pytest.mark.timeout(900)
@pytest.mark.engines
async def test_over_killed_processes_on_the_engines_what_is_received_is_what_the_log_has(engines: Engines) -> None:
    def start_of(name: str) -> Start:
        @asynccontextmanager
        async def started() -> AsyncGenerator[Mapping[str, str]]:
            async with part(engines, "serve", name) as running:
                yield {name: f"{running.origin}/graphql"}

        return started

    async with AsyncExitStack() as stack:
        system = Mortal(stack, {name: start_of(name) for name in SUBGRAPHS})
        await system.start()
        await campaign(
            system,
            ["router", "users", "friends"],
            lambda: _events("--distributed", environment=engines.environment),
        )
