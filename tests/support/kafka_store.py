"""Event stores on Kafka and MongoDB for tests: each with a topic and a database of its own."""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import patch

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.event_store import KafkaEventStore
from eventkernel.adapters.kafka.topic import TopicSettings
from eventkernel.adapters.mongodb.connection import Database, MongoConnection, MongoSettings
from eventkernel.claims import ClaimsKey
from eventkernel.clock import ManualClock
from eventkernel.errors import Unavailable
from eventkernel.events import Record

ONE_BROKER = TopicSettings(partitions=3, replication_factor=1, min_in_sync_replicas=1)
KEY = ClaimsKey(bytes(32))


class KafkaLogOnServers:
    """One log; `open` closes what was opened before, `another` is one more replica beside it."""

    def __init__(self, kafka: str, mongodb: str, name: str) -> None:
        self.clock = ManualClock()
        self.name = name
        self.connection = KafkaConnection(kafka)
        self.mongo = MongoConnection(MongoSettings(mongodb))
        self._stores: list[KafkaEventStore] = []
        self._stopped = patch("eventkernel.adapters.kafka.publisher.Publisher.publish", _publish_nothing)

    @property
    def database(self) -> Database:
        return self.mongo.database(self.name)

    async def open(self) -> KafkaEventStore:
        await self.close_stores()
        return await self.another()

    async def another(self) -> KafkaEventStore:
        store = await KafkaEventStore.open(
            self.connection, self.database, name=self.name, key=KEY, clock=self.clock, settings=ONE_BROKER
        )
        self._stores.append(store)
        return store

    async def close_stores(self) -> None:
        for store in self._stores:
            await store.aclose()
        self._stores.clear()

    async def aclose(self) -> None:
        await self.close_stores()
        await self.database.client.drop_database(self.name)
        await self.mongo.aclose()

    async def stop_writes(self) -> None:
        self._stopped.start()

    async def resume_writes(self) -> None:
        self._stopped.stop()


async def _publish_nothing(_publisher: object, _partition: int, _records: Sequence[Record]) -> int:
    raise Unavailable("no broker takes records")
