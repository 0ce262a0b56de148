"""The contract of SubgraphTransport, over every adapter."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import uvicorn

from graphrouter.transport import (
    StreamingTransport,
    SubgraphRequest,
    SubgraphResponseTooLarge,
    SubgraphTimedOut,
    SubgraphTransport,
    SubgraphUnreachable,
)
from graphrouter.transport.http import HttpTransport
from graphrouter.transport.inprocess import InProcessTransport
from infra.patience import seconds

LIMIT = 10_000


class Server:
    """An ASGI app that does what the request's body names, and notes what happens to it."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.lifespan: list[str] = []
        self.let_go = asyncio.Event()
        self.entered = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for event in ("startup", "shutdown"):
                assert (await receive())["type"] == f"lifespan.{event}"
                self.lifespan.append(event)
                scope["state"]["secret"] = "from the start"
                await send({"type": f"lifespan.{event}.complete"})
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.requests.append((scope["method"], scope["path"], headers, body))
        self.entered.set()
        await getattr(self, f"_{body.decode() or 'plain'}")(scope, receive, send)

    async def _answer(self, send: Any, status: int, *chunks: bytes, headers: dict[str, str] | None = None) -> None:
        raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _plain(self, scope: Any, receive: Any, send: Any) -> None:
        await self._answer(send, 200, b'{"data"', b":{}}", headers={"Bookmark": "xyz"})

    async def _state(self, scope: Any, receive: Any, send: Any) -> None:
        await self._answer(send, 200, scope["state"]["secret"].encode())

    async def _failure(self, scope: Any, receive: Any, send: Any) -> None:
        await self._answer(send, 503, b"<html>", headers={"content-type": "text/html"})

    async def _redirect(self, scope: Any, receive: Any, send: Any) -> None:
        await self._answer(send, 307, headers={"location": "/elsewhere"})

    async def _large(self, scope: Any, receive: Any, send: Any) -> None:
        await self._answer(send, 200, *[b"x" * 1000] * 11)

    async def _just_fits(self, scope: Any, receive: Any, send: Any) -> None:
        await self._answer(send, 200, *[b"x" * 1000] * 10)

    async def _announced_large(self, scope: Any, receive: Any, send: Any) -> None:
        await self._answer(send, 200, b"x" * 20_000, headers={"content-length": "20000"})

    async def _slow(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.wait(
                [asyncio.ensure_future(self.let_go.wait()), asyncio.ensure_future(_disconnected(receive))],
                return_when=asyncio.FIRST_COMPLETED,
            )
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if not self.let_go.is_set():
            self.cancelled.set()
        await self._answer(send, 200, b"late")

    async def _stream(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await self.let_go.wait()
        await send({"type": "http.response.body", "body": b"second", "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _stream_then_crash(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        raise RuntimeError("the password is 1234")

    async def _until_gone(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        try:
            await _disconnected(receive)
        finally:
            self.cancelled.set()

    async def _crash(self, scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("the password is 1234")

    async def _half(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("broken off")


async def _disconnected(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture(params=["in-process", "http"])
async def transport(request: pytest.FixtureRequest, server: Server) -> AsyncGenerator[SubgraphTransport]:
    if request.param == "in-process":
        inprocess = InProcessTransport(server, max_response_bytes=LIMIT)
        yield inprocess
        await inprocess.aclose()
        return
    listener = socket.create_server(("127.0.0.1", 0))
    uvicorn_server = uvicorn.Server(uvicorn.Config(server, log_config=None, access_log=False))
    serving = asyncio.create_task(uvicorn_server.serve(sockets=[listener]))
    over_http = HttpTransport(f"http://127.0.0.1:{listener.getsockname()[1]}/graphql", max_response_bytes=LIMIT)
    yield over_http
    await over_http.aclose()
    uvicorn_server.should_exit = True
    await serving


def asked(what: str, **options: Any) -> SubgraphRequest:
    return SubgraphRequest(what.encode(), **options)


async def test_an_answer_comes_whole_with_status_and_headers(transport: SubgraphTransport) -> None:
    response = await transport.send(asked("plain"))
    assert (response.status, response.body, response.headers.get("bookmark")) == (200, b'{"data":{}}', "xyz")


async def test_a_request_carries_its_body_its_headers_and_the_media_types(
    transport: SubgraphTransport, server: Server
) -> None:
    await transport.send(asked("plain", headers=(("authorization", "Bearer x"), ("as-of", "1"))))
    method, path, headers, body = server.requests[0]
    assert (method, path, body) == ("POST", "/graphql", b"plain")
    assert (headers["authorization"], headers["as-of"]) == ("Bearer x", "1")
    assert headers["content-type"] == "application/json"
    assert headers["accept"].startswith("application/graphql-response+json")


async def test_any_status_and_any_bytes_are_an_answer(transport: SubgraphTransport) -> None:
    response = await transport.send(asked("failure"))
    assert (response.status, response.body) == (503, b"<html>")


async def test_a_redirect_is_given_back_and_not_followed(transport: SubgraphTransport, server: Server) -> None:
    response = await transport.send(asked("redirect"))
    assert response.status == 307
    assert len(server.requests) == 1


async def test_a_health_path_is_asked_by_get(transport: SubgraphTransport, server: Server) -> None:
    response = await transport.send(SubgraphRequest(b"", get="/health/ready"))
    assert response.status == 200
    assert server.requests[0][:2] == ("GET", "/health/ready")


async def test_reading_stops_at_the_limit(transport: SubgraphTransport) -> None:
    for kind in ("large", "announced_large"):
        with pytest.raises(SubgraphResponseTooLarge, match="10000 bytes"):
            await transport.send(asked(kind))
    assert len((await transport.send(asked("just_fits"))).body) == LIMIT


async def test_the_deadline_ends_a_slow_request(transport: SubgraphTransport, server: Server) -> None:
    deadline = asyncio.get_running_loop().time() + 0.05
    with pytest.raises(SubgraphTimedOut):
        await transport.send(asked("slow", deadline=deadline))
    await asyncio.wait_for(server.cancelled.wait(), seconds(5))


async def test_cancelling_the_caller_cancels_the_request(transport: SubgraphTransport, server: Server) -> None:
    sending = asyncio.create_task(transport.send(asked("slow")))
    await server.entered.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await asyncio.wait_for(server.cancelled.wait(), seconds(5))


async def test_requests_run_at_the_same_time(transport: SubgraphTransport, server: Server) -> None:
    slow = asyncio.create_task(transport.send(asked("slow")))
    await server.entered.wait()
    assert (await transport.send(asked("plain"))).status == 200
    server.let_go.set()
    assert (await slow).body == b"late"


async def test_a_crash_tells_nothing_of_the_inside(transport: SubgraphTransport) -> None:
    try:
        told = (await transport.send(asked("crash"))).body.decode()
    except SubgraphUnreachable as error:
        told = str(error)
    assert told
    assert "1234" not in told


async def test_an_answer_that_breaks_off_is_no_answer(transport: SubgraphTransport, server: Server) -> None:
    with pytest.raises(SubgraphUnreachable):
        await transport.send(asked("half", repeatable=True))
    assert len(server.requests) == 1


async def test_the_apps_lifespan_runs_once_and_its_state_reaches_requests(
    transport: SubgraphTransport, server: Server
) -> None:
    await transport.start()
    await transport.start()
    answers = await asyncio.gather(*(transport.send(asked("state")) for _ in range(5)))
    assert {answer.body for answer in answers} == {b"from the start"}
    assert server.lifespan == ["startup"]


async def test_a_closed_transport_reaches_nothing(transport: SubgraphTransport) -> None:
    await transport.send(asked("plain"))
    await transport.aclose()
    await transport.aclose()
    with pytest.raises(SubgraphUnreachable):
        await transport.send(asked("plain"))


def test_headers_that_a_request_cannot_have_are_refused() -> None:
    for headers in ({"Host": "a"}, {"a b": "c"}, {"": "c"}, {"a": "c\r\nd: e"}, {"a": " c"}, {"a": "\u2026"}):
        with pytest.raises(ValueError, match="expected"):
            HttpTransport("http://127.0.0.1/", headers=headers)


# Streams


@pytest.fixture
def streaming(transport: SubgraphTransport) -> StreamingTransport:
    assert isinstance(transport, StreamingTransport)
    return transport


async def test_a_stream_is_read_as_it_comes(streaming: StreamingTransport, server: Server) -> None:
    async with streaming.stream(asked("stream")) as stream:
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream")
        assert await anext(stream.chunks) == b"first"
        server.let_go.set()
        assert [chunk async for chunk in stream.chunks] == [b"second"]
    assert server.requests[0][2]["accept"] == "text/event-stream"


async def test_any_other_answer_is_a_stream_too(streaming: StreamingTransport) -> None:
    async with streaming.stream(asked("failure")) as stream:
        assert (stream.status, stream.headers["content-type"]) == (503, "text/html")
        assert b"".join([chunk async for chunk in stream.chunks]) == b"<html>"


@pytest.mark.parametrize("what", ["stream_then_crash", "half"])
async def test_a_stream_that_breaks_off_says_so(streaming: StreamingTransport, what: str) -> None:
    async with streaming.stream(asked(what)) as stream:
        assert await anext(stream.chunks) in {b"first", b"half"}
        with pytest.raises(SubgraphUnreachable) as caught:
            await anext(stream.chunks)
    assert "1234" not in str(caught.value)


async def test_a_stream_that_never_begins_is_none(streaming: StreamingTransport) -> None:
    with pytest.raises(SubgraphTimedOut):
        async with streaming.stream(asked("slow", deadline=asyncio.get_running_loop().time())):
            pass


async def test_whoever_leaves_a_stream_is_gone_for_the_server(streaming: StreamingTransport, server: Server) -> None:
    async with streaming.stream(asked("until_gone")) as stream:
        assert await anext(stream.chunks) == b"first"
    await asyncio.wait_for(server.cancelled.wait(), seconds(10))


async def test_a_closed_transport_has_no_streams(transport: SubgraphTransport, streaming: StreamingTransport) -> None:
    await transport.aclose()
    with pytest.raises(SubgraphUnreachable):
        async with streaming.stream(asked("stream")):
            pass
