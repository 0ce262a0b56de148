"""The systems that run in the world: users, friends, and a small bank, each wired as for the engines.

Every replica of users and friends is asked with GraphQL through its ASGI app, and so runs all that a deployed one runs
above the drivers: resolvers, commands, gate, store, view, projector, process manager.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from starlette.types import ASGIApp, Message

from eventgraph.ports import Adapters
from eventgraph.serving.served import ServedSubgraph
from eventgraph.serving.wiring import served
from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.event_store import KafkaEventStore
from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.kafka.topic import TopicSettings
from eventkernel.adapters.mongodb.checkpoints import MongoCheckpointStore
from eventkernel.adapters.mongodb.snapshots import MongoSnapshotStore
from eventkernel.adapters.mongodb.views import MongoView
from eventkernel.events import Partition
from eventkernel.writing.claims import ClaimsKey
from subgraphs.friends.adapters.mongodb import MongoFriendView
from subgraphs.friends.projection import projection as friends_projection
from subgraphs.friends.subgraph import FRIENDS
from subgraphs.users.adapters.mongodb import MongoUserView
from subgraphs.users.projection import projection as users_projection
from subgraphs.users.subgraph import USERS
from tests.simulation.bank import Bank, MongoAccounts, bank_of
from tests.simulation.bank import projection as accounts_projection
from tests.simulation.mongo.client import database_of
from tests.simulation.world import Group, Replica, Served, World

PARTITIONS: Final = 2
TOPIC: Final = TopicSettings(PARTITIONS, replication_factor=1, min_in_sync_replicas=1)
KEY: Final = ClaimsKey(bytes(32))
LOG_NAMES: Final = ("users", "friends")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a subgraph has answered."""

    data: dict[str, Any] | None
    errors: Sequence[dict[str, Any]]
    bookmark: str

    @property
    def code(self) -> str:
        """The first error's code; empty where there is none."""
        return "" if not self.errors else str(self.errors[0].get("extensions", {}).get("code", "no code"))


@dataclass(frozen=True, slots=True)
class GraphQL:
    """A subgraph, to be asked."""

    app: ASGIApp
    subgraph: ServedSubgraph

    async def ask(self, query: str, variables: dict[str, Any], bookmark: str = "") -> Answer:
        body = msgspec.json.encode({"query": query, "variables": variables})
        headers = [(b"content-type", b"application/json")]
        if bookmark:
            headers.append((b"bookmark", bookmark.encode()))
        scope = {"type": "http", "method": "POST", "path": "/graphql", "headers": headers, "query_string": b""}
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        answer = msgspec.json.decode(b"".join(message.get("body", b"") for message in sent))
        told = answer.get("extensions", {}).get("bookmark", "")
        return Answer(answer.get("data"), answer.get("errors", []), told)


class Systems:
    """What the replicas of one world have in common."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._kafka = KafkaConnection("simulated:9092")
        self._groups: dict[str, Group] = {}

    def group(self, name: str) -> Group:
        return self._groups.setdefault(name, Group(self._world))

    def rearrange(self) -> None:
        for group in self._groups.values():
            group.rearrange()

    def member_lost(self) -> None:
        for group in self._groups.values():
            group.member_lost()

    @asynccontextmanager
    async def users(self, replica: Replica[GraphQL]) -> AsyncGenerator[Served[GraphQL]]:
        async with AsyncExitStack() as stack:
            store = await self._store(replica, stack)
            database = database_of(self._world.mongo, "users")
            view = await MongoView[MongoUserView].open(
                database, "users", MongoUserView, shape=users_projection.shape, logs=[store.log]
            )
            await stack.enter_async_context(aclosing(view))
            membership = self._member(replica, "users", store.reader)
            adapters = Adapters(
                view,
                {"users": store.reader},
                LOG_NAMES,
                store=store,
                snapshots=MongoSnapshotStore(database),
                clock=replica.clock,
                membership=membership,
            )
            subgraph = served(USERS, adapters)
            yield Served(GraphQL(subgraph.app, subgraph), list(subgraph.workers))

    @asynccontextmanager
    async def friends(self, replica: Replica[GraphQL]) -> AsyncGenerator[Served[GraphQL]]:
        async with AsyncExitStack() as stack:
            users_log = await stack.enter_async_context(await KafkaLog.open(self._kafka, "users"))
            store = await self._store(replica, stack)
            database = database_of(self._world.mongo, "friends")
            view = await MongoView[MongoFriendView].open(
                database, "friends", MongoFriendView, shape=friends_projection.shape, logs=[users_log.log, store.log]
            )
            await stack.enter_async_context(aclosing(view))
            checkpoints = await MongoCheckpointStore.open(database)
            membership = self._member(replica, "friends", users_log, store.reader)
            adapters = Adapters(
                view,
                {"users": users_log, "friends": store.reader},
                LOG_NAMES,
                store=store,
                checkpoints=checkpoints,
                clock=replica.clock,
                membership=membership,
            )
            subgraph = served(FRIENDS, adapters)
            yield Served(GraphQL(subgraph.app, subgraph), list(subgraph.workers))

    @asynccontextmanager
    async def bank(self, replica: Replica[Bank]) -> AsyncGenerator[Served[Bank]]:
        async with AsyncExitStack() as stack:
            store = await self._store(replica, stack)
            database = database_of(self._world.mongo, "bank")
            view = await MongoView[MongoAccounts].open(
                database, "bank", MongoAccounts, shape=accounts_projection.shape, logs=[store.log]
            )
            await stack.enter_async_context(aclosing(view))
            checkpoints = await MongoCheckpointStore.open(database)
            membership = self._member(replica, "bank", store.reader)
            bank = bank_of(store, view, checkpoints, clock=replica.clock, membership=membership)
            yield Served(bank, [bank.audit, bank.projector, bank.transfers])

    async def _store(self, replica: Replica[Any], stack: AsyncExitStack) -> KafkaEventStore:
        name = replica.system

        store = await KafkaEventStore.open(
            self._kafka,
            database_of(self._world.mongo, name),
            name=name,
            key=KEY,
            clock=replica.clock,
            settings=TOPIC,
            membership=lambda log: self._member(replica, f"{name} ledger", log),
        )
        return await stack.enter_async_context(store)

    def _member(self, replica: Replica[Any], group: str, *logs: KafkaLog) -> Any:
        partitions = [Partition(log.log, number) for log in logs for number in range(log.partitions)]
        return self.group(group).join(replica.process, partitions)
