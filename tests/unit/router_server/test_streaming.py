"""Streams of answers over Server-Sent Events: what clients read, and what becomes of those who do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import httpx
import orjson
import pytest

from graphrouter import GraphQLAnswer, GraphQLRequest
from graphrouter.http.capacity import EndpointLimits
from graphrouter.http.endpoint import Executor, GraphQLEndpoint
from graphrouter.http.server_sent_events import EventTooLarge, ServerSentEvent, read_events
from graphrouter.http.streaming import StreamLimits
from graphrouter.request import AnswerPart, StreamInterrupted, StreamItem, StreamProgress, error_object
from graphrouter.transport import SubgraphRequest
from graphrouter.transport.inprocess import InProcessTransport
from infra.patience import seconds

EVENTS = "text/event-stream"
BOTH = "text/event-stream, application/json"


class Scripted:
    """An executor whose stream is what it is given; `interrupted` breaks it off."""

    def __init__(self, *items: StreamItem, interrupted: bool = False) -> None:
        self.items = items
        self.interrupted = interrupted
        self.requests: list[GraphQLRequest] = []
        self.given = 0

    async def answer(self, request: GraphQLRequest) -> GraphQLAnswer:
        return GraphQLAnswer({"plain": True}, [], {})

    async def stream(self, request: GraphQLRequest) -> AsyncGenerator[StreamItem, None]:
        self.requests.append(request)
        for item in self.items:
            self.given += 1
            yield item
        if self.interrupted:
            raise StreamInterrupted


def message(number: int) -> GraphQLAnswer:
    return GraphQLAnswer({"n": number}, [], {"bookmark": f"b{number}"})


def endpoint_of(executor: Executor, limits: StreamLimits | None = None, streams: int = 10) -> GraphQLEndpoint:
    return GraphQLEndpoint(
        lambda: executor, EndpointLimits(1_000, 10, streams=streams, stream=limits or StreamLimits())
    )


async def answered(executor: Executor, accept: str = EVENTS, **headers: str) -> tuple[int, str, bytes]:
    """Status, content type and all of the body."""
    sent = {name.replace("_", "-"): value for name, value in {"accept": accept, **headers}.items()}
    transport = httpx.ASGITransport(endpoint_of(executor))
    async with asyncio.timeout(seconds(10)), httpx.AsyncClient(transport=transport, base_url="http://r") as client:
        response = await client.post("/", json={"query": "{a}"}, headers=sent)
    return response.status_code, response.headers["content-type"].partition(";")[0], response.content


async def test_messages_and_signs_of_life_are_written_as_the_protocol_has_them() -> None:
    executor = Scripted(StreamProgress("b0"), message(1), StreamProgress(""), message(2))
    assert await answered(executor) == (
        200,
        EVENTS,
        b":\nid: b0\n\n"
        b'event: next\nid: b1\ndata: {"data":{"n":1},"extensions":{"bookmark":"b1"}}\n\n'
        b":\n\n"
        b'event: next\nid: b2\ndata: {"data":{"n":2},"extensions":{"bookmark":"b2"}}\n\n'
        b"event: complete\ndata:\n\n",
    )


async def test_a_stream_that_is_interrupted_ends_without_saying_that_it_is_complete() -> None:
    executor = Scripted(StreamProgress("b0"), message(1), interrupted=True)
    status, _, body = await answered(executor)
    assert (status, b"complete" in body, b'"n":1' in body) == (200, False, True)


async def test_a_stream_that_cannot_begin_is_refused_with_a_time_to_come_again() -> None:
    status, media_type, body = await answered(Scripted(interrupted=True))
    assert (status, media_type, b"UNAVAILABLE" in body) == (503, "application/graphql-response+json", True)


async def test_a_refusal_is_no_stream() -> None:
    refusal = GraphQLAnswer(None, [error_object("no", "INVALID_INPUT")], {}, refused=True)
    for accept in (EVENTS, BOTH):
        status, media_type, body = await answered((Scripted(refusal)), accept)
        assert (media_type.startswith("application/"), b'"INVALID_INPUT"' in body) == (True, True)
        assert status == (400 if accept == EVENTS else 200)


async def test_one_answer_is_a_stream_for_those_only_who_take_nothing_else() -> None:
    assert (await answered((Scripted(message(1))), EVENTS))[1] == EVENTS
    assert (await answered((Scripted(message(1))), BOTH))[:2] == (200, "application/json")
    assert (await answered((Scripted(StreamProgress("b"), message(1))), BOTH))[1] == EVENTS
    assert b"plain" in (await answered((Scripted(message(1))), "*/*"))[2]
    assert b"plain" in (await answered((Scripted(message(1))), f"{EVENTS};q=0, */*"))[2]


async def test_an_executor_that_has_no_streams_goes_on_answering() -> None:
    class Plain:
        async def answer(self, request: GraphQLRequest) -> GraphQLAnswer:
            return message(1)

    assert (await answered((Plain()), BOTH))[:2] == (200, "application/json")
    assert (await answered((Plain()), EVENTS))[0] == 406


async def test_one_stream_too_many_is_turned_away() -> None:
    never = asyncio.Event()

    class Idle(Scripted):
        async def stream(self, request: GraphQLRequest) -> AsyncGenerator[StreamItem, None]:
            yield StreamProgress("b")
            await never.wait()

    transport = InProcessTransport(endpoint_of(Idle(), streams=1), path="/")
    asked = SubgraphRequest(b'{"query":"{a}"}')
    async with transport.stream(asked) as first:
        assert await anext(first.chunks) == b":\nid: b\n\n"
        async with transport.stream(asked) as second:
            assert second.status == 503
            assert b"OVERLOADED" in b"".join([chunk async for chunk in second.chunks])
    async with transport.stream(asked) as again:
        assert again.status == 200
    await transport.aclose()


async def test_an_answer_in_parts_is_a_request_until_its_last_part() -> None:
    class InParts(Scripted):
        async def stream(self, request: GraphQLRequest) -> AsyncGenerator[StreamItem, None]:
            yield AnswerPart(True, message(1))
            await asyncio.Event().wait()

    transport = InProcessTransport(GraphQLEndpoint(InParts, EndpointLimits(1_000, 1)), path="/")
    asked = SubgraphRequest(b'{"query":"{a}"}')
    async with transport.stream(asked) as first:
        await anext(first.chunks)
        async with transport.stream(asked) as second:
            assert second.status == 503
    async with transport.stream(asked) as again:
        assert again.status == 200
    await transport.aclose()


async def test_one_who_does_not_read_is_told_so_with_the_bookmark_to_resume_from() -> None:
    """The app's `send` waits as long as nobody reads, as a server's does where the socket is full."""
    closed, reads = asyncio.Event(), asyncio.Event()

    class Endless(Scripted):
        async def stream(self, request: GraphQLRequest) -> AsyncGenerator[StreamItem, None]:
            try:
                while True:
                    self.given += 1
                    yield message(self.given)
            finally:
                closed.set()

    executor = Endless()
    written: list[bytes] = []
    body = [{"type": "http.request", "body": b'{"query":"{a}"}'}]

    async def receive() -> Any:
        if not body:
            await asyncio.Event().wait()
        return body.pop()

    async def send(sent: Any) -> None:
        if "body" in sent:
            written.append(sent["body"])
            if len(written) == 3:
                await reads.wait()

    headers = [(b"accept", b"text/event-stream"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "headers": headers, "query_string": b""}
    endpoint = endpoint_of(executor, StreamLimits(messages=5, slow_seconds=0.001))
    serving = asyncio.create_task(endpoint(scope, receive, send))
    async with asyncio.timeout(seconds(10)):
        await closed.wait()  # nobody reads, so no more is taken
        assert executor.given <= 3 + 5 + 2
        reads.set()
        await serving
    *messages, slow, complete, end = written
    assert (complete, end) == (b"event: complete\ndata:\n\n", b"")
    assert len(messages) == executor.given - 1
    told = orjson.loads(slow.split(b"\ndata: ")[1])
    assert told["errors"][0]["extensions"]["code"] == "SLOW_CONSUMER"
    assert told["extensions"]["bookmark"] == f"b{len(messages)}"


# Reading


async def _chunks(chunks: Sequence[bytes]) -> AsyncGenerator[bytes, None]:
    for chunk in chunks:
        yield chunk


async def read(chunks: Sequence[bytes], limit: int = 1_000) -> list[ServerSentEvent]:
    return [event async for event in read_events(_chunks(chunks), limit)]


TEXT = b": hello\nid: 1\n\nevent: next\ndata: a\ndata:b\n\nid: 2\r\nevent: complete\r\ndata\r\n\r\ndata: cut off"
FOUND = [
    ServerSentEvent("message", None, "1"),
    ServerSentEvent("next", b"a\nb", "1"),
    ServerSentEvent("complete", b"", "2"),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
async def test_events_are_read_however_they_are_cut(size: int) -> None:
    assert await read([TEXT[start : start + size] for start in range(0, len(TEXT), size)]) == FOUND


async def test_an_event_that_does_not_end_is_not_kept() -> None:
    with pytest.raises(EventTooLarge):
        await read([b"data: " + b"x" * 100] * 11)
    with pytest.raises(EventTooLarge):
        await read([b"data: x\n"] * 200)
    assert len(await read([b"data: " + b"x" * 100 + b"\n\n"] * 100)) == 100
