"""SubgraphTransport against servers that break HTTP or abuse it, over every adapter that speaks HTTP.

Whatever a server sends, a request ends with an answer that is within the limits or with a `TransportError`, and the
next request to the same server is not harmed by it.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import ssl
import tracemalloc
import zlib
from collections.abc import AsyncGenerator, Callable, Iterable
from datetime import UTC, datetime
from typing import Protocol

import pytest
import trustme

from graphrouter.transport import (
    SubgraphRequest,
    SubgraphResponse,
    SubgraphResponseTooLarge,
    SubgraphTimedOut,
    SubgraphTransport,
    SubgraphUnreachable,
    TransportError,
)
from graphrouter.transport.http import HttpTransport
from infra.patience import seconds
from tests.support.raw_server import OK, PLAIN, RawServer, endless, raw_server

LIMIT = 1000
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


class Adapter(Protocol):
    """How an adapter is made for a URL."""

    def __call__(
        self, url: str, *, connections: int = ..., max_response_bytes: int = ..., tls: ssl.SSLContext | None = ...
    ) -> SubgraphTransport: ...


ADAPTERS: dict[str, Adapter] = {"http": HttpTransport}


@pytest.fixture(params=sorted(ADAPTERS))
def adapter(request: pytest.FixtureRequest) -> Adapter:
    return ADAPTERS[request.param]


@pytest.fixture
async def server() -> AsyncGenerator[RawServer]:
    async with raw_server() as raw:
        yield raw


@pytest.fixture
async def transport(server: RawServer, adapter: Adapter) -> AsyncGenerator[SubgraphTransport]:
    made = adapter(f"http://127.0.0.1:{server.port}/graphql", max_response_bytes=LIMIT)
    yield made
    await made.aclose()


async def ask(transport: SubgraphTransport, seconds: float | None = None, body: bytes = b"{}") -> SubgraphResponse:
    deadline = None if seconds is None else asyncio.get_running_loop().time() + seconds
    return await transport.send(SubgraphRequest(body, repeatable=True, deadline=deadline))


async def refusal(transport: SubgraphTransport) -> TransportError:
    with pytest.raises(TransportError) as refused:
        await ask(transport)
    return refused.value


def gzipped(size: int) -> bytes:
    body = gzip.compress(b"x" * size)
    return OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body) + body


NO_HTTP = [
    pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="another protocol"),
    pytest.param(b"HTTP/1.1 20 OK\r\ncontent-length: 2\r\n\r\nhi", id="a status of two digits"),
    pytest.param(b"HTTP/1.1 000 Zero\r\ncontent-length: 2\r\n\r\nhi", id="status 000"),
    pytest.param(b"HTTP/1.1 099 Low\r\ncontent-length: 2\r\n\r\nhi", id="status 099"),
    pytest.param(
        b"HTTP/1.1 101 Switching\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n", id="another protocol to come"
    ),
    pytest.param(OK + b"x\x00y: a\r\ncontent-length: 2\r\n\r\nhi", id="NUL in a header's name"),
    pytest.param(OK + b"x: a\x00b\r\ncontent-length: 2\r\n\r\nhi", id="NUL in a header's value"),
    pytest.param(OK + b"x\r\ncontent-length: 2\r\n\r\nhi", id="a header without a colon"),
]
AMBIGUOUS = [
    pytest.param(OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\nhi!", id="two lengths"),
    pytest.param(OK + b"content-length: 2, 3\r\n\r\nhi!", id="two lengths in one header"),
    pytest.param(OK + b"content-length: nine\r\n\r\n", id="a length in words"),
    pytest.param(OK + b"content-length: -2\r\n\r\nhi", id="a negative length"),
    pytest.param(OK + b"content-length: 99999999999999999999999\r\n\r\nhi", id="a length beyond 64 bits"),
    pytest.param(CHUNKED + b"zz\r\nhi\r\n0\r\n\r\n", id="a chunk's size that is no number"),
    pytest.param(CHUNKED + b"fffffffffffffffff\r\nhi\r\n0\r\n\r\n", id="a chunk's size beyond 64 bits"),
    pytest.param(CHUNKED + b"2\r\nhello\r\n0\r\n\r\n", id="a chunk longer than its size"),
    pytest.param(OK + b"content-length : 2\r\n\r\nhi", id="a space before the colon"),
]
BOTH_LENGTH_AND_CHUNKS = [
    pytest.param(
        OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", id="length, then chunks"
    ),
    pytest.param(
        OK + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\nhi\r\n0\r\n\r\n", id="chunks, then length"
    ),
]
COMPRESSED = [
    pytest.param(OK + b"content-length: 5\r\ncontent-encoding: br\r\n\r\n12345", id="an encoding not asked for"),
    pytest.param(OK + b"content-length: 5\r\ncontent-encoding: gzip\r\n\r\n12345", id="no gzip"),
    pytest.param(OK + b"content-encoding: gzip\r\n\r\n" + gzip.compress(b"hi")[:-3], id="gzip that breaks off"),
    pytest.param(OK + b"content-encoding: gzip\r\n\r\n" + gzip.compress(b"hi") + b"more", id="more behind the gzip"),
]


@pytest.mark.parametrize("answer", [*NO_HTTP, *AMBIGUOUS, *BOTH_LENGTH_AND_CHUNKS, *COMPRESSED])
async def test_what_is_no_answer_is_unreachable_at_once_and_harms_nothing_that_follows(
    server: RawServer, transport: SubgraphTransport, answer: bytes
) -> None:
    server.answer, server.closing = answer, b"content-encoding" in answer
    async with asyncio.timeout(seconds(20)):
        assert isinstance(await refusal(transport), SubgraphUnreachable)
    server.answer, server.closing = PLAIN, False
    assert (await ask(transport)).body == b"hi"


@pytest.mark.parametrize(
    "half",
    [
        b"",
        b"HTTP/1.",
        OK,
        OK + b"content-length: 9\r\n\r\nhalf",
        CHUNKED + b"5\r\nhel",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
    ],
)
async def test_an_answer_that_breaks_off_is_no_answer(
    server: RawServer, transport: SubgraphTransport, half: bytes
) -> None:
    server.answer, server.closing = half, True
    assert isinstance(await refusal(transport), SubgraphUnreachable)


ENDLESS_HEADS = [
    pytest.param(lambda: endless(b"x: y\r\n", OK), id="headers"),
    pytest.param(lambda: endless(b"y", OK + b"x: "), id="one header's value"),
    pytest.param(lambda: endless(b"y", OK), id="one header's name"),
    pytest.param(lambda: endless(b"y", b"HTTP/1.1 200 "), id="a reason phrase"),
    pytest.param(lambda: endless(b"\r\n"), id="empty lines before the answer"),
    pytest.param(lambda: endless(b"HTTP/1.1 100 Continue\r\n\r\n"), id="interim responses"),
    pytest.param(lambda: endless(b"HTTP/1.1 103 Early\r\nlink: </x>\r\n\r\n"), id="interim responses with headers"),
    pytest.param(lambda: endless(b"y", CHUNKED + b"5;"), id="a chunk's extension"),
    pytest.param(lambda: endless(b"x: y\r\n", CHUNKED + b"2\r\nhi\r\n0\r\n"), id="trailers"),
    pytest.param(lambda: endless(b"y", CHUNKED + b"2\r\nhi\r\n0\r\nx: "), id="one trailer's value"),
]


@pytest.mark.parametrize("answer", ENDLESS_HEADS)
async def test_endless_bytes_outside_of_a_body_are_given_up(
    server: RawServer, transport: SubgraphTransport, answer: Callable[[], Iterable[bytes]]
) -> None:
    server.answer = answer()
    assert isinstance(await refusal(transport), SubgraphUnreachable | SubgraphResponseTooLarge)
    await asyncio.wait_for(server.left.wait(), seconds(20))


ENDLESS_BODIES = [
    pytest.param(lambda: endless(b"x", OK + b"\r\n"), id="until the connection's end"),
    pytest.param(lambda: endless(b"x", OK + b"content-length: 1000000000000\r\n\r\n"), id="of an announced length"),
    pytest.param(lambda: endless(b"100\r\n" + b"x" * 256 + b"\r\n", CHUNKED), id="in chunks"),
    pytest.param(lambda: endless(b"1\r\nx\r\n", CHUNKED), id="in chunks of one byte"),
    pytest.param(lambda: endless(b"1;" + b"e" * 5000 + b"\r\nx\r\n", CHUNKED), id="in chunks with long extensions"),
    pytest.param(lambda: [gzipped(LIMIT + 1)], id="compressed"),
    pytest.param(lambda: [gzipped(50_000_000)], id="a compressed bomb"),
]


@pytest.mark.parametrize("answer", ENDLESS_BODIES)
async def test_reading_stops_at_the_limit(
    server: RawServer, transport: SubgraphTransport, answer: Callable[[], Iterable[bytes]]
) -> None:
    server.answer = answer()
    assert isinstance(await refusal(transport), SubgraphResponseTooLarge)
    server.answer = PLAIN
    assert (await ask(transport)).body == b"hi"


async def test_an_announced_length_over_the_limit_is_refused_before_the_body_comes(
    server: RawServer, transport: SubgraphTransport
) -> None:
    server.answer = OK + b"content-length: %d\r\n\r\n" % (LIMIT + 1)
    assert isinstance(await refusal(transport), SubgraphResponseTooLarge)


@pytest.mark.parametrize("chunks", [[LIMIT], [LIMIT - 1, 1], [1, LIMIT - 1]])
async def test_the_limit_is_of_bytes_and_exact(
    server: RawServer, transport: SubgraphTransport, chunks: list[int]
) -> None:
    written = b"".join(b"%x\r\n%b\r\n" % (size, b"x" * size) for size in chunks)
    server.answer = CHUNKED + written + b"0\r\n\r\n"
    assert (await ask(transport)).body == b"x" * LIMIT
    server.answer = CHUNKED + written + b"1\r\nx\r\n0\r\n\r\n"
    assert isinstance(await refusal(transport), SubgraphResponseTooLarge)


async def test_closing_ends_the_requests_under_way(server: RawServer, transport: SubgraphTransport) -> None:
    server.answer = b""
    asking = asyncio.create_task(ask(transport))
    while not server.heads:  # noqa: ASYNC110 - the server has no event for it
        await asyncio.sleep(0)
    await transport.aclose()
    with pytest.raises(SubgraphUnreachable):
        await asking


async def test_framing_that_outweighs_the_body_by_far_is_too_large(server: RawServer, adapter: Adapter) -> None:
    transport = adapter(f"http://127.0.0.1:{server.port}/", max_response_bytes=500_000)
    server.answer = [CHUNKED, *[b"1;" + b"e" * 10_000 + b"\r\nx\r\n"] * 500, b"0\r\n\r\n"]  # 5 MB for 500 bytes
    assert isinstance(await refusal(transport), SubgraphResponseTooLarge)
    await transport.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param([OK, b"x: ", b"y" * 500_000, b"\r\ncontent-length: 2\r\n\r\nhi"], id="a header"),
        pytest.param([b"HTTP/1.1 102 Processing\r\n\r\n" * 20_000, PLAIN], id="interim responses"),
        pytest.param([CHUNKED, b"2;", b"y" * 500_000, b"\r\nhi\r\n0\r\n\r\n"], id="a chunk's extension"),
        pytest.param([CHUNKED, b"2\r\nhi\r\n0\r\n", b"x: y\r\n" * 100_000, b"\r\n"], id="trailers"),
    ],
)
async def test_bytes_outside_of_a_body_are_bounded_however_large_an_answer_may_be(
    server: RawServer, adapter: Adapter, answer: list[bytes]
) -> None:
    transport = adapter(f"http://127.0.0.1:{server.port}/", max_response_bytes=10**9)
    server.answer = answer
    assert isinstance(await refusal(transport), SubgraphUnreachable)
    await transport.aclose()


async def test_chunks_of_one_byte_take_no_more_memory_than_a_few_times_the_answer(
    server: RawServer, adapter: Adapter
) -> None:
    size = 300_000
    transport = adapter(f"http://127.0.0.1:{server.port}/", max_response_bytes=10 * size)
    server.answer = itertools.chain([CHUNKED], itertools.repeat(b"1\r\nx\r\n" * 1000, size // 1000), [b"0\r\n\r\n"])
    tracemalloc.start()
    try:
        answer = await ask(transport)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.body == b"x" * size
    assert peak < 8 * size  # what passes through the sockets is in it; a list of the chunks would be some 40 times
    await transport.aclose()


async def test_a_compressed_bomb_is_inflated_no_further_than_the_limit(server: RawServer, adapter: Adapter) -> None:
    transport = adapter(f"http://127.0.0.1:{server.port}/", max_response_bytes=100_000)  # more than the compressed text
    server.answer = gzipped(50_000_000)
    tracemalloc.start()
    try:
        assert isinstance(await refusal(transport), SubgraphResponseTooLarge)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000
    await transport.aclose()


async def test_trailers_are_no_headers(server: RawServer, transport: SubgraphTransport) -> None:
    server.answer = CHUNKED + b"2\r\nhi\r\n0\r\nbookmark: forged\r\ncontent-encoding: gzip\r\nx: y\r\n\r\n"
    for _ in range(2):
        response = await ask(transport)
        assert response.body == b"hi"
        assert not {"bookmark", "content-encoding", "x"} & set(response.headers)
    assert server.connections == 1


@pytest.mark.parametrize(("count", "fits"), [(255, True), (257, False)])
async def test_headers_are_counted(server: RawServer, transport: SubgraphTransport, count: int, fits: bool) -> None:
    server.answer = OK + b"x:\r\n" * count + PLAIN.removeprefix(OK)
    if fits:
        assert (await ask(transport)).body == b"hi"
    else:
        assert isinstance(await refusal(transport), SubgraphUnreachable)


async def test_headers_of_interim_responses_count_and_are_dropped(
    server: RawServer, transport: SubgraphTransport
) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nbookmark: forged\r\nlink: </x>\r\n\r\n"
    server.answer = interim * 10 + PLAIN
    response = await ask(transport)
    assert (response.status, response.body) == (200, b"hi")
    assert not {"bookmark", "link"} & set(response.headers)
    server.answer = interim * 200 + PLAIN
    assert isinstance(await refusal(transport), SubgraphUnreachable)


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (CHUNKED + b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\ntrailer: 1\r\n\r\n", b"hello"),
        (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + PLAIN, b"hi"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\n", b""),
        (OK + b"content-length: 0\r\n\r\n", b""),
        (OK + b"content-encoding: gzip\r\ncontent-length: 0\r\n\r\n", b""),
        (OK + b"content-encoding: identity\r\ncontent-length: 2\r\n\r\nhi", b"hi"),
        (b"HTTP/1.1 599 Unheard Of\r\ncontent-length: 2\r\n\r\nhi", b"hi"),
    ],
)
async def test_answers_end_where_they_say(
    server: RawServer, transport: SubgraphTransport, answer: bytes, body: bytes
) -> None:
    server.answer = answer
    for _ in range(2):
        assert (await ask(transport)).body == body
    assert server.connections == 1


async def test_an_answer_in_pieces_of_one_byte_is_an_answer(server: RawServer, transport: SubgraphTransport) -> None:
    server.answer = [bytes([byte]) for byte in CHUNKED + b"5\r\nhello\r\n0\r\nx: y\r\n\r\n"]
    assert (await ask(transport)).body == b"hello"


async def test_an_answer_may_end_with_its_connection(server: RawServer, transport: SubgraphTransport) -> None:
    server.answer, server.closing = OK + b"\r\nuntil the end", True
    for _ in range(2):
        assert (await ask(transport)).body == b"until the end"
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"connection: close\r\ncontent-length: 2\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi",
    ],
)
async def test_a_connection_that_the_server_will_close_is_not_kept(
    server: RawServer, transport: SubgraphTransport, answer: bytes
) -> None:
    server.answer = answer
    for _ in range(2):
        assert (await ask(transport)).body == b"hi"
    assert server.connections == 2


async def test_bytes_that_nobody_asked_for_are_not_taken_for_the_next_answer(
    server: RawServer, transport: SubgraphTransport
) -> None:
    server.answer = PLAIN + OK + b"content-length: 6\r\n\r\nforged"
    assert (await ask(transport)).body == b"hi"
    server.answer = PLAIN
    assert (await ask(transport)).body == b"hi"
    assert server.connections == 2


async def test_a_request_that_was_not_read_keeps_no_place_before_the_next_one(
    server: RawServer, transport: SubgraphTransport
) -> None:
    server.reading = False
    large = b'{"query": "%s"}' % (b"x" * 20_000_000)
    assert (await ask(transport, body=large)).body == b"hi"
    server.reading = True
    assert (await ask(transport, 20)).body == b"hi"
    assert server.connections == 2


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_an_answer_compressed_unasked_is_read_up_to_the_limit(
    server: RawServer, transport: SubgraphTransport, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    body = compress(b"x" * LIMIT)
    server.answer = OK + f"content-encoding: {encoding}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    assert (await ask(transport)).body == b"x" * LIMIT


SLOW = [
    pytest.param([b"HTTP/1.1 2"], id="in the status line"),
    pytest.param([b"HTTP/1.1 100 Continue\r\n\r\n"], id="after an interim response"),
    pytest.param([OK, b"x: y"], id="in the head"),
    pytest.param([OK + b"content-length: 9\r\n\r\n", b"ha"], id="in the body"),
    pytest.param([CHUNKED, b"2\r\nhi\r\n0\r\n"], id="in the trailers"),
]


@pytest.mark.parametrize("pieces", SLOW)
async def test_the_deadline_ends_an_answer_that_stops(
    server: RawServer, transport: SubgraphTransport, pieces: list[bytes]
) -> None:
    server.answer = pieces
    with pytest.raises(SubgraphTimedOut):
        await ask(transport, 0.05)
    await asyncio.wait_for(server.left.wait(), seconds(20))
    server.answer = PLAIN
    assert (await ask(transport)).body == b"hi"


async def test_the_deadline_ends_an_answer_that_trickles(server: RawServer, adapter: Adapter) -> None:
    transport = adapter(f"http://127.0.0.1:{server.port}/", max_response_bytes=10**9)
    server.answer = itertools.chain([OK + b"\r\n"], itertools.repeat(b"x"))
    with pytest.raises(SubgraphTimedOut):
        await ask(transport, 0.05)
    await asyncio.wait_for(server.left.wait(), seconds(20))
    await transport.aclose()


async def test_the_deadline_holds_while_a_request_waits_for_a_connection(server: RawServer, adapter: Adapter) -> None:
    transport = adapter(f"http://127.0.0.1:{server.port}/", connections=1)
    server.answer = b""
    first = asyncio.create_task(ask(transport))
    while not server.heads:  # noqa: ASYNC110 - the server has no event for it
        await asyncio.sleep(0)
    with pytest.raises(SubgraphTimedOut):
        await ask(transport, 0.05)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert len(server.heads) == 1
    await transport.aclose()


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def served(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_a_server_of_the_given_authority_is_asked_over_tls_on_kept_connections(
    adapter: Adapter, authority: trustme.CA
) -> None:
    async with raw_server(served(authority.issue_cert("127.0.0.1"))) as server:
        transport = adapter(f"https://127.0.0.1:{server.port}/", tls=trusting(authority))
        for _ in range(3):
            assert (await ask(transport)).body == b"hi"
        assert server.connections == 1
        await transport.aclose()


async def test_a_server_with_another_certificate_hears_nothing_of_the_request(
    adapter: Adapter, authority: trustme.CA
) -> None:
    long_ago = datetime(2001, 1, 1, tzinfo=UTC)
    for certificate, trust in (
        (authority.issue_cert("127.0.0.1"), None),
        (trustme.CA().issue_cert("127.0.0.1"), trusting(authority)),
        (authority.issue_cert("another.example"), trusting(authority)),
        (authority.issue_cert("127.0.0.1", not_before=datetime(2000, 1, 1, tzinfo=UTC), not_after=long_ago),
         trusting(authority)),
    ):  # fmt: skip
        async with raw_server(served(certificate)) as server:
            transport = adapter(f"https://127.0.0.1:{server.port}/", tls=trust)
            refused = await refusal(transport)
            assert isinstance(refused, SubgraphUnreachable)
            assert "127.0.0.1" not in str(refused)
            assert server.heads == []
            await transport.aclose()


async def test_the_deadline_ends_a_handshake_that_is_not_answered(
    adapter: Adapter, server: RawServer, authority: trustme.CA
) -> None:
    transport = adapter(f"https://127.0.0.1:{server.port}/", tls=trusting(authority))
    with pytest.raises(SubgraphTimedOut):
        await ask(transport, 0.05)  # the server still waits for the end of a head
    assert server.heads == []
    await transport.aclose()


@pytest.mark.parametrize("answer", [PLAIN, b"\x15\x03\x01\x00\x02\x02\x28"])
async def test_a_server_that_does_not_speak_tls_is_unreachable(
    adapter: Adapter, authority: trustme.CA, answer: bytes
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        writer.close()
        await writer.wait_closed()
        ended.set()

    ended = asyncio.Event()
    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    transport = adapter(f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}/", tls=trusting(authority))
    assert isinstance(await refusal(transport), SubgraphUnreachable)
    await ended.wait()
    listening.close()
    await transport.aclose()


async def test_a_server_that_speaks_tls_unasked_is_unreachable(adapter: Adapter, authority: trustme.CA) -> None:
    async with raw_server(served(authority.issue_cert("127.0.0.1"))) as server:
        transport = adapter(f"http://127.0.0.1:{server.port}/")
        assert isinstance(await refusal(transport), SubgraphUnreachable)
        assert server.heads == []
        await transport.aclose()


async def test_closing_waits_for_no_server_that_does_not_say_goodbye(adapter: Adapter, authority: trustme.CA) -> None:
    """The server's side of the TLS is kept from hearing anything once it has answered."""
    async with raw_server(served(authority.issue_cert("127.0.0.1"))) as server:
        transport = adapter(f"https://127.0.0.1:{server.port}/", tls=trusting(authority))
        server.reading = False
        server.answer = OK + b"connection: close\r\ncontent-length: 2\r\n\r\nhi"
        assert (await ask(transport, body=b"x" * 20_000_000)).body == b"hi"
        await asyncio.wait_for(transport.aclose(), seconds(20))
