"""Ports that fail in the ways that their contracts allow: for tests of what relies on them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Generic

from eventkernel.adapters.memory_views import MemoryBuild, MemoryCheckpointStore, MemoryView
from eventkernel.errors import Unavailable
from eventkernel.events import Partition, Position
from eventkernel.reading.views import NOTHING_RELEASED, Change, Doc, Fold, ParkedRecord, State, Waiting
from eventkernel.writing.store import Checkpoint

STEPS = 4
"""How far a save without a transaction can get: nothing, some changes, all of them, parked records too."""


class TornBuild(MemoryBuild[Doc]):
    """A build on an engine without transactions: a save may break off between its steps, and says so.

    `breaks_at` is asked before each save; it gives the step at which this one breaks off, or None.
    """

    def __init__(self, name: str, breaks_at: Callable[[], int | None]) -> None:
        super().__init__(name)
        self._breaks_at = breaks_at

    async def save(self, fold: Fold[Doc]) -> None:
        step = self._breaks_at()
        if step is None:
            await super().save(fold)
            return
        done: list[Change[Doc]] = list(fold.changes) if step > 1 else list(fold.changes[: len(fold.changes) // 2])
        nothing_reached = await self.checkpoint()
        if step > 0:
            await super().save(Fold(done, nothing_reached))
        if step > 2:
            await super().save(Fold((), nothing_reached, fold.parked, fold.released))
        raise Unavailable(f"the save broke off at step {step}")


Pause = Callable[[str], Awaitable[None]]
"""Awaited before each step that a process does, with the step's name: others may come in between there, and what it
raises breaks off."""


class RemoteBuild(Generic[Doc]):
    """One process's way to a build that others fill, too: on an engine without transactions, where a save is many steps
    (`change`, `park`, `release`, `checkpoint`)."""

    def __init__(self, build: MemoryBuild[Doc], pause: Pause) -> None:
        self._build = build
        self._pause = pause

    @property
    def name(self) -> str:
        return self._build.name

    async def shown(self) -> Checkpoint:
        await self._pause("read what is shown")
        return await self._build.shown()

    async def checkpoint(self) -> Checkpoint:
        await self._pause("read checkpoint")
        return await self._build.checkpoint()

    async def load(self, streams: Sequence[str]) -> Mapping[str, State[Doc]]:
        await self._pause("load")
        return await self._build.load(streams)

    async def peek(self, streams: Sequence[str]) -> Mapping[str, State[Doc]]:
        await self._pause("peek")
        return await self._build.peek(streams)

    async def flaws(self) -> Sequence[str]:
        return await self._build.flaws()

    async def save(self, fold: Fold[Doc]) -> None:
        for change in fold.changes:
            await self._pause("change")
            await self._build.save(Fold([change], Checkpoint()))
        for entry in fold.parked:
            await self._pause("park")
            await self._build.save(Fold((), Checkpoint(), [entry]))
        if fold.released:
            await self._pause("release")
            await self._build.save(Fold((), Checkpoint(), fold.parked, fold.released))
        await self._pause("checkpoint")
        await self._build.save(Fold((), fold.checkpoint))

    async def parked(self, streams: Collection[str] | None = None) -> Sequence[ParkedRecord]:
        await self._pause("read parked")
        return await self._build.parked(streams)

    async def waiting(self) -> Waiting:
        await self._pause("read parked")
        return await self._build.waiting()

    async def first_parked(self, streams: Collection[str]) -> Sequence[ParkedRecord]:
        await self._pause("read parked")
        return await self._build.first_parked(streams)

    async def parked_streams(self, streams: Collection[str] | None = None) -> Mapping[str, Partition]:
        await self._pause("read parked streams")
        return await self._build.parked_streams(streams)

    async def remarks(self) -> Sequence[str]:
        await self._pause("read remarks")
        return await self._build.remarks()

    async def reached(self, position: Position, timeout: float) -> bool:
        await self._pause("wait")
        return await self._build.reached(position, timeout)


class RemoteView(Generic[Doc]):
    """One process's way to a view that others have, too. Which build is live it knows from its last `look`."""

    def __init__(self, view: MemoryView[MemoryBuild[Doc]], pause: Pause) -> None:
        self._view = view
        self.pause = pause
        self._live: RemoteBuild[Doc] | None = None
        self._looked = asyncio.Event()
        self.look()

    @property
    def name(self) -> str:
        return self._view.name

    def look(self) -> None:
        try:
            self._live = RemoteBuild(self._view.live(), self._paused)
        except Unavailable:
            return
        self._looked.set()

    def live(self) -> RemoteBuild[Doc]:
        if self._live is None:
            raise Unavailable(f"the view {self.name} is being built")
        return self._live

    async def ready(self, timeout: float) -> RemoteBuild[Doc]:
        try:
            async with asyncio.timeout(timeout):
                await self._looked.wait()
        except TimeoutError:
            raise Unavailable(f"the view {self.name} is still being built after {timeout:g} s") from None
        return self.live()

    async def _paused(self, step: str) -> None:
        await self.pause(step)

    async def create(self) -> RemoteBuild[Doc]:
        await self._paused("create")
        return RemoteBuild(await self._view.create(), self._paused)

    async def switch(self, build: str) -> None:
        await self._paused("switch")
        await self._view.switch(build)
        self.look()

    async def keep_aside(self, build: str, why: str) -> None:
        await self._view.keep_aside(build, why)

    async def drop(self, build: str) -> None:
        await self._paused("drop")
        await self._view.drop(build)


class RemoteCheckpoints:
    """One process's way to checkpoints that others have, too."""

    def __init__(self, store: MemoryCheckpointStore, pause: Pause) -> None:
        self._store = store
        self._pause = pause

    async def checkpoint(self, reader: str) -> Checkpoint:
        await self._pause("read checkpoint")
        return await self._store.checkpoint(reader)

    async def save(
        self,
        reader: str,
        checkpoint: Checkpoint,
        parked: Sequence[ParkedRecord] = (),
        released: Mapping[str, int] = NOTHING_RELEASED,
    ) -> None:
        await self._pause("save")
        await self._store.save(reader, checkpoint, parked, released)

    async def forget(self, reader: str, log: str) -> None:
        await self._pause("forget")
        await self._store.forget(reader, log)

    async def parked(self, reader: str, streams: Collection[str] | None = None) -> Sequence[ParkedRecord]:
        await self._pause("read parked")
        return await self._store.parked(reader, streams)

    async def waiting_after(self, reader: str, stream: str, most: int) -> Sequence[ParkedRecord]:
        await self._pause("read parked")
        return await self._store.waiting_after(reader, stream, most)

    async def waiting(self, reader: str) -> Waiting:
        await self._pause("read parked")
        return await self._store.waiting(reader)

    async def first_parked(self, reader: str, streams: Collection[str]) -> Sequence[ParkedRecord]:
        await self._pause("read parked")
        return await self._store.first_parked(reader, streams)
