"""What a batch of records does to a view's documents: the heart of the projector, without any waiting.

Delivery may repeat records and may break off anywhere, so a record is judged by its version alone:

    version at or below the document's     seen before                        dropped
    version right after the document's     evolve gives the next state        applied
    version further on, or evolve raises   cannot be applied                  parks its stream, with a reason
    the stream is parked                   everything not yet seen            parked behind, without a reason
    STREAM_RESUMED, and the next           an operator lets the stream go on  what was parked before it is forgotten
    no version (COMMAND_REMEMBERED)        happened to no stream              moves the checkpoint, nothing else

Streams do not touch one another, which is why one that cannot go on stops no other, and why the outcome is the same
however a log is cut into batches and in whatever order partitions are interleaved.

A *skipped* record is one of which an operator has said that it shall have no effect. Its version counts: the document,
where there is one, takes it over unchanged. Where there is none (the stream's first records were skipped) the mark
that was left behind counts instead.

A reason names the exception and where it came from. It never has the exception's own words, unless they are the
kernel's: a `ValueError` may well quote somebody's name.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, Protocol

from eventkernel.errors import KernelError, Unavailable
from eventkernel.events import STREAM_RESUMED, Partition, Position, Record, RecordedEvent
from eventkernel.reading.landmarks import landmark_of
from eventkernel.reading.views import Change, Doc, Fold, ParkedRecord, Projection, State
from eventkernel.writing.store import Batch, Checkpoint, Landmark


class RecordReader(Protocol):
    """The part of a codec that reading needs."""

    def recorded(self, record: Record) -> RecordedEvent:
        """The record with its event; raises where it cannot be decoded."""
        ...


@dataclass(slots=True)
class ParkedStreams:
    """What is known of a build's parked records without reading them: which streams wait, which versions count.

    Another process may have changed it since. That does no harm to a stream of which nothing is known here: whatever
    came before what is folded here was in the documents, or parked, when this was read, or was folded here.
    """

    waiting: set[str] = field(default_factory=set[str])
    skipped: dict[str, int] = field(default_factory=dict[str, int])
    """The highest version of a stream that was skipped: whatever is below has been dealt with, too."""

    @classmethod
    def of(cls, parked: Iterable[ParkedRecord]) -> ParkedStreams:
        known = cls()
        known.add(parked)
        return known

    def read(self, streams: Iterable[str], parked: Iterable[ParkedRecord]) -> None:
        """All that is parked now of these streams."""
        for stream in streams:
            self._forget(stream)
        self.add(parked)

    def add(self, parked: Iterable[ParkedRecord]) -> None:
        for entry in parked:
            stream, version = entry.record.stream, entry.record.version
            if entry.skipped:
                self.skipped[stream] = max(version, self.skipped.get(stream, 0))
            else:
                self.waiting.add(stream)

    def saved(self, fold: Fold[Doc]) -> None:
        """What a fold that was saved has changed."""
        self.read(fold.released, fold.parked)

    def _forget(self, stream: str) -> None:
        self.waiting.discard(stream)
        self.skipped.pop(stream, None)


def streams_of(batches: Iterable[Batch]) -> list[str]:
    """The streams whose documents a fold of these batches needs."""
    return list(dict.fromkeys(record.stream for batch in batches for record in batch.records if record.version))


def fold(
    projection: Projection[Doc],
    readers: Mapping[str, RecordReader],
    batches: Sequence[Batch],
    stored: Mapping[str, State[Doc]],
    parked: ParkedStreams,
) -> Fold[Doc]:
    """What these batches do, in order, given the stored states of their streams. `readers` are by log id.

    The fold's checkpoint names the partitions of these batches only: a save joins it to what is there.

    Raises:
        Unavailable: a record cannot be decrypted now; nothing was done.
    """
    work = _Work(projection, stored, parked)
    for batch in batches:
        reader = readers[batch.log]
        for record in batch.records:
            if record.version:
                work.take(record, reader)
    return Fold(work.changes(), checkpoint_after(batches), tuple(work.parked))


def fold_parked(
    projection: Projection[Doc],
    readers: Mapping[str, RecordReader],
    entries: Sequence[ParkedRecord],
    stored: State[Doc] | None,
    skip: str | None = None,
) -> Fold[Doc]:
    """Another attempt at one stream's parked records, oldest first. Those that the view has already are forgotten.

    Where `skip` gives an operator's reason, the first record that waits is skipped, if it is known to fail. Marks of
    earlier skips are kept.
    """
    stream = entries[0].record.stream
    marks = [entry for entry in entries if entry.skipped]
    dealt_with = _dealt_with(entries, stored)
    waiting = [entry for entry in entries if not entry.skipped and entry.record.version > dealt_with]
    work = _Work(projection, {} if stored is None else {stream: stored}, ParkedStreams.of(marks))
    waiting = _without_given_up(waiting)
    if skip is not None and waiting and waiting[0].reason is not None:
        mark = ParkedRecord(waiting.pop(0).record, skip, skipped=True)
        marks.append(mark)
        work.skip(mark.record)
    for entry in waiting:
        work.take(entry.record, readers[entry.record.log])
    return Fold(work.changes(), Checkpoint(), (*marks, *work.parked), {stream: entries[-1].record.version})


def _without_given_up(waiting: Sequence[ParkedRecord]) -> list[ParkedRecord]:
    """Without what stood behind a gap that an operator has closed: later versions, earlier on the log."""
    resumed = [entry.record for entry in waiting if entry.record.type == STREAM_RESUMED]
    return [
        entry
        for entry in waiting
        if not any(
            entry.record.version > one.version
            and entry.partition == Partition(one.log, one.partition)
            and entry.record.offset < one.offset
            for one in resumed
        )
    ]


def can_go_on(entries: Sequence[ParkedRecord], stored: State[Doc] | None) -> bool:
    """Whether a stream's parked records are to be dealt with though nobody asks for it (they are, by `fold_parked`).

    Where several processes have to do with a stream, one may park a record behind others that another one deals with at
    that moment. Then either the view has the first record that waits, or that is the next one and nobody has tried it.
    """
    waiting = [entry for entry in entries if not entry.skipped]
    if not waiting:
        return False
    first, dealt_with = waiting[0], _dealt_with(entries, stored)
    return first.record.version <= dealt_with or (first.reason is None and first.record.version == dealt_with + 1)


def leave_parked(entries: Sequence[ParkedRecord], stored: State[Doc] | None, reason: str) -> Fold[Doc]:
    """A stream's parked records go on waiting; the first has this reason. Those that the view has are forgotten."""
    dealt_with = _dealt_with(entries, stored)
    left = [entry for entry in entries if entry.skipped]
    waiting = [entry for entry in entries if not entry.skipped and entry.record.version > dealt_with]
    left += [replace(entry, reason=reason) if entry is waiting[0] else entry for entry in waiting]
    return Fold((), Checkpoint(), left, {entries[0].record.stream: entries[-1].record.version})


