"""HTTP/1.1 for uvicorn: one connection to a client, read by llhttp, within limits on size, number and time.

https://www.rfc-editor.org/rfc/rfc9112

uvicorn's own protocols bound neither heads nor time. Of uvicorn this one uses what `uvicorn.Config(http=…)` is called
with (`config`, `server_state`, `app_state`, `_loop`) and calls (`shutdown`); a test serves over it and says where to
look should that change.

A client may offer to go on in another protocol (`Upgrade: h2c`: Java's HttpClient does so of itself). An offer that is
not taken up changes nothing (https://www.rfc-editor.org/rfc/rfc9110#section-7.8), but llhttp takes what follows for the
other protocol's. So the body of such a request is read by a new parser, which has seen its framing and no offer.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final, Protocol, cast
from urllib.parse import unquote

import httptools

from graphrouter.http.connections import DRAINING, ConnectionLimits, Connections, is_endless
from graphrouter.http.websocket_connection import WebSocketConnection, offers_websocket

_log = logging.getLogger("graphrouter.http")

_BODY_BUFFER: Final = 64 * 1024
_MAX_PIPELINED: Final = 100
_LINGER_SECONDS: Final = 2.0
"""For so long what a client still sends is read and dropped: it would lose the answer if its bytes met a closed end."""
_NO_BODY: Final = frozenset({204, 304})
_STATUS_LINES: Final = {one.value: f"HTTP/1.1 {one.value} {one.phrase}\r\n".encode() for one in HTTPStatus}
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})

App = Callable[..., Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


class _Config(Protocol):
    """What is used of `uvicorn.Config`."""

    @property
    def loaded_app(self) -> App: ...

    @property
    def root_path(self) -> str: ...


class _ServerState(Protocol):
    """What is used of `uvicorn.server.ServerState`."""

    total_requests: int
    connections: set[Any]
    tasks: set[asyncio.Task[None]]
    default_headers: Headers


class _Refused(Exception):
    """The request goes over a limit, or is none."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class HttpServer:
    """For `uvicorn.Config(http=HttpServer(limits), ws="none")`: makes the protocol of each new connection."""

    def __init__(self, limits: ConnectionLimits | None = None) -> None:
        self.connections = Connections(limits or ConnectionLimits())

    def __call__(
        self,
        config: _Config,
        server_state: _ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> HttpConnection:
        return HttpConnection(config, server_state, app_state, self.connections)


class HttpConnection(asyncio.Protocol):
    """One connection. Requests that come before earlier ones are answered wait for their turn."""

    def __init__(
        self, config: _Config, server_state: _ServerState, app_state: dict[str, Any], connections: Connections
    ) -> None:
        self.deadline = math.inf
        self.server_state = server_state
        self.writable = asyncio.Event()
        self.writable.set()
        self._config = config
        self._app_state = app_state
        self._connections = connections
        self._limits = connections.limits
        self.loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._parser = httptools.HttpRequestParser(self)
        self._turned_away = False
        self._closing = False
        # The request that is being read, and those that are read or being answered, oldest first.
        self._url = b""
        self._headers: Headers = []
        self._size = 0
        self._fed = 0
        self._in_head = False
        self._replaying = False
        self._offer: dict[str, Any] | None = None
        self._reading: _Exchange | None = None
        self._exchanges: deque[_Exchange] = deque()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._scheme = "https" if transport.get_extra_info("sslcontext") else "http"
        self._server = _address(transport.get_extra_info("sockname"))
        self._client = _address(transport.get_extra_info("peername"))
        self.server_state.connections.add(self)
        if self._connections.admit(self):
            self._wait_for_request()
            return
        self._turned_away = True
        self.deadline = self.loop.time() + _LINGER_SECONDS
        if not self._connections.room_to_say_so():
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it ended makes no difference
        self._connections.leave(self)
        self.server_state.connections.discard(self)
        self._closing = True
        self.writable.set()
        for exchange in self._exchanges:
            exchange.disconnect()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if self._turned_away:
            self._refuse(503, "all connections are taken: try again")
            return
        if self._reading is None and not self._in_head and not self._fed:
            self._connections.busy(self)
            self.deadline = self.loop.time() + self._limits.head_seconds
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            rest = data[cast("int", offer.args[0]) :]
            if self._offer is not None:
                self._hand_over(self._offer, rest)
                return
            self._read_on(rest)
        except httptools.HttpParserError as error:
            refused = error.__context__
            if isinstance(refused, _Refused):
                self._refuse(refused.status, str(refused))
            else:
                self._refuse(400, "this is not an HTTP/1.1 request")
            return
        if self._fed > self._limits.head_bytes and not self._closing:
            # Of a header, or of what stands between the parts of a body, that does not come to its end.
            self._refuse(431, f"a request's headers have at most {self._limits.head_bytes} bytes")

    def pause_writing(self) -> None:
        self.writable.clear()
        self.deadline = self.loop.time() + self._limits.write_seconds

    def resume_writing(self) -> None:
        self.writable.set()
        if not self._closing:
            self._settle()

    # What uvicorn calls

    def shutdown(self) -> None:
        """No more requests; the connection ends with the answers to those that are there."""
        if not self._exchanges:
            self._close()
        for exchange in self._exchanges:
            exchange.keep_alive = False
            exchange.drain()

    # What the server's connections call

    def expire(self) -> None:
        if self._closing or self._turned_away or not self.writable.is_set():
            self._transport.abort()
        elif self._in_head or (self._reading is not None and not self._reading.done):
            self._refuse(408, "the request did not come to its end in time")
        else:
            self._close()

    def evict(self) -> None:
        self._close()

    # What the parser calls

    def on_message_begin(self) -> None:
        if self._replaying:
            return
        if len(self._exchanges) >= _MAX_PIPELINED:
            raise _Refused(429, f"a connection has at most {_MAX_PIPELINED} requests under way")
        self._url, self._headers, self._size, self._fed = b"", [], 0, 0
        self._in_head = True

    def on_url(self, url: bytes) -> None:
        if not self._replaying:
            self._url += url
            self._size += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # framing that is read again, or a trailer, which nobody here understands
        self._headers.append((name.lower(), value))
        self._size += len(name) + len(value) + 4
        if self._size > self._limits.head_bytes or len(self._headers) > self._limits.headers:
            raise _Refused(
                431, f"a request has at most {self._limits.headers} headers and {self._limits.head_bytes} bytes of them"
            )

    def on_headers_complete(self) -> None:
        if self._replaying:
            self._replaying = False
            return
        self._in_head = False
        self._fed = 0
        version = self._parser.get_http_version()
        if version not in {"1.0", "1.1"}:
            raise _Refused(505, "this server speaks HTTP/1.1")
        scope = self._scope(version)
        if (
            self._parser.should_upgrade()
            and version == "1.1"
            and not self._exchanges
            and offers_websocket(self._parser.get_method(), self._headers)
        ):
            self._offer = scope
            return
        exchange = _Exchange(
            self,
            scope,
            keep_alive=version == "1.1" and self._parser.should_keep_alive(),
            expects_continue=version == "1.1" and (b"expect", b"100-continue") in self._headers,
        )
        self._reading = exchange
        self._exchanges.append(exchange)
        self.deadline = self.loop.time() + self._limits.body_seconds
        if len(self._exchanges) == 1:
            self._start(exchange)

    def on_body(self, body: bytes) -> None:
        self._fed = 0
        if self._reading is not None:
            self._reading.feed(body)

    def on_message_complete(self) -> None:
        if self._parser.should_upgrade():
            return  # the body is still to come
        self._end_of_request()

    # Reading

    def _end_of_request(self) -> None:
        self._fed = 0
        if self._reading is not None:
            self._reading.end()
            self._reading = None
        if len(self._exchanges) > 1:
            self._transport.pause_reading()
        self._settle()

    def _read_on(self, rest: bytes) -> None:
        framing = [header for header in self._headers if header[0] in _FRAMING]
        if self._reading is None:
            return
        if self._reading.scope["method"] == "CONNECT":
            self._refuse(405, "this server is not a proxy")
            return
        self._parser = httptools.HttpRequestParser(self)
        self._replaying = True
        self._parser.feed_data(b"POST / HTTP/1.1\r\n" + b"".join(b"%b: %b\r\n" % one for one in framing) + b"\r\n")
        if rest:
            self.data_received(rest)

    def _hand_over(self, scope: dict[str, Any], rest: bytes) -> None:
        """The connection goes on as a WebSocket."""
        del scope["method"]
        offered = b",".join(value for name, value in scope["headers"] if name == b"sec-websocket-protocol")
        scope |= {
            "type": "websocket",
            "scheme": "wss" if self._scheme == "https" else "ws",
            "subprotocols": [token.strip() for token in offered.decode("latin-1").split(",") if token.strip()],
        }
        connection = WebSocketConnection(self._transport, scope, self._connections, self.server_state)
        self._closing = True
        self.server_state.connections.discard(self)
        self.server_state.connections.add(connection)
        self._connections.replace(self, connection)
        self._transport.set_protocol(connection)
        del self._parser  # which refers to this connection
        connection.begin(self._config.loaded_app, rest)

    def _scope(self, version: str) -> dict[str, Any]:
        url = httptools.parse_url(self._url)
        raw_path = cast("bytes | None", url.path) or b"/"
        path = raw_path.decode("ascii")
        headers = self._headers
        host, port = cast("bytes | None", url.host), cast("int | None", url.port)
        if host is not None:
            # https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2: the target's host stands for the header's.
            authority = host if port is None else b"%b:%d" % (host, port)
            headers = [(b"host", authority), *(header for header in headers if header[0] != b"host")]
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "method": self._parser.get_method().decode("ascii"),
            "scheme": self._scheme,
            "path": self._config.root_path + (unquote(path) if "%" in path else path),
            "raw_path": raw_path,
            "query_string": url.query or b"",
            "root_path": self._config.root_path,
            "headers": headers,
            "server": self._server,
            "client": self._client,
            "state": self._app_state.copy(),
        }
        if self._connections.draining:
            scope["extensions"] = {DRAINING: {}}
        return scope

    def resume_reading(self) -> None:
        if not self._closing and not self._transport.is_reading():
            self._transport.resume_reading()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    # Answering

    @property
    def draining(self) -> bool:
        return self._connections.draining

    def _start(self, exchange: _Exchange) -> None:
        task = self.loop.create_task(exchange.run(self._config.loaded_app))
        self.server_state.tasks.add(task)
        task.add_done_callback(self.server_state.tasks.discard)

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def answered(self, exchange: _Exchange) -> None:
        """The answer to the oldest request is written."""
        self.server_state.total_requests += 1
        self._exchanges.popleft()
        if not exchange.keep_alive:
            self._close(linger=self._reading is not None)
        if self._closing:
            return
        if self._exchanges:
            self._start(self._exchanges[0])
        if len(self._exchanges) <= 1:
            self.resume_reading()
        self._settle()

    def _settle(self) -> None:
        """The deadline of what goes on now."""
        if not self.writable.is_set() or self._in_head or self._reading is not None:
            return
        if self._exchanges:
            self.deadline = math.inf
        else:
            self._wait_for_request()

    def _wait_for_request(self) -> None:
        self.deadline = self.loop.time() + self._limits.idle_seconds
        self._connections.idle(self)

    def _refuse(self, status: int, message: str) -> None:
        """Ends the connection, with an answer where none has begun."""
        self._in_head, self._reading = False, None
        begun = bool(self._exchanges) and self._exchanges[0].started
        for exchange in self._exchanges:
            exchange.disconnect()
        if not begun:
            body = message.encode()
            head = _STATUS_LINES[status] + b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n" % len(
                body
            )
            retry = b"retry-after: 1\r\n" if status in {429, 503} else b""
            self.write(head + retry + b"connection: close\r\n\r\n" + body)
        self._close(linger=True)

    def _close(self, *, linger: bool = False) -> None:
        if self._closing:
            return
        self._closing = True
        self._connections.busy(self)
        if linger and self._transport.can_write_eof() and not self._transport.is_closing():
            self.deadline = self.loop.time() + _LINGER_SECONDS
            if not self._transport.is_reading():
                self._transport.resume_reading()
            self._transport.write_eof()
        else:
            # For as long a client that does not read keeps what is still to be written to it.
            self.deadline = self.loop.time() + self._limits.write_seconds
            self._transport.close()


