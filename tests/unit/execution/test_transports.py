"""What is particular to one transport; what all share is in tests/contract."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from graphrouter.transport import RequestTrace, SubgraphRequest, SubgraphUnreachable
from graphrouter.transport.http import HttpTransport
from graphrouter.transport.inprocess import InProcessTransport
from graphrouter.transport.recorded import RecordedTransport, RecordingTransport
from infra.patience import seconds
from tests.support.tiny_subgraph import users_subgraph


async def _answer(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"answer"})


@pytest.mark.parametrize("refusal", ["raises", "returns"])
async def test_an_app_that_refuses_the_lifespan_is_served_without(refusal: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            if refusal == "raises":
                raise AssertionError("only HTTP")
            return
        await _answer(send)

    transport = InProcessTransport(app)
    assert (await transport.send(SubgraphRequest(b""))).body == b"answer"
    await transport.aclose()


async def test_an_app_that_fails_to_start_is_unreachable_and_its_message_stays_inside() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "the password is 1234"})

    transport = InProcessTransport(app)
    with pytest.raises(SubgraphUnreachable, match="failed to start"):
        await transport.start()


@pytest.mark.parametrize(
    "messages",
    [
        [{"type": "http.response.body", "body": b"answer"}],
        [{"type": "http.response.start", "status": 200}, {"type": "http.response.trailers", "headers": []}],
    ],
)
async def test_an_app_that_breaks_the_protocol_has_not_answered(messages: list[dict[str, object]]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    transport = InProcessTransport(app)
    with pytest.raises(SubgraphUnreachable):
        await transport.send(SubgraphRequest(b""))
    await transport.aclose()


async def test_repeated_headers_of_an_app_are_one() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"x-one", b"a"), (b"X-One", b"b")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"answer"})

    transport = InProcessTransport(app)
    assert (await transport.send(SubgraphRequest(b""))).headers == {"x-one": "a, b"}
    await transport.aclose()


async def test_work_after_the_answer_goes_on_and_holds_nobody_up() -> None:
    go_on, done = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await _answer(send)
        await go_on.wait()
        done.set()

    transport = InProcessTransport(app)
    assert (await transport.send(SubgraphRequest(b""))).status == 200
    go_on.set()
    await asyncio.wait_for(done.wait(), seconds(5))
    await transport.aclose()


class Dropping:
    """A server that closes each connection when its first request has been answered and another one comes."""

    def __init__(self) -> None:
        self.requests = 0
        self.connections = 0
        self.serving: set[asyncio.Task[None] | None] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.serving.add(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError):
            await self._answer(reader, writer)
        writer.close()
        await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(2):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(length)
            self.requests += 1
            if number == 0:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nanswer")
                await writer.drain()


@pytest.fixture
async def dropping() -> AsyncGenerator[tuple[Dropping, HttpTransport]]:
    server = Dropping()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    transport = HttpTransport(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/graphql")
    yield server, transport
    await transport.aclose()
    listening.close()
    await asyncio.gather(*filter(None, server.serving))


async def test_a_query_is_sent_again_where_a_kept_connection_broke(dropping: tuple[Dropping, HttpTransport]) -> None:
    server, transport = dropping
    trace = RequestTrace()
    for _ in range(2):
        assert (await transport.send(SubgraphRequest(b"{}", repeatable=True, trace=trace))).body == b"answer"
    assert (server.requests, server.connections, trace.retries) == (3, 2, 1)


async def test_a_mutation_is_never_sent_again(dropping: tuple[Dropping, HttpTransport]) -> None:
    server, transport = dropping
    await transport.send(SubgraphRequest(b"{}"))
    with pytest.raises(SubgraphUnreachable):
        await transport.send(SubgraphRequest(b"{}"))
    assert (server.requests, server.connections) == (2, 1)


@pytest.mark.parametrize("url", ["localhost:4000", "ftp://x", ""])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="http://"):
        HttpTransport(url)


async def test_a_name_that_does_not_resolve_is_not_told() -> None:
    transport = HttpTransport("http://nowhere.invalid/graphql")
    with pytest.raises(SubgraphUnreachable) as failure:
        await transport.send(SubgraphRequest(b"{}"))
    assert "nowhere" not in str(failure.value)
    await transport.aclose()


async def test_what_was_recorded_is_answered_from_the_file(tmp_path: Path) -> None:
    recording = RecordingTransport(InProcessTransport(users_subgraph()))
    request = SubgraphRequest(b'{"query":"{me{name}}"}')
    heard = await recording.send(request)
    await recording.aclose()
    recording.save(tmp_path / "users.json")
    replayed = RecordedTransport.load(tmp_path / "users.json")
    assert (await replayed.send(request)).body == heard.body
    with pytest.raises(SubgraphUnreachable, match="no answer was recorded"):
        await replayed.send(SubgraphRequest(b"{}"))
