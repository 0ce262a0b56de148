"""Subscriptions of a subgraph over GraphQL over WebSocket, each on a connection of its own.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md

What comes is given on as Server-Sent Events, which is what the port's streams are. Headers go out with the handshake
and, for servers that look for credentials there, in the payload of `connection_init`. A bookmark is in the payload's
`extensions`, or in that of a ping that says how far a quiet subscription is.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final, cast
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.frames import CloseCode
from websockets.typing import Subprotocol

from graphrouter.http.server_sent_events import COMPLETE, next_event, progress
from graphrouter.json_text import NotJson, dumps, loads
from graphrouter.transport.http import check_header
from graphrouter.transport.port import (
    EVENTS_ACCEPT,
    MAX_RESPONSE_BYTES,
    SubgraphRequest,
    SubgraphResponseTooLarge,
    SubgraphStream,
    SubgraphTimedOut,
    SubgraphUnreachable,
)

_PROTOCOL: Final = Subprotocol("graphql-transport-ws")
_REFUSED: Final = range(4400, 4500)
"""Codes of a server that does not like what it was asked; asking again would not help."""
_PASSES: Final = frozenset({"UNAVAILABLE", "OVERLOADED", "NOT_READY"})
"""Codes of errors by which our servers say that they may answer a moment later."""
_QUEUED: Final = 16
"""Messages that wait for whoever reads the stream; then the socket fills."""


class _Connect(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        """As everywhere, what a subgraph points to is not followed."""
        return exc


class WebSocketStreams:
    """The subscriptions of a subgraph at a URL; a `StreamingTransport`.

    `tls` and `headers` are as for `HttpTransport`.
    """

    def __init__(
        self,
        url: str,
        *,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
        tls: ssl.SSLContext | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            shown = repr(url.rpartition("@")[2][:200])  # without a password
            raise ValueError(f"expected a URL that begins with ws:// or wss:// and has a host, found {shown}")
        self._url = url
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "wss" else None
        self._max_response_bytes = max_response_bytes
        self._own = {name.lower(): value for name, value in (headers or {}).items()}
        for name, value in self._own.items():
            check_header(name, value)
        self._open: set[ClientConnection] = set()
        self._closed = False

    @asynccontextmanager
    async def stream(self, request: SubgraphRequest) -> AsyncGenerator[SubgraphStream]:
        headers = {**{name.lower(): value for name, value in request.headers}, **self._own}
        try:
            async with asyncio.timeout_at(request.deadline):
                found = await self._begin(request, headers)
        except TimeoutError as error:
            raise SubgraphTimedOut("the subgraph did not answer in time") from error
        except (WebSocketException, OSError, EOFError) as error:
            raise SubgraphUnreachable("the subgraph could not be reached") from error
        if isinstance(found, SubgraphStream):
            yield found
            return
        try:
            async with aclosing(_events_of(found)) as chunks:
                yield SubgraphStream(200, {"content-type": EVENTS_ACCEPT}, chunks)
        finally:
            self._open.discard(found)
            found.transport.abort()

    async def aclose(self) -> None:
        self._closed = True
        for connection in self._open:
            connection.transport.abort()

    async def _begin(self, request: SubgraphRequest, headers: Mapping[str, str]) -> ClientConnection | SubgraphStream:
        """A connection on which the operation is asked for, or the answer of a server that refuses the handshake."""
        if self._closed:
            raise OSError("the transport is closed")
        try:
            connection = await _Connect(
                self._url,
                subprotocols=[_PROTOCOL],
                additional_headers=headers,
                ssl=self._tls,
                compression=None,
                open_timeout=None,
                max_size=self._max_response_bytes,
                max_queue=_QUEUED,
                proxy=None,
                user_agent_header="graphrouter",
            )
        except InvalidStatus as refused:
            answer = refused.response
            return SubgraphStream(answer.status_code, {"content-type": "text/plain"}, _whole(bytes(answer.body or b"")))
        self._open.add(connection)
        try:
            await connection.send(dumps({"type": "connection_init", "payload": headers}).decode())
            while _read(await connection.recv()).get("type") != "connection_ack":
                pass  # a ping, which comes again
            await connection.send((b'{"id":"1","type":"subscribe","payload":%b}' % request.body).decode())
        except BaseException as error:
            self._open.discard(connection)
            connection.transport.abort()
            if isinstance(error, ConnectionClosed) and _code(error) in _REFUSED:
                return SubgraphStream(403, {"content-type": "text/plain"}, _whole(b""))
            raise
        return connection


def _code(closed: ConnectionClosed) -> int:
    """With which the server has closed; 0 where the connection was lost."""
    return closed.rcvd.code if closed.rcvd else 0


async def _whole(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body


async def _events_of(connection: ClientConnection) -> AsyncGenerator[bytes, None]:
    """The messages as Server-Sent Events; raises SubgraphUnreachable where they break off, and
    SubgraphResponseTooLarge."""
    try:
        async for text in connection:
            message = _read(text)
            payload = message.get("payload")
            match message.get("type"):
                case "next":
                    yield next_event(dumps(payload), _bookmark_in(payload, "extensions"))
                case "error":
                    if _passes(payload):
                        raise SubgraphUnreachable("the subgraph interrupted the stream")
                    yield next_event(dumps({"errors": payload}), "")
                    yield COMPLETE
                    return
                case "complete":
                    yield COMPLETE
                    return
                case "ping":
                    await connection.send('{"type":"pong"}')
                    yield progress(_bookmark_in({"payload": payload}, "payload"))
                case _:
                    pass
    except ConnectionClosed as closed:
        code = _code(closed)
        if code in _REFUSED:
            error = {"message": f"the subgraph closed the connection with {code}"}
            yield next_event(dumps({"errors": [error]}), "")
            yield COMPLETE
            return
        if closed.sent and closed.sent.code == CloseCode.MESSAGE_TOO_BIG:
            raise SubgraphResponseTooLarge("the subgraph's message is too large") from closed
        raise SubgraphUnreachable("the stream broke off") from closed
    except (OSError, WebSocketException) as error:
        raise SubgraphUnreachable("the stream broke off") from error
    raise SubgraphUnreachable("the stream broke off")


def _read(text: str | bytes) -> Mapping[str, Any]:
    try:
        message = loads(text.encode() if isinstance(text, str) else text)
    except NotJson as error:
        raise SubgraphUnreachable("the subgraph sent a message that is not JSON") from error
    if not isinstance(message, dict):
        raise SubgraphUnreachable("the subgraph sent a message that is no object")
    return cast("dict[str, Any]", message)


def _bookmark_in(holder: Any, name: str) -> str:
    """The bookmark in an entry of a message; an empty text for none, or for what no event can have as its id."""
    entry = holder.get(name) if isinstance(holder, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    found = cast("dict[str, object]", entry).get("bookmark") if isinstance(entry, dict) else None
    return found if isinstance(found, str) and found.isascii() and found.isprintable() else ""


def _passes(errors: object) -> bool:
    match cast("Any", errors):
        case [{"extensions": {"code": str(code)}}, *_]:
            return code in _PASSES
        case _:
            return False
