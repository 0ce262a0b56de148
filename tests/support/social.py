"""Friends and recommendations over logs and views in SQLite, and users by the users' own rules, without their API."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from eventgraph.ports import Adapters
from eventgraph.serving.served import ServedSubgraph, running
from eventgraph.serving.wiring import served
from eventkernel.adapters.sqlite.checkpoints import SqliteCheckpointStore
from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.clock import ManualClock
from eventkernel.reacting.process import ProcessManager
from eventkernel.reading.bookmark import Bookmark
from eventkernel.reading.views import View
from eventkernel.writing.codec import Codec
from eventkernel.writing.commands import CommandHandler
from infra.patience import seconds
from subgraphs.friends import domain as friendships
from subgraphs.friends import projection as friends_projection
from subgraphs.friends.adapters.sqlite import SqliteFriendView
from subgraphs.friends.domain import AddFriend, FriendAdded, FriendRemoved, Pair
from subgraphs.friends.subgraph import FRIENDS
from subgraphs.recommendations import projection as recommendations_projection
from subgraphs.recommendations.adapters.sqlite import SqliteRecommendationView
from subgraphs.recommendations.subgraph import RECOMMENDATIONS
from subgraphs.users import domain as users

LOG_NAMES = ("users", "friends")

ADD = """mutation ($input: AddFriendInput!) { addFriend(input: $input) {
  friendship { id since version users { id } } version bookmark idempotencyKey } }"""
REMOVE = """mutation ($input: RemoveFriendInput!) { removeFriend(input: $input) {
  removedFriendshipId version bookmark idempotencyKey } }"""


@dataclass
class Client:
    """Speaks to one subgraph; sends the bookmark of all that has happened so far, unless told another one."""

    http: httpx.AsyncClient
    social: Social

    async def ask(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> dict[str, Any]:
        given = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        sent = {"bookmark": self.social.bookmark.encode(), "bookmark-timeout": "30"} | given
        response = await self.http.post("/graphql", json={"query": query, "variables": variables or {}}, headers=sent)
        self.social.join(Bookmark.decode(response.headers.get("bookmark", "")))
        answer: dict[str, Any] = response.json()
        return answer

    async def data(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> Any:
        """The one field that was asked for."""
        answer = await self.ask(query, variables, **headers)
        assert "errors" not in answer, answer
        (value,) = answer["data"].values()
        return value

    async def codes(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> list[str]:
        return [error["extensions"]["code"] for error in (await self.ask(query, variables, **headers))["errors"]]


@dataclass
class Social:
    """Both logs and both views of a folder."""

    users_log: SqliteEventStore
    friends_log: SqliteEventStore
    friends_view: View[SqliteFriendView]
    recommendations_view: View[SqliteRecommendationView]
    clock: ManualClock
    subgraphs: dict[str, ServedSubgraph] = field(default_factory=dict[str, ServedSubgraph])
    clients: dict[str, Client] = field(default_factory=dict[str, Client])
    bookmark: Bookmark = field(default_factory=Bookmark)

    @property
    def friends(self) -> Client:
        return self.clients["friends"]

    @property
    def recommendations(self) -> Client:
        return self.clients["recommendations"]

    def join(self, bookmark: Bookmark) -> None:
        self.bookmark = self.bookmark.join(bookmark)

    async def create(self, *ids: str) -> None:
        for user in ids:
            await self._user_command(user, users.CreateUser("Ada", "Lovelace"))

    async def delete(self, user: str) -> None:
        await self._user_command(user, users.DeleteUser())

    async def add(self, one: str, other: str, **more: object) -> Any:
        return await self.friends.data(ADD, {"input": {"userId": one, "friendId": other, **more}})

    async def add_unchecked(self, one: str, other: str) -> None:
        """As a server does whose replica of the users is behind."""
        handler = CommandHandler(self.friends_log, Codec((FriendAdded, FriendRemoved)), friendships.decider)
        pair = Pair.of(one, other)
        command_id = uuid.uuid4().hex
        outcome = await handler.execute(pair.stream, AddFriend(pair), command_id=command_id, fingerprint="-")
        self.join(Bookmark.of_commit(outcome.commit))

    async def remove(self, one: str, other: str, **more: object) -> Any:
        return await self.friends.data(REMOVE, {"input": {"userId": one, "friendId": other, **more}})

    async def befriend(self, pairs: Sequence[tuple[str, str]]) -> None:
        for one, other in pairs:
            await self.add(one, other)

    @asynccontextmanager
    async def working(self) -> AsyncGenerator[None]:
        """All workers run for as long as the block lasts."""
        workers = [worker for subgraph in self.subgraphs.values() for worker in subgraph.workers]
        async with running(workers):
            await self.friends_view.ready(timeout=seconds(10))
            await self.recommendations_view.ready(timeout=seconds(10))
            yield

    @property
    def endings(self) -> ProcessManager[Any]:
        (found,) = (worker for worker in self.subgraphs["friends"].workers if isinstance(worker, ProcessManager))
        return found

    async def settled(self) -> None:
        """Returns when everything that follows from what has happened has happened."""
        before = None
        while before != (head := (await self.users_log.head()).join(await self.friends_log.head())):
            before = head
            assert await self.endings.reached(head, 10)
            assert await self.friends_view.live().reached(head, 10)
            assert await self.recommendations_view.live().reached(head, 10)

    async def _user_command(self, user: str, command: users.UserCommand) -> None:
        codec = Codec((users.UserCreated, users.UserUpdated, users.UserDeleted))
        handler = CommandHandler(self.users_log, codec, users.decider, users.claims)
        command_id = uuid.uuid4().hex
        outcome = await handler.execute(users.stream_of(user), command, command_id=command_id, fingerprint="-")
        self.join(Bookmark.of_commit(outcome.commit))


@asynccontextmanager
async def opened(folder: Path) -> AsyncGenerator[Social]:
    """The files of a folder, with nobody at work on them."""
    async with AsyncExitStack() as stack:
        clock = ManualClock()
        users_log, friends_log = [
            await stack.enter_async_context(
                aclosing(await SqliteEventStore.open(folder / f"{name}.sqlite", name=name, clock=clock))
            )
            for name in LOG_NAMES
        ]
        logs = [users_log.log, friends_log.log]
        friends_view = await SqliteView.open(
            folder / "friends", SqliteFriendView, shape=friends_projection.projection.shape, logs=logs
        )
        stack.push_async_callback(friends_view.aclose)
        recommendations_view = await SqliteView.open(
            folder / "recommendations",
            SqliteRecommendationView,
            shape=recommendations_projection.projection.shape,
            logs=logs,
        )
        stack.push_async_callback(recommendations_view.aclose)
        checkpoints = await stack.enter_async_context(
            aclosing(await SqliteCheckpointStore.open(folder / "processes.sqlite"))
        )
        both = {"users": users_log, "friends": friends_log}
        social = Social(users_log, friends_log, friends_view, recommendations_view, clock)
        for subgraph in (
            served(
                FRIENDS,
                Adapters(friends_view, both, LOG_NAMES, store=friends_log, checkpoints=checkpoints, clock=clock),
            ),
            served(RECOMMENDATIONS, Adapters(recommendations_view, both, LOG_NAMES, clock=clock)),
        ):
            http = httpx.AsyncClient(transport=httpx.ASGITransport(subgraph.app), base_url=f"http://{subgraph.name}")
            await stack.enter_async_context(http)
            social.subgraphs[subgraph.name] = subgraph
            social.clients[subgraph.name] = Client(http, social)
        yield social


@asynccontextmanager
async def at_work(folder: Path) -> AsyncGenerator[Social]:
    """The same, with all workers running."""
    async with opened(folder) as social, social.working():
        yield social
