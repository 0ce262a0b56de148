"""Keeps the live build of a view up to date with its logs, and fills another one when asked to.

Several processes may share that, each with a projector: a `Membership` says which partitions of the live build this one
fills. A build that is not live yet is filled whole by one of them: the first build by the one that leads, any other by
the one that was asked to rebuild. When it goes live the others learn so from the build that they are filling
(`BuildRetired`), and all fill their shares of the new one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Final, Generic, Literal

from eventkernel.cancelling import unless
from eventkernel.clock import Clock, SystemClock
from eventkernel.errors import CheckpointMismatch, InvalidInput, Unavailable
from eventkernel.events import Partition, Record
from eventkernel.reading.audit import Audit
from eventkernel.reading.filling import LOOK_SECONDS, Filling, FillingStatus
from eventkernel.reading.following import Source
from eventkernel.reading.membership import Alone, JoiningLater, Membership, lead_passes
from eventkernel.reading.rebuild import Running, rebuild
from eventkernel.reading.showing import Shown, ShownTimes
from eventkernel.reading.views import BuildRetired, Doc, Projection, View, ViewBuild
from eventkernel.retrying import Backoff, Trouble, Troubles
from eventkernel.tracing import NOT_TRACED, Tracer

__all__ = ["Projector", "ProjectorStatus", "Source"]

_GRACE: Final = 60.0
"""Seconds that a request may go on reading a build that is live no more: the longest deadline."""

_LOOK: Final = 60.0

_LEADERS_SECONDS: Final = 10.0
"""For so long a member that does not lead leaves a build that does not fit its logs to the one that does."""

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProjectorStatus:
    """The live build (None: there is none yet, requests are refused) and the one that is being filled beside it."""

    view: str
    live: FillingStatus | None
    filling: FillingStatus | None
    troubles: tuple[Trouble, ...]
    """Why the first build cannot be filled; a build's own troubles stand in its status."""
    rebuilds: int = 0
    """Builds that this projector has filled and made live, the first one too."""


@dataclass(frozen=True, slots=True)
class Showing:
    """What has become of one record in a view."""

    state: Literal["shown", "waits", "parked", "skipped"]
    """`waits`: the view has not come so far."""
    reason: str = ""
    """Why it was parked or skipped; empty for one that is parked behind another one."""
    shown: Shown | None = None
    """When it was shown; None: this process does not know."""