class _Exchange:
    """One request and its answer, as the ASGI app sees them: https://asgi.readthedocs.io/en/latest/specs/www.html"""

    def __init__(
        self, connection: HttpConnection, scope: dict[str, Any], *, keep_alive: bool, expects_continue: bool
    ) -> None:
        self.scope = scope
        self.keep_alive = keep_alive
        self.started = False
        self._connection = connection
        self._expects_continue = expects_continue
        self._body = bytearray()
        self._ended = False
        self._end_told = False
        self._gone = False
        self._draining = False
        self._is_endless = False
        self.done = False
        self._waiting: asyncio.Future[None] | None = None
        self._head: tuple[int, Headers] | None = None
        self._chunked = False

    async def run(self, app: App) -> None:
        try:
            await app(self.scope, self.receive, self.send)
        except Exception:  # noqa: BLE001 - as at the edge of every server: one request's failure is no other's
            _log.exception("the app failed")
        if self.done or self._gone:
            return
        self.keep_alive = False
        if not self.started:
            body = b"Internal Server Error"
            self._head = (500, [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))])
            self._write_body(body, more=False)
        self._finish()

    # The request

    def feed(self, body: bytes) -> None:
        if self.done:
            return  # answered without it
        self._body += body
        if len(self._body) > _BODY_BUFFER:
            self._connection.pause_reading()
        self._wake()

    def end(self) -> None:
        self._ended = True
        self._wake()

    def disconnect(self) -> None:
        self._gone = True
        self._wake()

    def drain(self) -> None:
        """The server is to stop: the app is told of an endless stream as if its client had gone, and may still end it
        well. Other answers come to their end."""
        self._draining = True
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def receive(self) -> dict[str, Any]:
        if self._expects_continue and not self.started:
            self._expects_continue = False
            self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not (self._gone or self.done or (self._draining and self._is_endless)):
            if (self._body or self._ended) and not self._end_told:
                body, self._body = bytes(self._body), bytearray()
                self._end_told = self._ended
                if not self._ended:
                    self._connection.resume_reading()
                return {"type": "http.request", "body": body, "more_body": not self._ended}
            self._waiting = self._connection.loop.create_future()
            await self._waiting
        return {"type": "http.disconnect"}

    # The answer

    async def send(self, message: dict[str, Any]) -> None:
        if self._gone or self.done:
            return
        if message["type"] == "http.response.start":
            self._head = (message["status"], list(message.get("headers", ())))
            self._is_endless = is_endless(message)
            return
        if self._head is None and not self.started:
            raise RuntimeError(f"expected http.response.start first, found {message['type']}")
        more = bool(message.get("more_body", False))
        self._write_body(message.get("body", b""), more=more)
        if not self._connection.writable.is_set():
            await self._connection.writable.wait()
        if not more and not self._gone:
            self._finish()

    def _write_body(self, body: bytes, *, more: bool) -> None:
        parts: list[bytes] = []
        if self._head is not None:
            parts.append(self._written_head(*self._head))
            self._head = None
            self.started = True
        if self.scope["method"] == "HEAD":
            body = b""
        elif self._chunked:
            if body:
                parts.append(b"%x\r\n" % len(body))
                body += b"\r\n"
            if not more:
                body += b"0\r\n\r\n"
        parts.append(body)
        self._connection.write(b"".join(parts))

    def _written_head(self, status: int, headers: Headers) -> bytes:
        names = {name.lower() for name, _ in headers}
        line = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
        lines = [line]
        for name, value in (*self._connection.server_state.default_headers, *headers):
            if b"\r" in value or b"\n" in value or b"\r" in name or b"\n" in name:
                raise RuntimeError("a header has an end of line")
            lines.append(b"%b: %b\r\n" % (name, value))
        if b"content-length" not in names and status not in _NO_BODY and self.scope["method"] != "HEAD":
            if self.scope["http_version"] == "1.1":
                self._chunked = True
                lines.append(b"transfer-encoding: chunked\r\n")
            else:
                self.keep_alive = False
        if self._connection.draining:
            self.keep_alive = False
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)

    def _finish(self) -> None:
        self.done = True
        self._body.clear()
        self._wake()
        self._connection.answered(self)


def _address(name: object) -> tuple[str, int | None] | None:
    if isinstance(name, tuple):
        host, port, *_ = cast("tuple[str, int]", name)
        return host, port
    return (name, None) if isinstance(name, str) and name else None
