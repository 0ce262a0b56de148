"""Subgraphs behind HTTP: one pool of kept connections per subgraph, with limits on time and size.

The client is our own, over httptools: a router's requests are POSTs of a few hundred bytes whose answers are read
whole, and a general client's machinery costs several times of what such an exchange does (docs/adr/0008).
"""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import ssl
import zlib
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from urllib.parse import unquote, urljoin, urlsplit

from graphrouter.transport.http_connection import AnswerTooLarge, ConnectionBroken, HttpAnswer, HttpConnection
from graphrouter.transport.http_stream import StreamedAnswer
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

# Servers close idle connections after five seconds or more; closing ours first keeps requests out of that race.
_KEEPALIVE_SECONDS = 4.0

_READ_BYTES = 64 * 1024
"""Of a stream so much is read ahead."""

_ZLIB_OR_GZIP = 47
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
_VALUE = re.compile(r"([!-~\xa0-\xff]([ -~\xa0-\xff]*[!-~\xa0-\xff])?)?")
_FRAMING = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "upgrade", "accept-encoding", "te"}
)


class HttpTransport:
    """A subgraph at a URL.

    `connections` bounds how many are open at one time; more requests wait for one, within their deadline. A server
    behind https has to have a certificate of its own name that `tls` trusts: by default, what the system trusts
    (https://docs.python.org/3/library/ssl.html#ssl.create_default_context takes another authority, or a certificate to
    show to the server). `headers` go with each request, in place of those of the same name that it brings.
    """

    def __init__(
        self,
        url: str,
        *,
        connections: int = 256,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
        tls: ssl.SSLContext | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        parts = urlsplit(url)
        shown = repr(url.rpartition("@")[2][:200])  # without a password
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"a subgraph's URL begins with http:// or https:// and has a host, found {shown}")
        if not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError(f"a subgraph's URL is written in printable ASCII without spaces, found {shown}")
        self._url = url
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._ssl = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
        self._max_response_bytes = max_response_bytes
        host = parts.netloc.rpartition("@")[2]
        # Near by, as subgraphs are, compressing costs more time than it saves.
        head = f"host: {host}\r\naccept-encoding: identity\r\nuser-agent: graphrouter\r\n"
        self._credentials = _basic(parts.username, parts.password)
        post = f"POST {_target(url)} HTTP/1.1\r\n{head}content-type: application/json\r\n"
        self._post = f"{post}accept: {GRAPHQL_ACCEPT}\r\n".encode()
        self._stream = f"{post}accept: {EVENTS_ACCEPT}\r\n".encode()
        self._get = f"{head}accept: {GRAPHQL_ACCEPT}\r\n".encode()
        self._own = {name.lower(): value for name, value in (headers or {}).items()}
        for name, value in self._own.items():
            check_header(name, value)
        self._slots = asyncio.Semaphore(connections)
        self._idle: deque[HttpConnection] = deque()
        self._open: set[HttpConnection] = set()
        self._streams: set[StreamedAnswer] = set()
        self._closed = False

    async def start(self) -> None:
        """There is nothing to prepare: connections are opened by the requests that need them."""

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        try:
            data = self._written(request)
            async with asyncio.timeout_at(request.deadline):
                async with self._slots:
                    answer = await self._exchange(data, request)
                body = await self._decoded(answer) if "content-encoding" in answer.headers else answer.body
            return SubgraphResponse(answer.status, answer.headers, body)
        except AnswerTooLarge as error:
            raise SubgraphResponseTooLarge(
                f"the subgraph's answer is larger than {self._max_response_bytes} bytes"
            ) from error
        except (TimeoutError, ConnectionBroken, OSError, ValueError) as error:
            raise self._failed(error) from error

    @asynccontextmanager
    async def stream(self, request: SubgraphRequest) -> AsyncGenerator[SubgraphStream]:
        """On a connection of its own, which does not count among those for other requests."""
        try:
            async with asyncio.timeout_at(request.deadline):
                answer = await self._begin_stream(self._written(request, self._stream))
        except (TimeoutError, ConnectionBroken, OSError, ValueError) as error:
            raise self._failed(error) from error
        try:
            async with aclosing(self._chunks_of(answer)) as chunks:
                yield SubgraphStream(answer.status, answer.headers, chunks)
        finally:
            self._streams.discard(answer)
            answer.close()

    async def _begin_stream(self, data: bytes) -> StreamedAnswer:
        if self._closed:
            raise ConnectionBroken("the transport is closed")
        reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._ssl, limit=_READ_BYTES)
        answer = StreamedAnswer(reader, writer)
        self._streams.add(answer)
        try:
            writer.write(data)
            await answer.head()
        except BaseException:
            self._streams.discard(answer)
            answer.close()
            raise
        return answer

    async def _chunks_of(self, answer: StreamedAnswer) -> AsyncGenerator[bytes, None]:
        try:
            async with aclosing(answer.chunks()) as chunks:
                async for chunk in chunks:
                    yield chunk
        except (ConnectionBroken, OSError) as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> SubgraphUnreachable | SubgraphTimedOut:
        if isinstance(error, TimeoutError):
            return SubgraphTimedOut("the subgraph did not answer in time")
        # The reason is the connection's, the system's or TLS's own text: nothing in it is the server's.
        reason = f"{type(error).__name__}: {error}"[:200]
        _log.warning("request to %s:%d failed: %s", self._host, self._port, reason)
        return SubgraphUnreachable("the subgraph could not be reached")

    def _written(self, request: SubgraphRequest, post: bytes | None = None) -> bytes:
        sent = self._with_own(request.headers) if self._own else request.headers
        headers = "".join([f"{name}: {value}\r\n" for name, value in sent])
        if headers.count("\r") != len(sent) or headers.count("\n") != len(sent):
            raise ValueError("a header has a line break")
        if self._credentials and not any(name == "authorization" for name, _ in sent):
            headers += self._credentials
        own = headers.encode("latin-1")
        if request.get is not None:
            return b"GET %b HTTP/1.1\r\n%b%b\r\n" % (_target(urljoin(self._url, request.get)).encode(), self._get, own)
        return b"%b%bcontent-length: %d\r\n\r\n%b" % (post or self._post, own, len(request.body), request.body)

    def _with_own(self, headers: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
        return [*(entry for entry in headers if entry[0].lower() not in self._own), *self._own.items()]

    async def _exchange(self, data: bytes, request: SubgraphRequest) -> HttpAnswer:
        kept = self._kept_connection()
        if kept is not None:
            try:
                return await self._over(kept, data)
            except ConnectionBroken as error:
                if not (error.unheard and request.repeatable):
                    raise
                if request.trace is not None:
                    request.trace.retries += 1
        return await self._over(await self._connect(), data)

    async def _over(self, connection: HttpConnection, data: bytes) -> HttpAnswer:
        try:
            answer = await connection.exchange(data)
        except BaseException:
            connection.close()
            raise
        if connection.reusable and not self._closed:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    def _kept_connection(self) -> HttpConnection | None:
        """The connection that was used last; those that nobody used for long are closed."""
        oldest = asyncio.get_running_loop().time() - _KEEPALIVE_SECONDS
        while self._idle and self._idle[0].idle_since < oldest:
            self._idle.popleft().close()
        while self._idle:
            latest = self._idle.pop()
            if latest.usable:
                return latest
        return None

    async def _connect(self) -> HttpConnection:
        if self._closed:
            raise ConnectionBroken("the transport is closed")
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: HttpConnection(self._max_response_bytes, self._forget), self._host, self._port, ssl=self._ssl
        )
        self._open.add(connection)
        return connection

    def _forget(self, connection: HttpConnection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    async def _decoded(self, answer: HttpAnswer) -> bytes:
        """The body without the compression that some servers apply unasked.

        In a thread: a few kilobytes can hide as much as is allowed, which takes longer than the loop may be held.
        """
        encoding = answer.headers["content-encoding"].strip().lower()
        if encoding in ("identity", "") or not answer.body:
            return answer.body
        if encoding not in ("gzip", "x-gzip", "deflate"):
            raise ValueError("an answer in an encoding that was not asked for")
        return await asyncio.to_thread(_inflated, answer.body, self._max_response_bytes)

    async def aclose(self) -> None:
        self._closed = True
        for answer in self._streams:
            answer.close()
        while self._idle:
            self._idle.popleft().close()
        for connection in list(self._open):
            await connection.closed()


def _inflated(compressed: bytes, limit: int) -> bytes:
    inflating = zlib.decompressobj(_ZLIB_OR_GZIP)
    try:
        body = inflating.decompress(compressed, limit + 1)
    except zlib.error as error:
        raise ValueError("an answer that cannot be decompressed") from error
    if len(body) > limit:
        raise AnswerTooLarge
    if not inflating.eof:
        raise ValueError("an answer whose compressed text breaks off")
    if inflating.unused_data:
        raise ValueError("an answer that goes on behind its compressed text")
    return body


def check_header(name: str, value: str) -> None:
    """ValueError where a request cannot have such a header of its caller's choice; the value is not repeated.

    https://www.rfc-editor.org/rfc/rfc9110#section-5
    """
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"expected the name of a header, found {name[:100]!r}")
    if name.lower() in _FRAMING:
        raise ValueError(f"expected a header that the router does not set itself, found {name!r}")
    if (
        not all(" " <= character <= "~" or "\xa0" <= character <= "\xff" for character in value)
        or value != value.strip()
    ):
        raise ValueError(f"expected text in one line as the value of {name}, found something else")


def _target(url: str) -> str:
    """https://www.rfc-editor.org/rfc/rfc9112#section-3.2.1"""
    parts = urlsplit(url)
    return f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"


def _basic(username: str | None, password: str | None) -> str:
    """https://www.rfc-editor.org/rfc/rfc7617"""
    if username is None:
        return ""
    pair = f"{unquote(username)}:{unquote(password or '')}"
    return f"authorization: Basic {base64.b64encode(pair.encode()).decode()}\r\n"
