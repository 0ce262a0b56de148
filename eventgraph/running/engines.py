"""The wiring of the distributed mode: the subgraphs on Kafka, MongoDB and Neo4j."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from pydantic import SecretStr

from eventgraph.running.claims_keys import from_settings as claims_keys
from eventgraph.running.data_folder import LOG_NAMES
from eventgraph.running.settings import EngineSettings
from eventgraph.running.views import VIEWS
from eventgraph.serving.subgraph import Subgraph, Worker
from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.event_store import KafkaEventStore
from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.kafka.membership import KafkaMembership
from eventkernel.adapters.kafka.topic import TopicSettings
from eventkernel.adapters.mongodb.checkpoints import MongoCheckpointStore
from eventkernel.adapters.mongodb.connection import Database, MongoConnection, MongoSettings
from eventkernel.adapters.mongodb.snapshots import MongoSnapshotStore
from eventkernel.adapters.mongodb.views import MongoView
from eventkernel.adapters.neo4j.connection import Neo4jConnection, Neo4jSettings
from eventkernel.adapters.neo4j.views import Neo4jView
from eventkernel.clock import Clock
from eventkernel.reading.membership import Membership, Watching
from eventkernel.reading.views import View, ViewBuild
from eventkernel.writing.store import LogReader
from subgraphs.friends.adapters.mongodb import MongoFriendView
from subgraphs.friends.app import friends_subgraph
from subgraphs.friends.projection import projection as friends_projection
from subgraphs.recommendations.adapters.neo4j import Neo4jRecommendationView
from subgraphs.recommendations.app import recommendations_subgraph
from subgraphs.recommendations.projection import projection as recommendations_projection
from subgraphs.users.adapters.mongodb import MongoUserView
from subgraphs.users.app import users_subgraph
from subgraphs.users.projection import projection as users_projection


class Work(Enum):
    """What a process does of a subgraph's work."""

    ALL = auto()
    """Answers requests and takes its share of keeping the view."""
    ANSWERS = auto()
    """Answers requests; other processes keep the view."""
    KEEPING = auto()
    """Keeps the view and lets the process managers react; answers nobody."""
    LOOKING = auto()
    """An operator's command: is told what to do."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A subgraph on its engines, and what has to run beside it in this process."""

    subgraph: Subgraph
    workers: Sequence[Worker]


@asynccontextmanager
async def opened(settings: EngineSettings, name: str, work: Work, clock: Clock) -> AsyncGenerator[Opened]:
    """One subgraph, and the workers that this kind of work needs beside it.

    Raises:
        StartError: the settings do not fit together.
        CannotOpen: an engine refuses us, or what is stored there was made with other settings.
        Unavailable: an engine does not answer, or a log that this subgraph reads is not made yet.
    """
    async with AsyncExitStack() as stack:
        engines = Engines(settings, work, clock, stack)
        opening = {"users": engines.users, "friends": engines.friends, "recommendations": engines.recommendations}
        subgraph = await opening[name]()
        match work:
            case Work.ALL | Work.KEEPING:
                workers = subgraph.workers
            case Work.ANSWERS:
                workers = [subgraph.audit]
            case Work.LOOKING:
                workers = []
        yield Opened(subgraph, workers)


