"""WebSocket for uvicorn: one connection to a client, from its handshake on, within the limits of the server.

https://www.rfc-editor.org/rfc/rfc6455

The frames are read and written by the library `websockets`. Nothing is compressed: that would cost each connection more
memory than everything else of it. The app sees ASGI's messages
(https://asgi.readthedocs.io/en/latest/specs/www.html#websocket). A server that stops tells it `websocket.disconnect`
with the code 1012, and it may still send what it has to, and close.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final, Protocol, cast

from websockets.exceptions import ProtocolError
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from graphrouter.http.connections import Connections

_log = logging.getLogger("graphrouter.http")
_quiet = logging.getLogger("graphrouter.http.frames")
_quiet.setLevel(logging.ERROR)  # or the library would log whole frames, and the tokens in them

SERVICE_RESTART: Final = 1012
"""Of a server that stops, or is replaced: come again. https://www.iana.org/assignments/websocket/websocket.xhtml"""

_HANDSHAKE: Final = frozenset({b"host", b"upgrade", b"connection"})
_LINGER_SECONDS: Final = 2.0
"""For so long a client may take to end the connection after the closing handshake."""
_MAX_WAITING: Final = 16
"""So many messages wait for the app; more stay in the socket."""
_REASON_BYTES: Final = 123
"""Of a close frame: a control frame has at most 125 bytes, two of them for the code."""

App = Callable[..., Awaitable[None]]


class _ServerState(Protocol):
    """What is used of `uvicorn.server.ServerState`."""

    total_requests: int
    connections: set[Any]
    tasks: set[asyncio.Task[None]]


