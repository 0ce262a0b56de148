"""Views and checkpoints in memory: forgotten at the end of the process; for tests and experiments."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from eventkernel.errors import InvalidInput, Unavailable
from eventkernel.events import Partition, Position
from eventkernel.reading.arrivals import Arrivals
from eventkernel.reading.folding import further
from eventkernel.reading.live import LiveBuild
from eventkernel.reading.views import (
    NOTHING_RELEASED,
    BuildRetired,
    Doc,
    Fold,
    ParkedRecord,
    State,
    Waiting,
    counted,
    first_of_each,
    waiting_streams,
)
from eventkernel.writing.store import Checkpoint


class MemoryProgress:
    """One reader's checkpoint and parked records."""

    def __init__(self) -> None:
        self.checkpoint = Checkpoint()
        self._parked: dict[tuple[str, int], ParkedRecord] = {}

    def save(self, checkpoint: Checkpoint, parked: Iterable[ParkedRecord], released: Mapping[str, int]) -> None:
        kept = {(stream, v): entry for (stream, v), entry in self._parked.items() if v > released.get(stream, 0)}
        for entry in parked:
            key = (entry.record.stream, entry.record.version)
            before = kept.get(key, entry)
            kept[key] = ParkedRecord(entry.record, entry.reason or before.reason, entry.skipped or before.skipped)
        self._parked = dict(sorted(kept.items()))
        self.checkpoint = further(self.checkpoint, checkpoint)

    def forget(self, log: str) -> None:
        self._parked = {key: entry for key, entry in self._parked.items() if entry.record.log != log}
        checkpoint = self.checkpoint
        self.checkpoint = Checkpoint(
            Position({partition: offset for partition, offset in checkpoint.position.items() if partition.log != log}),
            tuple(entry for entry in checkpoint.generations if entry[0] != log),
            {partition: landmark for partition, landmark in checkpoint.landmarks.items() if partition.log != log},
        )

    def parked(self, streams: Collection[str] | None = None) -> list[ParkedRecord]:
        return [entry for (stream, _), entry in self._parked.items() if streams is None or stream in streams]


class MemoryBuild(Generic[Doc]):
    """A build that keeps every state of every stream; derived classes ask it their questions.

    `available` set to False makes every call of the port fail with `Unavailable`, as a lost disk or server would.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._progress = MemoryProgress()
        self._arrivals = Arrivals(Position(), name)
        self._dropped = False
        self.states: dict[str, list[State[Doc]]] = {}
        self.available = True

    @property
    def name(self) -> str:
        return self._name

    async def shown(self) -> Checkpoint:
        return await self.checkpoint()

    async def checkpoint(self) -> Checkpoint:
        self._check()
        return self._progress.checkpoint

    async def load(self, streams: Sequence[str]) -> Mapping[str, State[Doc]]:
        self._check()
        return {stream: self.states[stream][-1] for stream in streams if stream in self.states}

    async def peek(self, streams: Sequence[str]) -> Mapping[str, State[Doc]]:
        return await self.load(streams)

    async def flaws(self) -> Sequence[str]:
        return []

    async def save(self, fold: Fold[Doc]) -> None:
        self._arrivals.check()
        self._check()
        for change in fold.changes:
            states = self.states.setdefault(change.stream, [])
            version = states[-1].version if states else 0
            states += [state for state in change.states if state.version > version]
        self._progress.save(fold.checkpoint, fold.parked, fold.released)
        self._arrivals.moved(self._progress.checkpoint.position)

    async def parked(self, streams: Collection[str] | None = None) -> Sequence[ParkedRecord]:
        self._check()
        return self._progress.parked(streams)

    async def waiting(self) -> Waiting:
        self._check()
        return counted(self._progress.parked())

    async def first_parked(self, streams: Collection[str]) -> Sequence[ParkedRecord]:
        self._check()
        return first_of_each(self._progress.parked(streams))

    async def parked_streams(self, streams: Collection[str] | None = None) -> Mapping[str, Partition]:
        self._check()
        return waiting_streams(self._progress.parked(streams))

    async def reached(self, position: Position, timeout: float) -> bool:
        return await self._arrivals.reached(position, timeout)

    async def remarks(self) -> Sequence[str]:
        return ()

    def retire(self) -> None:
        """Another build is live."""
        self._arrivals.retire()

    def drop(self) -> None:
        """The build is forgotten."""
        self._dropped = True
        self._arrivals.retire()

    def _check(self) -> None:
        if self._dropped:
            raise BuildRetired(self._name)
        if not self.available:
            raise Unavailable(f"the build {self._name} is set to be unavailable")


BuildT = TypeVar("BuildT", bound=MemoryBuild[Any])  # any document: the view only makes and forgets builds


class MemoryView(LiveBuild[BuildT]):
    """A view whose builds are made by `make` (a class derived from `MemoryBuild`)."""

    def __init__(self, name: str, make: Callable[[str], BuildT]) -> None:
        super().__init__(name)
        self._make = make
        self._made = 0
        self.builds: dict[str, BuildT] = {}
        self.aside: dict[str, str] = {}
        """What was kept for people, and why."""

    async def create(self) -> BuildT:
        self._made += 1
        build = self._make(f"build-{self._made}")
        self.builds[build.name] = build
        return build

    async def switch(self, build: str) -> None:
        self._go_live(self._find(build))

    async def keep_aside(self, build: str, why: str) -> None:
        self.aside[build] = why

    async def drop(self, build: str) -> None:
        dropped = self._find(build)
        if dropped is self._live:
            raise InvalidInput(f"the build {build} of the view {self._name} is live: only others can be dropped")
        dropped.drop()
        del self.builds[build]

    def empty(self) -> None:
        """Somebody has removed all of it, as people do with a database."""
        for build in self.builds.values():
            build.drop()
        self.builds.clear()
        self._go_live(None)

    def _find(self, build: str) -> BuildT:
        try:
            return self.builds[build]
        except KeyError:
            raise InvalidInput(f"the view {self._name} has no build {build!r}") from None


class MemoryCheckpointStore:
    """The port `CheckpointStore`. `available` set to False makes every call fail with `Unavailable`."""

    def __init__(self) -> None:
        self._readers: dict[str, MemoryProgress] = {}
        self.available = True

    async def checkpoint(self, reader: str) -> Checkpoint:
        return self._of(reader).checkpoint

    async def save(
        self,
        reader: str,
        checkpoint: Checkpoint,
        parked: Sequence[ParkedRecord] = (),
        released: Mapping[str, int] = NOTHING_RELEASED,
    ) -> None:
        self._of(reader).save(checkpoint, parked, released)

    async def forget(self, reader: str, log: str) -> None:
        self._of(reader).forget(log)

    async def parked(self, reader: str, streams: Collection[str] | None = None) -> Sequence[ParkedRecord]:
        return self._of(reader).parked(streams)

    async def waiting_after(self, reader: str, stream: str, most: int) -> Sequence[ParkedRecord]:
        waiting = [entry for entry in self._of(reader).parked() if not entry.skipped and entry.record.stream > stream]
        return waiting[:most]

    async def waiting(self, reader: str) -> Waiting:
        return counted(self._of(reader).parked())

    async def first_parked(self, reader: str, streams: Collection[str]) -> Sequence[ParkedRecord]:
        return first_of_each(self._of(reader).parked(streams))

    def _of(self, reader: str) -> MemoryProgress:
        if not self.available:
            raise Unavailable("the checkpoints are set to be unavailable")
        return self._readers.setdefault(reader, MemoryProgress())
