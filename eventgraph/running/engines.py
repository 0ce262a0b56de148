"""The wiring of the distributed mode: the subgraphs on Kafka, MongoDB and Neo4j."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeGuard

from pydantic import SecretStr

from eventgraph.ports import Adapters
from eventgraph.running.claims_keys import from_settings as claims_keys
from eventgraph.running.settings import EngineSettings
from eventgraph.serving.metrics import SubgraphMetrics
from eventgraph.serving.served import ServedSubgraph, Worker
from eventgraph.serving.tracing import TracedSubgraph
from eventgraph.serving.wiring import served
from eventgraph.system import Subgraph, System
from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.event_store import KafkaEventStore
from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.kafka.membership import KafkaMembership
from eventkernel.adapters.kafka.topic import TopicSettings
from eventkernel.adapters.mongodb.build import MongoViewBuild
from eventkernel.adapters.mongodb.checkpoints import MongoCheckpointStore
from eventkernel.adapters.mongodb.connection import Database, MongoConnection, MongoSettings
from eventkernel.adapters.mongodb.documents import MongoDocuments, mongodb_documents_as_kept
from eventkernel.adapters.mongodb.snapshots import MongoSnapshotStore
from eventkernel.adapters.mongodb.views import MongoView
from eventkernel.adapters.neo4j.build import Neo4jViewBuild
from eventkernel.adapters.neo4j.connection import Neo4jConnection, Neo4jSettings
from eventkernel.adapters.neo4j.views import Neo4jView
from eventkernel.clock import Clock
from eventkernel.reading.membership import Membership, Watching
from eventkernel.reading.views import View, ViewBuild
from eventkernel.writing.metering import AppendMeter
from eventkernel.writing.store import LogReader
from graphrouter.http.actors import ActorKeys


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

    subgraph: ServedSubgraph
    workers: Sequence[Worker]


@asynccontextmanager
async def opened(  # noqa: PLR0913  # what is opened, and one word for each way of serving it
    system: System,
    settings: EngineSettings,
    name: str,
    work: Work,
    clock: Clock,
    *,
    actors: ActorKeys | None = None,
    metrics: SubgraphMetrics | None = None,
    streams: int | None = None,
    traced: TracedSubgraph | None = None,
) -> AsyncGenerator[Opened]:
    """One subgraph, which knows who asks by `actors`, is counted in `metrics`, takes so many `streams` and is traced by
    `traced`, and the workers that this kind of work needs beside it.

    Raises:
        StartError: the settings do not fit together.
        CannotOpen: an engine refuses us, or what is stored there was made with other settings.
        Unavailable: an engine does not answer, or a log that this subgraph reads is not made yet.
    """
    async with AsyncExitStack() as stack:
        engines = Engines(system, settings, work, clock, stack)
        subgraph = await engines.subgraph(system.subgraph(name), actors, metrics, streams, traced)
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

    def __init__(
        self, system: System, settings: EngineSettings, work: Work, clock: Clock, stack: AsyncExitStack
    ) -> None:
        self._system = system
        self._settings = settings
        self._work = work
        self._clock = clock
        self._stack = stack
        self._kafka = kafka_connection(settings)
        self._databases: dict[str, Database] = {}

    async def subgraph(
        self,
        subgraph: Subgraph[Any],
        actors: ActorKeys | None = None,
        metrics: SubgraphMetrics | None = None,
        streams: int | None = None,
        traced: TracedSubgraph | None = None,
    ) -> ServedSubgraph:
        """One subgraph of the system."""
        name = subgraph.name
        # Its own log before those of others: two that read each other's would each wait for the other one's.
        store = await self._store(name, metrics.appends if metrics else None) if subgraph.owns_log else None
        read = [await self.log(log) for log in subgraph.reads]
        logs = [*read, store.reader] if store is not None else read
        return served(
            subgraph,
            Adapters(
                await self._view(subgraph, logs),
                dict(zip(subgraph.codecs, logs, strict=True)),
                self._system.logs,
                store=store,
                checkpoints=await MongoCheckpointStore.open(await self._database(name)) if subgraph.processes else None,
                snapshots=MongoSnapshotStore(await self._database(name)) if subgraph.aggregates else None,
                clock=self._clock,
                membership=await self._membership(name, logs),
            ),
            actors,
            metrics,
            streams,
            traced,
        )

    async def log(self, name: str) -> KafkaLog:
        """A log, to be read."""
        return await self._stack.enter_async_context(await KafkaLog.open(self._kafka, self._topic(name)))

    async def live_view(self, name: str) -> View[ViewBuild[Any]]:
        """The view of this name, to be looked at."""
        subgraph = self._system.subgraph(name)
        logs = [await self.log(log) for log in subgraph.codecs]
        return await self._view(subgraph, logs)

    async def documents_as_kept(self, name: str) -> View[ViewBuild[Any]] | None:
        """The documents of this view as another release keeps them, each as names and values; None: there are none, or
        it is no view of declared documents."""
        subgraph = self._system.subgraph(name)
        build = subgraph.view.distributed()
        if not _is_documents(build):
            return None
        logs = [(await self.log(log)).log for log in subgraph.codecs]
        database, as_kept = await self._database(name), mongodb_documents_as_kept(build)
        view = await MongoView[Any].open_of_another_release(database, name, as_kept, logs=logs)
        return None if view is None else await self._stack.enter_async_context(aclosing(view))

    async def _view(self, subgraph: Subgraph[Any], logs: Sequence[LogReader]) -> MongoView[Any] | Neo4jView[Any]:
        build = subgraph.view.distributed()
        shape, ids = subgraph.projection.shape, [log.log for log in logs]
        tidy = self._work is not Work.LOOKING
        if _is_mongodbs(build):
            database = await self._database(subgraph.name)
            view = await MongoView[Any].open(database, subgraph.name, build, shape=shape, logs=ids, tidy=tidy)
            return await self._stack.enter_async_context(aclosing(view))
        if not _is_neo4js(build):
            expected = f"{subgraph.name}: expected a MongoViewBuild or a Neo4jViewBuild in the distributed mode"
            raise TypeError(f"{expected}, found {build.__name__}")
        connection = await self._stack.enter_async_context(Neo4jConnection(neo4j_settings(self._settings)))
        system = self._settings.name
        graph = await Neo4jView[Any].open(
            connection, subgraph.name, build, shape=shape, logs=ids, system=system, tidy=tidy
        )
        return await self._stack.enter_async_context(aclosing(graph))

    def _topic(self, name: str) -> str:
        return f"{self._settings.name}.{name}"

    async def _store(self, name: str, meter: AppendMeter | None) -> KafkaEventStore:
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
            await self._database(name),
            name=name,
            key=claims_keys(self._system, settings)[name],
            clock=self._clock,
            topic=self._topic(name),
            settings=topic_settings(settings),
            membership=sweeping,
            meter=meter,
        )
        await self._stack.enter_async_context(store)
        await self._stack.enter_async_context(memberships)
        return store

    async def _database(self, name: str) -> Database:
        """Of the subgraph of this name, on one connection."""
        if name not in self._databases:
            connection = await self._stack.enter_async_context(MongoConnection(mongodb_settings(self._settings)))
            self._databases[name] = connection.database(f"{self._settings.name}_{name}")
        return self._databases[name]

    async def _membership(self, name: str, logs: Sequence[KafkaLog]) -> Membership:
        """This process's place among those that keep this subgraph's view, where it is one of them."""
        if self._work not in {Work.ALL, Work.KEEPING}:
            return Watching()
        group = f"{self._settings.name}.{name}"
        return await self._stack.enter_async_context(KafkaMembership(self._kafka, group, logs))


def _is_mongodbs(build: type[object]) -> TypeGuard[type[MongoViewBuild[Any]]]:
    return issubclass(build, MongoViewBuild)


def _is_documents(build: type[object]) -> TypeGuard[type[MongoDocuments[Any]]]:
    return issubclass(build, MongoDocuments)


def _is_neo4js(build: type[object]) -> TypeGuard[type[Neo4jViewBuild[Any]]]:
    return issubclass(build, Neo4jViewBuild)


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
    return Neo4jSettings(
        settings.neo4j_url,
        settings.neo4j_user,
        _clear(settings.neo4j_password),
        settings.neo4j_ca,
        settings.neo4j_database,
    )


def _clear(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
