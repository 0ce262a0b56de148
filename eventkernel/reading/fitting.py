"""Whether a build of a view shows the logs as they are now: compared with the records, by the documents made from them.

A build keeps with its checkpoint which record it took last, of every partition (`Checkpoint.landmarks`). A build of
release 0.1.0 does not; there the document of the last record before the checkpoint must show that record. As soon as it
takes another record it has a landmark like any other.

Where documents are written before their checkpoint, a save that broke off has left documents of records behind the
checkpoint. How far these may go is kept with the build (`ViewBuild.shown`), and is compared in the same way: a log that
was put back to a moment in between fits the checkpoint, and not these documents.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from eventkernel.errors import CheckpointMismatch
from eventkernel.events import Record
from eventkernel.reading.landmarks import compare
from eventkernel.reading.views import ParkedRecord, State
from eventkernel.writing.store import Checkpoint, LogReader


class Comparable(Protocol):
    """The part of `ViewBuild` that comparing needs, whatever its documents are."""

    async def checkpoint(self) -> Checkpoint: ...

    async def shown(self) -> Checkpoint: ...

    async def peek(self, streams: Sequence[str]) -> Mapping[str, State[Any]]: ...

    async def parked(self, streams: Collection[str] | None = None) -> Sequence[ParkedRecord]: ...


async def check_fit(build: Comparable, logs: Iterable[LogReader]) -> None:
    """
    Raises:
        CheckpointMismatch: the build was filled from another history of one of these logs.
        CorruptData: a log is damaged where it has to be read.
        BuildRetired, Unavailable: the build or a log cannot be read.
    """
    checkpoint = await build.checkpoint()
    shown = await build.shown()
    for log in logs:
        await compare(log, checkpoint)
        if shown != checkpoint:
            await compare(log, shown)
        unknown = {
            partition.number: offset
            for partition, offset in checkpoint.position.items()
            if partition.log == log.log and offset and partition not in checkpoint.landmarks
        }
        records = [record for record in (await log.records_before(unknown)).values() if record.version]
        for flaw in await not_shown(build, log, records):
            raise CheckpointMismatch(f"{log.log}: the log was put back to an older copy, or was cut: {flaw}")


async def not_shown(build: Comparable, log: LogReader, records: Sequence[Record]) -> Sequence[str]:
    """What the build does not show of these records of a log, which it has read; one line for each stream."""
    if not records:
        return ()
    newest = {record.stream: record for record in records if record.version and record.intact}
    states = await build.peek(list(newest))
    doubtful = {
        stream: record
        for stream, record in newest.items()
        if (state := states.get(stream)) is None
        or (state.version < record.version and not _is_behind(log, record, state))
        or (state.version == record.version and state.time_us != record.time_us)
    }
    if not doubtful:
        return ()
    excused = {entry.record.stream for entry in await build.parked(list(doubtful))}
    return [
        f"the view has {_found(states.get(stream))} of the stream {stream}, and the log has version {record.version}"
        for stream, record in doubtful.items()
        if stream not in excused and not await _shows_another(log, record, states.get(stream))
    ]


def _is_behind(log: LogReader, record: Record, state: State[Any]) -> bool:
    """Whether the state is of a later record of the log: then this one was seen, and did not count."""
    return (state.log, state.partition) == (log.log, record.partition) and state.offset > record.offset


async def _shows_another(log: LogReader, record: Record, state: State[Any] | None) -> bool:
    """Whether the state is of another record of this version, which stands on the log too: the first one counts."""
    if state is None or state.version != record.version or state.log != log.log or state.offset == record.offset:
        return False
    found = (await log.records_before({state.partition: state.offset + 1})).get(state.partition)
    return found is not None and (found.offset, found.stream, found.version, found.time_us) == (
        *(state.offset, record.stream, state.version, state.time_us),
    )


def _found(state: State[Any] | None) -> str:
    return "no document" if state is None else f"version {state.version}, of another record,"
