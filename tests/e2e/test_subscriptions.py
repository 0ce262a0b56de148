"""Subscriptions of the whole system: completed from several subgraphs, resumed after anything was killed."""

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
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest

from infra.patience import seconds
from tests.support.distributed import SUBGRAPHS
from tests.support.event_stream import Event, events_of, listening_at
from tests.support.kith import Json, RunningKith, kith_up, run_kith, running_kith

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


# In every mode


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


# While everything is killed


class Proxy:
    """A port that stays, whoever is behind it."""

    def __init__(self) -> None:
        self.behind = ""
        self._writers: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[str]:
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/graphql"
        finally:
            server.close()
            for writer in self._writers:
                writer.transport.abort()
            await server.wait_closed()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            where = urlsplit(self.behind)
            there_reader, there_writer = await asyncio.open_connection(where.hostname, where.port)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(there_writer)
        ways = [
            asyncio.create_task(_copy(reader, there_writer)),
            asyncio.create_task(_copy(there_reader, writer)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for one in (writer, there_writer):
            one.transport.abort()
            self._writers.discard(one)
        await asyncio.gather(*ways, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


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
    origin: str = ""

    async def start(self) -> None:
        for name in SUBGRAPHS:
            self.proxies[name] = Proxy()
            self.urls[name] = await self.stack.enter_async_context(self.proxies[name].listening())
        for process in self.starts:
            await self.restart(process)
        await self.restart("router")

    async def restart(self, process: str) -> None:
        """SIGKILL, and another one in its place."""
        if process in self.running:
            await self.running.pop(process).aclose()
        self.running[process] = await self.stack.enter_async_context(AsyncExitStack())
        if process == "router":
            environment = {f"KITH_{name.upper()}_URL": url for name, url in self.urls.items()}
            serving = running_kith("serve", "router", "--port", "0", environment=environment)
            self.origin = (await self.running[process].enter_async_context(serving)).origin
        else:
            for name, url in (await self.running[process].enter_async_context(self.starts[process]())).items():
                self.proxies[name].behind = url

    async def ask_until_done(self, client: httpx.AsyncClient, query: str, given: dict[str, Json]) -> Json:
        """Again with the same key, until it is acknowledged."""
        variables = {"input": {**given, "idempotencyKey": str(uuid.uuid4())}}
        while True:
            with contextlib.suppress(httpx.HTTPError, json.JSONDecodeError):
                body = {"query": query, "variables": variables}
                answer = (await client.post(f"{self.origin}/graphql", json=body)).json()
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
    last_id: str = ""
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    came: asyncio.Condition = field(default_factory=asyncio.Condition)
    _known: Mapping[str, int] = field(default_factory=dict[str, int])

    async def follow(self, client: httpx.AsyncClient) -> None:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                await self._connection(client)
            await asyncio.sleep(0.05)

    async def _connection(self, client: httpx.AsyncClient) -> None:
        headers = {"accept": "text/event-stream", "bookmark-timeout": "30"}
        if self.last_id:
            headers["last-event-id"] = self.last_id
        body = {"query": self.query, "variables": {"id": self.user}}
        url = f"{self.system.origin}/graphql"
        async with client.stream(
            "POST", url, json=body, headers=headers, timeout=httpx.Timeout(60, read=None)
        ) as found:
            if found.status_code != 200:
                return
            async with aclosing(events_of(found.aiter_lines())) as events:
                async for event in events:
                    await self._take(event)

    async def _take(self, event: Event) -> None:
        if not event.id:
            return  # a sign of life, before the subgraph has said where it begins
        self.last_id = event.id
        self.begun.set()
        if event.name:
            assert event.name == "next", event
            known = {key: version for key, version in keys_of(event.bookmark).items() if key.count("/") > 1}
            new = [
                f"{key.split('/', 2)[2]}@{version}" for key, version in known.items() if self._known.get(key) != version
            ]
            assert len(new) == 1, (new, event)
            self._known = known
            async with self.came:
                self.received += new
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
        followers = [Follower(system, USER_CHANGED, ada), Follower(system, FRIENDSHIPS_CHANGED, ada)]
        following = [group.create_task(one.follow(client)) for one in followers]
        for follower in followers:
            async with asyncio.timeout(seconds(60)):
                await follower.begun.wait()
        enough = asyncio.Event()

        async def change_user() -> None:
            number = 0
            while not enough.is_set():
                await system.ask_until_done(client, UPDATE, {"id": ada, "firstName": f"Ada{number}"})
                await system.ask_until_done(client, UPDATE, {"id": friends[0], "firstName": f"Bob{number}"})
                number += 1

        async def change_friends() -> None:
            while not enough.is_set():
                for change in (ADD, REMOVE):
                    for friend in friends:
                        await system.ask_until_done(client, change, {"userId": ada, "friendId": friend})

        writing = [group.create_task(change_user()), group.create_task(change_friends())]
        for kill in kills:
            counts = [len(follower.received) for follower in followers]
            for follower, count in zip(followers, counts, strict=True):
                await follower.has(count + 3)
            await system.restart(kill)
        counts = [len(follower.received) for follower in followers]
        for follower, count in zip(followers, counts, strict=True):
            await follower.has(count + 3)
        enough.set()
        await asyncio.gather(*writing)
        events = await logged()
        events = [one for one in events if one["streamversion"]]
        of_user = [one["id"] for one in events if one["subject"] == f"user-{ada}"][1:]
        of_friendships = [one["id"] for one in events if one["type"].startswith("friends.") and ada in one["subject"]]
        await followers[0].has(len(of_user))
        await followers[1].has(len(of_friendships))
        for task in following:
            task.cancel()
    assert followers[0].received == of_user
    assert sorted(followers[1].received) == sorted(of_friendships)


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
