"""Kafka as the adapters see it: topics, and in front of them clients with aiokafka's surface.

What the product builds on aiokafka runs unchanged above this: publisher, log, opener, sweeper. Like Kafka, the broker
keeps a record batch whole, drops a batch that an idempotent producer sends again, and lets the partitions of a fetch
come in any order. Unlike Kafka, it can lose its newest batches (`lose_newest`), as one broker does in a power cut.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, OffsetOutOfRangeError

from tests.simulation.loop import PROCESS
from tests.simulation.network import Network, Server

T = TypeVar("T")

_PATIENCE: Final = 5.0
"""Seconds after which a client's request has failed."""
_RETRY_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    batch: int
    """The offset of its batch's first record."""


@dataclass(slots=True)
class Topic:
    configs: Mapping[str, str]
    replicas: int
    partitions: list[list[Message]]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What is told of a batch; the offset is -1 where the brokers do not know it any more."""

    offset: int


Fetched: TypeAlias = Mapping[TopicPartition, Sequence[Message]]


class Broker(Server):
    def __init__(self, network: Network) -> None:
        super().__init__("kafka")
        self.network = network
        self.topics: dict[str, Topic] = {}
        self._producers = 0
        self._seen: dict[tuple[int, int], int] = {}
        """Base offsets, by producer and number of its batch."""
        self._held: dict[TopicPartition, list[Held]] = {}

    def new_producer(self) -> int:
        self._producers += 1
        return self._producers

    def append(self, place: TopicPartition, batch: Sequence[Message], identity: tuple[int, int] | None) -> Delivered:
        if identity is not None and identity in self._seen:
            # The broker remembers the newest batches of a producer, and of older ones that they were there.
            return Delivered(-1 if self.network.happens(0.1) else self._seen[identity])
        log = self.topics[place.topic].partitions[place.partition]
        base = len(log)
        for at, message in enumerate(batch):
            log.append(
                Message(*place, base + at, message.timestamp, message.key, message.value, message.headers, base)
            )  # fmt: skip
        if identity is not None:
            self._seen[identity] = base
        self.wake(place)
        return Delivered(base)

    def fetch(self, offsets: Mapping[TopicPartition, int], most: int) -> Fetched:
        """Something of what there is after these offsets: some partitions before others, and not always all of one."""
        found: dict[TopicPartition, list[Message]] = {}
        for place, offset in offsets.items():
            log = self.topics[place.topic].partitions[place.partition]
            if offset > len(log):
                raise OffsetOutOfRangeError
            if offset < len(log) and not (found and self.network.happens(0.5)):
                end = min(len(log), offset + most)
                if end - offset > 1 and self.network.happens(0.2):
                    end = offset + 1
                found[place] = log[offset:end]
        return found

    def lose_newest(self, topic: str, partition: int, batches: int) -> int:
        """The newest batches of a partition are gone; gives how many records that were."""
        log = self.topics[topic].partitions[partition]
        before = len(log)
        for _ in range(batches):
            if log and log[-1].batch:  # a log's first fence was there long before
                del log[log[-1].batch :]
        return before - len(log)

    def poll(self, offsets: Mapping[TopicPartition, int], most: int, asker: str) -> Fetched | Held:
        """What there is after these offsets, or else a request that is held until something comes."""
        found = self.fetch(offsets, most)
        if found:
            return found
        held = Held(offsets, most, asker)
        for place in offsets:
            self._held.setdefault(place, []).append(held)
        return held

    def wake(self, place: TopicPartition) -> None:
        """Answer the requests that were held for want of something on this partition."""
        for held in self._held.pop(place, ()):
            if not held.answer.done() and not self.cut_off[held.asker]:
                try:
                    found = self.fetch(held.offsets, held.most)
                except OffsetOutOfRangeError as gone:
                    self.network.later(self.network.delay(), partial(_fail, held.answer, gone))
                else:
                    self.network.later(self.network.delay(), partial(_settle, held.answer, found))

    def disconnect(self) -> None:
        """It goes down: whoever waits for an answer learns of it, and asks again."""
        for requests in self._held.values():
            for held in requests:
                self.network.later(self.network.delay(), partial(_fail, held.answer, _lost()))
        self._held.clear()


class Held:
    """A fetch that waits at the broker."""

    __slots__ = ("answer", "asker", "most", "offsets")

    def __init__(self, offsets: Mapping[TopicPartition, int], most: int, asker: str) -> None:
        self.offsets = offsets
        self.most = most
        self.asker = asker
        self.answer: asyncio.Future[Fetched] = asyncio.get_running_loop().create_future()


def _settle(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _lost() -> Exception:
    return KafkaConnectionError("no broker has answered")


class Batch:
    """aiokafka's `BatchBuilder`."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def append(
        self,
        *,
        timestamp: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> object:
        self.messages.append(Message("", 0, 0, timestamp or 0, key, value, headers, 0))
        return self


