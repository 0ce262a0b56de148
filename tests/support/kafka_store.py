"""Event stores on Kafka and MongoDB for tests: each with a topic and a database of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar
from unittest.mock import patch

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.event_store import KafkaEventStore
from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.kafka.topic import TopicSettings
from eventkernel.adapters.mongodb.connection import Database, Driver, MongoConnection, MongoSettings
from eventkernel.clock import ManualClock
from eventkernel.errors import Unavailable
from eventkernel.events import FENCE, Record
from eventkernel.writing.claims import ClaimsKey
from infra.patience import seconds

P = ParamSpec("P")
T = TypeVar("T")

ONE_BROKER = TopicSettings(partitions=3, replication_factor=1, min_in_sync_replicas=1)
KEY = ClaimsKey(bytes(32))


class KafkaLogOnServers:
    """One log; `open` closes what was opened before, `another` is one more replica beside it."""

    def __init__(
        self, kafka: str, mongodb: str, name: str, patience: float | None = None, driver: Driver = "pymongo"
    ) -> None:
        self.clock = ManualClock()
        self.name = name
        self.mongo_url = mongodb
        self.connection = KafkaConnection(kafka, patience=seconds(5) if patience is None else patience)
        self.mongo = MongoConnection(MongoSettings(mongodb, driver=driver))
        self.key = KEY
        self.stores: list[KafkaEventStore] = []
        self._stopped = patch("eventkernel.adapters.kafka.publisher.Publisher.publish", _publish_nothing)

    @property
    def database(self) -> Database:
        return self.mongo.database(self.name)

    async def open(self) -> KafkaEventStore:
        await self.close_stores()
        return await self.another()

    async def another(self) -> KafkaEventStore:
        store = await KafkaEventStore.open(
            self.connection, self.database, name=self.name, key=self.key, clock=self.clock, settings=ONE_BROKER
        )
        self.stores.append(store)
        return store

    async def close_stores(self) -> None:
        for store in self.stores:
            await store.aclose()
        self.stores.clear()

    async def aclose(self) -> None:
        await self.close_stores()
        await self.database.client.drop_database(self.name)
        await self.mongo.aclose()

    async def stop_writes(self) -> None:
        self._stopped.start()

    async def resume_writes(self) -> None:
        self._stopped.stop()


def in_an_append() -> bool:
    """Whether an append asks, and not the sweeper or whoever else looks after the ledger."""
    task = asyncio.current_task()
    return task is not None and task.get_name() == "append"


async def _publish_nothing(_publisher: object, _partition: int, _records: Sequence[Record]) -> int:
    raise Unavailable("no broker takes records")


class Died(BaseException):
    """What a process meets that is killed between two steps."""


class Steps:
    """The requests of one store's appends, by name, before and after each of which a test may do something.

    Names: `look up`, `insert`, `check`, `publish`, `complete`.
    """

    def __init__(self, store: KafkaEventStore) -> None:
        documents = store._documents
        assert documents is not None
        self._asides: dict[str, Callable[[], Awaitable[None]]] = {}
        self.taken: list[str] = []
        documents.look_up = self._watched("look up", documents.look_up)
        documents.insert = self._watched("insert", documents.insert)
        setattr(documents, "check", self._watched("check", documents.check))  # noqa: B010 -- it is a method
        documents.complete = self._watched("complete", documents.complete)
        publisher = store._publisher
        setattr(publisher, "publish", self._watched("publish", publisher.publish))  # noqa: B010

    def then(self, step: str, aside: Callable[[], Awaitable[None]]) -> None:
        """Do this once, at `before insert`, `after publish`, …"""
        self._asides[step] = aside

    def die(self, step: str) -> None:
        async def die() -> None:
            raise Died

        self.then(step, die)

    def _watched(self, name: str, request: Callable[..., Awaitable[Any]]) -> Any:
        async def watched(*args: object) -> object:
            # The ledger is looked after in the background too: only what an append asks for counts.
            if not in_an_append():
                return await request(*args)
            number = self.taken.count(name) + 1
            await self._aside(f"before {name} {number}")
            answer = await request(*args)
            self.taken.append(name)
            await self._aside(f"after {name} {number}")
            return answer

        return watched

    async def _aside(self, step: str) -> None:
        aside = self._asides.pop(step, None)
        if aside is not None:
            await aside()


@dataclass(frozen=True)
class Effect:
    """A commit that is in effect on a log."""

    stream: str
    command: str
    first: int
    size: int
    taken: frozenset[str]
    given_up: frozenset[str]
    partition: int
    offset: int


async def effects(log: KafkaLog) -> list[Effect]:
    """What a log says by the rules that every reader keeps to, read anew from the topic: per partition, nothing of an
    older generation behind a fence, and of each version the first record. Fails where a guarantee is broken.
    """
    found: list[Effect] = []
    head = await log.head()
    for partition, end in head.items():
        generation, versions, whole = 0, dict[str, int](), dict[str, int]()
        async for records in log.read(partition.number, 0, end):
            for record in records:
                if record.type == FENCE:
                    generation = max(generation, record.generation)
                    continue
                if record.generation < generation:
                    continue
                if not record.version:
                    if record.command_id not in {effect.command for effect in found}:
                        found.append(_effect(record))
                    continue
                version = versions.get(record.stream, 0)
                assert record.version <= version + 1, f"a gap before version {record.version} of {record.stream}"
                if record.version == version + 1:
                    versions[record.stream] = record.version
                    if record.version == record.first_version:
                        found.append(_effect(record))
                    whole[record.command_id] = whole.get(record.command_id, 0) + 1
        for effect in found:
            if effect.partition == partition.number and effect.first:
                assert whole[effect.command] == effect.size, f"a part of {effect.command}"
    commands = [effect.command for effect in found]
    assert len(set(commands)) == len(commands), "a command has two effects"
    holders(found)
    return found


def holders(found: list[Effect]) -> dict[str, str]:
    """Who holds each claim (sealed) in the end; fails where a claim has two holders."""
    held: dict[str, str] = {}
    for stream in {effect.stream for effect in found}:
        mine: set[str] = set()
        for effect in [effect for effect in found if effect.stream == stream]:
            mine = (mine - effect.given_up) | effect.taken
        for seal in mine:
            assert held.setdefault(seal, stream) == stream, "a claim has two holders"
    return held


def _effect(record: Record) -> Effect:
    return Effect(
        record.stream, record.command_id, record.version, record.commit_size, frozenset(record.claims_taken),
        frozenset(record.claims_given_up), record.partition, record.offset,
    )  # fmt: skip


async def patiently(ask: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """As a client does that keeps to what UNAVAILABLE says: the same again, until it is answered."""
    while True:
        try:
            return await ask(*args, **kwargs)
        except Unavailable:
            await asyncio.sleep(0.05)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(seconds(30)):
        while not await holds():  # noqa: ASYNC110 -- other processes are watched here, that set no event
            await asyncio.sleep(0.05)
