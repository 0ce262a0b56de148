"""An HTTP/1.1 answer that is read as it comes, on a connection that ends with it.

As for answers that are read whole, httptools decides what an answer is (`http_connection.py`); the limits on what
belongs to no body are the same.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from typing import cast

import httptools

from graphrouter.transport.http_connection import MAX_HEAD_BYTES, MAX_HEADERS, ConnectionBroken

_CHUNK = 64 * 1024


class StreamedAnswer:
    """The answer to a request that was written to `writer`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.headers: dict[str, str] = {}
        self._reader = reader
        self._writer = writer
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._header_count = 0
        self._outside = 0
        self._in_body = False
        self._is_complete = False
        sock = cast("socket.socket | None", writer.get_extra_info("socket"))
        if sock is not None:
            # Nothing may come for long: so the system asks whether the server is still there.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    @property
    def status(self) -> int:
        return self._parser.get_status_code()

    async def head(self) -> None:
        """Returns when `status` and `headers` are there; raises ConnectionBroken or OSError."""
        while not self._in_body:
            await self._read()

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body; raises ConnectionBroken or OSError where it breaks off."""
        while True:
            body, self._body = b"".join(self._body), []
            if body:
                yield body
            if self._is_complete:
                return
            await self._read()

    def close(self) -> None:
        self._writer.transport.abort()

    async def _read(self) -> None:
        data = await self._reader.read(_CHUNK)
        if not data:
            if self._in_body and not {"content-length", "transfer-encoding"} & self.headers.keys():
                self._is_complete = True
                return
            raise ConnectionBroken("the connection broke")
        self._outside += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise ConnectionBroken(f"the answer is not HTTP: {type(error).__name__}") from error
        if self._outside > MAX_HEAD_BYTES or self._header_count > MAX_HEADERS:
            raise ConnectionBroken("the answer has too much outside of its body")

    # What httptools calls

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_body:
            return  # a trailer
        self._header_count += 1
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        known = self.headers.get(key)
        self.headers[key] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        if 100 <= self.status < 200:
            self.headers.clear()
        else:
            self._in_body = True

    def on_body(self, chunk: bytes) -> None:
        self._outside = 0
        self._body.append(chunk)

    def on_message_complete(self) -> None:
        self._is_complete = self._in_body
