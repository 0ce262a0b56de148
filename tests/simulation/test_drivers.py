"""The real adapters above the simulated servers pass the contracts that they pass above real ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Sequence
from itertools import count
from random import Random
from typing import Any

import pytest

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.event_store import KafkaEventStore
from eventkernel.adapters.kafka.restoring import compare_with_log
from eventkernel.adapters.kafka.sweeper import Sweeper
from eventkernel.adapters.mongodb.connection import Database
from eventkernel.adapters.mongodb.ledger_entry import Entry
from eventkernel.clock import ManualClock
from eventkernel.events import EncodedEvent, Position
from eventkernel.reading.membership import Alone
from eventkernel.retrying import Backoff, Troubles
from eventkernel.testing.boundary_contract import BoundaryContract
from eventkernel.testing.event_store_contract import EventStoreContract, LogUnderTest
from eventkernel.testing.view_contract import CheckpointStoreContract, ViewContract
from eventkernel.writing.store import Batch
from subgraphs.users import projection as users_projection
from subgraphs.users.adapters.mongodb import MongoUserView
from subgraphs.users.projection import UserDoc
from tests.contract.test_mongodb_views import CheckpointsInMongo, DoorsInMongo, UsersInMongo
from tests.simulation.broker import Broker
from tests.simulation.drivers import simulated_kafka
from tests.simulation.loop import SimulatedLoop
from tests.simulation.mongo.client import database_of
from tests.simulation.mongo.server import MongoServer
from tests.simulation.network import Network
from tests.support.doors import Door
from tests.support.kafka_store import KEY, ONE_BROKER
from tests.support.mongodb_views import MongoDoors, Writes


class Servers:
    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        self.network = Network(loop, Random(2))
        self.broker = Broker(self.network)
        self.mongo = MongoServer(self.network, loop.time)


@pytest.fixture
async def servers() -> Servers:
    return Servers()


@pytest.fixture(autouse=True)
def kafka(servers: Servers) -> Generator[None]:
    with simulated_kafka(servers.broker):
        yield


@pytest.fixture
def database(servers: Servers) -> Database:
    return database_of(servers.mongo, "test")


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch, database: Database) -> Writes:
    return Writes(monkeypatch, database)


class LogOnSimulatedServers:
    def __init__(self, servers: Servers, database: Database) -> None:
        self.clock = ManualClock()
        self._servers = servers
        self._database = database
        self._store: KafkaEventStore | None = None

    async def open(self) -> KafkaEventStore:
        await self.aclose()
        self._store = await KafkaEventStore.open(
            KafkaConnection("simulated:9092"),
            self._database,
            name="doors",
            key=KEY,
            clock=self.clock,
            settings=ONE_BROKER,
        )
        return self._store

    async def aclose(self) -> None:
        if self._store is not None:
            await self._store.aclose()

    async def stop_writes(self) -> None:
        self._servers.broker.down = True

    async def resume_writes(self) -> None:
        self._servers.broker.down = False


class TestKafkaEventStore(EventStoreContract, BoundaryContract):
    @pytest.fixture
    async def log(self, servers: Servers, database: Database) -> AsyncIterator[LogUnderTest]:
        log = LogOnSimulatedServers(servers, database)
        yield log
        await log.aclose()


async def test_a_commit_that_comes_while_log_and_ledger_are_compared_is_not_lost(
    servers: Servers, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LogOnSimulatedServers(servers, database)
    store = await log.open()
    documents = store._documents
    assert documents is not None

    async def another(number: int) -> None:
        event = EncodedEvent("bell.Rung", 1, b"{}")
        for stream in (f"bell-{number}", f"gong-{number}"):
            await store.append(stream, [event], expected_version=0, command_id=f"ring {stream}", fingerprint="ring")

    numbers = count()
    await another(next(numbers))
    head, last_placed = store.reader.head, documents.last_placed

    async def head_later() -> Position:
        await another(next(numbers))
        return await head()

    async def placed_later(*args: Any, **kwargs: Any) -> Sequence[Entry]:
        await another(next(numbers))
        return await last_placed(*args, **kwargs)

    monkeypatch.setattr(documents, "last_placed", placed_later)
    monkeypatch.setattr(store.reader, "head", head_later)
    compared = await compare_with_log(store.reader, documents)
    assert (compared.lost, compared.cut) == ([], {})
    monkeypatch.undo()
    await log.aclose()


async def test_a_commit_that_comes_in_two_deliveries_is_not_taken_for_two(servers: Servers, database: Database) -> None:
    log = LogOnSimulatedServers(servers, database)
    store = await log.open()
    documents = store._documents
    assert documents is not None
    events = [EncodedEvent("bell.Rung", 1, b"{}")] * 3
    for version in (0, 3):
        await store.append("bell", events, expected_version=version, command_id=f"ring {version}", fingerprint="ring")
    records = await store.read_stream("bell")

    async def finish(*_: object) -> None:
        raise AssertionError("both commits are finished")

    sweeper = Sweeper(store.reader, documents, Alone(), finish, Troubles(Backoff()))
    partition = records[0].partition
    for part in (records[:2], records[2:]):
        await sweeper._compare(Batch(store.log, partition, part, part[-1].offset + 1, 1))
    await documents.check()
    await log.aclose()


class TestMongoView(ViewContract[Door]):
    @pytest.fixture
    async def views(self, database: Database, writes: Writes) -> AsyncIterator[DoorsInMongo]:
        views = DoorsInMongo(database, MongoDoors, 1, writes)
        yield views
        await views.aclose()


class TestMongoUserView(ViewContract[UserDoc]):
    @pytest.fixture
    async def views(self, database: Database, writes: Writes) -> AsyncIterator[UsersInMongo]:
        views = UsersInMongo(database, MongoUserView, users_projection.projection.shape, writes)
        yield views
        await views.aclose()


class TestMongoCheckpointStore(CheckpointStoreContract):
    @pytest.fixture
    def checkpoints(self, database: Database, writes: Writes) -> CheckpointsInMongo:
        return CheckpointsInMongo(database, writes)
