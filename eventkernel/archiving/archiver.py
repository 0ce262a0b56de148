"""The archiver: takes logs up to their ends, puts what is new into segments, and names these in a manifest.

It keeps nothing of its own. The archive's last manifest says how far each partition is, and names the record that was
taken last: where a log has another record there, it was cut or replaced, and the archiver refuses to go on. A run that
is broken off at any point leaves an archive that is whole, and the next one goes on from its last manifest.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from eventkernel.archiving.chain import Chain
from eventkernel.archiving.layout import LogArchive, Manifest, Reached, Segment, SegmentWriter
from eventkernel.archiving.objects import ObjectStore
from eventkernel.clock import Clock
from eventkernel.errors import CannotOpen, CorruptData
from eventkernel.events import Partition, Position, Record, damage_of, log_name, moment
from eventkernel.reading.landmarks import compare, landmark_of
from eventkernel.writing.envelope import to_placed_line
from eventkernel.writing.store import LogReader

SEGMENT_BYTES: Final = 8 * 1024 * 1024
"""Of lines before they are compressed: a segment ends with the commit that reaches it."""
_SEGMENTS: Final = 16
"""So many segments make a manifest, also before the logs' ends are reached: what was done is not done again."""
_LEVEL: Final = 6
"""Of compression."""


class ArchivableLog(LogReader, Protocol):
    """A log that can be archived."""

    async def opening(self) -> Record:
        """The fence that it begins with; of several partitions, the first one's."""
        ...


@dataclass(frozen=True, slots=True)
class Archiver:
    """Archives these logs into a store. They are in an order in which a log refers only to logs before it.

    Args:
        segment_bytes: when a segment is full.
        advance: is told how many records of how many this run has taken.
    """

    store: ObjectStore
    logs: Sequence[ArchivableLog]
    clock: Clock
    segment_bytes: int = SEGMENT_BYTES
    advance: Callable[[int, int], None] = lambda _done, _total: None

    async def run(self) -> Manifest:
        """Archive everything up to the logs' ends, as they are now; the archive's last manifest after that.

        Raises:
            CannotOpen: the archive is one of other logs.
            CheckpointMismatch: a log is not any more the history that was archived.
            CorruptData: the archive or a log is damaged.
            Unavailable: the store or a log cannot be reached or written, or another archiver has written meanwhile.
        """
        chain = await Chain.open(self.store)
        logs = await self._beginning(chain.last)
        # What refers comes before what it refers to: that is then before the end that is taken later.
        ends = {log.log: await log.head() for log in reversed(self.logs)}
        waiting: list[Segment] = []
        done, total = 0, sum(_missing(logs[name], ends[name], name) for name in logs)
        for log in self.logs:
            await compare(log, logs[log.log].checkpoint(log.log))
            for partition in sorted(ends[log.log]):
                async with aclosing(self._segments(log, partition, logs[log.log], ends[log.log])) as segments:
                    async for segment, content, reached in segments:
                        await self.store.put(segment.name, content)
                        waiting.append(segment)
                        known = logs[log.log]
                        logs[log.log] = msgspec.structs.replace(
                            known, reached={**known.reached, partition.number: reached}
                        )
                        done += segment.records
                        self.advance(done, max(done, total))
                        if len(waiting) == _SEGMENTS:
                            await self._write(chain, logs, waiting, closed=False)
                            waiting.clear()
        if waiting or chain.last is None or not chain.last.closed or chain.last.logs.keys() != logs.keys():
            return await self._write(chain, logs, waiting, closed=True)
        return chain.last

    async def _beginning(self, last: Manifest | None) -> dict[str, LogArchive]:
        """What is archived of each log so far."""
        known = last.logs if last else {}
        archived = {log_name(log): log for log in known}
        unknown = archived.keys() - {log_name(log.log) for log in self.logs}
        if unknown:
            raise CannotOpen(f"{self.store.name} is the archive of another system: it has the log {min(unknown)}")
        logs: dict[str, LogArchive] = {}
        for log in self.logs:
            before = archived.get(log_name(log.log), log.log)
            if before != log.log:
                raise CannotOpen(
                    f"{self.store.name} has the log {before}, and this system has {log.log}: the log was replaced; "
                    "archive it in another place"
                )
            opening = to_placed_line(await log.opening()).decode()
            partitions = len(await log.head())
            archive = known.get(log.log) or LogArchive(opening=opening, partitions=partitions, reached={})
            if (archive.opening, archive.partitions) != (opening, partitions):
                raise CannotOpen(
                    f"{self.store.name} has the log {before} with another opening or another number of partitions"
                )
            logs[log.log] = archive
        return logs

    async def _segments(
        self, log: ArchivableLog, partition: Partition, archive: LogArchive, ends: Position
    ) -> AsyncGenerator[tuple[Segment, bytes, Reached], None]:
        """What a partition has from where the archive ends up to its own end."""
        before, end = archive.reached.get(partition.number), ends[partition]
        first = before.next if before else 0
        count, generation = (before.records, before.generation) if before else (0, 0)
        writer, last, reached = SegmentWriter(_LEVEL), None, first

        def finished(last: Record, next_offset: int) -> tuple[Segment, bytes, Reached]:
            segment, content = writer.finished(partition, first, next_offset)
            landmark = landmark_of(last).to_text()
            records = count + segment.records
            return segment, content, Reached(
                next=next_offset, records=records, generation=generation, landmark=landmark
            )  # fmt: skip

        if reached >= end:
            return
        async with aclosing(log.subscribe(archive.checkpoint(log.log), frozenset({partition.number}))) as batches:
            while reached < end:
                batch = await anext(batches)
                for record in batch.records:
                    # A subscription may repeat a record, and may go on behind the end.
                    if not (first if last is None else last.offset + 1) <= record.offset < end:
                        continue
                    if not record.intact:
                        raise CorruptData(damage_of(record))
                    writer.add(to_placed_line(record))
                    last, generation = record, max(generation, record.generation)
                    if writer.line_bytes >= self.segment_bytes and _ends_commit(record):
                        part = finished(record, record.offset + 1)
                        yield part
                        first, count, writer = part[0].next, part[2].records, SegmentWriter(_LEVEL)
                if batch.next_offset <= end:
                    generation = max(generation, batch.generation)
                reached = batch.next_offset
        if last is not None and writer.records:
            yield finished(last, min(reached, end))

    async def _write(
        self, chain: Chain, logs: Mapping[str, LogArchive], segments: Sequence[Segment], *, closed: bool
    ) -> Manifest:
        return await chain.add(
            Manifest(
                number=chain.next_number,
                previous=chain.digest,
                written=moment(self.clock.now_us()).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                closed=closed,
                logs=dict(logs),
                segments=tuple(segments),
            )
        )


def _ends_commit(record: Record) -> bool:
    return record.version == 0 or record.version == record.first_version + record.commit_size - 1


def _missing(archive: LogArchive, end: Position, log: str) -> int:
    return sum(end.values()) - sum(archive.end(log).values())
