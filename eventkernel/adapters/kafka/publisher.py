"""Putting commits on the log: each lies wholly in one record batch, many share one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.events import Record


class Publisher:
    """The one way onto a topic. Safe to be used by many tasks at once; made inside a running event loop."""

    def __init__(self, connection: KafkaConnection, topic: str, *, partitions: int, patience: float = 10.0) -> None:
        """`patience`: seconds after which a commit that is not acknowledged is `Unavailable`."""
        raise NotImplementedError

    async def publish(self, partition: int, records: Sequence[Record]) -> int:
        """Put a commit on the log, all of it or nothing, on every in-sync replica before this returns.

        The records' own partitions and offsets are not looked at.

        Returns:
            The offset of the first record; the others follow it without a gap.

        Raises:
            InvalidInput: the commit is larger than a batch may be; nothing was sent.
            Unavailable: the outcome is unknown: it may be on the log now, or later, or never.
        """
        raise NotImplementedError

    async def aclose(self) -> None:
        """Returns when every commit that was given is answered, in bounded time."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
