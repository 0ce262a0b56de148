"""The ports of the read side: a projection says what events mean to a view, a view build is where that is kept.

Every view of this kernel is a set of documents, one per stream. That is what makes one projector enough for all
of them: it loads the documents of a batch's streams, folds, and saves; the adapter lays the documents out as its
queries need them (rows and indexes, nodes and relationships).

A *view* has *builds*. One is live: requests read it. Others are being filled (a rebuild) or wait to be dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from eventkernel.events import Partition, Position, Record, RecordedEvent
from eventkernel.writing.store import Checkpoint

Doc = TypeVar("Doc")


@dataclass(frozen=True)
class Projection(Generic[Doc]):
    """What the events of some logs mean to one view.

    `evolve` is pure: the document of a stream after an event, from the one before (None: the event is the stream's
    first). What it raises parks the stream. `shape` changes whenever `evolve` or the layout does: a build of another
    shape is rebuilt before it is used.
    """

    name: str
    shape: int
    evolve: Callable[[Doc | None, RecordedEvent], Doc]


class State(msgspec.Struct, Generic[Doc], frozen=True, gc=False):
    """A stream's document after its event number `version`; valid from `time_us` and `offset` until the next one's."""

    version: int
    time_us: int
    log: str
    partition: int
    offset: int
    doc: Doc


class Change(msgspec.Struct, Generic[Doc], frozen=True, gc=False):
    """What a batch did to one stream: every state it went through, oldest first, versions consecutive, at least one.

    `before` is the state that was stored until then. Where several processes save, a later one may be stored by now.
    """

    stream: str
    states: tuple[State[Doc], ...]
    before: State[Doc] | None = None

    @property
    def history(self) -> tuple[State[Doc], ...]:
        """The states with the one before, where there was one."""
        return self.states if self.before is None else (self.before, *self.states)


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many streams wait in a reader, and how many of their records. What was skipped does not count."""

    streams: int = 0
    records: int = 0


NOTHING_WAITS: Final = Waiting()


@dataclass(frozen=True, slots=True)
class ParkedRecord:
    """A record that waits outside of the view: the one that could not be applied (with the reason), or a later one of
    its stream (reason None).

    One that an operator has skipped stays as a mark, with the operator's reason: it holds up nothing, and its version
    counts as applied.
    """

    record: Record
    reason: str | None
    skipped: bool = False

    @property
    def partition(self) -> Partition:
        return Partition(self.record.log, self.record.partition)


