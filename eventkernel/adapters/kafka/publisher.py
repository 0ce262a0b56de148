"""Putting commits on the log: each lies wholly in one record batch, many share one.

Each partition has one task, its *lane*. While a batch is on its way, the commits that come gather, and travel together
in the next one. So one commit alone goes out at once, and under load batches grow by themselves. More than one batch of
a partition in flight would win nothing: aiokafka sends one at a time.

A batch is on the log as a whole or not at all (https://kafka.apache.org/documentation/#recordbatch), and therefore so
is a commit. Whatever goes wrong on the way (an error, no answer in time, an answer without an offset) leaves the
outcome unknown: the commits of the batch are `Unavailable`, and the producer is replaced.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Final, Self

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.failures import failures_of
from eventkernel.adapters.kafka.lifecycle import give_up
from eventkernel.adapters.kafka.producer import connected_producer
from eventkernel.adapters.kafka.records import Message, to_message
from eventkernel.adapters.kafka.topic import LARGEST_BATCH
from eventkernel.adapters.mongodb.ledger_generation import LogCut
from eventkernel.errors import InvalidInput, Unavailable
from eventkernel.events import Record
from eventkernel.writing.metering import AppendMeter

_GATHERED: Final = 1024 * 1024
"""Bytes from which on no further commit joins a batch."""
_MOST_WAITING: Final = 32 * 1024 * 1024
"""Bytes that may wait in one partition; whoever comes then is turned away."""
_RECONNECTING_SECONDS: Final = 0.1
_BATCH_OVERHEAD: Final = 61
_RECORD_OVERHEAD: Final = 40
"""At most: lengths, attributes, time and offset of a record, as variable-length integers."""
_HEADER_OVERHEAD: Final = 10


@dataclass(slots=True, eq=False)
class _Waiting:
    messages: Sequence[Message]
    size: int
    base_offset: asyncio.Future[int]


@dataclass(slots=True)
class _Lane:
    """What waits for one partition."""

    partition: int
    waiting: deque[_Waiting] = field(default_factory=deque[_Waiting])
    size: int = 0
    end: int = 0
    """Where the log ended behind the last batch of this process; it may be further by now, and never less far."""
    filled: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def put(self, commit: _Waiting) -> None:
        self.waiting.append(commit)
        self.size += commit.size
        self.filled.set()

    def gather(self) -> Sequence[_Waiting]:
        """The commits for one batch. Those that nobody waits for any more are left out: they were never sent."""
        gathered: list[_Waiting] = []
        size = _BATCH_OVERHEAD
        while self.waiting and size < _GATHERED:
            commit = self.waiting[0]
            wanted = not commit.base_offset.done()
            if wanted and size + commit.size > LARGEST_BATCH:
                break
            self.waiting.popleft()
            self.size -= commit.size
            if wanted:
                gathered.append(commit)
                size += commit.size
        if not self.waiting:
            self.filled.clear()
        return gathered


class Publisher:
    """The one way onto a topic. Safe to be used by many tasks at once; made inside a running event loop."""

    def __init__(
        self,
        connection: KafkaConnection,
        topic: str,
        *,
        partitions: int,
        patience: float = 10.0,
        meter: AppendMeter | None = None,
    ) -> None:
        """`patience`: seconds after which a commit that is not acknowledged is `Unavailable`."""
        self._meter = meter
        self._connection = connection
        self._topic = topic
        self._patience = patience
        self._lanes = [_Lane(number) for number in range(partitions)]
        self._producer: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()
        self._leaving: set[asyncio.Task[None]] = set()
        self._closed = False

    @staticmethod
    def check(records: Sequence[Record]) -> None:
        """
        Raises:
            InvalidInput: the commit is larger than a batch may be. To be asked before it is kept anywhere else.
        """
        _measured(records)

    async def publish(self, partition: int, records: Sequence[Record]) -> int:
        """Put a commit on the log, all of it or nothing, on every in-sync replica before this returns.

        The records' own partitions and offsets are not looked at.

        Returns:
            The offset of the first record; the others follow it without a gap.

        Raises:
            InvalidInput: the commit is larger than a batch may be; nothing was sent.
            LogCut: the same, and the log is shorter than it was: it has to be compared with its ledger.
            Unavailable: the outcome is unknown: it may be on the log now, or later, or never.
        """
        messages, size = _measured(records)
        lane = self._lanes[partition]
        if self._closed:
            raise Unavailable(f"topic {self._topic}: this process is stopping")
        if lane.size + size > _MOST_WAITING:
            raise Unavailable(f"topic {self._topic}: too much is waiting to be written")
        if lane.task is None:
            lane.task = asyncio.create_task(self._drain(lane), name=f"publish {self._topic}/{partition}")
        commit = _Waiting(messages, size, asyncio.get_running_loop().create_future())
        lane.put(commit)
        with failures_of(f"topic {self._topic}"):
            async with asyncio.timeout(self._patience):
                return await commit.base_offset

    async def aclose(self) -> None:
        """Returns when every commit that was given is answered, in bounded time."""
        self._closed = True
        tasks = [lane.task for lane in self._lanes if lane.task is not None]
        for lane in self._lanes:
            lane.filled.set()
        if tasks:
            await asyncio.wait(tasks, timeout=self._patience)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._replace(self._producer)
        await asyncio.gather(*self._leaving)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _drain(self, lane: _Lane) -> None:
        while lane.waiting or not self._closed:
            await lane.filled.wait()
            commits = lane.gather()
            if not commits:
                continue
            if self._meter is not None:
                self._meter.grouped(len(commits))
            try:
                offset = await self._send(lane.partition, commits)
            except Exception as error:  # noqa: BLE001 -- whatever it is belongs to those who wait for this batch
                _fail(commits, error)
            else:
                before, lane.end = lane.end, offset + sum(len(commit.messages) for commit in commits)
                if offset < before:
                    lost = f"topic {self._topic}/{lane.partition}: the log ended at {before}, and now at {offset}"
                    _fail(commits, LogCut(lost, lane.partition, offset))
                else:
                    _answer(commits, offset)

    async def _send(self, partition: int, commits: Sequence[_Waiting]) -> int:
        """The batch's base offset."""
        with failures_of(f"topic {self._topic}"):
            producer = await self._connected()
            try:
                async with asyncio.timeout(self._patience):
                    batch = _batch_of(commits, producer)
                    delivered = await (await producer.send_batch(batch, self._topic, partition=partition))
            except BaseException:
                self._replace(producer)
                raise
        if delivered.offset < 0:  # the brokers know that it is on the log, and not where
            self._replace(producer)
            raise Unavailable(f"topic {self._topic}: the brokers gave no offset")
        return delivered.offset

    async def _connected(self) -> AIOKafkaProducer:
        async with self._connecting:
            if self._producer is None:
                try:
                    self._producer = await connected_producer(self._connection)
                except Exception:
                    await asyncio.sleep(_RECONNECTING_SECONDS)  # those who come meanwhile share the next attempt
                    raise
            return self._producer

    def _replace(self, producer: AIOKafkaProducer | None) -> None:
        """The next batch gets another producer; this one is let go of in the background."""
        if producer is None or producer is not self._producer:
            return
        self._producer = None
        task = asyncio.create_task(give_up(producer))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


