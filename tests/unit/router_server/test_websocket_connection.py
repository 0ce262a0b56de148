"""WebSocket as clients and strangers speak it, frame by frame, against the server's connections."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import struct
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from graphrouter.http.connection import HttpServer
from graphrouter.http.connections import ConnectionLimits
from infra.patience import seconds

KEY = base64.b64encode(b"0123456789abcdef")
HEAD = (
    b"GET /chat?a=b HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Key: %b\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: one, two\r\nX-Own: 1\r\n" % KEY
)
HANDSHAKE = HEAD + b"\r\n"
LIMITS = ConnectionLimits(connections=4, message_bytes=1_000)
TEXT, BINARY, CONTINUED, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


@dataclass
class State:
    """What uvicorn's server gives its protocols."""

    total_requests: int = 0
    connections: set[Any] = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    default_headers: list[tuple[bytes, bytes]] = field(default_factory=list)


class Server:
    """An app that echoes messages, at a port, with what it has seen."""

    root_path = ""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.http = HttpServer(limits)
        self.state = State()
        self.seen: list[dict[str, Any]] = []
        self.got: list[dict[str, Any]] = []
        self.accepts = True
        self.reads = asyncio.Event()
        self.reads.set()
        self.port = 0
        self.clients: list[Client] = []

    async def loaded_app(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append(scope)
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})
            return
        assert (await receive())["type"] == "websocket.connect"
        if scope["path"] == "/fail":
            raise RuntimeError("the password is 1234")
        if not self.accepts:
            await send({"type": "websocket.close"})
            return
        await send({"type": "websocket.accept", "subprotocol": "two"})
        while True:
            await self.reads.wait()
            message = await receive()
            self.got.append(message)
            match message:
                case {"type": "websocket.disconnect", "code": 1012}:
                    await send({"type": "websocket.send", "text": "bye"})
                    await send({"type": "websocket.close", "code": 1012, "reason": "later"})
                    return
                case {"type": "websocket.disconnect"}:
                    return
                case {"text": "end"}:
                    await send({"type": "websocket.close", "code": 4400, "reason": "as you like"})
                case {"text": "fail"}:
                    raise RuntimeError("the password is 1234")
                case {"text": "much"}:
                    for _ in range(100):
                        await send({"type": "websocket.send", "text": "x" * 1_000_000})
                case {"text": text}:
                    await send({"type": "websocket.send", "text": text})
                case _:
                    await send({"type": "websocket.send", "text": str(len(message["bytes"]))})

    async def connect(self) -> Client:
        self.clients.append(Client(*await asyncio.open_connection("127.0.0.1", self.port)))
        return self.clients[-1]

    async def opened(self) -> Client:
        client = await self.connect()
        client.writer.write(HANDSHAKE)
        assert (await client.head()).startswith(b"HTTP/1.1 101 ")
        return client

    def wait(self, passed: float) -> None:
        """Time passes, for the connections alone."""
        self.http.connections.expire(asyncio.get_running_loop().time() + passed)


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def head(self) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), seconds(10))

    def frame(self, opcode: int, data: bytes = b"", *, fin: bool = True, masked: bool = True, bits: int = 0) -> None:
        """https://www.rfc-editor.org/rfc/rfc6455#section-5.2"""
        first = (0x80 if fin else 0) | bits | opcode
        length = struct.pack("!B", len(data)) if len(data) < 126 else struct.pack("!BH", 126, len(data))
        length = bytes([length[0] | (0x80 if masked else 0)]) + length[1:]
        mask = b"abcd" if masked else b"\0\0\0\0"
        hidden = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
        self.writer.write(bytes([first]) + length + (mask if masked else b"") + hidden)

    async def read(self) -> tuple[int, bytes]:
        async with asyncio.timeout(seconds(10)):
            first, length = await self.reader.readexactly(2)
            assert first & 0x80, "a whole message"
            assert not length & 0x80, "a server masks nothing"
            if length == 126:
                (length,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return first & 0xF, await self.reader.readexactly(length)

    async def closed(self) -> int:
        """The code of the server's close frame; then the server has ended the connection."""
        while (frame := await self.read())[0] != CLOSE:
            pass
        (code,) = struct.unpack("!H", frame[1][:2])
        self.writer.close()
        return int(code)

    async def rest(self) -> bytes:
        try:
            return await asyncio.wait_for(self.reader.read(), seconds(10))
        except ConnectionResetError:
            return b""


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
        server.reads.set()
        for client in server.clients:
            client.writer.transport.abort()
        await until(lambda: not server.state.connections and not server.state.tasks)
        listening.close()
        await listening.wait_closed()


@pytest.fixture
async def server() -> AsyncGenerator[Server]:
    async with serving() as server:
        yield server


async def test_a_handshake_is_answered_and_messages_go_both_ways(server: Server) -> None:
    client = await server.connect()
    client.writer.write(HANDSHAKE)
    head = (await client.head()).lower()
    accepted = base64.b64encode(hashlib.sha1(KEY + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())  # noqa: S324
    assert head.startswith(b"http/1.1 101 ")
    assert b"sec-websocket-accept: " + accepted.lower() in head
    assert b"sec-websocket-protocol: two\r\n" in head
    assert b"sec-websocket-extensions" not in head
    for size in (0, 5, 500):
        client.frame(TEXT, b"x" * size)
        assert await client.read() == (TEXT, b"x" * size)
    client.frame(BINARY, b"abc")
    assert await client.read() == (TEXT, b"3")
    (scope,) = server.seen
    assert (scope["type"], scope["scheme"], scope["path"], scope["query_string"]) == (
        "websocket",
        "ws",
        "/chat",
        b"a=b",
    )
    assert (scope["subprotocols"], "method" in scope) == (["one", "two"], False)
    assert (b"x-own", b"1") in scope["headers"]


async def test_a_request_before_it_on_the_connection_is_answered_first(server: Server) -> None:
    client = await server.connect()
    client.writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await client.head()).startswith(b"HTTP/1.1 200 ")
    client.writer.write(HANDSHAKE)
    assert (await client.head()).startswith(b"HTTP/1.1 101 ")


async def test_what_comes_with_the_handshake_and_byte_by_byte_is_read(server: Server) -> None:
    client = await server.connect()
    client.writer.write(HANDSHAKE[:-2])
    sent = Client(client.reader, writer := _Collected())  # type: ignore[arg-type]
    sent.frame(TEXT, b"early")
    client.writer.write(b"\r\n" + writer.written)
    await client.head()
    assert await client.read() == (TEXT, b"early")
    for byte in writer.written:
        client.writer.write(bytes([byte]))
        await client.writer.drain()
        await asyncio.sleep(0)
    assert await client.read() == (TEXT, b"early")


class _Collected:
    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data


async def test_a_message_may_come_in_pieces_with_pings_between_them(server: Server) -> None:
    client = await server.opened()
    client.frame(TEXT, "ä".encode()[:1], fin=False)
    client.frame(PING, b"there?")
    client.frame(CONTINUED, b"", fin=False)
    client.frame(CONTINUED, "ä".encode()[1:])
    assert await client.read() == (PONG, b"there?")
    assert await client.read() == (TEXT, "ä".encode())


@pytest.mark.parametrize(
    "head",
    [
        HEAD.replace(b": 13", b": 8"),
        HEAD.replace(b"Sec-WebSocket-Version: 13\r\n", b""),
        HEAD.replace(KEY, b"abc"),
        HEAD.replace(KEY, b"\xff" * 24),
        HEAD + b"Sec-WebSocket-Key: " + KEY + b"\r\n",
        HEAD + b"Upgrade: h2c\r\n",
    ],
)
async def test_a_handshake_that_is_none_is_refused_without_an_echo(server: Server, head: bytes) -> None:
    client = await server.connect()
    client.writer.write(head + b"\r\n")
    answer = await client.rest()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"abc" not in answer
    assert server.seen == []


@pytest.mark.parametrize(
    "more", [b"Sec-WebSocket-Extensions: x\r\n" * 150, b"Sec-WebSocket-Extensions: %b\r\n" % (b"x" * 9_000)]
)
async def test_a_handshake_of_more_headers_than_are_read_is_refused(server: Server, more: bytes) -> None:
    client = await server.connect()
    client.writer.write(HEAD + more + b"\r\n")
    assert (await client.rest()).startswith(b"HTTP/1.1 431 ")
    assert server.seen == []


async def test_an_app_that_does_not_accept_is_http_403_and_one_that_fails_500(server: Server) -> None:
    server.accepts = False
    client = await server.connect()
    client.writer.write(HANDSHAKE)
    assert (await client.rest()).startswith(b"HTTP/1.1 403 ")
    client = await server.connect()
    client.writer.write(HANDSHAKE.replace(b"/chat", b"/fail"))
    answer = await client.rest()
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"1234" not in answer


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (lambda client: client.frame(TEXT, b"x", masked=False), 1002),
        (lambda client: client.frame(TEXT, b"x", bits=0x40), 1002),
        (lambda client: client.frame(3, b"x"), 1002),
        (lambda client: client.frame(CONTINUED, b"x"), 1002),
        (lambda client: client.frame(PING, b"x", fin=False), 1002),
        (lambda client: client.frame(PING, b"x" * 126), 1002),
        (lambda client: client.frame(CLOSE, b"x"), 1002),
        (lambda client: client.frame(TEXT, b"\xff"), 1007),
        (lambda client: client.frame(TEXT, b"x" * 1_001), 1009),
        (lambda client: [client.frame(TEXT if not at else CONTINUED, b"x" * 300, fin=False) for at in range(5)], 1009),
        (lambda client: client.frame(TEXT, b"end"), 4400),
        (lambda client: client.frame(TEXT, b"fail"), 1011),
    ],
)
async def test_what_breaks_the_rules_or_a_limit_is_closed_with_its_code(
    server: Server, bad: Callable[[Client], object], code: int
) -> None:
    client = await server.opened()
    bad(client)
    assert await client.closed() == code
    await until(lambda: not server.state.connections)


