"""Reading several logs at once, for ever, as one sequence of batches."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from eventkernel.cancelling import uninterrupted
from eventkernel.errors import CheckpointMismatch, Unavailable
from eventkernel.events import Partition
from eventkernel.reading.folding import RecordReader, checkpoint_after, further
from eventkernel.reading.membership import Assignment
from eventkernel.retrying import Troubles
from eventkernel.writing.store import Batch, Checkpoint, LogReader

_READ_AHEAD: Final = 32
"""How many batches may wait: enough that reading and folding overlap, few enough for memory."""

_JOINED: Final = 2_000
"""From this many records on no further batch joins."""


@dataclass(frozen=True, slots=True)
class Source:
    """A log, and the codec that reads it: a reader of another subgraph's events has its own types for them."""

    log: LogReader
    codec: RecordReader


class Following:
    """The batches of some logs after a checkpoint. Made by `following`, which ends the subscriptions.

    Each log is read by a task of its own. A log that cannot be read is tried again from where its last batch ended; the
    others go on meanwhile. Partitions that are not assigned are left out. A log that has another history than what was
    read of it ends the following: trying again would find the same.
    """

    def __init__(self, after: Checkpoint, troubles: Troubles, assignment: Assignment) -> None:
        self._after = after
        self._assignment = assignment
        self._troubles = troubles
        self._queue: asyncio.Queue[Batch | CheckpointMismatch] = asyncio.Queue(_READ_AHEAD)
        self._unfinished: deque[Batch] = deque()

    async def next(self, until: float | None = None) -> list[Batch]:
        """At least one batch, and what else has queued up meanwhile, in the order of arrival; none if none has come
        until then (in the event loop's time).

        Raises:
            CheckpointMismatch: a log is another one than the one that was read: it was cut, or put back to an older
                copy.
        """
        if self._queue.empty():
            try:
                async with asyncio.timeout_at(until):
                    batches = [_batch(await self._queue.get())]
            except TimeoutError:
                return []
        else:
            batches = [_batch(self._queue.get_nowait())]
        records = len(batches[0].records)
        while records < _JOINED and not self._queue.empty():
            batches.append(_batch(self._queue.get_nowait()))
            records += len(batches[-1].records)
        return batches

    def finished(self, batches: Sequence[Batch]) -> None:
        """The batches that `next` gave last are dealt with."""
        for _ in batches:
            self._unfinished.popleft()

    def waiting_since(self) -> dict[Partition, int]:
        """The time (µs since 1970) of the oldest record that has arrived and is not dealt with, per partition."""
        oldest: dict[Partition, int] = {}
        for batch in self._unfinished:
            if batch.records:
                oldest.setdefault(Partition(batch.log, batch.partition), batch.records[0].time_us)
        return oldest

    async def read(self, log: LogReader) -> None:
        """Put one log's batches on the queue, for ever, or until the log has another history."""
        partitions = self._assignment.of(log.log)
        doing = f"reading the log {log.log}"
        while True:
            try:
                await uninterrupted(self._pass_on(log, partitions, doing))
                failure: Exception = Unavailable("the subscription has ended")
            except CheckpointMismatch as mismatch:
                self._troubles.given_up(doing)
                await self._queue.put(mismatch)
                return
            except Exception as error:  # noqa: BLE001  # a log that fails in whatever way is tried again, and shown
                failure = error
            await self._troubles.failed(doing, failure)

    async def _pass_on(self, log: LogReader, partitions: frozenset[int] | None, doing: str) -> None:
        batches = log.subscribe(self._after, partitions)
        try:
            async for batch in batches:
                self._troubles.over(doing)
                await self._queue.put(batch)
                self._unfinished.append(batch)
                self._after = further(self._after, checkpoint_after((batch,)))
        finally:
            await _close(batches)


@asynccontextmanager
async def following(
    logs: Sequence[LogReader], after: Checkpoint, troubles: Troubles, assignment: Assignment
) -> AsyncGenerator[Following]:
    """Follow what is assigned of these logs for as long as the block lasts."""
    follower = Following(after, troubles, assignment)
    assigned = [log for log in logs if assignment.of(log.log) != frozenset()]
    readers = [asyncio.create_task(follower.read(log), name=f"read {log.log}") for log in assigned]
    try:
        yield follower
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)


def _batch(found: Batch | CheckpointMismatch) -> Batch:
    if isinstance(found, CheckpointMismatch):
        raise found
    return found


async def _close(batches: AsyncIterator[Batch]) -> None:
    """`LogReader.subscribe` gives something that ends when it is closed; among iterators, generators can be."""
    if isinstance(batches, AsyncGenerator):
        await batches.aclose()
