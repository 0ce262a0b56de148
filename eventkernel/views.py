"""The ports of the read side: a projection says what events mean to a view, a view build is where that is kept.

Every view of this kernel is a set of documents, one per stream. That is what makes one projector enough for all
of them: it loads the documents of a batch's streams, folds, and saves; the adapter lays the documents out as its
queries need them (rows and indexes, nodes and relationships).

A *view* has *builds*. One is live: requests read it. Others are being filled (a rebuild) or wait to be dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from eventkernel.events import Position, Record, RecordedEvent
from eventkernel.store import Checkpoint

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


@dataclass(frozen=True, slots=True)
class State(Generic[Doc]):
    """A stream's document after its event number `version`; valid from `time_us` and `offset` until the next one's."""

    version: int
    time_us: int
    log: str
    partition: int
    offset: int
    doc: Doc


@dataclass(frozen=True, slots=True)
class Change(Generic[Doc]):
    """What a batch did to one stream: every state it went through, oldest first, versions consecutive, at least one."""

    stream: str
    states: tuple[State[Doc], ...]


@dataclass(frozen=True, slots=True)
class ParkedRecord:
    """A record that waits outside of the view: the one that could not be applied (with the reason), or a later one of
    its stream (reason None)."""

    record: Record
    reason: str | None


@dataclass(frozen=True, slots=True)
class Fold(Generic[Doc]):
    """The outcome of folding one batch, for `ViewBuild.save`."""

    changes: Sequence[Change[Doc]]
    checkpoint: Checkpoint
    parked: Sequence[ParkedRecord] = ()
    released: Sequence[str] = field(default_factory=tuple[str, ...])
    """Streams whose parked records are dealt with (applied or skipped) and are to be forgotten."""


class BuildRetired(Exception):
    """The build is no longer folded into, because another one is live: ask the view for that one."""


class ViewBuild(Protocol[Doc]):
    """One build of one view: documents, parked records and the checkpoint belong together and are dropped together."""

    @property
    def name(self) -> str:
        """The build's name, unique within its view."""
        ...

    async def checkpoint(self) -> Checkpoint: ...

    async def load(self, streams: Sequence[str]) -> Mapping[str, State[Doc]]:
        """The latest state of each of these streams that the build knows, tombstones too, in one read."""
        ...

    async def save(self, fold: Fold[Doc]) -> None:
        """Write the changes, then the parked records and releases, then the checkpoint; never the checkpoint first.

        Where the engine has transactions it is one. Repeating a save, or one with states that are already there, has no
        further effect: a state whose version is not above the stored one is dropped. The checkpoint never goes back.
        """
        ...

    async def parked(self) -> Sequence[ParkedRecord]:
        """Every parked record, grouped by stream, oldest first within one."""
        ...

    async def reached(self, position: Position, timeout: float) -> bool:
        """True as soon as the checkpoint covers the position; False after `timeout` seconds.

        Raises:
            BuildRetired: the view has switched to another build.
        """
        ...


BuildT_co = TypeVar("BuildT_co", covariant=True)


class View(Protocol[BuildT_co]):
    """A view by name, with its builds. `BuildT_co` is the adapter's build with its queries."""

    @property
    def name(self) -> str: ...

    def live(self) -> BuildT_co:
        """The build that requests read. A request asks once and stays on what it got."""
        ...

    async def create(self) -> BuildT_co:
        """A new, empty build beside the live one."""
        ...

    async def switch(self, build: str) -> None:
        """Make this build the live one, in one step; whoever waits on the old one gets `BuildRetired`."""
        ...

    async def drop(self, build: str) -> None:
        """Forget a build that is not live and take its room back; requests that still read it may finish."""
        ...
