"""HTTP/1.1 as clients and strangers speak it, byte by byte, against the server's connections."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from graphrouter.http.connection import HttpServer
from graphrouter.http.connections import ENDLESS, ConnectionLimits
from infra.patience import seconds

LIMITS = ConnectionLimits(connections=4, head_bytes=2_000, headers=20)
POST = b"POST /echo HTTP/1.1\r\nHost: a\r\n"
PING = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"
FOREVER = 1e9


@dataclass
class State:
    """What uvicorn's server gives its protocols."""

    total_requests: int = 0
    connections: set[Any] = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    default_headers: list[tuple[bytes, bytes]] = field(default_factory=list)


@dataclass
class Server:
    """An app that echoes bodies, at a port, with what it has seen."""

    limits: ConnectionLimits
    seen: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    broken_off: int = 0
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    held: asyncio.Queue[None] = field(default_factory=asyncio.Queue)
    state: State = field(default_factory=State)
    loaded_app: Any = None
    root_path: str = ""
    port: int = 0
    clients: list[Client] = field(default_factory=list["Client"])

    def __post_init__(self) -> None:
        self.loaded_app = self.app
        self.http = HttpServer(self.limits)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append(scope)
        body, more = b"", True
        if scope["path"] == "/unread":
            more = False
        if scope["path"] == "/wait":
            await self.hold.wait()
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.broken_off += 1
                return
            body += message["body"]
            more = message["more_body"]
        self.bodies.append(body)
        if scope["path"].startswith("/pong"):
            body = b"pong"
        if scope["path"] == "/hold":
            self.held.put_nowait(None)
            await self.hold.wait()
        if scope["path"] == "/fail":
            raise RuntimeError("the password is 1234")
        if scope["path"] == "/split":
            split = [(b"x", b"y\r\nset-cookie: evil")]
            await send({"type": "http.response.start", "status": 200, "headers": split})
            await send({"type": "http.response.body", "body": body})
        headers = [] if scope["path"] == "/stream" else [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["path"] == "/late":
            await send({"type": "http.response.body", "body": body[:1], "more_body": True})
            raise RuntimeError("after the start")
        for at in range(0, len(body), 1000):
            await send({"type": "http.response.body", "body": body[at : at + 1000], "more_body": True})
        await send({"type": "http.response.body"})

    async def connect(self) -> Client:
        self.clients.append(Client(*await asyncio.open_connection("127.0.0.1", self.port)))
        return self.clients[-1]

    async def read_by_now(self) -> None:
        """Returns when what was sent before has been read: a later request on another connection is answered."""
        there = len(self.state.connections)
        client = await self.connect()
        assert (await client.ask(PING))[0] == 200
        await client.close()
        await until(lambda: len(self.state.connections) <= there)

    def wait(self, seconds: float) -> None:
        """Time passes, for the connections alone."""
        self.http.connections.expire(asyncio.get_running_loop().time() + seconds)


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, dict[bytes, bytes], bytes]:
        line = await asyncio.wait_for(self.reader.readline(), seconds(10))
        assert line, "the connection has ended"
        headers: dict[bytes, bytes] = {}
        while (header := (await self.reader.readline()).strip()) != b"":
            name, _, value = header.partition(b": ")
            headers[name] = value
        return int(line.split()[1]), headers, await self.reader.readexactly(int(headers.get(b"content-length", 0)))

    async def ask(self, data: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
        self.send(data)
        return await self.answer()

    async def rest(self) -> bytes:
        """All until the server ends the connection."""
        try:
            return await asyncio.wait_for(self.reader.read(), seconds(10))
        except ConnectionResetError:
            return b""

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


async def until(check: Callable[[], bool]) -> None:
    """Returns when the event loop has come to where this is true."""
    for _ in range(200_000):
        if check():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not come to that")


@contextlib.asynccontextmanager
async def serving(limits: ConnectionLimits = LIMITS) -> AsyncGenerator[Server]:
    server = Server(limits)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: server.http(server, server.state, {}), "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        for client in server.clients:
            await client.close()
        await until(lambda: not server.state.connections)
        server.hold.set()
        await until(lambda: not server.state.tasks)
        listening.close()
        await listening.wait_closed()


@pytest.fixture
async def server() -> AsyncGenerator[Server]:
    async with serving() as server:
        yield server


async def test_requests_on_one_connection_are_answered_one_after_the_other(server: Server) -> None:
    client = await server.connect()
    for body in (b"", b"one", b"x" * 200_000):
        assert (await client.ask(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body))[::2] == (200, body)
    assert server.state.total_requests == 3


async def test_pipelined_requests_are_answered_in_their_order(server: Server) -> None:
    client = await server.connect()
    requests = [POST + b"Content-Length: 2\r\n\r\n%02d" % number for number in range(50)]
    client.send(b"".join(requests))
    assert [(await client.answer())[2] for _ in requests] == [b"%02d" % number for number in range(50)]
    client.send(PING * 300)
    assert b"429" in await client.rest()


async def test_a_head_and_a_body_may_come_byte_by_byte(server: Server) -> None:
    client = await server.connect()
    for byte in POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: z\r\n\r\n":
        client.send(bytes([byte]))
        await client.writer.drain()
        await asyncio.sleep(0)
    assert (await client.answer())[2] == b"abcde"
    assert (b"trailer", b"z") not in server.seen[0]["headers"]


@pytest.mark.parametrize("body", [b"", b"hello"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_an_offer_of_another_protocol_changes_nothing(server: Server, body: bytes, framing: str) -> None:
    chunked = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    framed = {
        "length": b"Content-Length: %d\r\n\r\n%b" % (len(body), body),
        "chunked": b"Transfer-Encoding: chunked\r\n\r\n" + chunked,
    }[framing]
    request = POST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n" + framed
    client = await server.connect()
    for _ in range(2):
        assert (await client.ask(request))[::2] == (200, body)
    assert (await client.ask(POST + b"Content-Length: 1\r\n\r\nx"))[2] == b"x"
    for byte in request:
        client.send(bytes([byte]))
        await asyncio.sleep(0)
    assert (await client.answer())[::2] == (200, body)
    assert (await client.ask(b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))[
        0
    ] == 200
    assert (await client.ask(PING))[0] == 200


async def test_answers_without_a_length_come_in_chunks_and_to_http_1_0_until_the_end(server: Server) -> None:
    client = await server.connect()
    stream = POST.replace(b"/echo", b"/stream") + b"Content-Length: 1500\r\nConnection: close\r\n\r\n" + b"x" * 1500
    client.send(stream)
    head, _, body = (await client.rest()).partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert body == b"3e8\r\n" + b"x" * 1000 + b"\r\n1f4\r\n" + b"x" * 500 + b"\r\n0\r\n\r\n"
    client = await server.connect()
    client.send(stream.replace(b"HTTP/1.1", b"HTTP/1.0"))
    head, _, body = (await client.rest()).partition(b"\r\n\r\n")
    assert (b"chunked" in head, body) == (False, b"x" * 1500)


async def test_head_has_the_lengths_of_get_and_no_body(server: Server) -> None:
    client = await server.connect()
    for path in (b"/pong", b"/stream"):
        client.send(b"HEAD %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % path)
        head, end, body = (await client.rest()).partition(b"\r\n\r\n")
        assert (end, body, b"content-length: 4" in head) == (b"\r\n\r\n", b"", path == b"/pong")
        client = await server.connect()


async def test_a_client_that_expects_to_be_asked_for_its_body_is_asked(server: Server) -> None:
    client = await server.connect()
    assert (await client.ask(POST + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"))[0] == 100
    assert (await client.ask(b"ab"))[::2] == (200, b"ab")


@pytest.mark.parametrize(
    ("target", "path", "query", "host"),
    [
        (b"/a%20b/%C3%A4?q=%7B", "/a b/ä", b"q=%7B", b"a"),
        (b"http://evil.example:81/x?y", "/x", b"y", b"evil.example:81"),
        (b"http://evil.example", "/", b"", b"evil.example"),
    ],
)
async def test_the_targets_host_stands_for_that_of_the_header(
    server: Server, target: bytes, path: str, query: bytes, host: bytes
) -> None:
    client = await server.connect()
    await client.ask(b"GET " + target + b" HTTP/1.1\r\nX: 1\r\nHost: a\r\n\r\n")
    (scope,) = server.seen
    assert (scope["path"], scope["query_string"]) == (path, query)
    assert [value for name, value in scope["headers"] if name == b"host"] == [host]
    assert (scope["server"][0], scope["client"][0]) == ("127.0.0.1", "127.0.0.1")


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/3.0\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nA B: c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nA: \x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded: x\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: 0x3\r\n\r\nabc",
        POST + b"Content-Length: 99999999999999999999999\r\n\r\n",
        POST + b"Transfer-Encoding: gzip\r\n\r\nabc",
        POST + b"Transfer-Encoding: chunked\r\n\r\nx\r\nabc\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
    ],
    ids=repr,
)
async def test_what_is_no_http_1_1_is_refused_and_nobody_else_notices(server: Server, request_: bytes) -> None:
    client = await server.connect()
    client.send(request_)
    answer = await client.rest()
    assert answer.split(b" ")[1] in {b"400", b"405", b"505"}
    assert b"connection: close" in answer
    assert server.bodies == []
    await server.read_by_now()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 3000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nLong: " + b"x" * 3000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"Some: xxxxxxxxxxxxxxxxxxxxxx\r\n" * 100 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a:\r\n" * 21 + b"\r\n",
    ],
    ids=["target", "value", "many", "number"],
)
@pytest.mark.parametrize("piece", [1, 7, 100_000])
async def test_a_head_over_the_limit_is_refused_however_it_comes(server: Server, head: bytes, piece: int) -> None:
    client = await server.connect()
    for at in range(0, len(head), piece):
        client.send(head[at : at + piece])
        await asyncio.sleep(0)
    assert (await client.rest()).startswith(b"HTTP/1.1 431 ")
    assert server.seen == []


@pytest.mark.parametrize(
    "start",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nLong: ",
        b"GET /",
        POST + b"Transfer-Encoding: chunked\r\n\r\n3;",
        POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nTrailer: ",
    ],
)
async def test_what_never_comes_to_its_end_is_given_up_by_its_size(server: Server, start: bytes) -> None:
    client = await server.connect()
    client.send(start)
    for _ in range(100):
        client.send(b"x" * 1000)
        await asyncio.sleep(0)
    assert b" 431 " in (await client.rest())[:20]
    assert server.bodies == []


@pytest.mark.parametrize("separator", [b"\r\n", b"\n"])
async def test_empty_lines_before_a_request_are_bounded(server: Server, separator: bytes) -> None:
    client = await server.connect()
    assert (await client.ask(separator + PING))[0] == 200
    client.send(separator * 3000)
    assert b" 431 " in await client.rest()


HALF_SENT = {
    "a head": (b"GET / HTTP/1.1\r\nHo", "head_seconds"),
    "empty lines": (b"\r\n\r\n", "head_seconds"),
    "a body": (POST + b"Content-Length: 10\r\n\r\nabc", "body_seconds"),
    "no body at all": (POST + b"Content-Length: 10\r\n\r\n", "body_seconds"),
    "chunks": (POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "body_seconds"),
    "the last chunk": (POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", "body_seconds"),
}


@pytest.mark.parametrize("before", [b"", PING])
@pytest.mark.parametrize("what", HALF_SENT)
async def test_half_sent_requests_are_given_up_and_never_executed(server: Server, what: str, before: bytes) -> None:
    half, limit = HALF_SENT[what]
    client = await server.connect()
    if before:
        await client.ask(before)
    client.send(half)
    await server.read_by_now()
    executed = len(server.bodies)
    seconds: float = getattr(LIMITS, limit)
    server.wait(seconds - 1)
    client.send(half[:0])
    await server.read_by_now()
    (connection,) = server.state.connections
    assert not connection._closing
    server.wait(seconds + 1)
    answer = await client.rest()
    assert answer == b"" if what == "empty lines" else answer.startswith(b"HTTP/1.1 408 ")
    await server.read_by_now()
    assert server.bodies[executed:] == [b"", b""]  # of those who looked
    assert server.broken_off == (1 if limit == "body_seconds" else 0)


async def test_a_slow_drip_does_not_renew_the_time_of_a_request(server: Server) -> None:
    client = await server.connect()
    client.send(b"GET / HT")
    await server.read_by_now()
    (connection,) = server.state.connections
    deadline = connection.deadline
    for piece in (b"TP/1.1\r\n", b"Host: a\r\n"):
        client.send(piece)
        await server.read_by_now()
        assert connection.deadline == deadline
    client.send(b"\r\n")
    assert (await client.answer())[0] == 200


async def test_an_idle_connection_is_closed_without_a_word_and_a_working_one_is_not(server: Server) -> None:
    idle, used, working = [await server.connect() for _ in range(3)]
    await used.ask(PING)
    working.send(PING.replace(b"/ping", b"/hold"))
    await server.held.get()
    server.wait(LIMITS.idle_seconds - 1)
    await server.read_by_now()
    assert len(server.state.connections) == 3
    server.wait(LIMITS.idle_seconds + 1)
    assert (await idle.rest(), await used.rest()) == (b"", b"")
    server.wait(FOREVER)
    server.hold.set()
    assert (await working.answer())[0] == 200


async def test_a_client_that_leaves_its_answer_lying_is_given_up() -> None:
    async with serving() as server:
        client = await server.connect()
        client.writer.transport.set_write_buffer_limits(high=20_000_000)
        body = b"x" * 10_000_000
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        client.send(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await client.writer.drain()
        (connection,) = server.state.connections
        await until(lambda: not connection.writable.is_set())
        server.wait(LIMITS.write_seconds - 1)
        assert server.state.connections
        server.wait(LIMITS.write_seconds + 1)
        await until(lambda: not server.state.connections and not server.state.tasks)


async def test_when_full_the_connection_that_has_been_idle_longest_makes_room(server: Server) -> None:
    clients = [await server.connect() for _ in range(4)]
    for client in clients:
        await client.ask(PING)
    await clients[0].ask(PING)
    fifth = await server.connect()
    assert (await fifth.ask(PING))[0] == 200
    assert await clients[1].rest() == b""
    assert [(await clients[number].ask(PING))[0] for number in (0, 2, 3)] == [200] * 3


async def test_when_full_of_work_a_new_connection_is_told_at_once_when_to_come_again(server: Server) -> None:
    busy = [await server.connect() for _ in range(4)]
    for client in busy:
        client.send(PING.replace(b"/ping", b"/hold"))
        await server.held.get()
    late = await server.connect()
    status, headers, _ = await late.ask(PING)
    assert (status, headers[b"retry-after"]) == (503, b"1")
    assert await late.rest() == b""
    silent = await server.connect()
    crowd = [await server.connect() for _ in range(20)]
    endings = [await client.rest() for client in crowd[16:]]  # more than can be told
    assert endings == [b""] * 4
    server.wait(3)
    assert await silent.rest() == b""
    server.hold.set()
    assert [(await client.answer())[0] for client in busy] == [200] * 4
    assert (await (await server.connect()).ask(PING))[0] == 200


async def test_an_answer_before_the_end_of_the_request_is_read_and_the_rest_is_not_taken_for_a_request(
    server: Server,
) -> None:
    client = await server.connect()
    unread = POST.replace(b"/echo", b"/unread") + b"Content-Length: %d\r\n\r\n"
    smuggled = PING * 100
    assert (await client.ask(unread % len(smuggled)))[0] == 200
    client.send(smuggled)
    assert (await client.ask(PING))[0] == 200
    assert len(server.seen) == 2
    assert (await client.ask(unread % 5 + b"ab"))[0] == 200
    server.wait(LIMITS.body_seconds + 1)
    assert await client.rest() == b""


async def test_a_failing_app_is_status_500_without_a_word_of_why(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    client = await server.connect()
    status, headers, body = await client.ask(b"GET /fail HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (status, headers[b"connection"], body) == (500, b"close", b"Internal Server Error")
    assert "1234" in caplog.text
    client = await server.connect()
    client.send(POST.replace(b"/echo", b"/late") + b"Content-Length: 3\r\n\r\nabc")
    assert (await client.rest()).endswith(b"\r\n\r\na")  # one byte of three: the client knows that it is not whole


async def test_a_header_that_would_end_its_line_is_not_written(server: Server) -> None:
    client = await server.connect()
    status, headers, _ = await client.ask(b"GET /split HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (status, b"set-cookie" in headers, b"x" in headers) == (500, False, False)


async def test_no_more_of_a_body_is_kept_than_somebody_reads(server: Server) -> None:
    client = await server.connect()
    body = b"x" * 5_000_000
    client.send(POST.replace(b"/echo", b"/wait") + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    await until(lambda: bool(server.seen))
    (connection,) = server.state.connections
    await until(lambda: not connection._transport.is_reading())
    assert len(connection._exchanges[0]._body) < 1_000_000
    server.hold.set()
    assert (await client.answer())[2] == body


async def test_while_requests_wait_for_their_turn_no_more_are_read(server: Server) -> None:
    client = await server.connect()
    client.send(PING.replace(b"/ping", b"/hold"))
    await server.held.get()
    client.send(PING)
    (connection,) = server.state.connections
    await until(lambda: not connection._transport.is_reading())
    client.send(PING * 1000)
    await server.read_by_now()
    assert len(connection._exchanges) == 2
    server.hold.set()
    assert [(await client.answer())[0] for _ in range(2)] == [200, 200]


async def test_an_http_1_0_connection_ends_with_its_answer(server: Server) -> None:
    client = await server.connect()
    client.send(b"GET /ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"connection: close" in await client.rest()


async def test_a_client_that_goes_away_is_noticed(server: Server) -> None:
    client = await server.connect()
    client.send(POST + b"Content-Length: 10\r\n\r\nabc")
    await server.read_by_now()
    await client.close()
    await until(lambda: not server.state.connections and not server.state.tasks)
    assert (server.broken_off, server.bodies) == (1, [b""])


async def test_a_server_that_stops_lets_answers_end(server: Server) -> None:
    idle, working = await server.connect(), await server.connect()
    await idle.ask(PING)
    working.send(PING.replace(b"/ping", b"/hold"))
    await server.held.get()
    for connection in list(server.state.connections):
        connection.shutdown()
    assert await idle.rest() == b""
    server.hold.set()
    assert (await working.answer())[1][b"connection"] == b"close"
    assert await working.rest() == b""
    assert server.state.connections == set()


@pytest.mark.parametrize(
    ("content", "more", "is_ended"),
    [
        (b"text/event-stream; charset=utf-8", {}, True),
        (b"text/event-stream", {ENDLESS: False}, False),
        (b"text/plain", {ENDLESS: True}, True),
        (b"text/plain", {}, False),
    ],
)
async def test_a_server_that_stops_ends_answers_without_an_end_and_no_others(
    server: Server, content: bytes, more: dict[str, Any], is_ended: bool
) -> None:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Content-Type", content)], **more})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        ways = {asyncio.ensure_future(receive()): b" gone", asyncio.ensure_future(server.hold.wait()): b" held"}
        done, left = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        await send({"type": "http.response.body", "body": b"".join(ways[one] for one in done)})
        for one in left:
            one.cancel()

    server.loaded_app = app
    client = await server.connect()
    client.send(PING)
    await client.reader.readuntil(b"begun")
    for connection in list(server.state.connections):
        connection.shutdown()
    if not is_ended:
        server.hold.set()
    rest = await client.rest()
    assert (b" gone" in rest, b" held" in rest) == (is_ended, not is_ended)