def park_instead(fold: Fold[Doc], batches: Sequence[Batch], reasons: Mapping[str, str]) -> Fold[Doc]:
    """The same fold of these batches without the changes to some streams (`reasons` by stream): they are parked."""
    parked = {(entry.record.stream, entry.record.version): entry for entry in fold.parked}
    versions = {
        change.stream: {state.version for state in change.states} for change in fold.changes if change.stream in reasons
    }
    for batch in batches:
        for record in batch.records:
            if record.version in versions.get(record.stream, ()):
                first = record.version == min(versions[record.stream])
                entry = ParkedRecord(record, reasons[record.stream] if first else None)
                parked.setdefault((record.stream, record.version), entry)
    changes = [change for change in fold.changes if change.stream not in reasons]
    return Fold(changes, fold.checkpoint, tuple(parked.values()), fold.released)


def checkpoint_after(batches: Iterable[Batch]) -> Checkpoint:
    """Where reading goes on after these batches, in their partitions."""
    offsets: dict[Partition, int] = {}
    generations: dict[Partition, int] = {}
    last: dict[Partition, Record] = {}
    for batch in batches:
        partition = Partition(batch.log, batch.partition)
        offsets[partition] = max(batch.next_offset, offsets.get(partition, 0))
        generations[partition] = max(batch.generation, generations.get(partition, 0))
        if batch.records and (partition not in last or batch.records[-1].offset > last[partition].offset):
            last[partition] = batch.records[-1]
    return Checkpoint(
        Position(offsets),
        tuple((log, number, generation) for (log, number), generation in generations.items()),
        {partition: landmark_of(record) for partition, record in last.items()},
    )