class Producer:
    """aiokafka's `AIOKafkaProducer`: sends a batch again until it is acknowledged, or the producer is closed."""

    def __init__(self, broker: Broker, **settings: Any) -> None:
        self._broker = broker
        self._idempotent: bool = settings.get("enable_idempotence", False)
        self._acknowledged: bool = settings.get("acks") in ("all", -1)
        self._id = 0
        self._batches = 0
        self._sending: set[asyncio.Task[None]] = set()
        self._waiting: set[asyncio.Future[Delivered]] = set()
        # What `lifecycle.give_up` asks for.
        self.client = self
        self._message_accumulator = self
        self._sender = self
        self.sender_task = None

    async def start(self) -> None:
        self._id = await self._ask(self._broker.new_producer)

    async def stop(self) -> None:
        await self.close()

    async def close(self) -> None:
        for task in self._sending:
            task.cancel()

    def fail_all(self, error: Exception) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_exception(error)

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[Delivered]:
        self._batches += 1
        identity = (self._id, self._batches) if self._idempotent else None
        delivered: asyncio.Future[Delivered] = asyncio.get_running_loop().create_future()
        self._waiting.add(delivered)
        delivered.add_done_callback(self._over)
        sending = self._send(TopicPartition(topic, partition), batch, identity, delivered)
        task = asyncio.create_task(sending, name=f"send to {topic}/{partition}")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        return delivered

    def _over(self, delivered: asyncio.Future[Delivered]) -> None:
        self._waiting.discard(delivered)
        if not delivered.cancelled():
            delivered.exception()

    async def _send(
        self,
        place: TopicPartition,
        batch: Batch,
        identity: tuple[int, int] | None,
        delivered: asyncio.Future[Delivered],
    ) -> None:
        while True:
            try:
                answer = await self._ask(lambda: self._broker.append(place, batch.messages, identity))
            except KafkaConnectionError:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if not delivered.done():
                delivered.set_result(answer)
            return

    async def _ask(self, work: Callable[[], T]) -> T:
        return await self._broker.network.ask(self._broker, work, _lost, _PATIENCE)


class Consumer:
    """aiokafka's `AIOKafkaConsumer`, without a group. A fetch that fails is tried again; only records that are gone
    are told of."""

    def __init__(self, broker: Broker, **settings: Any) -> None:
        self._broker = broker
        self._offsets: dict[TopicPartition, int] = {}
        process = PROCESS.get()
        self._asker = "" if process is None else process.name
        self._client = self

    async def start(self) -> None:
        await self._ask(lambda: None)

    async def stop(self) -> None:
        """There is nothing to be told."""

    close = stop

    def assign(self, partitions: list[TopicPartition]) -> None:
        self._offsets = dict.fromkeys(partitions, 0)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._offsets[partition] = offset

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> Mapping[TopicPartition, Sequence[Message]]:
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_ms / 1_000
        while True:
            found: Fetched = {}
            poll = partial(self._broker.poll, dict(self._offsets), max_records or 500, self._asker)
            try:
                answer = await self._ask(poll)
                found = await self._answered(answer, until - loop.time()) if isinstance(answer, Held) else answer
            except KafkaConnectionError:
                await asyncio.sleep(_RETRY_SECONDS)
            if found or loop.time() >= until:
                self._offsets.update({place: messages[-1].offset + 1 for place, messages in found.items()})
                return found

    async def _answered(self, held: Held, seconds: float) -> Fetched:
        timer = self._broker.network.later(seconds, partial(_settle, held.answer, {}))
        try:
            return await held.answer
        finally:
            timer.cancel()

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        asked = list(partitions)
        topics = self._broker.topics
        return await self._ask(lambda: {place: len(topics[place.topic].partitions[place.partition]) for place in asked})

    async def _ask(self, work: Callable[[], T]) -> T:
        return await self._broker.network.ask(self._broker, work, _lost, _PATIENCE)


@dataclass(frozen=True, slots=True)
class _Response:
    content: dict[str, Any] = field(default_factory=dict[str, Any])

    def to_object(self) -> dict[str, Any]:
        return self.content


class Admin:
    """aiokafka's `AIOKafkaAdminClient`, as far as topics are made and looked at."""

    def __init__(self, broker: Broker, **settings: Any) -> None:
        self._broker = broker

    async def start(self) -> None:
        await self._ask(lambda: None)

    async def close(self) -> None:
        """There is nothing to be told."""

    async def create_topics(self, new_topics: Sequence[Any]) -> _Response:
        (new,) = new_topics
        return await self._ask(lambda: self._create(new))

    def _create(self, new: Any) -> _Response:
        topics = self._broker.topics
        exists = new.name in topics
        if not exists:
            topics[new.name] = Topic(
                dict(new.topic_configs), new.replication_factor, [[] for _ in range(new.num_partitions)]
            )
        return _Response({"topic_errors": [{"error_code": 36 if exists else 0, "error_message": ""}]})

    async def describe_configs(self, config_resources: Sequence[Any]) -> list[_Response]:
        (resource,) = config_resources
        return [await self._ask(lambda: self._configs(resource.name))]

    def _configs(self, name: str) -> _Response:
        topic = self._broker.topics.get(name)
        entries = () if topic is None else topic.configs.items()
        found = [{"config_names": name, "config_value": value} for name, value in entries]
        return _Response({"resources": [{"error_code": 3 if topic is None else 0, "config_entries": found}]})

    async def describe_topics(self, topics: Sequence[str]) -> list[dict[str, Any]]:
        (name,) = topics
        return [await self._ask(lambda: self._described(name))]

    def _described(self, name: str) -> dict[str, Any]:
        topic = self._broker.topics[name]
        return {"error_code": 0, "partitions": [{"replicas": list(range(topic.replicas))} for _ in topic.partitions]}

    async def _ask(self, work: Callable[[], T]) -> T:
        return await self._broker.network.ask(self._broker, work, _lost, _PATIENCE)
