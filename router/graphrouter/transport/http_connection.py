"""One kept-alive HTTP/1.1 connection as a client has it: one exchange at a time, answers read whole, by httptools.

What a response may look like is decided by llhttp, the parser of Node.js, below httptools. Here stands what it leaves
to its user: limits, interim responses, bodies that end with the connection, and whether the connection can go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

MAX_HEAD_BYTES = 65_536
"""The most that may come before a response's body begins."""


class ConnectionBroken(Exception):
    """The exchange has failed. `unheard`: not a byte of an answer came, as on a kept connection that was closed."""

    def __init__(self, message: str, *, unheard: bool = False) -> None:
        super().__init__(message)
        self.unheard = unheard


class AnswerTooLarge(Exception):
    """The answer's body goes over the limit; reading stopped there."""


class HttpAnswer:
    """A response. Header names are in lower case; values of a repeated header are joined by commas."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class HttpConnection(asyncio.Protocol):
    """`exchange` sends one complete request and waits for its response. After it, `reusable` says what may follow.

    `lost` is called when the connection is gone. An exchange that is cancelled leaves the connection useless: its owner
    aborts it.
    """

    def __init__(self, max_body_bytes: int, lost: Callable[[HttpConnection], None]) -> None:
        self._max_body_bytes = max_body_bytes
        self._lost = lost
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[HttpAnswer] | None = None
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.reusable = True
        self.idle_since = 0.0

    async def exchange(self, request: bytes) -> HttpAnswer:
        """Raises ConnectionBroken or AnswerTooLarge; either ends the connection."""
        answer: asyncio.Future[HttpAnswer] = asyncio.get_running_loop().create_future()
        self._answer = answer
        self._parser = httptools.HttpResponseParser(self)
        self._received = 0
        self._in_body = False
        self._headers: dict[str, str] = {}
        self._chunks: list[bytes] = []
        self._size = 0
        self._transport.write(request)
        return await answer

    @property
    def usable(self) -> bool:
        """Whether, as far as is known here, an exchange can begin."""
        return self.reusable and not self._transport.is_closing()

    def close(self) -> None:
        """For a connection with no exchange under way."""
        self.reusable = False
        self._transport.close()

    def abort(self) -> None:
        self.reusable = False
        self._transport.abort()

    async def end(self) -> None:
        """Aborts an exchange under way, and returns when the connection is gone."""
        if not self._transport.is_closing():
            self.abort()
        await asyncio.shield(self._gone)

    def _fail(self, error: Exception) -> None:
        """Ends the connection, and the exchange where one is still under way."""
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(error)
        self.abort()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            self.abort()  # nobody asked
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(ConnectionBroken("the server changed the protocol"))
        except httptools.HttpParserError as error:
            self._fail(ConnectionBroken(f"the answer is not HTTP: {type(error).__name__}"))
        if not self._in_body and self._received > MAX_HEAD_BYTES:
            self._fail(ConnectionBroken("the answer's head is too large"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        if self._answer is not None:
            if exc is None and self._in_body and not self._is_framed():
                self._complete()
            else:
                self._fail(ConnectionBroken("the connection broke", unheard=not self._received))
        if not self._gone.done():
            self._gone.set_result(None)
        self._lost(self)

    # What httptools calls

    def on_message_begin(self) -> None:
        if self._answer is None:
            self._headers = {}
            self.abort()  # more than was asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        known = self._headers.get(key)
        self._headers[key] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        if self._is_interim():
            self._headers.clear()
            return
        self._in_body = True
        announced = self._headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._max_body_bytes:
            self._fail(AnswerTooLarge())

    def on_body(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._max_body_bytes:
            self._fail(AnswerTooLarge())
            self._chunks.clear()
        else:
            self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        if self._answer is not None and not self._is_interim():
            self.reusable = self._parser.should_keep_alive()
            self._complete()

    def _is_interim(self) -> bool:
        """https://www.rfc-editor.org/rfc/rfc9110#section-15.2"""
        return self._parser.get_status_code() < 200

    def _is_framed(self) -> bool:
        """Whether the response itself says where it ends: https://www.rfc-editor.org/rfc/rfc9112#section-6.3"""
        return "content-length" in self._headers or "transfer-encoding" in self._headers

    def _complete(self) -> None:
        answer, self._answer = self._answer, None
        if answer is None or answer.done():
            return
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        answer.set_result(HttpAnswer(self._parser.get_status_code(), self._headers, body))
        self._chunks = []
