"""The ASGI endpoint of GraphQL over WebSocket: any number of operations over one connection.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md (the subprotocol `graphql-transport-ws`)

A browser connects to any origin without asking, so whether a page may is decided here, by the origin that it cannot
hide. It cannot set headers either: the token that a request has in `Authorization` is in `connection_init`, and it is
checked there. What else a proxy may have put into the handshake's headers nobody can write in their place.

What the protocol leaves open: each `next` has its bookmark in `extensions`. How far a subscription is without one is
told by a `ping` whose payload is its id and a bookmark. `error` ends a subscription that can be resumed, too, and says
from where. A server that stops ends its subscriptions, waits for the other operations, and closes with 1012.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlsplit

from starlette.types import Receive, Scope, Send

from graphrouter.http.capacity import Capacity
from graphrouter.http.endpoint import (
    ACCESS,
    ChecksCredentials,
    Executor,
    StreamingExecutor,
    again,
    first_of,
    is_servers_failure,
    log_request,
    read_headers,
)
from graphrouter.http.parameters import read_entries
from graphrouter.http.refusal import HttpRefusal
from graphrouter.http.streaming import OutgoingStream
from graphrouter.http.websocket_connection import SERVICE_RESTART, closed_with
from graphrouter.json_text import NotJson, dumps, loads
from graphrouter.request import (
    AnswerPart,
    ErrorObject,
    GraphQLAnswer,
    GraphQLRequest,
    RequestRefused,
    StreamInterrupted,
    StreamItem,
    StreamProgress,
    error_object,
)
from graphrouter.telemetry.tracing import CURRENT, Tracing, record_no_more

_log = logging.getLogger("graphrouter.http")

PROTOCOL: Final = "graphql-transport-ws"

TRY_AGAIN_LATER: Final = 1013
BAD_REQUEST: Final = 4400
UNAUTHORIZED: Final = 4401
FORBIDDEN: Final = 4403
SUBPROTOCOL_NOT_ACCEPTABLE: Final = 4406
INITIALISATION_TIMEOUT: Final = 4408
SUBSCRIBER_EXISTS: Final = 4409
TOO_MANY_INITIALISATIONS: Final = 4429
INTERNAL_SERVER_ERROR: Final = 4500

_ID_CHARACTERS: Final = 128
_AFTER_EXPIRY_SECONDS: Final = 1.0
"""So long after a token the connection ends: its subscriptions have been told by then."""
_LAST_SECONDS: Final = 0.5
"""So long an operation may take to its end after its first answer, where the server stops."""
_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class WebSocketSettings:
    """GraphQL over WebSocket."""

    enabled: bool = True
    """Whether clients may connect by WebSocket."""
    init_seconds: float = 10.0
    """How long a client may take to send `connection_init`."""
    operations: int = 100
    """Operations of one connection at the same time; one more is refused at once (`OVERLOADED`)."""
    credentials: tuple[str, ...] = ("authorization",)
    """Entries of `connection_init`'s payload, in lower case, that count as headers of each operation. Name none that a
    proxy sets, for here the client does."""


class _Closed(Exception):
    """The connection ends here."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class WebSocketEndpoint:
    """The ASGI app of WebSockets at `/graphql`.

    `executor`, `gives_up`, `access` and `tracing` are as for `GraphQLEndpoint`, which shares its `capacity`. Pages of
    `origins` (`*`: of any), and of the host that the request names, may connect.
    """

    def __init__(
        self,
        executor: Callable[[], Executor | str],
        capacity: Capacity,
        settings: WebSocketSettings,
        *,
        origins: tuple[str, ...] = (),
        gives_up: bool = True,
        access: logging.Logger = ACCESS,
        tracing: Tracing | None = None,
    ) -> None:
        self.executor = executor
        self.capacity = capacity
        self.settings = settings
        self.gives_up = gives_up
        self.access = access
        self.tracing = tracing
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        headers = read_headers(scope["headers"])
        if not self.settings.enabled or not self._may_connect(scope, headers):
            await send({"type": "websocket.close", "code": FORBIDDEN})
            return
        if PROTOCOL not in scope["subprotocols"]:
            await send({"type": "websocket.accept"})
            await send(closed_with(SUBPROTOCOL_NOT_ACCEPTABLE, "Subprotocol not acceptable"))
            return
        await send({"type": "websocket.accept", "subprotocol": PROTOCOL})
        connection = _Connection(self, scope, headers, receive, send)
        try:
            await connection.serve()
        except _Closed as closed:
            await send(closed_with(closed.code, str(closed)))
        except Exception:  # noqa: BLE001 - one connection's failure is no other's
            _log.exception("a WebSocket failed")
            await send(closed_with(INTERNAL_SERVER_ERROR, "Internal server error"))
        finally:
            await connection.end()

    def _may_connect(self, scope: Scope, headers: Mapping[str, str]) -> bool:
        """Whether it is no browser, or a page that may. https://www.rfc-editor.org/rfc/rfc6455#section-10.2"""
        origin = headers.get("origin")
        if origin is None or "*" in self._origins or origin in self._origins:
            return True
        secure = scope["scheme"] == "wss"
        page, host = _authority(origin), _authority(f"{scope['scheme']}://{headers.get('host', '')}")
        if page is None or host is None or (secure and page[0] != "https"):
            return False
        # Behind a proxy that ends TLS, a page of https asks a host whose port is not said.
        ports = {host[2], _PORTS[page[0]]} if ":" not in headers.get("host", "").rpartition("]")[2] else {host[2]}
        return page[1] == host[1] and page[2] in ports


