"""Subgraphs in this process: an ASGI app is called directly, without a socket."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeAlias

from graphrouter.transport.port import (
    EVENTS_ACCEPT,
    GRAPHQL_ACCEPT,
    MAX_RESPONSE_BYTES,
    SubgraphRequest,
    SubgraphResponse,
    SubgraphResponseTooLarge,
    SubgraphStream,
    SubgraphTimedOut,
    SubgraphUnreachable,
)

_log = logging.getLogger("graphrouter.transport")

# ASGI's own types: https://asgi.readthedocs.io/en/latest/specs/main.html. A message's values have any type.
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

_CHUNKS = 16
"""So many chunks of a stream wait for who reads it; then the app waits."""

_HEADERS = [
    (b"host", b"in-process"),
    (b"content-type", b"application/json"),
]


class Lifespan:
    """The start-up and shutdown of one ASGI app, in a task of its own.

    An app that refuses the scope (it raises, or returns without an answer) has none, and is served all the same, as
    the specification asks: https://asgi.readthedocs.io/en/latest/specs/lifespan.html
    """

    def __init__(self, app: AsgiApp) -> None:
        self._app = app
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self.state: dict[str, object] = {}

    async def start(self) -> None:
        """Returns when the app has started; SubgraphUnreachable where it says that it failed (the log has why)."""
        self._task = asyncio.create_task(self._run(), name="lifespan of a subgraph")
        answer = await self._ask("lifespan.startup")
        if answer["type"] == "lifespan.startup.failed":
            _log.error("a subgraph's app failed to start: %s", answer.get("message", ""))
            raise SubgraphUnreachable("the subgraph failed to start")

    async def stop(self) -> None:
        """Returns when the app has shut down, or at once where it had no lifespan."""
        if self._task is not None and not self._task.done():
            await self._ask("lifespan.shutdown")
            await self._task

    async def _ask(self, message: str) -> Message:
        await self._to_app.put({"type": message})
        return await self._from_app.get()

    async def _run(self) -> None:
        scope: Message = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            await self._app(scope, self._to_app.get, self._from_app.put)
        except Exception as error:  # noqa: BLE001 - refusing the scope by any exception is the protocol
            _log.debug("a subgraph's app has no lifespan: %s", type(error).__name__)
        finally:
            # Wakes the callers that wait for an answer that the app never gives.
            self._from_app.put_nowait({"type": "lifespan.ended"})


class InProcessTransport:
    """An ASGI app as a subgraph, asked at `path`. Its lifespan runs once, from the first use to `aclose`.

    The answer is there when its last byte is: what the app does afterwards (background work) goes on by itself, until
    `aclose` ends it.
    """

    def __init__(self, app: AsgiApp, *, path: str = "/graphql", max_response_bytes: int = MAX_RESPONSE_BYTES) -> None:
        self._app = app
        self._path = path
        self._max_response_bytes = max_response_bytes
        self._lifespan = Lifespan(app)
        self._started: asyncio.Task[None] | None = None
        self._closed = False
        self._running: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        if self._closed:
            raise SubgraphUnreachable("the subgraph is closed")
        if self._started is None:
            self._started = asyncio.create_task(self._lifespan.start())
        # A caller that gives up waiting must not cancel the start for the others.
        await asyncio.shield(self._started)

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        try:
            async with asyncio.timeout_at(request.deadline):
                if self._closed or self._started is None or not self._started.done():
                    await self.start()
                return await self._call(request)
        except TimeoutError as error:
            raise SubgraphTimedOut("the subgraph did not answer in time") from error

    async def _call(self, request: SubgraphRequest) -> SubgraphResponse:
        exchange = _Exchange(request.body, self._max_response_bytes)
        task = asyncio.create_task(self._run(self._scope(request), exchange))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            return await exchange.answer
        except asyncio.CancelledError:
            task.cancel()
            raise
        except SubgraphResponseTooLarge:
            task.cancel()
            raise
        finally:
            exchange.client_is_gone.set()

    @asynccontextmanager
    async def stream(self, request: SubgraphRequest) -> AsyncGenerator[SubgraphStream]:
        exchange = _StreamedExchange(request.body)
        task: asyncio.Task[None] | None = None
        try:
            try:
                async with asyncio.timeout_at(request.deadline):
                    if self._closed or self._started is None or not self._started.done():
                        await self.start()
                    task = asyncio.create_task(self._run(self._scope(request, EVENTS_ACCEPT), exchange))
                    self._running.add(task)
                    task.add_done_callback(self._running.discard)
                    stream = await exchange.stream
            except TimeoutError as error:
                raise SubgraphTimedOut("the subgraph did not answer in time") from error
            async with aclosing(stream.chunks):
                yield stream
        finally:
            exchange.client_is_gone.set()
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _run(self, scope: Message, exchange: _Exchange | _StreamedExchange) -> None:
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:  # noqa: BLE001 - whatever the app raises, the subgraph has not answered
            _log.warning("a subgraph's app raised: %s", type(error).__name__, exc_info=error)
        finally:
            exchange.fail(SubgraphUnreachable("the subgraph broke off without a complete answer"))

    def _scope(self, request: SubgraphRequest, accept: str = GRAPHQL_ACCEPT) -> Message:
        path = self._path if request.get is None else request.get
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "POST" if request.get is None else "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [
                *_HEADERS,
                (b"accept", accept.encode()),
                (b"content-length", str(len(request.body)).encode()),
                *((name.lower().encode(), value.encode("latin-1")) for name, value in request.headers),
            ],
            "client": None,
            "server": None,
            "state": dict(self._lifespan.state),
        }

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._started is not None:
            await self._started
            await self._lifespan.stop()


class _Requested:
    """One request as the app's `receive` sees it, and the head of the answer."""

    def __init__(self, body: bytes) -> None:
        self.client_is_gone = asyncio.Event()
        self._body: bytes | None = body
        self._status = 0
        self._headers: dict[str, str] = {}

    async def receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self.client_is_gone.wait()
        return {"type": "http.disconnect"}

    def _start(self, message: Message) -> None:
        self._status = message["status"]
        for raw_name, raw_value in message.get("headers", ()):
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            known = self._headers.get(name)
            self._headers[name] = value if known is None else f"{known}, {value}"


