"""One kept-alive HTTP/1.1 connection as a client has it: one exchange at a time, answers read whole, by httptools.

What a response may look like is decided by llhttp, the parser of Node.js, below httptools. Here stands what it leaves
to its user: limits, interim responses, bodies that end with the connection, and whether the connection can go on.

The limits hold for whatever a server sends, in memory and in time. Bytes that belong to no body (status lines, interim
responses, headers, chunk extensions, trailers) are counted from one byte of the body to the next; all bytes of an
answer, framing included, are counted as well. Trailers are dropped unread: no field that the router knows may come in
one (https://www.rfc-editor.org/rfc/rfc9110#section-6.5.1). Pieces of a body go into one buffer, however small they are.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

import httptools

MAX_HEAD_BYTES = 65_536
"""The most bytes in a row that belong to no body: before it begins, between its chunks, and behind it."""

MAX_HEADERS = 256
"""The most header fields of one answer, those of its interim responses included."""

_MAX_FRAMING = 2
"""How many bytes a chunked answer may have for each one that its body may have."""


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
        self._outside = 0
        self._in_body = False
        self._headers: dict[str, str] = {}
        self._header_count = 0
        self._body: bytes | bytearray = b""
        self._transport.write(request)
        return await answer

    @property
    def usable(self) -> bool:
        """Whether, as far as is known here, an exchange can begin."""
        return self.reusable and not self._transport.is_closing()

    def close(self) -> None:
        """Ends the connection at once, and without the farewells of TLS: a server may leave them unanswered."""
        self.reusable = False
        self._transport.abort()

    async def closed(self) -> None:
        """Ends an exchange under way, and returns when the connection is gone."""
        self.close()
        await asyncio.shield(self._gone)

    def _fail(self, error: Exception) -> None:
        """Ends the connection, and the exchange where one is still under way."""
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(error)
        self.close()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            self.close()  # nobody asked
            return
        self._received += len(data)
        self._outside += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(ConnectionBroken("the server changed the protocol"))
        except httptools.HttpParserError as error:
            self._fail(ConnectionBroken(f"the answer is not HTTP: {type(error).__name__}"))
        if self._outside > MAX_HEAD_BYTES:
            self._fail(ConnectionBroken("the answer has too many bytes outside of its body"))
        elif self._received > MAX_HEAD_BYTES + _MAX_FRAMING * self._max_body_bytes:
            self._fail(AnswerTooLarge())

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        if self._answer is not None:
            if exc is None and self._in_body and not self._is_framed():
                self._complete()
            else:
                # After the handshake of TLS 1.3 a server may still refuse the certificate that it was shown.
                why = f": {exc}" if isinstance(exc, ssl.SSLError) else ""
                self._fail(ConnectionBroken(f"the connection broke{why}", unheard=not self._received))
        if not self._gone.done():
            self._gone.set_result(None)
        self._lost(self)

    # What httptools calls

    def on_message_begin(self) -> None:
        if self._answer is None:
            self._headers = {}
            self.close()  # more than was asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_body:
            return  # a trailer
        self._header_count += 1
        if self._header_count > MAX_HEADERS:
            self._fail(ConnectionBroken("the answer has too many headers"))
            return
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        known = self._headers.get(key)
        self._headers[key] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        if self._is_interim():
            self._headers.clear()
            return
        self._in_body = True
        if self._parser.get_status_code() < 100:
            self._fail(ConnectionBroken("the answer's status is not an HTTP status"))
        announced = self._headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._max_body_bytes:
            self._fail(AnswerTooLarge())

    def on_body(self, chunk: bytes) -> None:
        self._outside = 0
        if not self._body:
            self._body = chunk
        elif isinstance(self._body, bytearray):
            self._body += chunk
        else:
            self._body = bytearray(self._body)
            self._body += chunk
        if len(self._body) > self._max_body_bytes:
            self._body = b""
            self._fail(AnswerTooLarge())

    def on_message_complete(self) -> None:
        if self._answer is not None and not self._is_interim():
            self.reusable = self._parser.should_keep_alive()
            self._complete()

    def _is_interim(self) -> bool:
        """https://www.rfc-editor.org/rfc/rfc9110#section-15.2"""
        return 100 <= self._parser.get_status_code() < 200

    def _is_framed(self) -> bool:
        """Whether the response itself says where it ends: https://www.rfc-editor.org/rfc/rfc9112#section-6.3"""
        return "content-length" in self._headers or "transfer-encoding" in self._headers

    def _complete(self) -> None:
        answer, self._answer = self._answer, None
        if answer is None or answer.done():
            return
        # What has not left yet would stand before the next request.
        self.reusable = self.reusable and not self._transport.get_write_buffer_size()
        body, self._body = bytes(self._body), b""
        answer.set_result(HttpAnswer(self._parser.get_status_code(), self._headers, body))
