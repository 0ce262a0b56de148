"""The real adapters above the simulated servers pass the contracts that they pass above real ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from random import Random

import pytest

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.event_store import KafkaEventStore
from eventkernel.adapters.mongodb.connection import Database
from eventkernel.clock import ManualClock
from eventkernel.testing.event_store_contract import EventStoreContract, LogUnderTest
from eventkernel.testing.view_contract import CheckpointStoreContract, ViewContract
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


class TestKafkaEventStore(EventStoreContract):
    @pytest.fixture
    async def log(self, servers: Servers, database: Database) -> AsyncIterator[LogUnderTest]:
        log = LogOnSimulatedServers(servers, database)
        yield log
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