def _measured(records: Sequence[Record]) -> tuple[Sequence[Message], int]:
    """The commit's messages, and at most how many bytes they take in a batch."""
    messages = [to_message(record) for record in records]
    size = 0
    for key, value, headers, _ in messages:
        size += _RECORD_OVERHEAD + len(key or b"") + len(value)
        for name, text in headers:
            size += _HEADER_OVERHEAD + len(name) + len(text)
    if _BATCH_OVERHEAD + size > LARGEST_BATCH:
        raise InvalidInput(
            f"events: expected at most {LARGEST_BATCH} bytes in one commit with its envelopes, found {size}"
        )
    return messages, size


def _batch_of(commits: Sequence[_Waiting], producer: AIOKafkaProducer) -> BatchBuilder:
    batch = producer.create_batch()
    for commit in commits:
        for key, value, headers, timestamp_ms in commit.messages:
            if batch.append(timestamp=timestamp_ms, key=key, value=value, headers=headers) is None:
                raise AssertionError("a commit is larger than it was measured")
    return batch


def _answer(commits: Sequence[_Waiting], offset: int) -> None:
    for commit in commits:
        if not commit.base_offset.done():
            commit.base_offset.set_result(offset)
        offset += len(commit.messages)


def _fail(commits: Sequence[_Waiting], error: Exception) -> None:
    words = str(error) if isinstance(error, Unavailable) else type(error).__name__
    for commit in commits:  # an exception each: one collects where it was raised
        if not commit.base_offset.done():
            commit.base_offset.set_exception(copy(error) if isinstance(error, LogCut) else Unavailable(words))
