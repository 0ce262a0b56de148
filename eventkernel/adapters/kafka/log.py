"""A log on a Kafka topic, to be read: the port `LogReader`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Self

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.events import Position, Record
from eventkernel.store import Batch, Checkpoint


async def first_fences(connection: KafkaConnection, topic: str, partitions: int) -> Mapping[int, Record]:
    """The fences at offset 0, by partition; a partition without records is left out (the log is being made).

    Raises:
        CannotOpen: a partition begins with something else, or the fences are of different logs.
        Unavailable: they cannot be read now.
    """
    raise NotImplementedError


class KafkaLog:
    """One log to read. Closing it ends its subscriptions."""

    @classmethod
    async def open(cls, connection: KafkaConnection, topic: str) -> KafkaLog:
        """The log on this topic; its id is the one that the fences at the partitions' start have.

        Raises:
            CannotOpen: the topic is something else than a log.
            Unavailable: it cannot be read now, is missing, or lacks fences still (the log is being made).
        """
        raise NotImplementedError

    @property
    def log(self) -> str:
        """The log's id."""
        raise NotImplementedError

    @property
    def topic(self) -> str:
        raise NotImplementedError

    @property
    def partitions(self) -> int:
        """How many there are, numbered from 0; never changes."""
        raise NotImplementedError

    @property
    def claims_key_fingerprint(self) -> str:
        raise NotImplementedError

    def partition_of(self, stream: str) -> int:
        """Where a stream's records stand: as the Java client's default partitioner has it, so that others agree."""
        raise NotImplementedError

    async def head(self) -> Position:
        """Names every partition."""
        raise NotImplementedError

    def subscribe(self, after: Checkpoint, partitions: frozenset[int] | None = None) -> AsyncGenerator[Batch, None]:
        """As the port has it. A later duplicate of a version is not dropped here: readers drop it by its version."""
        raise NotImplementedError

    def read(self, partition: int, start: int, stop: int) -> AsyncGenerator[Sequence[Record], None]:
        """Every record of a partition from offset `start` up to, without, `stop`, in order, in pieces, as it stands
        on the topic: fences, records of older generations and repeated versions too. Ends at `stop`.

        Raises:
            CorruptData: `stop` is past the log's end.
            Unavailable: it cannot be read now.
        """
        raise NotImplementedError

    async def fences(self) -> Sequence[Record]:
        """Every fence on the log up to its end, by partition and offset. Reads all of it.

        Raises:
            Unavailable: it cannot be read now.
        """
        raise NotImplementedError

    async def aclose(self) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