async def test_a_message_of_the_most_bytes_is_taken(server: Server) -> None:
    client = await server.opened()
    client.frame(TEXT, b"x" * 600, fin=False)
    client.frame(CONTINUED, b"x" * 400)
    assert len((await client.read())[1]) == 1_000


@pytest.mark.parametrize(("data", "code"), [(struct.pack("!H", 1001) + b"tab closed", 1001), (b"", 1005)])
async def test_a_client_that_closes_is_answered_and_the_app_told(server: Server, data: bytes, code: int) -> None:
    client = await server.opened()
    client.frame(CLOSE, data)
    assert await client.read() == (CLOSE, data)
    assert await client.rest() == b""
    client.writer.close()
    await until(lambda: bool(server.got))
    assert [message["code"] for message in server.got] == [code]


@pytest.mark.parametrize("how", ["eof", "reset"])
async def test_a_client_that_is_lost_is_told_as_1006(server: Server, how: str) -> None:
    client = await server.opened()
    if how == "eof":
        client.writer.write_eof()
    else:
        client.writer.transport.abort()
    await until(lambda: bool(server.got))
    assert server.got[0]["code"] == 1006
    client.writer.close()
    await until(lambda: not server.state.connections)


# Limits


async def test_a_client_that_is_silent_is_asked_and_then_given_up(server: Server) -> None:
    client = await server.opened()
    server.wait(76)
    assert await client.read() == (PING, b"")
    client.frame(PONG)
    client.frame(TEXT, b"there")
    assert await client.read() == (TEXT, b"there")
    server.wait(76)
    assert await client.read() == (PING, b"")
    server.wait(200)
    assert await client.rest() == b""


