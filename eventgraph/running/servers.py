"""Several ASGI apps on ports of their own in one event loop, stopped together by one signal."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from eventgraph.errors import StartError
from eventgraph.running.certificates import Certificates
from graphrouter.http.connection import HttpServer
from graphrouter.http.connections import Connections
from graphrouter.http.files import allow_many_files
from graphrouter.http.hosts import HostCheck
from graphrouter.server.collector import set_collector_for_serving

GRACE_SECONDS = 5
"""How long requests that are under way may go on after the signal to stop."""


ANY_HOST = ("*",)
"""For an app that checks the names itself."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An app and the socket it is reached on."""

    app: ASGIApp
    listener: socket.socket
    hosts: tuple[str, ...] = ()
    """Names that it may be asked by; without any, as `HostCheck` has it."""
    certificates: Certificates | None = None
    """What it shows and asks for over TLS, without which it speaks plain HTTP."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; taken before anything else is opened, so that a second start harms nothing.

    Raises:
        StartError: the port is taken, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except (OSError, socket.gaierror) as error:
        listener.close()
        raise StartError(
            f"cannot listen on {host} port {port}: {error.strerror}; name another with --host and --port"
        ) from error
    listener.setblocking(False)
    return listener


def _context_of(certificates: Certificates | None) -> Callable[[object, object], ssl.SSLContext] | None:
    return None if certificates is None else lambda _config, _default: certificates.context


def origin_of(listener: socket.socket, certificates: Certificates | None = None) -> str:
    """What URLs to it begin with."""
    host, port = listener.getsockname()[:2]
    scheme = "http" if certificates is None else "https"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def banner(first: str, rows: Mapping[str, str]) -> str:
    """What the person reads who has started something: where everything is."""
    width = max(map(len, rows))
    lines = [f"  {name:<{width}}  {value}" for name, value in rows.items()]
    return "\n".join([first, *lines, "Ctrl-C stops it."])


class _Server(uvicorn.Server):
    """A server whose signals are `serve`'s, because there are several."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class Servers:
    """Starts every endpoint, waits until told to stop, stops them in reverse order."""

    def __init__(self, drain_seconds: float = 0.0) -> None:
        self._drain_seconds = drain_seconds
        self._draining: asyncio.TimerHandle | None = None
        self._stopping = asyncio.Event()
        self._running: list[tuple[_Server, asyncio.Task[None]]] = []
        self.connections: list[Connections] = []

    def stop_on_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self.stop)
        loop.add_signal_handler(signal.SIGTERM, self._drain)

    def _drain(self) -> None:
        """What SIGTERM does: first clients go elsewhere (`graphrouter.server.draining`), unless it is the second."""
        if self._draining is not None or not self._drain_seconds:
            self.stop()
            return
        for connections in self.connections:
            connections.draining = True
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
            StartError: an app's lifespan failed.
        """
        allow_many_files()
        for endpoint in endpoints:
            http = HttpServer()
            self.connections.append(http.connections)
            config = uvicorn.Config(
                HostCheck(endpoint.app, endpoint.hosts),
                http=cast("Any", http),  # whatever makes a protocol will do
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
                ssl_context_factory=_context_of(endpoint.certificates),
            )
            server = _Server(config)
            task = asyncio.create_task(server.serve(sockets=[endpoint.listener]))
            self._running.append((server, task))
            while not server.started:
                done, _ = await asyncio.wait({task}, timeout=0.005)
                if done:
                    raise StartError("a server did not start") from task.exception()

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
