"""GraphQL over WebSocket, message by message: the states of a connection, its operations, and how each of them ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest

from graphrouter import GraphQLAnswer, GraphQLRequest
from graphrouter.http.capacity import Capacity, EndpointLimits
from graphrouter.http.rates import RateLimit
from graphrouter.http.streaming import StreamLimits
from graphrouter.http.websocket import WebSocketEndpoint, WebSocketSettings
from graphrouter.request import (
    AnswerPart,
    RequestRefused,
    StreamInterrupted,
    StreamItem,
    StreamProgress,
    error_object,
)
from infra.patience import seconds
from tests.support.websockets import connected

FOREVER = 1e6


def message(number: int) -> GraphQLAnswer:
    return GraphQLAnswer({"n": number}, [], {"bookmark": f"b{number}"})


class Scripted:
    """An executor whose stream is what it is given; `held` makes it wait before its end."""

    def __init__(self, *items: StreamItem, interrupted: bool = False, held: bool = False) -> None:
        self.items = items
        self.interrupted = interrupted
        self.held = asyncio.Event()
        if not held:
            self.held.set()
        self.requests: list[GraphQLRequest] = []
        self.ended = asyncio.Event()

    async def answer(self, request: GraphQLRequest) -> GraphQLAnswer:
        raise NotImplementedError

    async def stream(self, request: GraphQLRequest) -> AsyncGenerator[StreamItem, None]:
        self.requests.append(request)
        try:
            for item in self.items:
                yield item
            await self.held.wait()
        finally:
            self.ended.set()
        if self.interrupted:
            raise StreamInterrupted


def endpoint_of(
    executor: Any,
    settings: WebSocketSettings | None = None,
    *,
    limits: EndpointLimits | None = None,
    origins: tuple[str, ...] = (),
    gives_up: bool = True,
) -> WebSocketEndpoint:
    settings = settings or WebSocketSettings(init_seconds=FOREVER)
    capacity = Capacity(limits or EndpointLimits(1_000, 10))
    return WebSocketEndpoint(lambda: executor, capacity, settings, origins=origins, gives_up=gives_up)


# The connection


async def test_the_client_is_acknowledged_and_its_pings_are_answered_before_and_after() -> None:
    async with connected(endpoint_of(Scripted())) as socket:
        assert (await socket.event())["subprotocol"] == "graphql-transport-ws"
        socket.say(type="ping")
        assert await socket.next() == {"type": "pong"}
        socket.say(type="pong")
        socket.say(type="connection_init", payload=None)
        assert await socket.next() == {"type": "connection_ack"}
        socket.say(type="ping", payload={"a": [1]})
        assert await socket.next() == {"type": "pong", "payload": {"a": [1]}}


@pytest.mark.parametrize("subprotocols", [(), ("graphql-ws",), ("GRAPHQL-TRANSPORT-WS",)])
async def test_another_subprotocol_is_closed_with_4406(subprotocols: tuple[str, ...]) -> None:
    async with connected(endpoint_of(Scripted()), subprotocols=subprotocols) as socket:
        assert await socket.event() == {"type": "websocket.accept"}
        assert await socket.closed() == 4406


async def test_one_subprotocol_among_several_is_chosen() -> None:
    async with connected(endpoint_of(Scripted()), subprotocols=("graphql-ws", "graphql-transport-ws")) as socket:
        await socket.opened()


async def test_a_client_that_does_not_initialise_is_closed_with_4408() -> None:
    async with connected(endpoint_of(Scripted(), WebSocketSettings(init_seconds=0.001))) as socket:
        assert await socket.closed() == 4408


async def test_a_client_that_has_initialised_is_not_bound_to_that_time() -> None:
    executor = Scripted(message(1))
    async with connected(endpoint_of(executor, WebSocketSettings(init_seconds=0.05))) as socket:
        socket.say(type="connection_init")  # there before the app looks
        await socket.event()
        assert await socket.next() == {"type": "connection_ack"}
        await asyncio.sleep(0.1)
        socket.say(type="ping")
        assert await socket.next() == {"type": "pong"}


async def test_a_second_initialisation_is_closed_with_4429() -> None:
    async with connected(endpoint_of(Scripted())) as socket:
        await socket.opened()
        socket.say(type="connection_init")
        assert await socket.closed() == 4429


async def test_a_subscription_before_the_acknowledgement_is_closed_with_4401() -> None:
    executor = Scripted(message(1))
    async with connected(endpoint_of(executor)) as socket:
        socket.subscribe("1")
        assert await socket.closed() == 4401
    assert executor.requests == []


async def test_a_second_operation_of_one_id_is_closed_with_4409() -> None:
    async with connected(endpoint_of(Scripted(message(1), held=True))) as socket:
        await socket.opened()
        socket.subscribe("1")
        await socket.next()
        socket.subscribe("1")
        assert await socket.closed() == 4409


async def test_an_id_is_free_again_after_its_operation() -> None:
    executor = Scripted(message(1))
    async with connected(endpoint_of(executor)) as socket:
        await socket.opened()
        for _ in range(2):
            socket.subscribe("1")
            assert (await socket.of("complete"))["id"] == "1"
        executor.held.clear()
        for _ in range(2):
            socket.subscribe("1")
            await socket.of("next")
            socket.say(type="complete", id="1")


@pytest.mark.parametrize(
    "text",
    [
        "", "no", "[]", "1", "null", "{}", '{"type":1}', '{"type":"start"}', '{"type":"next","id":"1"}',
        '{"type":"subscribe"}', '{"type":"subscribe","id":1,"payload":{"query":"{a}"}}',
        '{"type":"subscribe","id":"","payload":{"query":"{a}"}}',
        '{"type":"subscribe","id":"%s","payload":{"query":"{a}"}}' % ("x" * 1_000),
        '{"type":"subscribe","id":"1"}', '{"type":"subscribe","id":"1","payload":"{a}"}',
        '{"type":"subscribe","id":"1","payload":{}}', '{"type":"subscribe","id":"1","payload":{"query":1}}',
        '{"type":"subscribe","id":"1","payload":{"query":"{a}","variables":[]}}',
        '{"type":"subscribe","id":"1","payload":{"query":"{a}","operationName":[]}}',
        '{"type":"subscribe","id":"1","payload":{"query":"{a}","extensions":1}}',
        '{"type":"complete"}', '{"type":"complete","id":null}', "[" * 100_000,
    ],
)  # fmt: skip
async def test_what_is_no_message_is_closed_with_4400(text: str) -> None:
    async with connected(endpoint_of(Scripted(message(1)))) as socket:
        await socket.opened()
        socket.text(text)
        assert await socket.closed() == 4400


async def test_a_binary_message_and_a_payload_that_is_no_object_are_closed_with_4400() -> None:
    async with connected(endpoint_of(Scripted())) as socket:
        socket.to_app.put_nowait({"type": "websocket.receive", "bytes": b'{"type":"connection_init"}'})
        assert await socket.closed() == 4400
    async with connected(endpoint_of(Scripted())) as socket:
        socket.say(type="connection_init", payload=[1])
        assert await socket.closed() == 4400


async def test_a_defect_is_closed_with_4500_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Scripted):
        async def credentials_expire(self, _headers: Mapping[str, str]) -> float | None:
            raise RuntimeError("the password is 1234")

    async with connected(endpoint_of(Broken())) as socket:
        socket.say(type="connection_init")
        await socket.event()
        closing = await socket.event()
    assert (closing["code"], "1234" in str(closing), "1234" in caplog.text) == (4500, False, True)


async def test_an_executor_that_is_not_ready_is_to_be_asked_later() -> None:
    async with connected(endpoint_of("starting")) as socket:
        socket.say(type="connection_init")
        assert await socket.closed() == 1013


# Who may connect

REFUSED = {"type": "websocket.close", "code": 4403}


@pytest.mark.parametrize(
    ("origin", "host", "scheme", "may"),
    [
        ("https://app.example.com", "api.example.com", "ws", True),
        ("http://app.example.com", "api.example.com", "ws", False),
        ("https://evil.example", "api.example.com", "ws", False),
        ("null", "api.example.com", "ws", False),
        ("", "api.example.com", "ws", False),
        ("https://api.example.com.evil.example", "api.example.com", "ws", False),
        ("https://api.example.com@evil.example", "api.example.com", "ws", False),
        ("https://evil.example:x", "api.example.com", "ws", False),
        ("http://api.example.com", "api.example.com", "ws", True),
        ("https://api.example.com", "API.example.com", "ws", True),  # behind a proxy that ends TLS
        ("http://api.example.com", "api.example.com", "wss", False),
        ("https://api.example.com", "api.example.com", "wss", True),
        ("https://api.example.com:8443", "api.example.com:8443", "wss", True),
        ("https://api.example.com:8443", "api.example.com", "wss", False),
        ("http://localhost:3000", "localhost:4000", "ws", False),
        ("http://localhost:4000", "localhost:4000", "ws", True),
        ("http://[::1]:4000", "[::1]:4000", "ws", True),
        ("http://[::1]", "[::1]", "ws", True),
        ("ftp://api.example.com", "api.example.com", "ws", False),
    ],
)
async def test_pages_of_other_origins_connect_only_where_they_may(
    origin: str, host: str, scheme: str, may: bool
) -> None:
    app = endpoint_of(Scripted(), origins=("https://app.example.com",))
    async with connected(app, {"origin": origin, "host": host}, scheme=scheme) as socket:
        assert ((await socket.event()) == REFUSED) == (not may)


async def test_any_page_connects_where_any_may_and_none_where_nobody_does() -> None:
    async with connected(endpoint_of(Scripted(), origins=("*",)), {"origin": "https://any.example"}) as socket:
        await socket.opened()
    off = WebSocketSettings(enabled=False)
    async with connected(endpoint_of(Scripted(), off)) as socket:
        assert await socket.event() == REFUSED


class Guarded(Scripted):
    """Lets those in who have the right word, until a moment."""

    expires: float | None = None

    async def credentials_expire(self, headers: Mapping[str, str]) -> float | None:
        if headers.get("authorization") == "later":
            raise RequestRefused(error_object("no keys", "AUTHENTICATION_UNAVAILABLE"))
        if headers.get("authorization") != "Bearer right":
            raise RequestRefused(error_object("the token is wrong", "UNAUTHENTICATED"))
        return self.expires


@pytest.mark.parametrize(
    "payload",
    [
        {"Authorization": "Bearer right"},
        {"headers": {"authorization": "Bearer right", "x": 1}, "y": {}},
        {"headers": {"authorization": "Bearer wrong"}, "authorization": "Bearer right"},
    ],
)
async def test_credentials_of_the_initialisation_are_headers_of_each_operation(payload: dict[str, Any]) -> None:
    executor = Guarded(message(1))
    sent = {"x-user": "proxy", "authorization": "Basic x"}
    async with connected(endpoint_of(executor), sent) as socket:
        await socket.opened({**payload, "X-User": "client", "bookmark": "b"})
        socket.subscribe("1", extensions={"bookmark": "b7"})
        await socket.of("complete")
    (request,) = executor.requests
    assert (request.headers["authorization"], request.headers["x-user"]) == ("Bearer right", "proxy")
    assert ("bookmark" in request.headers, request.extensions) == (False, {"bookmark": "b7"})


@pytest.mark.parametrize(
    ("payload", "code"),
    [(None, 4403), ({"authorization": "Bearer wrong"}, 4403), ({"authorization": "later"}, 1013)],
)
async def test_wrong_credentials_are_closed_at_once(payload: dict[str, Any] | None, code: int) -> None:
    async with connected(endpoint_of(Guarded(message(1)))) as socket:
        socket.say(type="connection_init", payload=payload)
        socket.subscribe("1")
        assert await socket.closed() == code


async def test_a_connection_ends_after_its_token() -> None:
    executor = Guarded(message(1))
    executor.expires = 1.0  # long ago
    async with connected(endpoint_of(executor)) as socket:
        await socket.opened({"authorization": "Bearer right"})
        assert await socket.closed() == 4403


# Operations


async def test_messages_are_told_with_their_bookmarks_and_signs_of_life_by_pings() -> None:
    items = StreamProgress(""), StreamProgress("b0"), message(1), StreamProgress("b5")
    async with connected(endpoint_of(Scripted(*items))) as socket:
        await socket.opened()
        socket.subscribe('a"b')
        assert [await socket.next() for _ in range(5)] == [
            {"type": "ping", "payload": {"id": 'a"b'}},
            {"type": "ping", "payload": {"id": 'a"b', "bookmark": "b0"}},
            {"id": 'a"b', "type": "next", "payload": {"data": {"n": 1}, "extensions": {"bookmark": "b1"}}},
            {"type": "ping", "payload": {"id": 'a"b', "bookmark": "b5"}},
            {"id": 'a"b', "type": "complete"},
        ]


async def test_operations_run_beside_one_another_and_end_alone() -> None:
    executor = Scripted(message(1), held=True)
    async with connected(endpoint_of(executor)) as socket:
        await socket.opened()
        socket.subscribe("1")
        socket.subscribe("2")
        assert {(await socket.next())["id"] for _ in range(2)} == {"1", "2"}
        socket.say(type="complete", id="1")
        await asyncio.wait_for(executor.ended.wait(), seconds(10))
        executor.held.set()
        assert await socket.next() == {"id": "2", "type": "complete"}
        socket.say(type="complete", id="9")  # of an operation that has ended just now
        socket.say(type="ping")
        assert await socket.next() == {"type": "pong"}


async def test_an_operation_that_its_client_has_ended_is_told_no_more() -> None:
    executor = Scripted(held=True)
    async with connected(endpoint_of(executor, gives_up=False)) as socket:
        await socket.opened()
        socket.subscribe("1")
        socket.say(type="complete", id="1")
        socket.say(type="ping")
        assert await socket.next() == {"type": "pong"}
        executor.held.set()
        await asyncio.wait_for(executor.ended.wait(), seconds(10))
    assert socket.from_app.empty()


async def test_an_executor_without_streams_answers_queries() -> None:
    class Plain:
        async def answer(self, request: GraphQLRequest) -> GraphQLAnswer:
            return GraphQLAnswer({"q": request.query, "v": dict(request.variables)}, [], {})

    async with connected(endpoint_of(Plain())) as socket:
        await socket.opened()
        socket.subscribe("1", "{a}", variables={"x": 1})
        assert (await socket.next())["payload"] == {"data": {"q": "{a}", "v": {"x": 1}}}
        assert (await socket.next())["type"] == "complete"


async def test_a_refused_operation_is_an_error_and_nothing_else() -> None:
    refusal = GraphQLAnswer(None, [error_object("no", "INVALID_INPUT")], {}, refused=True)
    async with connected(endpoint_of(Scripted(refusal))) as socket:
        await socket.opened()
        socket.subscribe("1")
        assert await socket.next() == {
            "id": "1", "type": "error", "payload": [{"message": "no", "extensions": {"code": "INVALID_INPUT"}}],
        }  # fmt: skip
        socket.say(type="ping")
        assert await socket.next() == {"type": "pong"}


async def code_of(socket: Any) -> tuple[str, object]:
    (error,) = (await socket.of("error"))["payload"]
    return error["extensions"]["code"], error["extensions"].get("bookmark")


async def test_an_interrupted_stream_says_from_where_to_resume() -> None:
    async with connected(endpoint_of(Scripted(message(1), message(2), interrupted=True))) as socket:
        await socket.opened()
        socket.subscribe("1")
        assert await code_of(socket) == ("UNAVAILABLE", "b2")


async def test_an_error_within_a_stream_ends_it_and_says_from_where_to_resume() -> None:
    over = GraphQLAnswer(None, [error_object("over", "UNAUTHENTICATED")], {"bookmark": "b1"}, refused=True)
    async with connected(endpoint_of(Scripted(message(1), over, message(3)))) as socket:
        await socket.opened()
        socket.subscribe("1")
        assert (await socket.next())["type"] == "next"
        assert await code_of(socket) == ("UNAUTHENTICATED", "b1")


async def test_a_defect_of_an_operation_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Scripted):
        async def stream(self, request: GraphQLRequest) -> AsyncGenerator[StreamItem, None]:
            yield message(1)
            raise RuntimeError("the password is 1234")

    async with connected(endpoint_of(Broken())) as socket:
        await socket.opened()
        socket.subscribe("1")
        assert (await code_of(socket))[0] in {"INTERNAL_ERROR", "UNAVAILABLE"}


async def test_limits_hold_for_each_operation() -> None:
    limits = EndpointLimits(1_000, 1, rate=RateLimit(0.001, burst=5), streams=2)
    executor = Scripted(StreamProgress("b"), held=True)
    settings = WebSocketSettings(init_seconds=FOREVER, operations=3)
    async with connected(endpoint_of(executor, settings, limits=limits)) as socket:
        await socket.opened()
        for number in range(2):
            socket.subscribe(str(number))
            assert (await socket.next())["type"] == "ping"
        socket.subscribe("streams")
        assert (await code_of(socket))[0] == "OVERLOADED"
        executor.items = ()
        socket.say(type="complete", id="1")
        await asyncio.wait_for(executor.ended.wait(), seconds(10))
        socket.subscribe("first")  # whose first item does not come: it is counted as a request
        await until(lambda: len(executor.requests) == 3)
        socket.subscribe("id", "", extensions={"persistedQuery": {"version": 1, "sha256Hash": "a" * 64}})
        assert (await code_of(socket))[0] == "PERSISTED_QUERY_NOT_SUPPORTED"
        socket.subscribe("rate")
        assert (await code_of(socket))[0] == "RATE_LIMITED"
    settings = WebSocketSettings(init_seconds=FOREVER, operations=1)
    async with connected(endpoint_of(Scripted(message(1), held=True), settings)) as socket:
        await socket.opened()
        socket.subscribe("1")
        await socket.next()
        socket.subscribe("2")
        assert (await code_of(socket))[0] == "OVERLOADED"
    executor = Scripted(held=True)
    async with connected(endpoint_of(executor, limits=EndpointLimits(1_000, 1))) as socket:
        await socket.opened()
        socket.subscribe("1")
        await until(lambda: bool(executor.requests))
        socket.subscribe("2")
        assert (await code_of(socket))[0] == "OVERLOADED"


async def test_an_answer_in_parts_is_a_request_until_its_last_part() -> None:
    executor = Scripted(AnswerPart(True, GraphQLAnswer({"n": 1}, [], {})), AnswerPart(False), held=True)
    async with connected(endpoint_of(executor, limits=EndpointLimits(1_000, 1))) as socket:
        await socket.opened()
        socket.subscribe("1", "{a}")
        assert [(await socket.next())["payload"]["hasNext"] for _ in range(2)] == [True, False]
        socket.subscribe("2", "{a}")
        assert (await code_of(socket))[0] == "OVERLOADED"
        executor.held.set()
        assert await socket.next() == {"id": "1", "type": "complete"}
        socket.subscribe("3", "{a}")
        assert (await socket.of("complete"))["id"] == "3"


async def until(check: Any) -> None:
    """Returns when the event loop has come to where this is true."""
    for _ in range(200_000):
        if check():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not come to that")


async def test_a_slow_reader_is_told_and_costs_a_bounded_number_of_messages() -> None:
    class Endless(Scripted):
        given = 0

        async def stream(self, request: GraphQLRequest) -> AsyncGenerator[StreamItem, None]:
            try:
                while True:
                    self.given += 1
                    yield message(self.given)
            finally:
                self.ended.set()

    executor = Endless()
    limits = EndpointLimits(1_000, 10, stream=StreamLimits(messages=5, slow_seconds=0.001))
    async with connected(endpoint_of(executor, limits=limits)) as socket:
        await socket.opened()
        socket.reads.clear()
        socket.subscribe("1")
        await asyncio.wait_for(executor.ended.wait(), seconds(10))
        assert executor.given <= 5 + 3
        socket.reads.set()
        bookmarks: list[str] = []
        while (told := await socket.next())["type"] == "next":
            bookmarks.append(told["payload"]["extensions"]["bookmark"])
        assert told["type"] == "error"
        (error,) = told["payload"]
        assert (error["extensions"]["code"], error["extensions"]["bookmark"]) == ("SLOW_CONSUMER", bookmarks[-1])


# The end


@pytest.mark.parametrize("gives_up", [True, False])
async def test_who_goes_away_ends_streams_and_what_gives_up(gives_up: bool) -> None:
    streaming, single = Scripted(message(1), held=True), Scripted(held=True)
    for executor in (streaming, single):
        async with connected(endpoint_of(executor, gives_up=gives_up)) as socket:
            await socket.opened()
            socket.subscribe("1")
            await until(lambda executor=executor: bool(executor.requests))
            if executor is streaming:
                await socket.next()
            socket.disconnect()
            if executor is single and not gives_up:
                for _ in range(100):
                    await asyncio.sleep(0)
                assert not executor.ended.is_set()
                executor.held.set()
            await asyncio.wait_for(executor.ended.wait(), seconds(10))


async def test_a_server_that_stops_waits_for_single_answers_and_ends_streams() -> None:
    class Both(Scripted):
        async def stream(self, request: GraphQLRequest) -> AsyncGenerator[StreamItem, None]:
            self.requests.append(request)
            if request.query == "{a}":
                await self.held.wait()
                yield message(7)
                return
            try:
                yield message(1)
                await asyncio.Event().wait()
            finally:
                self.ended.set()

    executor = Both(held=True)
    async with connected(endpoint_of(executor)) as socket:
        await socket.opened()
        socket.subscribe("s")
        await socket.next()
        socket.subscribe("q", "{a}")
        await until(lambda: len(executor.requests) == 2)
        socket.disconnect(1012)
        await asyncio.wait_for(executor.ended.wait(), seconds(10))
        executor.held.set()
        assert (await socket.next())["payload"]["data"] == {"n": 7}
        assert await socket.next() == {"id": "q", "type": "complete"}
        assert await socket.closed() == 1012


async def test_a_server_that_stops_waits_for_the_last_part(monkeypatch: pytest.MonkeyPatch) -> None:
    class InParts(Scripted):
        async def stream(self, request: GraphQLRequest) -> AsyncGenerator[StreamItem, None]:
            yield AnswerPart(True, GraphQLAnswer({"n": 1}, [], {}))
            await self.held.wait()
            yield AnswerPart(False)

    monkeypatch.setattr("graphrouter.http.websocket._LAST_SECONDS", 0.0)
    executor = InParts(held=True)
    async with connected(endpoint_of(executor)) as socket:
        await socket.opened()
        socket.subscribe("1", "{a}")
        await socket.next()
        socket.disconnect(1012)
        for _ in range(100):
            await asyncio.sleep(0)
        executor.held.set()
        assert (await socket.next())["payload"] == {"hasNext": False}
        assert await socket.next() == {"id": "1", "type": "complete"}
        assert await socket.closed() == 1012
