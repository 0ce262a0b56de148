"""The HTTP client against servers that send exactly these bytes."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncGenerator, Callable

import pytest

from graphrouter.transport import (
    SubgraphRequest,
    SubgraphResponse,
    SubgraphResponseTooLarge,
    SubgraphUnreachable,
)
from graphrouter.transport.http import HttpTransport

OK = b"HTTP/1.1 200 OK\r\n"
PLAIN = OK + b"content-length: 2\r\n\r\nhi"
LIMIT = 1000


class RawServer:
    """Answers each request with the bytes in `answer`, and closes the connection afterwards where `closing` is set."""

    def __init__(self) -> None:
        self.answer = PLAIN
        self.closing = False
        self.heads: list[bytes] = []
        self.connections = 0
        self.port = 0
        self._serving: set[asyncio.Task[None] | None] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._serving.add(asyncio.current_task())
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                lengths = [int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")]
                await reader.readexactly(sum(lengths))
                writer.write(self.answer)
                await writer.drain()
                if self.closing:
                    writer.close()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def ended(self) -> None:
        await asyncio.gather(*filter(None, self._serving))


@pytest.fixture
async def server() -> AsyncGenerator[RawServer]:
    raw = RawServer()
    listening = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
    raw.port = listening.sockets[0].getsockname()[1]
    yield raw
    listening.close()
    await raw.ended()


@pytest.fixture
async def transport(server: RawServer) -> AsyncGenerator[HttpTransport]:
    made = HttpTransport(f"http://127.0.0.1:{server.port}/graphql?x=1", max_response_bytes=LIMIT)
    yield made
    await made.aclose()


async def ask(transport: HttpTransport, *headers: tuple[str, str]) -> SubgraphResponse:
    return await transport.send(SubgraphRequest(b"{}", headers, repeatable=True))


async def test_one_connection_serves_requests_that_follow_each_other(
    server: RawServer, transport: HttpTransport
) -> None:
    for _ in range(3):
        assert (await ask(transport)).body == b"hi"
    assert server.connections == 1
    assert server.heads[0].startswith(b"POST /graphql?x=1 HTTP/1.1\r\nhost: 127.0.0.1:")


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK + b"transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\ntrailer: 1\r\n\r\n", b"hello"),
        (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + PLAIN, b"hi"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (OK + b"content-length: 0\r\n\r\n", b""),
    ],
)
async def test_answers_end_where_they_say(
    server: RawServer, transport: HttpTransport, answer: bytes, body: bytes
) -> None:
    server.answer = answer
    for _ in range(2):
        response = await ask(transport)
        assert response.body == body
        assert "link" not in response.headers
    assert server.connections == 1


async def test_an_answer_may_end_with_its_connection(server: RawServer, transport: HttpTransport) -> None:
    server.answer, server.closing = OK + b"\r\nuntil the end", True
    for _ in range(2):
        assert (await ask(transport)).body == b"until the end"
    assert server.connections == 2


async def test_a_connection_that_the_server_will_close_is_not_kept(server: RawServer, transport: HttpTransport) -> None:
    server.answer = OK + b"connection: close\r\ncontent-length: 2\r\n\r\nhi"
    for _ in range(2):
        assert (await ask(transport)).body == b"hi"
    assert server.connections == 2


async def test_a_mutation_takes_no_connection_that_is_known_to_be_closed(
    server: RawServer, transport: HttpTransport
) -> None:
    server.closing = True
    await ask(transport)
    async with asyncio.timeout(5):
        while transport._open:  # noqa: ASYNC110 - nothing tells that the end has arrived
            await asyncio.sleep(0)
    response = await transport.send(SubgraphRequest(b"{}", repeatable=False))
    assert response.body == b"hi"
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\nhi",
        OK + b"content-length: nine\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        OK + b"x: " + b"y" * 70_000,
        OK + b"x: y\r\n" * 20_000,
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
        OK + b"content-length: 5\r\ncontent-encoding: br\r\n\r\n12345",
        OK + b"content-length: 5\r\ncontent-encoding: gzip\r\n\r\n12345",
    ],
)
async def test_what_is_no_answer_is_unreachable(server: RawServer, transport: HttpTransport, answer: bytes) -> None:
    server.answer = answer
    with pytest.raises(SubgraphUnreachable):
        await ask(transport)
    server.answer = PLAIN
    assert (await ask(transport)).body == b"hi"


@pytest.mark.parametrize("half", [OK, OK + b"content-length: 9\r\n\r\nhalf", b""])
async def test_an_answer_that_breaks_off_is_no_answer(server: RawServer, transport: HttpTransport, half: bytes) -> None:
    server.answer, server.closing = half, True
    with pytest.raises(SubgraphUnreachable):
        await ask(transport)


async def test_bytes_that_nobody_asked_for_are_not_taken_for_the_next_answer(
    server: RawServer, transport: HttpTransport
) -> None:
    server.answer = PLAIN + OK + b"content-length: 6\r\n\r\nforged"
    assert (await ask(transport)).body == b"hi"
    server.answer = PLAIN
    assert (await ask(transport)).body == b"hi"
    assert server.connections == 2


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_an_answer_compressed_unasked_is_read_up_to_the_limit(
    server: RawServer, transport: HttpTransport, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    for size in (LIMIT, LIMIT + 1):
        body = compress(b"x" * size)
        server.answer = OK + f"content-encoding: {encoding}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
        if size == LIMIT:
            assert (await ask(transport)).body == b"x" * size
        else:
            with pytest.raises(SubgraphResponseTooLarge):
                await ask(transport)


async def test_repeated_headers_are_one_and_their_names_lower_case(server: RawServer, transport: HttpTransport) -> None:
    server.answer = OK + b"X-One: a\r\nx-one: b\r\nContent-Length: 2\r\n\r\nhi"
    assert (await ask(transport)).headers["x-one"] == "a, b"


@pytest.mark.parametrize("value", ["x\r\nevil: 1", "x\n", "x\r"])
async def test_a_header_with_a_line_break_is_never_sent(
    server: RawServer, transport: HttpTransport, value: str
) -> None:
    with pytest.raises(SubgraphUnreachable):
        await ask(transport, ("as-of", value))
    assert server.heads == []


async def test_a_user_in_the_url_is_told_the_server_unless_the_client_says_who_it_is(server: RawServer) -> None:
    transport = HttpTransport(f"http://ada:p%40ss@127.0.0.1:{server.port}/graphql")
    await ask(transport)
    await ask(transport, ("authorization", "Bearer x"))
    await transport.aclose()
    assert b"authorization: Basic YWRhOnBAc3M=\r\n" in server.heads[0]
    assert b"@" not in server.heads[0]
    assert b"Basic" not in server.heads[1]


async def test_no_more_connections_are_open_than_allowed(server: RawServer) -> None:
    transport = HttpTransport(f"http://127.0.0.1:{server.port}/graphql", connections=2)
    answers = await asyncio.gather(*(ask(transport) for _ in range(10)))
    assert [answer.body for answer in answers] == [b"hi"] * 10
    assert server.connections == 2
    await transport.aclose()