def offers_websocket(method: bytes, headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether a request whose head offers an upgrade offers this one; header names in lower case."""
    offers = any(
        name == b"upgrade" and b"websocket" in [token.strip().lower() for token in value.split(b",")]
        for name, value in headers
    )
    return method == b"GET" and offers and any(name == b"sec-websocket-key" for name, _ in headers)


def closed_with(code: int, reason: str) -> dict[str, Any]:
    """The message that closes a connection; a reason that is too long is cut."""
    text = reason.encode()[:_REASON_BYTES].decode(errors="ignore")
    return {"type": "websocket.close", "code": code, "reason": text}


class WebSocketConnection(asyncio.Protocol):
    """A connection whose HTTP request has offered to go on as a WebSocket."""

    def __init__(
        self, transport: asyncio.Transport, scope: dict[str, Any], connections: Connections, server_state: _ServerState
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.deadline = self._loop.time() + connections.limits.head_seconds
        self._transport = transport
        self._scope = scope
        self._connections = connections
        self._limits = connections.limits
        self._server_state = server_state
        self._protocol = ServerProtocol(max_size=self._limits.message_bytes, logger=_quiet)
        self._response: Response | None = None
        self._early = b""
        self._message = bytearray()
        self._is_text = True
        self._waiting: deque[dict[str, Any]] = deque([{"type": "websocket.connect"}])
        self._woken: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._ended = False
        self._lost = False
        self._stopping = False
        self._asked = False
        self._left = False
        """Whether the app has closed: it reads no more."""

    def begin(self, app: App, rest: bytes) -> None:
        """Starts the app. `rest` is what has come behind the request's head."""
        self._transport.pause_reading()
        self._early = rest
        self._protocol.receive_data(_head(self._scope))
        events = self._protocol.events_received()
        if not events:  # the library has refused what it does not read: too many headers, or too long ones
            self._flush()
            return
        response = self._protocol.accept(cast("Request", events[0]))
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._reject(HTTPStatus.BAD_REQUEST)  # the library's words would repeat the client's
            return
        self._response = response
        task = self._loop.create_task(self._run(app))
        self._server_state.tasks.add(task)
        task.add_done_callback(self._server_state.tasks.discard)

    async def _run(self, app: App) -> None:
        code: int = CloseCode.NORMAL_CLOSURE
        try:
            await app(self._scope, self._receive, self._send)
        except Exception:  # noqa: BLE001 - as at the edge of every server: one connection's failure is no other's
            _log.exception("the app failed")
            code = CloseCode.INTERNAL_ERROR
        self._server_state.total_requests += 1
        if self._response is not None:
            self._reject(HTTPStatus.SERVICE_UNAVAILABLE if self._stopping else HTTPStatus.INTERNAL_SERVER_ERROR)
        else:
            self._close(code, "")

    # What asyncio calls

    def data_received(self, data: bytes) -> None:
        self._asked = False
        if self._writable.is_set() and self._protocol.state is State.OPEN:
            self.deadline = self._loop.time() + self._limits.idle_seconds
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            self._take(cast("Frame", event))
        if self._protocol.parser_exc is not None:
            self._end(CloseCode.PROTOCOL_ERROR, "")
        self._flush()

    def eof_received(self) -> bool:
        self._protocol.receive_eof()
        self._end(CloseCode.ABNORMAL_CLOSURE, "")
        self._flush()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it ended makes no difference
        self._connections.leave(self)
        self._server_state.connections.discard(self)
        self._lost = True
        self._writable.set()
        self._end(CloseCode.ABNORMAL_CLOSURE, "")

    def pause_writing(self) -> None:
        self._writable.clear()
        self._transport.pause_reading()  # or the answers to its pings would take any room
        self.deadline = self._loop.time() + self._limits.write_seconds

    def resume_writing(self) -> None:
        self._writable.set()
        self.deadline = self._loop.time() + (
            self._limits.idle_seconds if self._protocol.state is State.OPEN else _LINGER_SECONDS
        )
        self._read_on()

    # What uvicorn calls

    def shutdown(self) -> None:
        """No more messages; the connection ends when the app closes it."""
        self._stopping = True
        self._wake()

    # What the server's connections call

    def expire(self) -> None:
        if self._protocol.state is not State.OPEN or self._asked or not self._writable.is_set():
            self._transport.abort()
            return
        self._asked = True
        self.deadline = self._loop.time() + self._limits.write_seconds
        self._protocol.send_ping(b"")
        self._flush()

    def evict(self) -> None:
        """It is never idle."""

    # Reading

    def _take(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            close = self._protocol.close_rcvd
            self._end(close.code if close else CloseCode.NO_STATUS_RCVD, close.reason if close else "")
        elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT) and not self._left:
            if frame.opcode is not Opcode.CONT:
                self._is_text = frame.opcode is Opcode.TEXT
            self._message += frame.data
            if frame.fin:
                message, self._message = bytes(self._message), bytearray()
                self._give(message)

    def _give(self, message: bytes) -> None:
        if not self._is_text:
            self._put({"type": "websocket.receive", "bytes": message})
            return
        try:
            self._put({"type": "websocket.receive", "text": message.decode()})
        except UnicodeDecodeError:
            self._protocol.fail(CloseCode.INVALID_DATA)
            self._end(CloseCode.INVALID_DATA, "")

    def _end(self, code: int, reason: str) -> None:
        """No more will come; what the app is told, once."""
        if not self._ended:
            self._ended = True
            self._put({"type": "websocket.disconnect", "code": code, "reason": reason})

    def _put(self, message: dict[str, Any]) -> None:
        self._waiting.append(message)
        if len(self._waiting) >= _MAX_WAITING and not self._transport.is_closing():
            self._transport.pause_reading()
        self._wake()

    def _wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    def _read_on(self) -> None:
        """Reads again where nothing speaks against it."""
        is_open = self._response is None and not self._transport.is_closing() and not self._transport.is_reading()
        if is_open and self._writable.is_set() and len(self._waiting) < _MAX_WAITING:
            self._transport.resume_reading()

    async def _receive(self) -> dict[str, Any]:
        while not self._waiting or self._stopping:
            if self._stopping:
                return {"type": "websocket.disconnect", "code": SERVICE_RESTART, "reason": "the server stops"}
            self._woken = self._loop.create_future()
            try:
                await self._woken
            finally:
                self._woken = None
        message = self._waiting.popleft()
        self._read_on()
        return message

    # Writing

    async def _send(self, message: dict[str, Any]) -> None:
        if self._lost:
            return
        match message["type"]:
            case "websocket.accept" if self._response is not None:
                self._accept(self._response, message.get("subprotocol"))
            case "websocket.close" if self._response is not None:
                self._reject(HTTPStatus.FORBIDDEN)
            case "websocket.close":
                self._close(message.get("code", CloseCode.NORMAL_CLOSURE), message.get("reason") or "")
            case "websocket.send" if self._response is None:
                if self._protocol.state is State.OPEN:
                    self._protocol.send_text(message["text"].encode())
                    self._flush()
            case other:
                raise RuntimeError(f"expected websocket.accept, websocket.send or websocket.close, found {other}")
        if not self._writable.is_set():
            await self._writable.wait()

    def _accept(self, response: Response, subprotocol: str | None) -> None:
        self._response = None
        if subprotocol is not None:
            response.headers["Sec-WebSocket-Protocol"] = subprotocol
        self._protocol.send_response(response)
        self._flush()
        self.deadline = self._loop.time() + self._limits.idle_seconds
        early, self._early = self._early, b""
        self._read_on()
        if early:
            self.data_received(early)

    def _reject(self, status: HTTPStatus) -> None:
        self._response = None
        self._protocol.send_response(self._protocol.reject(status, f"{status.phrase}\n"))
        self._flush()

    def _close(self, code: int, reason: str) -> None:
        self._left = True
        if self._protocol.state is not State.OPEN or self._lost:
            return
        try:
            self._protocol.send_close(code, reason)
        except ProtocolError:
            self._protocol.fail(CloseCode.INTERNAL_ERROR)
        self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if self._transport.is_closing():
                return
            if data:
                self._transport.write(data)
            elif self._transport.can_write_eof():
                self._transport.write_eof()
            else:
                self._transport.close()
        if self._protocol.state is not State.OPEN and self._response is None and not self._lost:
            self.deadline = min(self.deadline, self._loop.time() + _LINGER_SECONDS)
            if not self._transport.is_closing() and not self._transport.is_reading():
                self._transport.resume_reading()


def _head(scope: dict[str, Any]) -> bytes:
    """What the handshake consists of; the rest of the head is the app's alone."""
    headers = cast("list[tuple[bytes, bytes]]", scope["headers"])
    lines = [
        b"%b: %b\r\n" % entry for entry in headers if entry[0] in _HANDSHAKE or entry[0].startswith(b"sec-websocket-")
    ]
    return b"GET / HTTP/1.1\r\n" + b"".join(lines) + b"\r\n"
