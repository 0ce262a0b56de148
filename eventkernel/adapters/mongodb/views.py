"""A view in MongoDB: builds as collections of one database, shared by any number of processes.

    books.builds                     a document per build: which one is live, how far it is (`build_list.py`)
    books.b-3f9a2c41.docs, .past, …  a build's collections

Each process watches the list of builds: a few milliseconds apart while somebody waits for progress, and otherwise twice
a second, so that it learns of a switch by another process, and of its progress. Every few minutes it says which builds
it uses; what nobody has used for an hour is removed when a process opens the view.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final, Self, TypeVar

from eventkernel.adapters.mongodb.build import MongoViewBuild
from eventkernel.adapters.mongodb.build_list import BuildList, BuildState, furthest_live_build, live_build
from eventkernel.adapters.mongodb.connection import Database
from eventkernel.errors import InvalidInput, KernelError, Unavailable
from eventkernel.reading.live import LiveBuild
from eventkernel.writing.store import Checkpoint

__all__ = ["MongoView", "MongoViewBuild"]

BuildT = TypeVar("BuildT", bound=MongoViewBuild[Any])  # any document: the view only opens and closes builds

_SHORTEST: Final = 0.002
_LONGEST: Final = 0.05
"""Seconds between two looks while somebody waits: longer each time that nothing has come of it."""
_IDLE: Final = 0.5
"""While nobody does."""
_BEAT: Final = 300.0
"""Seconds between two times of saying which builds are in use."""
_BEAT_AGAIN: Final = 5.0
"""After it has failed."""

_log: Final = logging.getLogger(__name__)


class MongoView(LiveBuild[BuildT]):
    """Made by `open`."""

    def __init__(self, database: Database, name: str, build_type: type[BuildT], identity: str) -> None:
        super().__init__(name)
        self._database = database
        self._build_type = build_type
        self._identity = identity
        self._list = BuildList(database, name)
        self._builds: dict[str, BuildT] = {}
        self._live_before: dict[str, BuildState | None] = {}
        self._live_state: BuildState | None = None
        self._watch = _Watch(self)

    @classmethod
    async def open(
        cls,
        database: Database,
        name: str,
        build_type: type[BuildT],
        *,
        shape: int,
        logs: Iterable[str],
        tidy: bool = True,
    ) -> Self:
        """Open the view of this name, whose collections are made where they are missing, and watch it until `aclose`.

        `shape` is the projection's, `logs` the ids of the logs that it reads. Where no live build was filled with this
        shape, from these logs and with these indexes there is none until a new one is filled: `Projector.run` does that
        first. With `tidy`, builds that nobody uses any more are removed, also those of other releases.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        view = cls(database, name, build_type, build_type.identity(shape, logs))
        await view._list.prepare()
        if tidy:
            await view._list.tidy(view._identity)
        await view._begin()
        return view

    @classmethod
    async def open_of_another_release(
        cls, database: Database, name: str, build_type: type[BuildT], *, logs: Iterable[str]
    ) -> Self | None:
        """The view as a release of another shape or layout keeps it, to be looked at; of several the one that is
        furthest in these logs. None: there is none. `build_type` has to understand its documents.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        live = furthest_live_build(await BuildList(database, name).read(), logs)
        if live is None:
            return None
        view = cls(database, name, build_type, live.identity)
        await view._begin()
        return view

    async def _begin(self) -> None:
        await self._watch.look()
        self._watch.start()

    async def create(self) -> BuildT:
        before = self._live_state
        state = await self._list.add(f"b-{secrets.token_hex(4)}", self._identity)
        # The database may be a new one since, and it may be dropped at any time: made after the document, the indexes
        # cannot be gone without the build being gone, which is noticed.
        await self._list.prepare()
        build = self._open(state)
        self._live_before[build.name] = before
        await build.prepare()
        return build

    async def switch(self, build: str) -> None:
        """As the port says. Where another process has switched since the build was begun, what this one would replace
        is not what it was filled to replace:

        Raises:
            Unavailable: another process has switched, or MongoDB does not answer (then perhaps it was done).
        """
        new = self._find(build)
        if new is self._live:
            return
        number = await self._list.make_live(build, self._live_before.get(build, self._live_state))
        known = await new.checkpoint()
        self._switched(new, BuildState(build, self._identity, number, False, known, Checkpoint(), 0))

    async def keep_aside(self, build: str, why: str) -> None:
        """Nothing is kept: the ledger has whatever was acknowledged."""

    async def drop(self, build: str) -> None:
        dropped = self._find(build)
        await self._watch.look()
        if dropped is self._live or not await self._list.remove(build, dropped.live_number):
            raise InvalidInput(f"the build {build} of the view {self._name} is live: only others can be dropped")
        dropped.dropped()
        await dropped.finished()
        self._forget(build)

    async def aclose(self) -> None:
        """Stop watching; saves that are under way are finished. The database is whose it was."""
        await self._watch.stop()
        for build in self._builds.values():
            build.retire()
        await asyncio.gather(*(build.finished() for build in self._builds.values()))

    # For the watch

    async def look(self) -> None:
        """What the list of builds says now, to all whom it concerns. It may be older than what is known."""
        asked_for = list(self._builds.values())
        states = {state.name: state for state in await self._list.read()}
        for build in asked_for:
            state = states.get(build.name)
            if state is None:
                self._gone(build)
            else:
                build.saw(state)
        live = live_build(states.values(), self._identity)
        if live is not None and (self._live_state is None or live.live_number > self._live_state.live_number):
            self._switched(self._builds.get(live.name) or self._open(live), live)

    async def beat(self) -> None:
        await self._list.beat(list(self._builds))

    @property
    def progress(self) -> object:
        """Differs from what it was before whenever a build has got further, or another one is live."""
        return self._live_state, [build.known_position for build in self._builds.values()]

    def _open(self, state: BuildState) -> BuildT:
        build = self._build_type(self._database, self._list, self._watch, state)
        self._builds[state.name] = build
        return build

    def _switched(self, build: BuildT, state: BuildState) -> None:
        self._live_state = state
        build.saw(state)
        self._go_live(build)

    def _gone(self, build: BuildT) -> None:
        build.dropped()
        if build is self._live:  # somebody has removed all of it: a new one is to be filled
            self._live_state = None
            self._go_live(None)
        self._forget(build.name)

    def _find(self, build: str) -> BuildT:
        try:
            return self._builds[build]
        except KeyError:
            raise InvalidInput(f"the view {self._name} has no build {build!r}") from None

    def _forget(self, build: str) -> None:
        self._builds.pop(build, None)
        self._live_before.pop(build, None)


class _Watch:
    """Looks at the list of builds again and again: one for all who wait in this process."""

    def __init__(self, view: MongoView[Any]) -> None:
        self._view = view
        self._waiting = 0
        self._pause = _SHORTEST
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._beat_at = 0.0
        self.failure: Unavailable | None = None
        self.looked_at = 0.0

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"watch {self._view.name}")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def await_progress(self) -> None:
        self._waiting += 1
        self._pause = _SHORTEST
        self._asked.set()

    def progress_awaited(self) -> None:
        self._waiting -= 1

    async def look(self) -> None:
        begun = asyncio.get_running_loop().time()
        await self._view.look()
        self.looked_at = max(self.looked_at, begun)

    async def _run(self) -> None:
        while True:
            await self._rest()
            before = self._view.progress  # of others: this process's own has woken whom it concerns
            try:
                await self.look()
                await self._beat()
                self.failure = None
            except KernelError as error:
                if self.failure is None:
                    _log.warning("%s", error)
                self.failure = error if isinstance(error, Unavailable) else Unavailable(str(error))
            except Exception:  # noqa: BLE001  # a watch that has ended would leave everybody with what is known now
                _log.exception("the view %s cannot be watched", self._view.name)
                self.failure = Unavailable(f"the view {self._view.name} cannot be watched")
            self._pause = _SHORTEST if self._view.progress != before else min(_LONGEST, self._pause * 1.5)

    async def _rest(self) -> None:
        await asyncio.sleep(_SHORTEST)  # however many begin to wait
        self._asked.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pause if self._waiting else _IDLE):
                await self._asked.wait()

    async def _beat(self) -> None:
        """Nobody who waits has to do with it: that it fails is told, and it is tried again."""
        now = asyncio.get_running_loop().time()
        if now < self._beat_at:
            return
        try:
            await self._view.beat()
            self._beat_at = now + _BEAT
        except KernelError as error:
            _log.warning("%s", error)
            self._beat_at = now + _BEAT_AGAIN
