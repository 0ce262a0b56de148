"""Several ASGI apps on sockets of their own in one event loop, stopped together by one signal.

SIGTERM, which process managers send, lets the servers drain: for some seconds clients have time to go elsewhere.
`/health/ready` then says that they are not ready, and each answer ends its connection; new connections and requests are
served as before. Once the time has passed, no more are accepted, and the requests that are under way come to their end.
A second signal, or Ctrl-C, stops without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from graphrouter.http.connection import HttpServer
from graphrouter.http.connections import ConnectionLimits, Connections
from graphrouter.http.files import allow_many_files
from graphrouter.http.hosts import HostCheck
from graphrouter.server.collector import set_collector_for_serving

_log = logging.getLogger("graphrouter.server")


ANY_HOST = ("*",)
"""For an app that checks the names itself."""


class NotStarted(Exception):
    """An app's lifespan failed."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An app and the socket it is reached on."""

    app: ASGIApp
    listener: socket.socket
    hosts: tuple[str, ...] = ()
    """Names that it may be asked by; without any, as `HostCheck` has it."""
    tls: ssl.SSLContext | None = None
    """Without it, the socket speaks plain HTTP."""
    limits: ConnectionLimits | None = None


class _Server(uvicorn.Server):
    """A server whose signals are those of `Servers`, because there are several."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit:  # uvicorn has logged why, and would end the process from inside the event loop
            raise NotStarted("an app's lifespan failed, the log says why") from None


class Servers:
    """Starts every endpoint, waits until told to stop, stops them in reverse order."""

    def __init__(self, drain_seconds: float = 0.0, grace_seconds: int | None = None) -> None:
        """`grace_seconds`: how long requests that are under way may go on after the drain; None: until they end."""
        self._drain_seconds = drain_seconds
        self._grace_seconds = grace_seconds
        self._draining: asyncio.TimerHandle | None = None
        self._stopping = asyncio.Event()
        self._running: list[tuple[_Server, asyncio.Task[None]]] = []
        self.connections: list[Connections] = []
        self.interrupted = False
        """Whether Ctrl-C is why they stop."""

    def stop_on_signals(self) -> None:
        _on_signal(signal.SIGINT, self._interrupt)
        _on_signal(signal.SIGTERM, self._drain)

    def _interrupt(self) -> None:
        self.interrupted = True
        self.stop()

    def _drain(self) -> None:
        """What SIGTERM does, the first time."""
        if self._draining is not None or not self._drain_seconds:
            self.stop()
            return
        for connections in self.connections:
            connections.draining = True
        _log.info("going to stop in %.1f s", self._drain_seconds)
        self._draining = asyncio.get_running_loop().call_later(self._drain_seconds, self.stop)

    @property
    def stopping(self) -> bool:
        """Whether the signal to stop has come."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """The first call stops gently, the second at once."""
        if self._draining is not None:
            self._draining.cancel()
        if self._stopping.is_set():
            for server, _ in self._running:
                server.force_exit = True
        self._stopping.set()

    async def start(self, endpoints: Sequence[Endpoint]) -> None:
        """Returns when every app's lifespan has started and its socket answers.

        Raises:
            NotStarted: an app's lifespan failed.
        """
        allow_many_files()
        for endpoint in endpoints:
            http = HttpServer(endpoint.limits)
            self.connections.append(http.connections)
            config = uvicorn.Config(
                HostCheck(endpoint.app, endpoint.hosts),
                http=cast("Any", http),  # whatever makes a protocol will do
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=self._grace_seconds,
                ssl_context_factory=_given(endpoint.tls),
            )
            server = _Server(config)
            task = asyncio.create_task(server.serve(sockets=[endpoint.listener]))
            self._running.append((server, task))
            while not server.started:
                done, _ = await asyncio.wait({task}, timeout=0.005)
                if done:
                    self._running.remove((server, task))
                    task.result()
                    raise NotStarted("a server ended while it started")

    async def until_stopped(self) -> None:
        """Wait for the signal; a server that ends by itself is a reason to stop, too.

        For whoever owns the process: the garbage collector is set for it."""
        set_collector_for_serving()
        waiting = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({waiting, *(task for _, task in self._running)}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()

    async def shut_down(self) -> None:
        for server, task in reversed(self._running):
            server.should_exit = True
            await asyncio.wait({task})
            if server.force_exit and server.started:
                # uvicorn in a hurry leaves the app's lifespan waiting, to be torn down with the event loop.
                await server.lifespan.shutdown()
        failures = [error for _, task in self._running if (error := task.exception()) is not None]
        if failures:
            raise BaseExceptionGroup("servers failed while they stopped", failures)


def _given(tls: ssl.SSLContext | None) -> Callable[[object, object], ssl.SSLContext] | None:
    return None if tls is None else lambda _config, _default: tls


def _on_signal(number: signal.Signals, do: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(number, do)
    except NotImplementedError:  # on Windows
        signal.signal(number, lambda _number, _frame: loop.call_soon_threadsafe(do))
