"""What readers of logs say about themselves: where they are, what waits, and what is failing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from eventkernel.errors import Unavailable
from eventkernel.events import Partition, Position
from eventkernel.reading.membership import Assignment
from eventkernel.reading.views import ParkedRecord, Waiting
from eventkernel.writing.store import LogReader


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """How far a reader is in one partition. `head` is None where the log does not answer."""

    log: str
    partition: int
    checkpoint: int
    head: int | None
    lag_seconds: float
    """The age of the oldest record that has been read and not dealt with; 0 where there is none."""

    @property
    def lag_events(self) -> int | None:
        return None if self.head is None else max(0, self.head - self.checkpoint)


@dataclass(frozen=True, slots=True)
class ParkedStream:
    """A stream that cannot go on: at which version, why, and how many records wait (that one included)."""

    stream: str
    log: str
    partition: int
    version: int
    reason: str
    waiting: int


async def partition_status(
    logs: Sequence[LogReader],
    position: Position,
    waiting_since: Mapping[Partition, int],
    now_us: int,
    assignment: Assignment,
) -> tuple[PartitionStatus, ...]:
    """The assigned partitions of these logs, in order, for a reader that stands at a position; all of them for one that
    only looks."""
    heads: dict[Partition, int | None] = {}
    for log in logs:
        try:
            heads.update((await log.head()).offsets)
        except Unavailable:
            heads.update({partition: None for partition in position if partition.log == log.log})
    statuses: list[PartitionStatus] = []
    for partition, head in sorted(heads.items()):
        if assignment.partitions and not assignment.has(partition):
            continue
        checkpoint = position.get(partition, 0)
        behind = head is None or checkpoint < head
        lag_us = now_us - waiting_since.get(partition, now_us) if behind else 0
        statuses.append(PartitionStatus(*partition, checkpoint, head, max(0, lag_us) / 1_000_000))
    return tuple(statuses)


def parked_streams(entries: Iterable[ParkedRecord]) -> Iterator[ParkedStream]:
    """The streams that wait, from all parked records as `ViewBuild.parked` gives them."""
    waiting = (entry for entry in entries if not entry.skipped)
    for stream, group in groupby(waiting, key=lambda entry: entry.record.stream):
        records = list(group)
        first = records[0]
        yield ParkedStream(
            stream=stream,
            log=first.record.log,
            partition=first.record.partition,
            version=first.record.version,
            reason=first.reason or "",
            waiting=len(records),
        )


def waiting_in(streams: Sequence[ParkedStream]) -> Waiting:
    """How much waits in these streams."""
    return Waiting(len(streams), sum(stream.waiting for stream in streams))
