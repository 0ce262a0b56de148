"""An app whose router is replaced while it serves: when a file or a subgraph's schema changes, or on demand.

Every reload makes a new generation: options, router and app. It is made beside the one that serves, and prepared with
the operations that were asked for most. Then new requests go to it. The former one is closed when its last request, and
every mutation whose client has gone, is at its end. That ends its subscriptions, which resume at the new one. What
cannot be made is refused: nothing changes, and the log and the readiness give the reason.

Files are looked at twice a second and not watched by the system: what is mounted, linked or replaced (a ConfigMap of
Kubernetes is all of it) is noticed as well. A changed file counts once it has not changed from one look to the next, so
that no half of it is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final, Protocol, TypeAlias

from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graphrouter.http.connections import is_endless
from graphrouter.http.websocket_connection import SERVICE_RESTART
from graphrouter.options import RouterOptions
from graphrouter.request import clipped
from graphrouter.server.app import Served, routed_app
from graphrouter.server.collector import set_collector_for_serving
from graphrouter.subgraph_sdl import SubgraphUnavailable
from graphrouter.telemetry.measures import Family, looked_up
from graphrouter.telemetry.router import GENERATION, REFUSED

_log = logging.getLogger("graphrouter.server")

_LOOK_SECONDS: Final = 0.5
_LONGEST_WAIT_SECONDS: Final = 5.0

_Stamps: TypeAlias = Mapping[Path, tuple[int, int, int] | None]


class Replaceable(Served, Protocol):
    """A router, as far as its replacing needs it."""

    @property
    def composed_from(self) -> Mapping[str, str]: ...
    async def schemas(self) -> Mapping[str, str]: ...
    def most_used(self, count: int, /) -> list[tuple[str, str | None]]: ...
    async def prepare(self, operations: Iterable[tuple[str, str | None]], /) -> int: ...
    async def settled(self) -> None: ...
    def statistics(self) -> Mapping[str, object]: ...


@dataclass(frozen=True, slots=True)
class Source:
    """What a router is made from, as it was read once."""

    options: RouterOptions
    make: Callable[[], Awaitable[Replaceable]]
    """A new router; it raises what makes it impossible."""
    files: frozenset[Path] = frozenset()
    """A change of one of them is a reason to read again."""
    poll_seconds: float = 0.0
    """How often the subgraphs are asked for their schemas, where the router was composed from these."""
    prepared: int = 200
    """So many of the operations that were asked for most are planned before the switch."""
    prepared_seconds: float = 10.0
    """How long that may take."""
    applied: Callable[[], None] = lambda: None
    """Called when the router serves."""


class NotUsable(Exception):
    """What was read cannot be used; a change of one of `files` is a reason to try again."""

    def __init__(self, message: str, files: frozenset[Path] = frozenset()) -> None:
        super().__init__(message)
        self.files = files


@dataclass(slots=True, eq=False)
class _Generation:
    number: int
    app: ASGIApp
    source: Source
    router: Replaceable | None
    loaded: datetime = field(default_factory=lambda: datetime.now(UTC))
    running: int = 0
    """Requests that are awaited before it is closed."""
    replaced: asyncio.Future[None] | None = None
    """Done when another one serves; there is one where somebody waits for it."""
    idle: asyncio.Event | None = None
    """Set when the last request has ended; there is one from the moment on at which no new request comes."""

    def replacement(self) -> asyncio.Future[None]:
        if self.replaced is None:
            self.replaced = asyncio.get_running_loop().create_future()
        return self.replaced

    def ended(self) -> None:
        """One of its requests needs it no longer."""
        self.running -= 1
        if self.idle is not None and not self.running:
            self.idle.set()


class ReloadingApp:
    """The ASGI app. `read` reads the source anew and may take its time, in a thread; the first source is there.

    `signals`: SIGHUP asks for a reload (only where the app is made, and its lifespan runs, in the main thread).
    """

    def __init__(
        self,
        source: Source,
        read: Callable[[], Source],
        *,
        routes: Sequence[BaseRoute] = (),
        signals: bool = False,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._read = read
        self._routes = routes
        self._signals = signals
        self._look_seconds = look_seconds
        self._asked = asyncio.Event()
        self._refused: str | None = None
        self._stamps: _Stamps = {}
        self._schemas: Mapping[str, str] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._generation = self._without_router(source, "the router has not started")
        self._lifespan_app = Starlette(lifespan=self._lifespan)
        if signals:  # from now on: a signal before the lifespan has begun would end the process
            signal.signal(signal.SIGHUP, self._on_signal)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan_app(scope, receive, send)
            return
        generation = self._generation
        generation.running += 1
        awaited = True

        async def watched(message: Message) -> None:
            nonlocal awaited
            if awaited and message["type"] == "http.response.start" and is_endless(message):
                awaited = False
                generation.ended()
            await send(message)

        if scope["type"] == "websocket":
            receive = partial(_received, receive, generation.replacement())
        try:
            await generation.app(scope, receive, watched)
        finally:
            if awaited:
                generation.ended()

    def reload(self) -> None:
        """Asks for a reload, soon."""
        self._asked.set()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.reload()

    def statistics(self) -> Mapping[str, object]:
        """Those of the router that serves."""
        return {} if self._generation.router is None else self._generation.router.statistics()

    def families(self) -> Iterable[Family]:
        """What is told of reloads to whoever reads metrics."""
        yield looked_up(GENERATION, [((), self._generation.number)])
        yield looked_up(REFUSED, [((), self._refused is not None)])

    def notes(self) -> Mapping[str, object]:
        """What readiness tells of reloads: since when the configuration serves, and why a later one was refused."""
        generation = self._generation
        notes: dict[str, object] = {
            "generation": generation.number,
            "loaded": generation.loaded.isoformat(timespec="seconds"),
        }
        if self._refused is not None:
            notes["refused"] = self._refused
        return {"configuration": notes}

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncGenerator[None]:
        self._stamps = await asyncio.to_thread(_stamps_of, self._generation.source.files)
        try:
            await self._switch_to(self._generation.source)
        except (SubgraphUnavailable, NotUsable) as error:
            self._wait_for(error)
        loop = asyncio.get_running_loop()
        if self._signals:
            loop.add_signal_handler(signal.SIGHUP, self.reload)
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            if self._signals:
                loop.remove_signal_handler(signal.SIGHUP)
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
            for closing in self._closing:
                closing.cancel()
            await asyncio.gather(*self._closing, return_exceptions=True)
            if self._generation.router is not None:
                await self._generation.router.aclose()

    def _without_router(self, source: Source, reason: str) -> _Generation:
        return _Generation(0, routed_app(lambda: reason, source.options, self._routes), source, None)

    def _wait_for(self, error: Exception) -> None:
        reason = clipped(str(error).partition("\n")[0])
        _log.warning("not ready: %s", error)
        self._generation = self._without_router(self._generation.source, reason)

    async def _watch(self) -> None:
        """Reloads when something changed or somebody asks; while there is no router yet, tries to make one."""
        wait, polled = 0.1, asyncio.get_running_loop().time()
        while True:
            waiting = self._generation.router is None
            source = self._generation.source
            looking = waiting or self._stamps or source.poll_seconds
            pause = min(wait, self._look_seconds) if waiting else self._look_seconds
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause if looking else None):
                    await self._asked.wait()
            reason = "on demand" if self._asked.is_set() else ""
            self._asked.clear()
            now = asyncio.get_running_loop().time()
            poll = source.poll_seconds
            if waiting and now - polled >= wait:
                reason, polled, wait = reason or "the subgraphs may be there", now, min(2 * wait, _LONGEST_WAIT_SECONDS)
            elif poll and not waiting and now - polled >= poll:
                polled = now
                reason = reason or await self._changed_schemas()
            if reason or (reason := await self._changed_files()):
                await self._reload(reason)

    async def _changed_files(self) -> str:
        before = self._stamps
        stamps = await asyncio.to_thread(_stamps_of, before)
        if stamps == before:
            return ""
        await asyncio.sleep(self._look_seconds / 2)
        if await asyncio.to_thread(_stamps_of, before) != stamps:
            return ""  # it is still being written
        return next(f"{file.name} has changed" for file, stamp in stamps.items() if stamp != before[file])

    async def _changed_schemas(self) -> str:
        if self._generation.router is None:
            return ""
        try:
            schemas = await self._generation.router.schemas()
        except SubgraphUnavailable as error:
            _log.warning("the schemas were not looked at: %s", error)
            return ""
        changed = [name for name, schema in schemas.items() if schema != self._schemas.get(name)]
        self._schemas = schemas
        return f"the schema of {', '.join(changed)} has changed" if changed else ""

    async def _reload(self, reason: str) -> None:
        former = self._generation
        _log.info("reloading: %s", reason)
        files: Collection[Path] = frozenset(self._stamps)
        self._stamps = await asyncio.to_thread(_stamps_of, files)
        try:
            source = await asyncio.to_thread(self._read)
            # Of files that are new here the stamp may be later than what was read, if they change just now.
            self._stamps = {**await asyncio.to_thread(_stamps_of, source.files), **self._known(source.files)}
            await self._switch_to(source)
        except Exception as error:  # noqa: BLE001 - whatever it is, the former generation goes on
            if isinstance(error, NotUsable):
                more = await asyncio.to_thread(_stamps_of, error.files)
                self._stamps = {**more, **self._stamps}
            if former.router is None and isinstance(error, SubgraphUnavailable):
                self._wait_for(error)
            first = str(error).partition("\n")[0] or type(error).__name__
            self._refused = clipped(first)
            kept = "there is none yet" if former.router is None else f"number {former.number} goes on"
            _log.error("the configuration is refused, %s: %s", kept, error)
            if not isinstance(error, ValueError | NotUsable | SubgraphUnavailable):
                _log.debug("how it came", exc_info=error)

    def _known(self, files: Collection[Path]) -> _Stamps:
        return {file: stamp for file, stamp in self._stamps.items() if file in files}

    async def _switch_to(self, source: Source) -> None:
        former = self._generation
        router = await source.make()
        try:
            await router.start()
            app = routed_app(lambda: router, source.options, self._routes, notes=self.notes)
            prepared = await self._prepare(router, source)
        except BaseException:
            await router.aclose()
            raise
        self._generation = _Generation(former.number + 1, app, source, router)
        self._refused = None
        self._schemas = router.composed_from
        source.applied()
        _log.info("configuration number %d serves, with %d operations planned", former.number + 1, prepared)
        if former.router is not None:
            closing = asyncio.create_task(self._close(former, former.router))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def _prepare(self, router: Replaceable, source: Source) -> int:
        """Plans what the former router was asked for most."""
        former = self._generation.router
        operations = [] if former is None else former.most_used(source.prepared)
        prepared = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(source.prepared_seconds):
                for operation in operations:
                    prepared += await router.prepare([operation])
        return prepared

    async def _close(self, generation: _Generation, router: Replaceable) -> None:
        try:
            generation.replacement().set_result(None)
            generation.idle = asyncio.Event()
            if generation.running:
                await generation.idle.wait()
            await router.settled()
        finally:
            await router.aclose()
        generation.app, generation.router = self._generation.app, None
        set_collector_for_serving()


async def _received(receive: Receive, replaced: asyncio.Future[None]) -> Message:
    """A message over a WebSocket; when its router is replaced, that the server ends it. Clients come again."""
    receiving = asyncio.ensure_future(receive())
    try:
        await asyncio.wait((receiving, replaced), return_when=asyncio.FIRST_COMPLETED)
        if receiving.done():
            return receiving.result()
        return {"type": "websocket.disconnect", "code": SERVICE_RESTART, "reason": "the router is replaced"}
    finally:
        receiving.cancel()


def _stamps_of(files: Collection[Path]) -> _Stamps:
    """By what a change of each file is known; None where it cannot be looked at."""
    found: dict[Path, tuple[int, int, int] | None] = {}
    for file in files:
        try:
            status = file.stat()
        except OSError:
            found[file] = None
        else:
            found[file] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return found
