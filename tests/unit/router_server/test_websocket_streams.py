"""Subscriptions of a subgraph over WebSocket, against a server that says what it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from graphrouter.transport import (
    StreamingTransport,
    SubgraphRequest,
    SubgraphResponseTooLarge,
    SubgraphTimedOut,
    SubgraphUnreachable,
)
from graphrouter.transport.websocket import WebSocketStreams
from infra.patience import seconds

BODY = b'{"query":"subscription { n }"}'
NEXT = {"id": "1", "type": "next", "payload": {"data": {"n": 12345678901234567890}, "extensions": {"bookmark": "b1"}}}
COMPLETE = {"id": "1", "type": "complete"}


class Scripted:
    """Sends `script` once it is asked: messages, a text, the code to close with, or None to wait for ever."""

    def __init__(self, *script: Any, acknowledges: bool = True) -> None:
        self.script = script
        self.acknowledges = acknowledges
        self.got: list[dict[str, Any]] = []
        self.headers: dict[str, str] = {}
        self.subprotocol: str | None = None
        self.gone = asyncio.Event()

    async def __call__(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.headers = {name.lower(): value for name, value in connection.request.headers.raw_items()}
        self.subprotocol = connection.subprotocol
        try:
            self.got.append(json.loads(await connection.recv()))
            if self.acknowledges:
                await connection.send('{"type":"ping"}')
                await connection.send('{"type":"connection_ack"}')
                self.got.append(json.loads(await connection.recv()))
            for step in self.script:
                if step is None:
                    await connection.wait_closed()
                elif isinstance(step, int):
                    await connection.close(step)
                else:
                    await connection.send(step if isinstance(step, str) else json.dumps(step))
            self.got.extend([json.loads(text) async for text in connection])
        except ConnectionClosed:
            pass
        finally:
            self.gone.set()


@asynccontextmanager
async def streams_of(server: Any, **options: Any) -> AsyncGenerator[WebSocketStreams]:
    protocols = [] if options.pop("another", False) else ["graphql-transport-ws"]
    serving: Server
    async with serve(server, "127.0.0.1", 0, subprotocols=protocols or None, **options) as serving:  # type: ignore[arg-type]
        port = next(iter(serving.sockets)).getsockname()[1]
        streams = WebSocketStreams(f"ws://127.0.0.1:{port}/graphql", headers={"X-Key": "own"}, max_response_bytes=1_000)
        try:
            yield streams
        finally:
            await streams.aclose()


async def read(streams: StreamingTransport, *headers: tuple[str, str]) -> tuple[int, str, bytes]:
    deadline = asyncio.get_running_loop().time() + seconds(30)
    async with streams.stream(SubgraphRequest(BODY, headers, deadline)) as stream:
        return stream.status, stream.headers["content-type"], b"".join([chunk async for chunk in stream.chunks])


async def test_what_is_asked_and_what_comes() -> None:
    ping = {"type": "ping", "payload": {"id": "1", "bookmark": "b2"}}
    server = Scripted(NEXT, ping, {"type": "ping"}, {"type": "pong"}, COMPLETE)
    async with streams_of(server) as streams:
        found = await read(streams, ("authorization", "Bearer t"), ("X-Key", "client's"), ("bookmark", "b0"))
        await asyncio.wait_for(server.gone.wait(), seconds(10))
    assert found == (
        200,
        "text/event-stream",
        b'event: next\nid: b1\ndata: {"data":{"n":12345678901234567890},"extensions":{"bookmark":"b1"}}\n\n'
        b":\nid: b2\n\n:\n\nevent: complete\ndata:\n\n",
    )
    sent = {"authorization": "Bearer t", "x-key": "own", "bookmark": "b0"}
    assert server.got[0] == {"type": "connection_init", "payload": sent}
    assert server.got[1] == {"id": "1", "type": "subscribe", "payload": json.loads(BODY)}
    assert server.headers.items() >= sent.items()
    assert "sec-websocket-extensions" not in server.headers
    assert server.subprotocol == "graphql-transport-ws"


async def test_a_ping_of_the_subgraph_is_answered() -> None:
    class Pinging(Scripted):
        async def __call__(self, connection: ServerConnection) -> None:
            await connection.recv()
            await connection.send('{"type":"connection_ack"}')
            await connection.recv()
            await connection.send('{"type":"ping"}')
            self.got.append(json.loads(await connection.recv()))
            await connection.send(json.dumps(COMPLETE))

    server = Pinging()
    async with streams_of(server) as streams:
        await asyncio.wait_for(read(streams), seconds(30))
    assert server.got == [{"type": "pong"}]


async def test_an_error_is_the_last_message() -> None:
    errors = [{"message": "no such user", "extensions": {"code": "INVALID_INPUT"}}]
    async with streams_of(Scripted(NEXT, {"id": "1", "type": "error", "payload": errors})) as streams:
        _, _, body = await read(streams)
    *_, last, complete, end = body.split(b"\n\n")
    assert (json.loads(last.split(b"data: ")[1]), complete, end) == ({"errors": errors}, b"event: complete\ndata:", b"")


@pytest.mark.parametrize("code", ["UNAVAILABLE", "OVERLOADED", "NOT_READY"])
async def test_an_error_that_passes_breaks_the_stream_off(code: str) -> None:
    error = {"id": "1", "type": "error", "payload": [{"message": "later", "extensions": {"code": code}}]}
    async with streams_of(Scripted(NEXT, error)) as streams:
        with pytest.raises(SubgraphUnreachable):
            await read(streams)


@pytest.mark.parametrize("end", [1000, 1001, 1012, "{", "[]"])
async def test_what_ends_without_complete_breaks_off(end: int | str) -> None:
    async with streams_of(Scripted(NEXT, end)) as streams:
        with pytest.raises(SubgraphUnreachable):
            await read(streams)


async def test_a_message_over_the_limit_is_told_apart_from_a_stream_that_breaks_off() -> None:
    async with streams_of(Scripted(NEXT, "x" * 1_001)) as streams:
        with pytest.raises(SubgraphResponseTooLarge, match="the subgraph's message is too large"):
            await read(streams)


async def test_a_server_that_dislikes_what_it_is_asked_is_not_asked_again() -> None:
    async with streams_of(Scripted(4400)) as streams:
        status, media_type, body = await read(streams)
    assert (status, media_type) == (200, "text/event-stream")
    assert b"4400" in body
    assert body.endswith(b"event: complete\ndata:\n\n")
    async with streams_of(Scripted(4403, acknowledges=False)) as streams:
        assert await read(streams) == (403, "text/plain", b"")


async def test_a_refused_handshake_is_an_answer_and_a_redirection_is_not_followed() -> None:
    for status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.FOUND):

        def refuse(connection: ServerConnection, _request: object, status: HTTPStatus = status) -> Any:
            response = connection.respond(status, "no\n")
            response.headers["Location"] = "/elsewhere"
            return response

        async with streams_of(Scripted(), process_request=refuse) as streams:
            assert await read(streams) == (status, "text/plain", b"no\n")


async def test_who_does_not_answer_or_is_not_there_is_told_apart() -> None:
    async with streams_of(Scripted(None, acknowledges=False)) as streams:
        with pytest.raises(SubgraphTimedOut):
            async with streams.stream(SubgraphRequest(BODY, (), asyncio.get_running_loop().time() + 0.01)):
                pass
    with pytest.raises(SubgraphUnreachable):
        await read(streams)  # closed
    with pytest.raises(SubgraphUnreachable):
        await read(WebSocketStreams("ws://127.0.0.1:1/graphql"))


async def test_whoever_leaves_a_stream_ends_its_connection() -> None:
    server = Scripted(NEXT)
    async with streams_of(server) as streams:
        async with streams.stream(SubgraphRequest(BODY)) as stream:
            assert (await anext(stream.chunks)).startswith(b"event: next")
        await asyncio.wait_for(server.gone.wait(), seconds(10))


async def test_one_who_does_not_read_costs_what_the_socket_holds() -> None:
    """The server's sends come to wait for the reader."""
    sent = 0

    class Endless(Scripted):
        async def __call__(self, connection: ServerConnection) -> None:
            nonlocal sent
            await connection.recv()
            await connection.send('{"type":"connection_ack"}')
            await connection.recv()
            text = json.dumps({"id": "1", "type": "next", "payload": {"data": "x" * 900}})
            try:
                while True:
                    await connection.send(text)
                    sent += 1
            except ConnectionClosed:
                self.gone.set()

    server = Endless()
    async with streams_of(server) as streams, streams.stream(SubgraphRequest(BODY)) as stream:
        await anext(stream.chunks)
        before = -1
        while sent != before:
            before = sent
            for _ in range(500):
                await asyncio.sleep(0)
        assert sent < 50_000


@pytest.mark.parametrize("url", ["http://a/graphql", "ws:///graphql", "a", "wss://"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="begins with ws:// or wss://"):
        WebSocketStreams(url)