def _authority(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None for what is no origin, such as `null`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, _PORTS[parts.scheme] if port is None else port


@dataclass(slots=True, eq=False)
class _Operation:
    task: asyncio.Task[None] | None = None
    is_stream: bool = False
    """Whether it has no end of its own, as far as is known."""
    abandoned: bool = False


class _Connection:
    """One connection, after its handshake."""

    def __init__(
        self, endpoint: WebSocketEndpoint, scope: Scope, headers: Mapping[str, str], receive: Receive, send: Send
    ) -> None:
        self._endpoint = endpoint
        self._scope = scope
        self._handshake = headers
        self._headers = headers
        self._receive = receive
        self._send = send
        self._operations: dict[str, _Operation] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._initialised = False
        self._acknowledged = False

    async def serve(self) -> None:
        """Returns when the client has gone; raises _Closed where the connection is to be closed."""
        patience = asyncio.timeout(self._endpoint.settings.init_seconds)
        try:
            async with patience:
                while (message := await self._receive())["type"] == "websocket.receive":
                    await self._take(_read(message), patience)
        except TimeoutError:
            if not patience.expired():
                raise
            if self._acknowledged:
                raise _Closed(FORBIDDEN, "the token has expired") from None
            raise _Closed(INITIALISATION_TIMEOUT, "Connection initialisation timeout") from None
        if message.get("code") == SERVICE_RESTART:
            await self._drain()
            raise _Closed(SERVICE_RESTART, "the server stops: connect again")

    async def end(self) -> None:
        """Ends the operations; those that have to come to their end do."""
        for operation in list(self._operations.values()):
            self._abandon(operation)
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _drain(self) -> None:
        """Returns when nothing runs any more. What has given an answer and goes on is a stream, and is ended; one whose
        answer comes in parts is none. Before its first answer nobody knows what it is."""
        while self._running:
            streams = [operation for operation in self._operations.values() if operation.is_stream]
            await asyncio.wait(self._running, timeout=_LAST_SECONDS)
            for operation in streams:
                self._abandon(operation)

    async def _take(self, message: Mapping[str, object], patience: asyncio.Timeout) -> None:
        match message.get("type"):
            case "connection_init":
                await self._initialise(message.get("payload"), patience)
            case "ping":
                await self._write(b'{"type":"pong"%b}' % _with_payload(message.get("payload")))
            case "pong":
                pass
            case "subscribe":
                await self._subscribe(_id_of(message), message.get("payload"))
            case "complete":
                if operation := self._operations.pop(_id_of(message), None):
                    self._abandon(operation)
            case _:
                raise _Closed(BAD_REQUEST, "expected a message of a type that clients send, found another one")

    async def _initialise(self, payload: object, patience: asyncio.Timeout) -> None:
        if self._initialised:
            raise _Closed(TOO_MANY_INITIALISATIONS, "Too many initialisation requests")
        self._initialised = True
        self._headers = {**self._handshake, **self._credentials(payload)}
        executor = self._endpoint.executor()
        if isinstance(executor, str):
            raise _Closed(TRY_AGAIN_LATER, executor)
        expires = None
        if isinstance(executor, ChecksCredentials):
            try:
                expires = await executor.credentials_expire(self._headers)
            except RequestRefused as refused:
                unavailable = refused.errors[0]["extensions"]["code"] != "UNAUTHENTICATED"
                raise _Closed(TRY_AGAIN_LATER if unavailable else FORBIDDEN, str(refused)) from refused
        self._acknowledged = True
        loop = asyncio.get_running_loop()
        left = None if expires is None else max(0.0, expires - time.time()) + _AFTER_EXPIRY_SECONDS
        patience.reschedule(None if left is None else loop.time() + left)
        await self._write(b'{"type":"connection_ack"}')

    def _credentials(self, payload: object) -> Mapping[str, str]:
        """What the client gives of its own as headers: as entries, or together in `headers`."""
        if not isinstance(payload, dict | None):
            raise _Closed(BAD_REQUEST, "expected the payload of connection_init to be an object, found another value")
        entries = cast("dict[str, object]", payload or {})
        nested = entries.get("headers")
        if isinstance(nested, dict):
            entries = {**cast("dict[str, object]", nested), **entries}
        given = {name.lower(): value for name, value in entries.items() if isinstance(value, str)}
        return {name: given[name] for name in self._endpoint.settings.credentials if name in given}

    # Operations

    async def _subscribe(self, operation_id: str, payload: object) -> None:
        if not self._acknowledged:
            raise _Closed(UNAUTHORIZED, "Unauthorized")
        if operation_id in self._operations:
            raise _Closed(SUBSCRIBER_EXISTS, f"Subscriber for {operation_id} already exists")
        if not isinstance(payload, dict):
            raise _Closed(BAD_REQUEST, "expected the payload of subscribe to be an object, found another value")
        try:
            request = read_entries(cast("dict[str, object]", payload), self._headers)
        except HttpRefusal as refusal:
            raise _Closed(BAD_REQUEST, str(refusal)) from refusal
        if len(self._running) >= self._endpoint.settings.operations:
            await self._write_error(
                operation_id, [error_object("too many operations are under way on this connection", "OVERLOADED")]
            )
            return
        operation = self._operations[operation_id] = _Operation()
        task = operation.task = asyncio.create_task(self._run(operation_id, operation, request))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _abandon(self, operation: _Operation) -> None:
        """Nobody wants it any more. What only comes to an end by itself does, unseen."""
        operation.abandoned = True
        if operation.task is not None and (operation.is_stream or self._endpoint.gives_up):
            operation.task.cancel()

    async def _run(self, operation_id: str, operation: _Operation, request: GraphQLRequest) -> None:
        """Answers an operation. Each is a request of its own in traces, too."""
        tracing = self._endpoint.tracing
        if tracing is None:
            await self._tell(operation_id, operation, request)
            return
        with tracing.request("GET", self._scope["scheme"], request.headers):
            await self._tell(operation_id, operation, request)

    async def _tell(self, operation_id: str, operation: _Operation, request: GraphQLRequest) -> None:
        started, errors = time.perf_counter(), list[ErrorObject]()
        try:
            errors = await self._answers(operation_id, operation, request)
        except RequestRefused as refused:
            errors = refused.errors
        except HttpRefusal as refusal:
            errors = [error_object(str(refusal), refusal.code)]
        except Exception:  # noqa: BLE001 - an executor tells of its own failures
            _log.exception("an operation failed")
            errors = [error_object("the server failed to execute the operation", "INTERNAL_ERROR")]
        finally:
            if self._operations.get(operation_id) is operation:
                del self._operations[operation_id]
        if not operation.abandoned:
            if errors:
                await self._write_error(operation_id, errors)
            else:
                await self._write(b'{"id":%b,"type":"complete"}' % dumps(operation_id))
        if (metrics := self._endpoint.capacity.metrics) is not None:
            metrics.told(errors)
        if errors and (here := CURRENT.get()) is not None:
            here.fail(str(errors[0]["extensions"]["code"]), here=is_servers_failure(errors))
        log_request(self._endpoint.access, "WEBSOCKET", request, errors, 101, time.perf_counter() - started)

    async def _answers(self, operation_id: str, operation: _Operation, request: GraphQLRequest) -> list[ErrorObject]:
        """Sends the answers; returns the errors that end the operation instead of a last answer."""
        capacity, bookmark, id_text = self._endpoint.capacity, "", dumps(operation_id)
        capacity.count(self._scope, self._handshake)
        capacity.check_persisted(request)
        try:
            with capacity.a_stream(), ExitStack() as counted:
                async with aclosing(self._items(request)) as items:
                    capacity.begin_request()
                    counted.callback(capacity.requests.leave)
                    first = await first_of(items)
                    in_parts = isinstance(first, AnswerPart)
                    if not in_parts:
                        counted.close()  # what goes on is a stream
                    if operation.abandoned:
                        return []
                    if isinstance(first, GraphQLAnswer) and first.refused:
                        return first.errors
                    operation.is_stream = not in_parts
                    if not in_parts:
                        record_no_more()
                    outgoing = OutgoingStream(again(first, items), capacity.limits.stream)
                    async with aclosing(outgoing.read()) as answers:
                        async for answer in answers:
                            bookmark = answer.bookmark or bookmark
                            if isinstance(answer, StreamProgress):
                                at = {"bookmark": answer.bookmark} if answer.bookmark else {}
                                await self._write(b'{"type":"ping","payload":%b}' % dumps({"id": operation_id, **at}))
                            elif isinstance(answer, GraphQLAnswer) and answer.refused:
                                return _resumable(answer.errors, bookmark)
                            else:
                                await self._write(b'{"id":%b,"type":"next","payload":%b}' % (id_text, answer.text()))
        except StreamInterrupted:
            interrupted = error_object("the stream was interrupted: subscribe again from the bookmark", "UNAVAILABLE")
            return _resumable([interrupted], bookmark)
        return []

    def _items(self, request: GraphQLRequest) -> AsyncGenerator[StreamItem, None]:
        executor = self._endpoint.executor()
        if isinstance(executor, str):
            raise HttpRefusal(503, "NOT_READY", executor)
        return executor.stream(request) if isinstance(executor, StreamingExecutor) else _one_answer(executor, request)

    async def _write_error(self, operation_id: str, errors: list[ErrorObject]) -> None:
        await self._write(b'{"id":%b,"type":"error","payload":%b}' % (dumps(operation_id), dumps(errors)))

    async def _write(self, message: bytes) -> None:
        await self._send({"type": "websocket.send", "text": message.decode()})


def _read(message: Mapping[str, Any]) -> Mapping[str, object]:
    text = message.get("text")
    if text is None:
        raise _Closed(BAD_REQUEST, "expected a message of text, found a binary one")
    try:
        read = loads(text.encode())
    except NotJson:
        raise _Closed(BAD_REQUEST, "expected a message to be JSON, found something else") from None
    if not isinstance(read, dict):
        raise _Closed(BAD_REQUEST, "expected a message to be a JSON object, found another value")
    return cast("dict[str, object]", read)


def _id_of(message: Mapping[str, object]) -> str:
    found = message.get("id")
    if not isinstance(found, str) or not 0 < len(found) <= _ID_CHARACTERS:
        raise _Closed(BAD_REQUEST, f"expected an id of 1 to {_ID_CHARACTERS} characters, found another one")
    return found


def _with_payload(payload: object) -> bytes:
    return b"" if payload is None else b',"payload":%b' % dumps(payload)


def _resumable(errors: list[ErrorObject], bookmark: str) -> list[ErrorObject]:
    """The errors, with where to resume; an operation's `error` has no extensions of its own."""
    if not bookmark:
        return errors
    return [{**error, "extensions": {**error["extensions"], "bookmark": bookmark}} for error in errors]


async def _one_answer(executor: Executor, request: GraphQLRequest) -> AsyncGenerator[StreamItem, None]:
    yield await executor.answer(request)