def further(checkpoint: Checkpoint, other: Checkpoint) -> Checkpoint:
    """Both checkpoints joined: the later one in every partition."""
    if other == checkpoint:  # as a rule: nothing has moved since the last look
        return checkpoint
    generations: dict[Partition, int] = {}
    for log, number, generation in (*checkpoint.generations, *other.generations):
        partition = Partition(log, number)
        generations[partition] = max(generation, generations.get(partition, 0))
    landmarks: dict[Partition, Landmark] = dict(checkpoint.landmarks)
    for partition, landmark in other.landmarks.items():
        landmarks[partition] = max(landmark, landmarks.get(partition, landmark))
    position = checkpoint.position.join(other.position)
    return Checkpoint(
        position, tuple((log, number, generation) for (log, number), generation in generations.items()), landmarks
    )


def reason_of(error: Exception, doing: str, record_type: str) -> str:
    """Says what went wrong and where in the code, in words that hold no personal data."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    words = f": {error}" if isinstance(error, KernelError) else ""
    return f"{doing} {record_type}: {type(error).__name__}{place}{words}"


def _dealt_with(entries: Iterable[ParkedRecord], stored: State[Doc] | None) -> int:
    """The last version of a stream that is in the view, or was skipped."""
    return max([0 if stored is None else stored.version, *(e.record.version for e in entries if e.skipped)])


class _Work(Generic[Doc]):
    """The states of the streams as a fold goes along."""

    def __init__(self, projection: Projection[Doc], stored: Mapping[str, State[Doc]], parked: ParkedStreams) -> None:
        self._evolve = projection.evolve
        self._stored = stored
        self._latest = dict(stored)
        self._waiting: AbstractSet[str] = parked.waiting
        self._skipped = parked.skipped
        self._newly_waiting: set[str] = set()
        self._went_through: dict[str, list[State[Doc]]] = {}
        self.parked: list[ParkedRecord] = []

    def take(self, record: Record, reader: RecordReader) -> None:
        """Apply, drop or park one record."""
        stream = record.stream
        latest = self._latest.get(stream)
        expected = max(0 if latest is None else latest.version, self._skipped.get(stream, 0)) + 1
        if record.version < expected:
            return
        if record.type == STREAM_RESUMED and record.version == expected and stream not in self._waiting:
            # Nothing waits of the stream but what was met behind the gap a moment ago.
            self._newly_waiting.discard(stream)
            self.parked = [entry for entry in self.parked if entry.skipped or entry.record.stream != stream]
        if stream in self._waiting or stream in self._newly_waiting:
            self.parked.append(ParkedRecord(record, None))
            return
        if record.version > expected:
            self._park(record, f"a gap: expected version {expected}, found version {record.version}")
            return
        if record.type == STREAM_RESUMED:
            self.skip(record)
            if stream in self._skipped:
                self.parked.append(ParkedRecord(record, "its stream was told to go on", skipped=True))
            return
        try:
            recorded = reader.recorded(record)
        except Unavailable:  # the key store does not answer: nothing is wrong with the record
            raise
        except Exception as error:  # noqa: BLE001  # whatever is wrong with a record stops its own stream only
            self._park(record, reason_of(error, "decoding", record.type))
            return
        try:
            doc = self._evolve(None if latest is None else latest.doc, recorded)
        except Exception as error:  # noqa: BLE001  # the same
            self._park(record, reason_of(error, "evolving by", record.type))
            return
        self._reach(record, doc)

    def skip(self, record: Record) -> None:
        """Count a record's version and nothing else of it."""
        latest = self._latest.get(record.stream)
        if latest is not None:
            self._reach(record, latest.doc)
        else:
            self._skipped[record.stream] = record.version

    def changes(self) -> list[Change[Doc]]:
        return [
            Change(stream, tuple(states), self._stored.get(stream)) for stream, states in self._went_through.items()
        ]

    def _reach(self, record: Record, doc: Doc) -> None:
        state = State(record.version, record.time_us, record.log, record.partition, record.offset, doc)
        self._latest[record.stream] = state
        self._went_through.setdefault(record.stream, []).append(state)

    def _park(self, record: Record, reason: str) -> None:
        self._newly_waiting.add(record.stream)
        self.parked.append(ParkedRecord(record, reason))
