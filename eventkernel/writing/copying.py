"""A log as another log could have had it: what is copied from one store to another.

Streams, versions, commits, command ids, claims, times and data stay. Where a record stands does not, so the copy is
another log with an id of its own: a bookmark of the one says nothing about the other.
"""

from __future__ import annotations

import heapq
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Protocol

from eventkernel.errors import CorruptData
from eventkernel.events import Partition, Position, Record
from eventkernel.writing.store import Batch, Checkpoint


class CopiedLog(Protocol):
    """What is needed of a log to copy it: of the port `LogReader`, where it may end."""

    @property
    def log(self) -> str: ...

    def subscribe(self, after: Checkpoint, partitions: frozenset[int] | None = None) -> AsyncGenerator[Batch, None]: ...


async def commits_in_order(log: CopiedLog, end: Position) -> AsyncGenerator[Sequence[Record], None]:
    """Every commit of a log up to its `end`, each whole, in an order that a log with one partition could have had.

    Inside a partition the order is its own. Between partitions the earlier time goes first, but a commit that takes a
    claim waits for the one that has given it up: clocks of several writers may disagree, claims do not.

    Raises:
        CorruptData: a commit is not whole, or two streams hold one claim.
        Unavailable: the log cannot be read now.
    """
    holders: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        readers = [
            await stack.enter_async_context(aclosing(_commits(log, partition, end[partition])))
            for partition in sorted(end)
            if end[partition] > 0
        ]
        ready: list[tuple[int, int, Sequence[Record]]] = []
        blocked: list[tuple[int, int, Sequence[Record]]] = []

        async def advance(reader: int) -> None:
            commit = await anext(readers[reader], None)
            if commit is not None:
                heapq.heappush(ready, (commit[0].time_us, reader, commit))

        for reader in range(len(readers)):
            await advance(reader)
        while ready:
            entry = heapq.heappop(ready)
            _, reader, commit = entry
            first = commit[0]
            if any(holders.get(claim, first.stream) != first.stream for claim in first.claims_taken):
                blocked.append(entry)
                continue
            for claim in first.claims_given_up:
                holders.pop(claim, None)
            holders.update(dict.fromkeys(first.claims_taken, first.stream))
            yield commit
            await advance(reader)
            if first.claims_given_up and blocked:
                for waiting in blocked:
                    heapq.heappush(ready, waiting)
                blocked.clear()
        if blocked:
            stream = blocked[0][2][0].stream
            raise CorruptData(f"the log {log.log}: the stream {stream} takes a claim that another one holds")


async def _commits(log: CopiedLog, partition: Partition, end: int) -> AsyncGenerator[Sequence[Record], None]:
    """The commits of one partition before an offset."""
    commit: list[Record] = []
    seen = _Seen()
    reached = 0
    async with aclosing(log.subscribe(Checkpoint(), frozenset({partition.number}))) as batches:
        while reached < end:
            batch = await anext(batches)
            reached = batch.next_offset
            for record in batch.records:
                if record.offset >= end or seen.again(record):
                    continue
                commit.append(record)
                if len(commit) == commit[0].commit_size:
                    yield commit
                    commit = []
    if commit:
        raise CorruptData(f"the log {log.log}: the commit {commit[0].id} is not whole")


class _Seen:
    """What of one partition was there already: a log may have a record twice, and the first one counts."""

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}
        self._remembered: set[str] = set()

    def again(self, record: Record) -> bool:
        if record.version:
            known = self._versions.get(record.stream, 0) >= record.version
            self._versions[record.stream] = max(record.version, self._versions.get(record.stream, 0))
        else:
            known = record.id in self._remembered
            self._remembered.add(record.id)
        return known