class Engines:
    """What one process has open."""

    def __init__(self, settings: EngineSettings, work: Work, clock: Clock, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._work = work
        self._clock = clock
        self._stack = stack
        self._kafka = kafka_connection(settings)

    async def users(self) -> Subgraph:
        database = await self._database("users")
        store = await self._store("users", database)
        view = await self.users_view(database, [store])
        membership = await self._membership("users", [store.reader])
        return users_subgraph(
            store,
            view,
            log_names=LOG_NAMES,
            clock=self._clock,
            membership=membership,
            snapshots=MongoSnapshotStore(database),
        )

    async def friends(self) -> Subgraph:
        users_log = await self.log("users")
        database = await self._database("friends")
        store = await self._store("friends", database)
        view = await self.friends_view(database, [users_log, store])
        checkpoints = await MongoCheckpointStore.open(database)
        membership = await self._membership("friends", [users_log, store.reader])
        return friends_subgraph(
            store,
            users_log,
            view,
            checkpoints,
            log_names=LOG_NAMES,
            clock=self._clock,
            membership=membership,
            snapshots=MongoSnapshotStore(database),
        )

    async def recommendations(self) -> Subgraph:
        users_log, friends_log = await self.log("users"), await self.log("friends")
        logs = [users_log, friends_log]
        view = await self.recommendations_view(logs)
        membership = await self._membership("recommendations", logs)
        return recommendations_subgraph(
            users_log, friends_log, view, log_names=LOG_NAMES, clock=self._clock, membership=membership
        )

    async def log(self, name: str) -> KafkaLog:
        """A log, to be read."""
        return await self._stack.enter_async_context(await KafkaLog.open(self._kafka, self._topic(name)))

    async def live_view(self, name: str) -> View[ViewBuild[Any]]:
        """The view of this name, to be looked at."""
        logs = [await self.log(log) for log in VIEWS[name].codecs]
        match name:
            case "users":
                return await self.users_view(await self._database(name), logs)
            case "friends":
                return await self.friends_view(await self._database(name), logs)
            case _:
                return await self.recommendations_view(logs)

    async def users_view(self, database: Database, logs: Sequence[LogReader]) -> MongoView[MongoUserView]:
        opening = MongoView[MongoUserView].open(
            database, "users", MongoUserView, shape=users_projection.shape, logs=_ids(logs)
        )
        return await self._stack.enter_async_context(aclosing(await opening))

    async def friends_view(self, database: Database, logs: Sequence[LogReader]) -> MongoView[MongoFriendView]:
        opening = MongoView[MongoFriendView].open(
            database, "friends", MongoFriendView, shape=friends_projection.shape, logs=_ids(logs)
        )
        return await self._stack.enter_async_context(aclosing(await opening))

    async def recommendations_view(self, logs: Sequence[LogReader]) -> Neo4jView[Neo4jRecommendationView]:
        connection = await self._stack.enter_async_context(Neo4jConnection(neo4j_settings(self._settings)))
        opening = Neo4jView[Neo4jRecommendationView].open(
            connection,
            "recommendations",
            Neo4jRecommendationView,
            shape=recommendations_projection.shape,
            logs=_ids(logs),
            system=self._settings.name,
        )
        return await self._stack.enter_async_context(aclosing(await opening))

    def _topic(self, name: str) -> str:
        return f"{self._settings.name}.{name}"

    async def _store(self, name: str, database: Database) -> KafkaEventStore:
        """The log that this subgraph owns."""
        settings = self._settings
        memberships = AsyncExitStack()

        def sweeping(log: KafkaLog) -> Membership:
            if self._work is Work.LOOKING:
                return Watching()
            membership = KafkaMembership(self._kafka, f"{settings.name}.{name}-ledger", [log])
            memberships.push_async_exit(membership)
            return membership

        store = await KafkaEventStore.open(
            self._kafka,
            database,
            name=name,
            key=claims_keys(settings)[name],
            clock=self._clock,
            topic=self._topic(name),
            settings=topic_settings(settings),
            membership=sweeping,
        )
        await self._stack.enter_async_context(store)
        await self._stack.enter_async_context(memberships)
        return store

    async def _database(self, name: str) -> Database:
        connection = await self._stack.enter_async_context(MongoConnection(mongodb_settings(self._settings)))
        return connection.database(f"{self._settings.name}_{name}")

    async def _membership(self, name: str, logs: Sequence[KafkaLog]) -> Membership:
        """This process's place among those that keep this subgraph's view, where it is one of them."""
        if self._work not in {Work.ALL, Work.KEEPING}:
            return Watching()
        group = f"{self._settings.name}.{name}"
        return await self._stack.enter_async_context(KafkaMembership(self._kafka, group, logs))


def _ids(logs: Sequence[LogReader]) -> Sequence[str]:
    return [log.log for log in logs]


def topic_settings(settings: EngineSettings) -> TopicSettings:
    return TopicSettings(settings.kafka_partitions, settings.kafka_replicas, settings.kafka_in_sync_replicas)


def kafka_connection(settings: EngineSettings) -> KafkaConnection:
    return KafkaConnection(
        settings.kafka_bootstrap,
        settings.kafka_security,
        settings.kafka_sasl_mechanism,
        settings.kafka_user,
        _clear(settings.kafka_password),
        settings.kafka_ca,
    )


def mongodb_settings(settings: EngineSettings) -> MongoSettings:
    return MongoSettings(
        settings.mongodb_url.get_secret_value(),
        settings.mongodb_user,
        _clear(settings.mongodb_password),
        authority=settings.mongodb_ca,
        driver=settings.mongodb_driver,
    )


def neo4j_settings(settings: EngineSettings) -> Neo4jSettings:
    return Neo4jSettings(settings.neo4j_url, settings.neo4j_user, _clear(settings.neo4j_password), settings.neo4j_ca)


def _clear(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