NOTHING_RELEASED: Final[Mapping[str, int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Fold(Generic[Doc]):
    """The outcome of folding one batch, for `ViewBuild.save`."""

    changes: Sequence[Change[Doc]]
    checkpoint: Checkpoint
    parked: Sequence[ParkedRecord] = ()
    released: Mapping[str, int] = field(default_factory=lambda: NOTHING_RELEASED)
    """Streams whose parked records are dealt with, each with the last version that is: records up to there are to be
    forgotten, all but those that stand in `parked`. Later ones, which another process may have parked meanwhile, stay.
    """


class BuildRetired(Exception):
    """The build is no longer folded into, because another one is live or it was dropped: ask the view for that one."""


class ViewBuild(Protocol[Doc]):
    """One build of one view: documents, parked records and the checkpoint belong together and are dropped together.

    `checkpoint`, `load`, `peek`, `save`, `parked` and `parked_streams` raise `Unavailable` where the engine cannot
    answer now; the same call may be repeated.
    """

    @property
    def name(self) -> str:
        """The build's name, unique within its view."""
        ...

    async def checkpoint(self) -> Checkpoint:
        """How far the build is: whatever is read after this call shows at least that."""
        ...

    async def shown(self) -> Checkpoint:
        """At least what any read before this call has shown: a reader that waits for it reads nothing older.

        That is the checkpoint, or one after it, where a save writes documents before its checkpoint: as far as any save
        has said it would write, also one that broke off. It names the last record of that save, as a checkpoint does.
        """
        ...

    async def load(self, streams: Sequence[str]) -> Mapping[str, State[Doc]]:
        """The latest state of each of these streams that the build knows, tombstones too, in one read."""
        ...

    async def peek(self, streams: Sequence[str]) -> Mapping[str, State[Doc]]:
        """As `load`, for one who only looks and saves nothing."""
        ...

    async def flaws(self) -> Sequence[str]:
        """What is missing of what the build relies on beside its documents: tables, collections, indexes, constraints.

        Raises:
            BuildRetired, Unavailable: it cannot be found out now.
        """
        ...

    async def save(self, fold: Fold[Doc]) -> None:
        """Write the changes, then the parked records and releases, then the checkpoint; never the checkpoint first.

        Where the engine has transactions it is one. Repeating a save, or one with states that are already there, has no
        further effect: a state whose version is not above the stored one is dropped. The checkpoint never goes back.
        A record that is parked again keeps its reason unless it comes with a new one, and stays skipped if it was.

        Raises:
            BuildRetired: the view has switched to another build, or has dropped this one. Nothing was written.
        """
        ...

    async def parked(self, streams: Collection[str] | None = None) -> Sequence[ParkedRecord]:
        """Every parked record and every mark of a skipped one, grouped by stream, by version within one.

        `streams` restricts it to some streams; None means all. Thousands may be parked: asking for a few costs little.
        """
        ...

    async def first_parked(self, streams: Collection[str]) -> Sequence[ParkedRecord]:
        """Of each of these streams the mark of the last skipped record and the first that waits, those that there are,
        in this order. Costs the same whatever waits behind it."""
        ...

    async def waiting(self) -> Waiting:
        """How much waits: counted where it is kept, no record is read."""
        ...

    async def parked_streams(self, streams: Collection[str] | None = None) -> Mapping[str, Partition]:
        """The streams that wait and the partitions that they are in (skipped records hold up nothing).

        `streams` restricts it to some streams; None means all. Every request with a bookmark asks for a few: that is
        cheap where nothing is parked, and costs the same whatever else waits.
        """
        ...

    async def reached(self, position: Position, timeout: float) -> bool:
        """True as soon as the checkpoint covers the position; False after `timeout` seconds.

        Raises:
            BuildRetired: the view has switched to another build.
        """
        ...

    async def remarks(self) -> Sequence[str]:
        """What the documents themselves have for an operator to know, a line each; nothing personal. May read much."""
        ...


def counted(parked: Iterable[ParkedRecord]) -> Waiting:
    """What `ViewBuild.waiting` gives, out of all that is parked."""
    streams = [entry.record.stream for entry in parked if not entry.skipped]
    return Waiting(len(set(streams)), len(streams))


def first_of_each(parked: Iterable[ParkedRecord]) -> list[ParkedRecord]:
    """What `ViewBuild.first_parked` gives, out of all that is parked of its streams."""
    marks: dict[str, ParkedRecord] = {}
    firsts: dict[str, ParkedRecord] = {}
    for entry in parked:
        if entry.skipped:
            marks[entry.record.stream] = entry
        else:
            firsts.setdefault(entry.record.stream, entry)
    streams = sorted(marks.keys() | firsts.keys())
    return [found[stream] for stream in streams for found in (marks, firsts) if stream in found]


def waiting_streams(parked: Iterable[ParkedRecord]) -> dict[str, Partition]:
    """The streams that wait, and where: what `ViewBuild.parked_streams` gives."""
    return {entry.record.stream: entry.partition for entry in parked if not entry.skipped}


BuildT_co = TypeVar("BuildT_co", covariant=True)


class View(Protocol[BuildT_co]):
    """A view by name, with its builds. `BuildT_co` is the adapter's build with its queries."""

    @property
    def name(self) -> str: ...

    def live(self) -> BuildT_co:
        """The build that requests read. A request asks once and stays on what it got.

        Raises:
            Unavailable: there is none yet: the first build, or the first of this shape, is still being filled.
        """
        ...

    async def ready(self, timeout: float) -> BuildT_co:
        """The live build, as soon as there is one.

        Raises:
            Unavailable: there was none within `timeout` seconds.
        """
        ...

    async def create(self) -> BuildT_co:
        """A new, empty build beside the live one."""
        ...

    async def switch(self, build: str) -> None:
        """Make this build the live one, in one step and durably; callers waiting on the old one get `BuildRetired`."""
        ...

    async def keep_aside(self, build: str, why: str) -> None:
        """Keep what a build shows for people to look at, also after it was dropped: it was filled from another history
        of a log, and may hold what the log has lost. To repeat it is harmless.

        An engine that shares its builds with other processes keeps nothing: there a build is dropped as always.
        """
        ...

    async def drop(self, build: str) -> None:
        """Forget a build that is not live and take its room back; requests that still read it may finish."""
        ...
