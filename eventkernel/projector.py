"""Keeps the live build of a view up to date with its logs, and fills another one when asked to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Generic

from eventkernel.clock import Clock, SystemClock
from eventkernel.errors import Unavailable
from eventkernel.filling import Filling, FillingStatus
from eventkernel.following import Source
from eventkernel.rebuild import Running, rebuild
from eventkernel.retrying import Backoff, Trouble, Troubles
from eventkernel.views import BuildRetired, Doc, Projection, View, ViewBuild

__all__ = ["Projector", "ProjectorStatus", "Source"]

_GRACE: Final = 60.0
"""Seconds that a request may go on reading a build that is live no more: the longest deadline."""

_LOOK: Final = 60.0

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProjectorStatus:
    """The live build (None: there is none yet, requests are refused) and the one that is being filled beside it."""

    view: str
    live: FillingStatus | None
    filling: FillingStatus | None
    troubles: tuple[Trouble, ...]
    """Why the first build cannot be filled; a build's own troubles stand in its status."""


class Projector(Generic[Doc]):
    """One view's projector. Where the view has no live build (first start, another shape), `run` fills one first.

    Several logs are followed at once; within each partition order is kept. Events are folded exactly once in effect,
    however often they are delivered and wherever the process dies.
    """

    def __init__(
        self,
        projection: Projection[Doc],
        sources: Sequence[Source],
        view: View[ViewBuild[Doc]],
        *,
        clock: Clock | None = None,
        backoff: Backoff | None = None,
        grace: float = _GRACE,
    ) -> None:
        self._projection = projection
        self._sources = sources
        self._view = view
        self._clock = clock or SystemClock()
        self._backoff = backoff or Backoff()
        self._grace = grace
        self._live: Running[Doc] | None = None
        self._new: Running[Doc] | None = None
        self._changing = asyncio.Lock()
        self._troubles = Troubles(self._backoff)
        self._dropping: set[asyncio.Task[None]] = set()
        self._worker: asyncio.Task[None] | None = None

    # As a worker

    async def run(self) -> None:
        """Work until cancelled; a save that is under way is finished first."""
        try:
            await self._begin()
            while True:
                live = self._at_work()
                await asyncio.wait((live.task,))
                async with self._changing:  # a rebuild stops the live build's filling, and puts its own in its place
                    if self._live is live:
                        self._go_on_after(live)
        finally:
            await self._end()

    async def start(self) -> None:
        """Work in the background; returns when the view has a live build."""
        self._worker = asyncio.create_task(self.run(), name=f"project {self._view.name}")
        ready = asyncio.create_task(self._ready())
        await asyncio.wait((ready, self._worker), return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            self._worker.result()

    async def stop(self) -> None:
        """End what `start` began."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait((self._worker,))
            self._worker = None

    # For people who operate the system

    async def rebuild(self) -> str:
        """Fill a new build from the start of the logs and make it the live one; gives its name.

        The build before it is dropped after the grace time. To cancel this is safe: the new build is dropped.

        Raises:
            Unavailable: there is a rebuild already, or the projector is not at work.
        """
        self._at_work()
        if self._changing.locked():
            raise Unavailable(f"the view {self._view.name} is being rebuilt already")
        return await self._rebuild()

    async def retry(self, stream: str) -> None:
        """As `Filling.retry`, on the live build."""
        await self._at_work().filling.retry(stream)

    async def skip(self, stream: str, reason: str) -> None:
        """As `Filling.skip`, on the live build."""
        await self._at_work().filling.skip(stream, reason)

    async def status(self) -> ProjectorStatus:
        return ProjectorStatus(
            view=self._view.name,
            live=None if self._live is None else await self._live.filling.status(),
            filling=None if self._new is None else await self._new.filling.status(),
            troubles=self._troubles.current(),
        )

    async def _begin(self) -> None:
        try:
            live = self._view.live()
        except Unavailable:
            await self._troubles.until_done(f"filling the view {self._view.name}", self._rebuild, on=Exception)
        else:
            self._live = self._fill(live)

    def _go_on_after(self, stopped: Running[Doc]) -> None:
        """The live build's filling has ended: a rebuild failed after it had stopped it, or somebody else switched."""
        error = None if stopped.task.cancelled() else stopped.task.exception()
        if error is not None and not isinstance(error, BuildRetired):
            raise error
        self._live = self._fill(self._view.live())

    async def _rebuild(self) -> str:
        async with self._changing:
            before = self._live
            try:
                self._live = await rebuild(self._view, [s.log for s in self._sources], self._fill_beside, before)
            finally:
                self._new = None
        build = self._live.filling.build.name
        _log.info("the view %s: the build %s is live", self._view.name, build)
        if before is not None:
            task = asyncio.create_task(self._drop_later(before.filling.build.name))
            self._dropping.add(task)
            task.add_done_callback(self._dropping.discard)
        return build

    async def _drop_later(self, build: str) -> None:
        await asyncio.sleep(self._grace)
        try:
            await self._view.drop(build)
        except Unavailable as error:  # it is removed when the view is opened next
            _log.warning("the view %s: the build %s cannot be dropped: %s", self._view.name, build, error)

    def _fill(self, build: ViewBuild[Doc]) -> Running[Doc]:
        filling = Filling(self._projection, self._sources, build, clock=self._clock, backoff=self._backoff)
        return Running(filling)

    def _fill_beside(self, build: ViewBuild[Doc]) -> Running[Doc]:
        self._new = self._fill(build)
        return self._new

    def _at_work(self) -> Running[Doc]:
        if self._live is None:
            raise Unavailable(f"the projector of the view {self._view.name} is not at work")
        return self._live

    async def _ready(self) -> None:
        while True:
            with suppress(Unavailable):
                await self._view.ready(_LOOK)
                return

    async def _end(self) -> None:
        tasks = [*self._dropping, *(running.task for running in (self._live, self._new) if running is not None)]
        self._live = self._new = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
