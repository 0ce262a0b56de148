"""A log on a Kafka topic, to be read: the port `LogReader`.

What a subscriber gets is decided per partition, by what stood before: behind a fence, records of older generations are
dropped, late ones of a replica that had not noticed. A later record of a version that stands on the log already is not
dropped here, but by its reader, who knows the streams' versions.

A message that is no record of this log is an alarm, and is passed over. A log cannot be mended: stopping at it would
stop for ever. Were it one of ours, its stream would lack a version, and stop by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from functools import lru_cache
from typing import Final, Self

from aiokafka import ConsumerRecord
from aiokafka.partitioner import murmur2

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.consumer import Consumer, consuming
from eventkernel.adapters.kafka.records import attribute_of, from_message
from eventkernel.adapters.kafka.topic import count_partitions
from eventkernel.errors import CannotOpen, CheckpointMismatch, InvalidInput, Unavailable
from eventkernel.events import FENCE, Partition, Position, Record
from eventkernel.reading.landmarks import compare
from eventkernel.writing.fences import claims_key_of
from eventkernel.writing.store import Batch, Checkpoint, Correlated

_log: Final = logging.getLogger(__name__)

_IDLE_SECONDS: Final = 2.0
"""After so long without a record it is asked whether the brokers are there still."""
_LOOK_BACK: Final = 2_000
"""How many records are looked through first for the last fence; each time twice as many."""


async def first_fences(connection: KafkaConnection, topic: str, partitions: int) -> Mapping[int, Record]:
    """The fences at offset 0, by partition; a partition without records is left out (the log is being made).

    Raises:
        CannotOpen: a partition begins with something else, or the fences are of different logs.
        Unavailable: they cannot be read now.
    """
    fences: dict[int, Record] = {}
    async with consuming(connection, topic) as consumer:
        missing = {number for number, end in (await consumer.ends(partitions)).items() if end}
        consumer.point_at(dict.fromkeys(missing, 0))
        while missing:
            fetched = await consumer.next(connection.patience)
            if not fetched:
                raise Unavailable(f"topic {topic}: no answer in time")
            for number in missing & fetched.keys():
                fences[number] = _first_fence(fetched[number][0], topic)
            missing -= fetched.keys()
    if len({(fence.log, fence.data) for fence in fences.values()}) > 1:
        raise CannotOpen(f"topic {topic}: its partitions begin with fences of different logs")
    return fences


def _first_fence(message: ConsumerRecord, topic: str) -> Record:
    try:
        record = from_message(message)
        found = record.type
    except InvalidInput as error:
        record, found = None, str(error)
    if record is None or record.offset != 0 or found != FENCE:
        raise CannotOpen(
            f"topic {topic}: expected a log's fence at the start of partition {message.partition}, found {found}"
        )
    return record


class KafkaLog:
    """One log to read: the port `LogReader`. Once it is closed it is `Unavailable`, for its subscriptions too."""

    def __init__(self, connection: KafkaConnection, topic: str, partitions: int, fence: Record) -> None:
        self._connection = connection
        self._topic = topic
        self._partitions = partitions
        self._log = fence.log
        self._opening = fence
        self._claims_key = claims_key_of(fence)
        self._resources = AsyncExitStack()
        self._enquiries: Consumer | None = None
        self._connecting = asyncio.Lock()
        self._asked: asyncio.Task[Position] | None = None
        self._asking: asyncio.Task[Position] | None = None
        self._closed = False

    @classmethod
    async def open(cls, connection: KafkaConnection, topic: str) -> KafkaLog:
        """The log on this topic; its id is the one that the fences at the partitions' start have.

        Raises:
            CannotOpen: the topic is something else than a log.
            Unavailable: it cannot be read now, is missing, or lacks fences still (the log is being made).
        """
        partitions = await count_partitions(connection, topic)
        fences = await first_fences(connection, topic, partitions)
        if len(fences) < partitions:
            raise Unavailable(f"topic {topic}: the log is being made")
        return cls(connection, topic, partitions, fences[0])

    @property
    def log(self) -> str:
        """The log's id."""
        return self._log

    @property
    def topic(self) -> str:
        return self._topic

    @property
    def partitions(self) -> int:
        """How many there are, numbered from 0; never changes."""
        return self._partitions

    @property
    def claims_key_fingerprint(self) -> str:
        return self._claims_key

    def partition_of(self, stream: str) -> int:
        """Where a stream's records stand: as the Java client's default partitioner has it, so that others agree."""
        return _partition_of(stream, self._partitions)

    async def opening(self) -> Record:
        """The fence that the first partition begins with."""
        return self._opening

    async def head(self) -> Position:
        """Names every partition."""
        # Many callers ask at once. An answer serves the callers that asked before its request was sent.
        if self._asked is None:
            self._asked = asyncio.create_task(self._ask_after(self._asking), name=f"head of {self._log}")
            self._asked.add_done_callback(_retrieved)
        asked, task = self._asked, asyncio.current_task()
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            if asked.cancelled() and task is not None and not task.cancelling():
                raise self._is_closed() from None  # the request was cancelled, not its caller
            raise

    def subscribe(self, after: Checkpoint, partitions: frozenset[int] | None = None) -> AsyncGenerator[Batch, None]:
        """As the port has it. A later duplicate of a version is not dropped here: readers drop it by its version."""
        numbers = range(self._partitions) if partitions is None else partitions
        offsets = {number: after.position.offsets.get(Partition(self._log, number), 0) for number in numbers}
        generations = {number: generation for log, number, generation in after.generations if log == self._log}
        return self._subscribe(after, offsets, generations)

    async def records_before(self, offsets: Mapping[int, int]) -> Mapping[int, Record]:
        found = await asyncio.gather(*(self._record_before(number, offset) for number, offset in offsets.items()))
        return {record.partition: record for record in found if record is not None}

    async def read(self, partition: int, start: int, stop: int) -> AsyncGenerator[Sequence[Record], None]:
        """Every record of a partition from offset `start` up to, without, `stop`, in order, in pieces, as it stands
        on the topic: fences, records of older generations and repeated versions too. Ends at `stop`.

        Raises:
            CorruptData: `stop` is past the log's end.
            Unavailable: it cannot be read now.
        """
        async with aclosing(self._messages(partition, start, stop)) as pieces:
            async for messages in pieces:
                yield self._records(messages)

    async def read_correlated(self, correlation: str, back: int, most: int) -> Correlated:
        """As `EventStore` has it. What a replica of an older generation wrote late is left out, as far as a record of
        the newer one is among those that are looked at."""
        head = await self.head()
        found: list[Record] = []
        since_us, more = None, False
        for number in range(self._partitions):
            end = head.get(Partition(self._log, number), 0)
            start = max(0, end - back)
            ours, first, more_here = await self._correlated(number, (start, end), correlation.encode(), most)
            found += self._records(ours)
            more = more or more_here
            if start and first is not None:
                since_us = max(first.time_us, since_us or 0)
        return Correlated(found, since_us, more)

    async def _correlated(
        self, number: int, span: tuple[int, int], correlation: bytes, most: int
    ) -> tuple[Sequence[ConsumerRecord], Record | None, bool]:
        """The last messages of a partition that have this correlation, the first record that was looked at, and
        whether earlier ones were found."""
        found: deque[ConsumerRecord] = deque(maxlen=most)
        first: Record | None = None
        count = generation = 0
        async with aclosing(self._messages(number, *span)) as pieces:
            async for messages in pieces:
                first = first or next(iter(self._records(messages[:1])), None)
                for message in messages:
                    own = _number(attribute_of(message, "generation"))
                    generation = max(generation, own)
                    if own == generation and message.key and attribute_of(message, "correlation") == correlation:
                        found.append(message)
                        count += 1
        return list(found), first, count > most

    async def fences(self) -> Sequence[Record]:
        """Every fence on the log up to its end, by partition and offset. Reads all of it.

        Raises:
            Unavailable: it cannot be read now.
        """
        ends = await self.head()
        found: list[Record] = []
        for number in range(self._partitions):
            found += await self._fences(number, 0, ends[Partition(self._log, number)])
        return found

    async def aclose(self) -> None:
        self._closed = True
        for task in (self._asked, self._asking):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        await self._disconnect()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _subscribe(
        self, after: Checkpoint, offsets: dict[int, int], generations: Mapping[int, int]
    ) -> AsyncGenerator[Batch, None]:
        await compare(self, after, frozenset(offsets))
        seen = {number: await self._generation_at(number, offset, generations) for number, offset in offsets.items()}
        if not offsets:
            await asyncio.get_running_loop().create_future()  # nothing to read, for ever
        async with consuming(self._connection, self._topic) as consumer:
            consumer.point_at(offsets)
            while True:
                fetched = await consumer.next(_IDLE_SECONDS)
                if not fetched:
                    await self._check_within(offsets)
                for number, messages in fetched.items():
                    batch = self._batch(number, messages, seen[number])
                    offsets[number], seen[number] = batch.next_offset, batch.generation
                    yield batch

    def _batch(self, number: int, messages: Sequence[ConsumerRecord], generation: int) -> Batch:
        """What a reader gets of these messages that has seen this generation."""
        kept: list[Record] = []
        for record in self._records(messages):
            if record.type == FENCE:
                generation = max(generation, record.generation)
            elif record.generation >= generation:
                kept.append(record)
        return Batch(self._log, number, kept, messages[-1].offset + 1, generation)

    async def _ask_after(self, before: asyncio.Task[Position] | None) -> Position:
        try:
            if before is not None:
                await asyncio.wait([before])
            self._asking, self._asked = self._asked, None
            ends = await (await self._connected()).ends(self._partitions)
        except Exception:
            await self._disconnect()  # the next question goes over a new connection
            raise
        return Position({Partition(self._log, number): end for number, end in ends.items()})

    async def _connected(self) -> Consumer:
        async with self._connecting:
            if self._closed:
                raise self._is_closed()
            if self._enquiries is None:
                self._enquiries = await self._resources.enter_async_context(consuming(self._connection, self._topic))
            return self._enquiries

    def _is_closed(self) -> Unavailable:
        return Unavailable(f"topic {self._topic}: the log is closed")

    async def _disconnect(self) -> None:
        async with self._connecting:
            self._enquiries = None
            await self._resources.aclose()

    async def _check_within(self, offsets: Mapping[int, int]) -> None:
        """That brokers answer, and that the log has not become shorter than what was read of it."""
        head = await self.head()
        for number, offset in offsets.items():
            end = head.offsets.get(Partition(self._log, number), 0)
            if offset > end:
                raise CheckpointMismatch(f"{self._log}/{number}: the log ends at {end}, and its reader is at {offset}")

    async def generation_at(self, number: int, offset: int) -> int:
        """The newest generation with a fence before this offset of a partition; 0: none."""
        return await self._generation_at(number, offset, {})

    async def _generation_at(self, number: int, offset: int, known: Mapping[int, int]) -> int:
        """The generation that a reader at this offset has seen: the newest one with a fence before it.

        It is looked for backwards. A late fence opens nothing again: it is known by records of a newer generation.
        """
        if number in known or offset == 0:
            return known.get(number, 0)
        newest, fenced, stop, size = 0, -1, offset, _LOOK_BACK
        while stop and fenced < newest:
            start = max(0, stop - size)
            async with aclosing(self.read(number, start, stop)) as pieces:
                async for records in pieces:
                    for found in records:
                        newest = max(newest, found.generation)
                        if found.type == FENCE:
                            fenced = max(fenced, found.generation)
            stop, size = start, 2 * size
        return newest

    async def _record_before(self, number: int, offset: int) -> Record | None:
        """As `records_before`: it is looked for backwards, each time in twice as many records."""
        end = (await self.head()).offsets.get(Partition(self._log, number), 0)
        stop, size = min(offset, end), 1
        while stop:
            start = max(0, stop - size)
            generation = await self._generation_at(number, start, {}) if start else 0
            last: Record | None = None
            async with aclosing(self.read(number, start, stop)) as pieces:
                async for records in pieces:
                    for record in records:
                        if record.type == FENCE:
                            generation = max(generation, record.generation)
                        elif record.generation >= generation:
                            last = record
            if last is not None:
                return last
            stop, size = start, 2 * size
        return None

    async def _fences(self, number: int, start: int, stop: int) -> Sequence[Record]:
        found: list[Record] = []
        async with aclosing(self._messages(number, start, stop)) as pieces:
            async for messages in pieces:
                # Fences alone have no key, so nothing else needs to be decoded.
                candidates = [message for message in messages if message.key is None]
                found += [record for record in self._records(candidates) if record.type == FENCE]
        return found

    async def _messages(self, number: int, start: int, stop: int) -> AsyncGenerator[Sequence[ConsumerRecord], None]:
        if start >= stop:
            return
        await self._check_within({number: stop})
        async with consuming(self._connection, self._topic) as consumer:
            consumer.point_at({number: start})
            while start < stop:
                fetched = await consumer.next(_IDLE_SECONDS)
                if not fetched:
                    await self._check_within({number: stop})
                for messages in fetched.values():
                    start = messages[-1].offset + 1
                    yield messages if start <= stop else [message for message in messages if message.offset < stop]

    def _records(self, messages: Sequence[ConsumerRecord]) -> list[Record]:
        """The records of this log among the messages."""
        records: list[Record] = []
        for message in messages:
            try:
                record = from_message(message)
            except InvalidInput as error:
                self._alarm(message, str(error))
                continue
            if record.log == self._log:
                records.append(record)
            else:
                self._alarm(message, f"a record of the log {record.log}")
        return records

    def _alarm(self, message: ConsumerRecord, found: str) -> None:
        _log.error(
            "topic %s, partition %d, offset %d: expected a record of the log %s, found something else: %s",
            *(self._topic, message.partition, message.offset, self._log, found),
        )


@lru_cache(maxsize=10_000)
def _partition_of(stream: str, partitions: int) -> int:
    # https://kafka.apache.org/documentation/#producerconfigs_partitioner.class: murmur2 of the key, made positive
    return (murmur2(stream.encode()) & 0x7FFF_FFFF) % partitions


def _number(text: bytes | None) -> int:
    """0 where there is none: what is no record of ours is told by whoever reads it whole."""
    return int(text) if text and text.isdigit() else 0


def _retrieved(task: asyncio.Task[Position]) -> None:
    """The caller may have gone: then nobody needs to know of the error."""
    if not task.cancelled():
        task.exception()
