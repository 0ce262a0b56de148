"""A log as an archive has it, to be read for a copy."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from eventkernel.archiving.chain import manifests
from eventkernel.archiving.layout import LARGEST_SEGMENT, LogArchive, Segment, records_of
from eventkernel.archiving.objects import ObjectStore
from eventkernel.errors import CannotOpen, CorruptData
from eventkernel.events import Position, Record
from eventkernel.writing.store import Batch, Checkpoint


@dataclass(frozen=True, slots=True)
class ArchivedLog:
    """One log of an archive: the part of the port `LogReader` that copying needs."""

    store: ObjectStore
    log: str
    archive: LogArchive
    segments: Mapping[int, Sequence[Segment]]
    """By partition."""

    @property
    def end(self) -> Position:
        return self.archive.end(self.log)

    @property
    def without_gaps(self) -> bool:
        """Whether it is one partition in which every offset has a record: a copy can have each at the same one."""
        reached = self.archive.reached.get(0)
        return self.archive.partitions == 1 and (reached is None or reached.next == reached.records + 1)

    async def subscribe(
        self, after: Checkpoint, partitions: frozenset[int] | None = None
    ) -> AsyncGenerator[Batch, None]:
        """Every record from the start on, partition after partition; `after` is the start. Ends at the archive's end.

        Raises:
            CorruptData: an object is missing or not what was written; the message names it.
            Unavailable: the store cannot be read.
        """
        if after.position:
            raise CannotOpen("an archived log is read from its start")
        for number in sorted(self.segments if partitions is None else partitions):
            for segment in self.segments.get(number, ()):
                content = await self.store.get(segment.name, LARGEST_SEGMENT)
                for records in records_of(segment, content):
                    yield self._batch(number, records, records[-1].offset + 1)
                yield self._batch(number, (), segment.next)

    def _batch(self, number: int, records: Sequence[Record], next_offset: int) -> Batch:
        return Batch(self.log, number, records, next_offset, self.archive.reached[number].generation)


async def archived_logs(store: ObjectStore, until: datetime | None = None) -> Sequence[ArchivedLog]:
    """The logs of an archive as its last closed manifest has them, or the last one that was written `until` then.

    Raises:
        CannotOpen: there is no archive, or no run was ever finished, or none until then.
        CorruptData: the chain of manifests is damaged; the message names the object.
        Unavailable: the store cannot be read.
    """
    closed, first = None, ""
    segments: list[Segment] = []
    counted = 0
    async for manifest in manifests(store):
        segments += manifest.segments
        if manifest.closed:
            first = first or manifest.written
            if until is None or datetime.fromisoformat(manifest.written) <= until:
                closed, counted = manifest, len(segments)
    if closed is None:
        if first and until is not None:
            raise CannotOpen(f"{store.name}: its first run was finished at {first}, after {until.isoformat()}")
        what = "its first run was broken off" if segments else "there is none"
        raise CannotOpen(f"{store.name}: expected an archive, found no closed manifest: {what}")
    by_log: dict[str, dict[int, list[Segment]]] = {log: {} for log in closed.logs}
    for segment in segments[:counted]:
        if segment.log not in by_log:
            raise CorruptData(f"{segment.name}: it is of a log that {closed.name} does not know")
        by_log[segment.log].setdefault(segment.partition, []).append(segment)
    logs = [ArchivedLog(store, log, archive, by_log[log]) for log, archive in closed.logs.items()]
    for one in logs:
        _check_order(one)
    return logs


def _check_order(log: ArchivedLog) -> None:
    """That the segments of each partition follow one another, up to where the manifest says."""
    for number in log.segments.keys() | log.archive.reached.keys():
        before = 0
        for segment in log.segments.get(number, ()):
            if segment.first != before or segment.next <= before:
                raise CorruptData(f"{segment.name}: expected a segment from the offset {before} on")
            before = segment.next
        reached = log.archive.reached.get(number)
        if reached is None or reached.next != before or number >= log.archive.partitions:
            raise CorruptData(f"{log.log}/{number}: the segments end at {before}, the manifest says something else")