class _Exchange(_Requested):
    """One request and its answer as the app's `receive` and `send` see them."""

    def __init__(self, body: bytes, limit: int) -> None:
        super().__init__(body)
        self.answer: asyncio.Future[SubgraphResponse] = asyncio.get_running_loop().create_future()
        self._limit = limit
        self._received = bytearray()

    async def send(self, message: Message) -> None:
        if self.answer.done():
            return
        if message["type"] == "http.response.start":
            self._start(message)
            return
        if message["type"] != "http.response.body" or not self._status:
            raise RuntimeError(f"expected http.response.{'body' if self._status else 'start'}, found {message['type']}")
        self._received += message.get("body", b"")
        if len(self._received) > self._limit:
            self.fail(SubgraphResponseTooLarge(f"the subgraph's answer is larger than {self._limit} bytes"))
        elif not message.get("more_body", False):
            self.answer.set_result(SubgraphResponse(self._status, self._headers, bytes(self._received)))

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
            # Nobody may be waiting any more: then there is nobody to tell.
            self.answer.exception()


class _StreamedExchange(_Requested):
    """The same for an answer that is read as it comes."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.stream: asyncio.Future[SubgraphStream] = asyncio.get_running_loop().create_future()
        self._chunks: deque[bytes] = deque()
        self._came = asyncio.Event()
        self._read = asyncio.Event()
        self._is_complete = False
        self._failure: Exception | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start(message)
            self.stream.set_result(SubgraphStream(self._status, self._headers, self._given()))
            return
        if chunk := message.get("body", b""):
            self._chunks.append(chunk)
        self._is_complete = not message.get("more_body", False)
        self._came.set()
        while len(self._chunks) >= _CHUNKS:
            self._read.clear()
            await self._read.wait()

    async def _given(self) -> AsyncGenerator[bytes, None]:
        while True:
            while self._chunks:
                yield self._chunks.popleft()
                self._read.set()
            if self._is_complete:
                return
            if self._failure is not None:
                raise self._failure
            self._came.clear()
            await self._came.wait()

    def fail(self, error: Exception) -> None:
        if self._is_complete:
            return
        self._failure = error
        self._came.set()
        if not self.stream.done():
            self.stream.set_exception(error)
            self.stream.exception()  # as above