async def test_a_client_that_does_not_read_ends_and_costs_what_the_socket_holds(server: Server) -> None:
    client = await server.opened()
    client.reader._transport.pause_reading()  # type: ignore[attr-defined]
    client.frame(TEXT, b"much")
    (connection,) = server.state.connections
    await until(lambda: not connection._writable.is_set())
    for _ in range(200):
        client.frame(PING, b"x" * 125)
    for _ in range(1_000):
        await asyncio.sleep(0)
    assert connection._transport.get_write_buffer_size() < 2_000_000
    assert not connection._transport.is_reading()
    server.wait(31)
    await until(lambda: not server.state.connections)
    await until(lambda: not server.state.tasks)


async def test_what_a_client_sends_gives_it_no_more_time_to_read(server: Server) -> None:
    client = await server.opened()
    client.reader._transport.pause_reading()  # type: ignore[attr-defined]
    client.frame(TEXT, b"much")
    (connection,) = server.state.connections
    await until(lambda: not connection._writable.is_set())
    connection.data_received(b"\x89\x80abcd")  # a ping that was on its way
    server.wait(31)
    await until(lambda: not server.state.connections)


async def test_messages_that_the_app_does_not_take_stay_in_the_socket(server: Server) -> None:
    client = await server.opened()
    server.reads.clear()
    client.frame(TEXT, b"first")
    for _ in range(1_000):
        client.frame(TEXT, b"x" * 1_000)
    (connection,) = server.state.connections
    await until(lambda: not connection._transport.is_reading())
    assert len(connection._waiting) <= 16 + 270  # the loop's one read of 256 KiB
    server.reads.set()
    assert await client.read() == (TEXT, b"first")
    for _ in range(1_000):
        assert await client.read() == (TEXT, b"x" * 1_000)


