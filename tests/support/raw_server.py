"""A server that sends exactly the bytes that a test gives it, over TCP or TLS, and notes what it got."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

OK = b"HTTP/1.1 200 OK\r\n"
PLAIN = OK + b"content-length: 2\r\n\r\nhi"


class RawServer:
    """Answers each request with the pieces of `answer`, and closes the connection afterwards where `closing` is set.

    `left` is set when a client has gone before it was told everything.
    """

    def __init__(self) -> None:
        self.answer: bytes | Iterable[bytes] = PLAIN
        self.closing = False
        self.reading = True
        """Whether requests are read to their end before they are answered; otherwise nothing more is read or closed."""
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self.port = 0
        self.left = asyncio.Event()
        self._serving: set[asyncio.Task[None] | None] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._serving.add(asyncio.current_task())
        try:
            while not writer.is_closing():
                await self._answer_one(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            self.left.set()
        finally:
            writer.transport.abort()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        lengths = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        reading = self.reading
        if reading:
            self.bodies.append(await reader.readexactly(sum(lengths)))
        for piece in [self.answer] if isinstance(self.answer, bytes) else self.answer:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)  # an endless answer must not keep the client, in the same loop, from reading it
        if not reading:
            await self.left.wait()
            writer.close()
        elif self.closing:
            writer.close()
            await writer.wait_closed()

    async def ended(self) -> None:
        self.left.set()
        await asyncio.gather(*filter(None, self._serving))


@asynccontextmanager
async def raw_server(tls: ssl.SSLContext | None = None) -> AsyncGenerator[RawServer]:
    server = RawServer()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    yield server
    listening.close()
    await server.ended()


def endless(piece: bytes, before: bytes = b"") -> Iterable[bytes]:
    """`piece` for ever, for as long as the client listens."""
    return itertools.chain([before], itertools.repeat(piece * max(1, 16_384 // len(piece))))