class Projector(Generic[Doc]):
    """One view's projector. Where the view has no live build (first start, another shape), `run` fills one first.

    Several logs are followed at once; within each partition order is kept. Events are folded exactly once in effect,
    however often they are delivered and wherever the process dies.
    """

    def __init__(  # noqa: PLR0913  # three things that it works with, and one word for each way of working
        self,
        projection: Projection[Doc],
        sources: Sequence[Source],
        view: View[ViewBuild[Doc]],
        *,
        clock: Clock | None = None,
        backoff: Backoff | None = None,
        membership: Membership | None = None,
        grace: float = _GRACE,
        look: float = LOOK_SECONDS,
        audit: Audit | None = None,
        tracer: Tracer = NOT_TRACED,
    ) -> None:
        self._projection = projection
        self._sources = sources
        self._view = view
        self._clock = clock or SystemClock()
        self._backoff = backoff or Backoff()
        self._membership = membership or Alone()
        self._grace = grace
        self._look_every = look
        self._audit = audit
        self._shown = ShownTimes()
        """When the live build, whichever it was, had what."""
        self._tracer = tracer
        self._live: Running[Doc] | None = None
        self._new: Running[Doc] | None = None
        self._begun = asyncio.Event()
        self._rebuilding = False
        self._rebuilds = 0
        self._misfit, self._misfit_since = "", 0.0
        """The build of which it was said that it does not fit its logs, and when, by the loop's clock."""
        self._switching = asyncio.Lock()
        """Held by who puts another filling in the place of the live build's."""
        self._troubles = Troubles(self._backoff)
        self._dropping: set[asyncio.Task[None]] = set()
        self._worker: asyncio.Task[None] | None = None

    # As a worker

    async def run(self) -> None:
        """Work until cancelled; a save that is under way is finished first."""
        try:
            while True:
                live = await self._begin()
                self._begun.set()
                await asyncio.wait((live.task,))
                if (mismatch := _mismatch_of(live)) is not None:
                    await self._replace(live, mismatch)
                    continue
                async with self._switching:  # a rebuild stops the live build's filling, and puts its own in its place
                    if self._live is live:
                        build = await self._live_after(live)
                        replaced = build is not None and build.name != live.filling.build.name
                        if replaced and self._membership.assignment().leads:
                            # The process that made another one live may be gone before the old one can be dropped.
                            self._drop(live.filling.build.name)
                        self._live = None if build is None else self._fill(build, self._membership, self._shown)
        finally:
            await self._end()

    async def start(self) -> None:
        """Work in the background; returns when the view has a live build."""
        self._worker = asyncio.create_task(self.run(), name=f"project {self._view.name}")
        ready = asyncio.create_task(self._begun.wait())
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
            Unavailable: there is a rebuild already, the projector is not at work, or another process switched or
                dropped builds at that moment.
        """
        self._at_work()
        if self._rebuilding:
            raise Unavailable(f"the view {self._view.name} is being rebuilt already")
        try:
            return await self._rebuild()
        except BuildRetired as retired:
            reason = f"another process has replaced or dropped the build {retired} meanwhile"
            raise Unavailable(f"the view {self._view.name} could not be rebuilt: {reason}") from None

    async def retry(self, stream: str) -> None:
        """As `Filling.retry`, on the live build."""
        await self._at_work().filling.retry(stream)

    async def skip(self, stream: str, reason: str) -> None:
        """As `Filling.skip`, on the live build."""
        await self._at_work().filling.skip(stream, reason)

    def shown(self, partition: Partition, offset: int) -> Shown | None:
        """As `ShownTimes.of`, of what this process has done to the live build."""
        return self._shown.of(partition, offset)

    async def showing(self, record: Record) -> Showing:
        """What has become of a record of these logs in the live build.

        Raises:
            Unavailable: that cannot be read now.
        """
        try:
            build = self._view.live()
            position = (await build.checkpoint()).position
            entries = await build.parked([record.stream])
        except BuildRetired as retired:
            raise Unavailable(f"the view {self._view.name}: another build than {retired} went live") from None
        place = Partition(record.log, record.partition)
        entry = next((entry for entry in entries if entry.record.version == record.version), None)
        if entry is not None and entry.partition == place:
            return Showing("skipped" if entry.skipped else "parked", entry.reason or "")
        if position.get(place, 0) <= record.offset:
            return Showing("waits")
        return Showing("shown", shown=self.shown(place, record.offset))

    async def status(self, *, listed: bool = True) -> ProjectorStatus:
        """With `listed` unset what is parked is counted, and not listed."""
        return ProjectorStatus(
            view=self._view.name,
            live=None if self._live is None else await self._live.filling.status(listed=listed),
            filling=None if self._new is None else await self._new.filling.status(listed=listed),
            troubles=self._troubles.current(),
            rebuilds=self._rebuilds,
        )

    async def _begin(self) -> Running[Doc]:
        """Fill the live build, as soon as there is one. Where there is none, this member fills it if it leads."""
        while self._live is None:
            try:
                build = self._view.live()
            except Unavailable:
                leads = self._membership.assignment().leads
                await unless(lead_passes(self._membership, leads), self._first_build() if leads else self._ready())
            else:
                self._live = self._fill(build, self._membership, self._shown)
        return self._live

    async def _first_build(self) -> None:
        """Returns when there is a live build: this one, or another process's, which may have been faster."""

        async def build() -> None:
            try:
                self._view.live()
            except Unavailable:
                if self._rebuilding:
                    raise
                await self._rebuild()

        await self._troubles.until_done(f"filling the view {self._view.name}", build, on=Exception)

    async def _ready(self) -> None:
        """Returns when there is a live build, which another process fills."""
        while True:
            with suppress(Unavailable):
                await self._view.ready(_LOOK)
                return

    async def _replace(self, live: Running[Doc], mismatch: CheckpointMismatch) -> None:
        """The live build was filled from another history of a log. It is kept for people, and the leading member
        fills another one; until that is live, `run` begins again with every look at it."""
        build = live.filling.build
        self._shown = ShownTimes()  # it is of the log as it was
        if self._live is live:
            self._live = None
        clock = asyncio.get_running_loop().time
        if self._misfit != build.name:
            self._misfit, self._misfit_since = build.name, clock()
            _log.error("the view %s: the build %s has to be filled again: %s", self._view.name, build.name, mismatch)

        if self._audit is not None:  # it may have found nothing wrong a moment ago
            with suppress(Unavailable, BuildRetired):
                await self._audit.look()

        async def refill() -> None:
            if self._rebuilding or _live_name(self._view) != build.name:
                return
            await self._view.keep_aside(build.name, str(mismatch))
            # The leading member may not read the partition that was cut, and so have noticed nothing.
            if self._membership.assignment().leads or clock() > self._misfit_since + _LEADERS_SECONDS:
                await self._rebuild()

        await self._troubles.until_done(f"filling the view {self._view.name} anew", refill, on=Exception)
        if self._live is None:
            await asyncio.sleep(self._look_every)

    async def _live_after(self, ended: Running[Doc]) -> ViewBuild[Doc] | None:
        """The build to fill after this one's filling has ended: a rebuild that stopped it has failed, or it is retired.

        In the latter case this process may not know yet which build took its place: so that is asked for until it does.
        None: there is none any more, somebody has emptied the view.
        """
        error = None if ended.task.cancelled() else ended.task.exception()
        if error is not None and not isinstance(error, BuildRetired):
            raise error

        async def live() -> ViewBuild[Doc] | None:
            try:
                build = self._view.live()
            except Unavailable:
                return None
            if error is not None and build.name == ended.filling.build.name:
                raise error
            return build

        return await self._troubles.until_done(f"asking for the live build of {self._view.name}", live, on=Exception)

    async def _rebuild(self) -> str:
        self._rebuilding = True
        share = JoiningLater(self._membership)
        try:
            async with AsyncExitStack() as stack:

                async def stop_live() -> None:
                    await stack.enter_async_context(self._switching)
                    if self._live is not None:
                        await self._live.stop()

                def begin(build: ViewBuild[Doc]) -> Running[Doc]:
                    self._new = self._fill(build, share)
                    return self._new

                rebuilt = await rebuild(self._view, [source.log for source in self._sources], begin, stop_live)
                self._live = rebuilt.running
                self._live.filling.go_live(self._shown)
                self._rebuilds += 1
                share.join()
        finally:
            self._new = None
            self._rebuilding = False
        build = rebuilt.running.filling.build.name
        _log.info("the view %s: the build %s is live", self._view.name, build)
        if rebuilt.before is not None:
            self._drop(rebuilt.before)
        return build

    def _drop(self, build: str) -> None:
        """Drop a build as soon as no request can be reading it any more."""
        task = asyncio.create_task(self._drop_later(build))
        self._dropping.add(task)
        task.add_done_callback(self._dropping.discard)

    async def _drop_later(self, build: str) -> None:
        await asyncio.sleep(self._grace)
        try:
            await self._view.drop(build)
        except InvalidInput:  # another process was faster
            pass
        except Unavailable as error:  # it is removed when the view is opened next
            _log.warning("the view %s: the build %s cannot be dropped: %s", self._view.name, build, error)

    def _fill(self, build: ViewBuild[Doc], membership: Membership, shown: ShownTimes | None = None) -> Running[Doc]:
        filling = Filling(
            self._projection,
            self._sources,
            build,
            clock=self._clock,
            backoff=self._backoff,
            membership=membership,
            look=self._look_every,
            shown=shown,
            tracer=self._tracer,
        )
        return Running(filling)

    def _at_work(self) -> Running[Doc]:
        if self._live is None:
            raise Unavailable(f"the projector of the view {self._view.name} is not at work")
        return self._live

    async def _end(self) -> None:
        tasks = [*self._dropping, *(running.task for running in (self._live, self._new) if running is not None)]
        self._live = self._new = None
        self._begun.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _mismatch_of(ended: Running[Doc]) -> CheckpointMismatch | None:
    """Where that has ended a build's filling: which log has another history now."""
    error = None if ended.task.cancelled() else ended.task.exception()
    return error if isinstance(error, CheckpointMismatch) else None


def _live_name(view: View[ViewBuild[Doc]]) -> str | None:
    try:
        return view.live().name
    except Unavailable:
        return None