async def test_it_keeps_its_place_among_the_connections(server: Server) -> None:
    clients = [await server.opened() for _ in range(4)]
    fifth = await server.connect()
    fifth.writer.write(HANDSHAKE)
    assert (await fifth.rest()).startswith(b"HTTP/1.1 503 ")
    fifth.writer.close()  # the server waits for it: a reset would take the answer away
    clients[0].frame(CLOSE)
    await clients[0].rest()
    clients[0].writer.close()
    await until(lambda: len(server.state.connections) <= 3)
    await server.opened()


async def test_a_server_that_stops_lets_the_app_say_its_last_word(server: Server) -> None:
    client = await server.opened()
    for connection in list(server.state.connections):
        connection.shutdown()
    assert await client.read() == (TEXT, b"bye")
    assert await client.read() == (CLOSE, struct.pack("!H", 1012) + b"later")
    client.frame(CLOSE, struct.pack("!H", 1012))
    assert await client.rest() == b""
    client.writer.close()
    await until(lambda: not server.state.connections and not server.state.tasks)
    assert server.state.total_requests == 1


async def test_a_client_that_does_not_answer_the_close_is_ended(server: Server) -> None:
    client = await server.opened()
    client.frame(TEXT, b"end")
    assert await client.read() == (CLOSE, struct.pack("!H", 4400) + b"as you like")
    server.wait(3)
    assert await client.rest() == b""
    await until(lambda: not server.state.connections)


async def test_what_a_client_sends_after_the_close_is_dropped(server: Server) -> None:
    client = await server.opened()
    client.frame(TEXT, b"end")
    assert await client.read() == (CLOSE, struct.pack("!H", 4400) + b"as you like")
    client.frame(TEXT, b"late")
    client.frame(CLOSE, struct.pack("!H", 4400))
    assert await client.rest() == b""
    await until(lambda: server.got[-1]["type"] == "websocket.disconnect")
    assert [message.get("text") for message in server.got] == ["end", None]
