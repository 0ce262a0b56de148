"""Reading partitions from given offsets on: no group, nothing committed, nothing skipped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.failures import failures_of
from eventkernel.adapters.kafka.lifecycle import let_go, started
from eventkernel.adapters.kafka.topic import LARGEST_BATCH

_MOST_MESSAGES: Final = 500
"""How many are taken out of a fetch at once: a few milliseconds' work for the event loop."""
_LONGEST_FETCH_MS: Final = 500
"""How long a broker may hold a request that has nothing to answer."""


class Consumer:
    """A connection that fetches what it was pointed at, and tells where partitions end.

    Made by `consuming`. Any method raises `Unavailable` where brokers do not answer in time, and `CorruptData` where
    records are gone or damaged.
    """

    def __init__(self, consumer: AIOKafkaConsumer, connection: KafkaConnection, topic: str) -> None:
        self._consumer = consumer
        self._topic = topic
        self._patience = 2 * connection.patience

    def point_at(self, offsets: Mapping[int, int]) -> None:
        """Fetch these partitions, by number, each from its offset on."""
        partitions = {number: TopicPartition(self._topic, number) for number in offsets}
        self._consumer.assign(list(partitions.values()))
        for number, partition in partitions.items():
            self._consumer.seek(partition, offsets[number])

    async def next(self, seconds: float) -> Mapping[int, Sequence[ConsumerRecord]]:
        """The next messages, by partition; none if none came within so many seconds, for whatever reason."""
        with failures_of(f"topic {self._topic}"):
            fetched = await self._consumer.getmany(timeout_ms=round(seconds * 1_000), max_records=_MOST_MESSAGES)
        return {partition.partition: messages for partition, messages in fetched.items()}

    async def ends(self, partitions: int) -> Mapping[int, int]:
        """The offset after the last acknowledged record, of as many partitions."""
        asked = [TopicPartition(self._topic, number) for number in range(partitions)]
        with failures_of(f"topic {self._topic}"):
            async with asyncio.timeout(self._patience):
                found = await self._consumer.end_offsets(asked)
        return {partition.partition: offset for partition, offset in found.items()}


@asynccontextmanager
async def consuming(connection: KafkaConnection, topic: str) -> AsyncGenerator[Consumer]:
    """A connected consumer of an existing topic.

    Raises:
        Unavailable: brokers cannot be reached.
    """
    consumer = AIOKafkaConsumer(
        **connection.client_settings("eventkernel-reader"),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",  # an offset that is not there is an error, not a place to go on from
        fetch_max_wait_ms=_LONGEST_FETCH_MS,
        max_partition_fetch_bytes=LARGEST_BATCH,
    )
    try:
        with failures_of(f"topic {topic}"):
            await started(consumer.start(), 2 * connection.patience)
        yield Consumer(consumer, connection, topic)
    finally:
        await let_go(consumer)
