"""Subscriptions over the router: a subgraph's stream, each message completed from the others and resumable."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast

import pytest

from graphrouter import GraphQLAnswer, GraphQLRequest, GraphRouter, RouterOptions
from graphrouter.authentication import Authentication, Caller, Issuer
from graphrouter.bookmarks import encode
from graphrouter.pipeline.callers import while_proved
from graphrouter.request import RequestRefused, StreamInterrupted, StreamItem, StreamProgress
from graphrouter.transport import (
    SubgraphRequest,
    SubgraphResponse,
    SubgraphResponseTooLarge,
    SubgraphStream,
    SubgraphUnreachable,
)
from infra.patience import seconds
from tests.support.dict_subgraph import DictSubgraph, router_over
from tests.support.tokens import AUDIENCE, ISSUER, SigningKey, bearer, key_set

CHANGED = 'subscription { changed(id: "1") { name friends } }'


def mark(offset: int) -> str:
    return encode({"users.a/0": offset})


def event(offset: int, user: dict[str, Any] | None = None, **more: Any) -> bytes:
    data = {"data": {"changed": {"__typename": "User", "id": "1", "name": f"n{offset}"} if user is None else user}}
    return f"event: next\nid: {mark(offset)}\ndata: {json.dumps(data | more)}\n\n".encode()


def quiet(offset: int) -> bytes:
    return f":\nid: {mark(offset)}\n\n".encode()


COMPLETE = b"event: complete\ndata:\n\n"


Script = Sequence["bytes | Exception | None"]
"""None: nothing more comes, and the stream does not end."""


class Streamed(DictSubgraph):
    """Each of `connections` is what comes over one: bytes, or an exception; an answer that is no stream; an exception
    for one that cannot be made."""

    def __init__(self, *connections: Script | SubgraphResponse | Exception) -> None:
        super().__init__(
            'type Query { a: Int } type Subscription { changed(id: ID!): User } type User @key(fields: "id")'
            " { id: ID! name: String }"
        )
        self.connections = list(connections)
        self.asked: list[SubgraphRequest] = []
        self.open = 0

    @asynccontextmanager
    async def stream(self, request: SubgraphRequest) -> AsyncGenerator[SubgraphStream]:
        self.asked.append(request)
        script = self.connections.pop(0)
        if isinstance(script, Exception):
            raise script
        self.open += 1
        try:
            if isinstance(script, SubgraphResponse):
                yield SubgraphStream(script.status, {"content-type": "application/json"}, _chunks([script.body]))
            else:
                yield SubgraphStream(200, {"content-type": "text/event-stream"}, _chunks(script))
        finally:
            self.open -= 1

    @property
    def bookmarks(self) -> list[str | None]:
        return [dict(request.headers).get("bookmark") for request in self.asked]


async def _chunks(script: Script) -> AsyncGenerator[bytes, None]:
    for chunk in script:
        if chunk is None:
            await asyncio.Event().wait()
            return
        if isinstance(chunk, Exception):
            raise chunk
        yield chunk


class Friends(DictSubgraph):
    def __init__(self) -> None:
        super().__init__(
            'type Query { b: Int } type User @key(fields: "id") { id: ID! friends: Int }',
            entities={"User": lambda _: {"friends": 7}},
        )
        self.bookmarks: list[str | None] = []

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        self.bookmarks.append(dict(request.headers).get("bookmark"))
        answer = await super().send(request)
        return SubgraphResponse(answer.status, {"bookmark": mark(1_000)}, answer.body)


def routed(users: Streamed, options: RouterOptions | None = None) -> tuple[GraphRouter, Friends]:
    friends = Friends()
    return router_over({"users": users, "friends": friends}, options), friends


async def items_of(
    router: GraphRouter, query: str = CHANGED, bookmark: str = "", **extensions: Any
) -> list[StreamItem]:
    request = GraphQLRequest(query, headers={"bookmark": bookmark} if bookmark else {}, extensions=extensions)
    async with asyncio.timeout(seconds(10)), aclosing(router.stream(request)) as stream:
        return [item async for item in stream]


def shown(items: Sequence[StreamItem]) -> list[Any]:
    """The messages' data, and the bookmarks of what came between them."""
    return [item.data if isinstance(item, GraphQLAnswer) else item.bookmark for item in items]


async def test_each_message_is_completed_by_a_plan_at_its_bookmark() -> None:
    users = Streamed([quiet(1), event(2), quiet(3), event(4), COMPLETE])
    router, friends = routed(users)
    found = await items_of(router)
    first = {"changed": {"name": "n2", "friends": 7}}
    assert shown(found) == [mark(1), first, mark(3), {"changed": {"name": "n4", "friends": 7}}]
    assert json.loads(users.asked[0].body)["query"] == 'subscription{changed(id:"1"){name id}}'
    assert friends.bookmarks == [mark(2), mark(4)]
    # However far the others have looked, it is the message's own bookmark that a client resumes from.
    assert [one.bookmark for one in found if isinstance(one, GraphQLAnswer)] == [mark(2), mark(4)]
    assert users.open == 0


async def test_a_subgraph_that_breaks_off_is_asked_again_from_the_last_bookmark() -> None:
    broken = SubgraphUnreachable("gone")
    users = Streamed(
        [quiet(1), event(2), event(3)[:-5]],
        broken,
        SubgraphResponse(503, {}, b"{}"),
        [quiet(2), event(3), quiet(9), broken],
        [event(10), COMPLETE],
    )
    found = await items_of(routed(users)[0])
    messages = [one.data for one in found if isinstance(one, GraphQLAnswer)]
    assert messages == [{"changed": {"name": name, "friends": 7}} for name in ("n2", "n3", "n10")]
    assert users.bookmarks == [None, mark(2), mark(2), mark(2), mark(9)]


async def test_one_who_resumes_waits_for_a_subgraph_that_is_not_there() -> None:
    users = Streamed(SubgraphUnreachable("not yet"), [event(6), COMPLETE])
    found = await items_of(routed(users)[0], bookmark=mark(5))
    assert shown(found)[0] == mark(5)
    assert len(found) == 2
    assert users.bookmarks == [mark(5), mark(5)]


async def test_the_later_of_header_extension_and_last_event_id_is_where_a_stream_begins() -> None:
    for places in ((5, 3, 4), (3, 5, 4), (3, 4, 5)):
        users = Streamed([COMPLETE])
        header, last_event_id, extension = map(mark, places)
        request = GraphQLRequest(
            CHANGED,
            headers={"bookmark": header, "last-event-id": last_event_id},
            extensions={"bookmark": extension},
        )
        async with aclosing(routed(users)[0].stream(request)) as stream:
            assert [item.bookmark async for item in stream] == [mark(5)]
        assert users.bookmarks == [mark(5)]
    (refusal,) = await items_of(routed(Streamed())[0], CHANGED, bookmark="?")
    assert isinstance(refusal, GraphQLAnswer)
    assert refusal.errors[0]["extensions"]["code"] == "INVALID_INPUT"


async def test_where_there_is_no_bookmark_to_resume_from_the_stream_is_interrupted() -> None:
    gone = SubgraphUnreachable("gone")
    scripts: list[Script | Exception] = [gone, [b"event: next\ndata: {}\n\n", gone], []]
    for script in scripts:
        with pytest.raises(StreamInterrupted):
            await items_of(routed(Streamed(script))[0])


async def test_a_stream_that_says_nothing_at_first_is_told_as_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphrouter.pipeline.subscribing._SILENCE_SECONDS", 0.0)
    speaks = asyncio.Event()

    class Silent(Streamed):
        @asynccontextmanager
        async def stream(self, request: SubgraphRequest) -> AsyncGenerator[SubgraphStream]:
            async def chunks() -> AsyncGenerator[bytes, None]:
                await speaks.wait()
                yield event(1)
                yield COMPLETE

            yield SubgraphStream(200, {"content-type": "text/event-stream"}, chunks())

    router, _ = routed(Silent())
    async with asyncio.timeout(seconds(10)), aclosing(router.stream(GraphQLRequest(CHANGED))) as stream:
        assert await anext(stream) == StreamProgress("")
        speaks.set()
        assert shown([item async for item in stream]) == [{"changed": {"name": "n1", "friends": 7}}]
    users = Streamed([None])
    async with asyncio.timeout(seconds(10)), aclosing(routed(users)[0].stream(GraphQLRequest(CHANGED))) as stream:
        assert await anext(stream) == StreamProgress("")
    assert users.open == 0


async def test_one_who_breaks_off_at_the_same_place_again_is_asked_later_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun = 0

    def waits() -> Iterator[float]:
        nonlocal begun
        begun += 1
        while True:
            yield 0.0

    monkeypatch.setattr("graphrouter.pipeline.subscribing._waits", waits)
    gone = SubgraphUnreachable("gone")
    users = Streamed([quiet(1), gone], [quiet(1), gone], [quiet(1), gone], [event(2), COMPLETE])
    assert len([one for one in await items_of(routed(users)[0]) if isinstance(one, GraphQLAnswer)]) == 1
    assert begun == 1


async def test_a_router_that_is_closed_leaves_the_rest_to_another_one() -> None:
    users = Streamed([quiet(1), event(2), SubgraphUnreachable("gone")])
    router, _ = routed(users)
    async with aclosing(router.stream(GraphQLRequest(CHANGED))) as stream:
        assert isinstance(await anext(stream), StreamProgress)
        await router.aclose()
        assert isinstance(await anext(stream), GraphQLAnswer)
        with pytest.raises(StreamInterrupted):
            await anext(stream)


async def test_ids_of_other_servers_are_no_bookmarks() -> None:
    message = event(1).replace(mark(1).encode(), b"message-17")
    users = Streamed([message, COMPLETE])
    (found,) = await items_of(routed(users)[0])
    assert isinstance(found, GraphQLAnswer)
    assert (found.bookmark, found.data) == (None, {"changed": {"name": "n1", "friends": 7}})


async def test_a_subgraphs_refusal_is_a_message_with_its_errors_and_the_end() -> None:
    refusal = {"errors": [{"message": "no such user", "extensions": {"code": "INVALID_INPUT"}}]}
    (found,) = await items_of(routed(Streamed(SubgraphResponse(400, {}, json.dumps(refusal).encode())))[0])
    assert isinstance(found, GraphQLAnswer)
    assert found.data == {"changed": None}
    assert found.errors[0]["extensions"] == {"code": "INVALID_INPUT", "service": "users"}


async def test_a_message_with_errors_and_one_without_sense_do_not_end_the_stream() -> None:
    error = {"message": "late", "path": ["changed"], "extensions": {"code": "OUT_OF_DATE"}}
    users = Streamed(
        [event(1, {}, data={"changed": None}, errors=[error]), event(2).replace(b"{", b"", 1), event(3), COMPLETE]
    )
    found = [one for one in await items_of(routed(users)[0]) if isinstance(one, GraphQLAnswer)]
    assert [[one["extensions"]["code"] for one in answer.errors] for answer in found] == [
        ["OUT_OF_DATE"],
        ["SUBREQUEST_MALFORMED"],
        [],
    ]


@pytest.mark.parametrize("break_off", [b"data: " + b"x" * 2_000, SubgraphResponseTooLarge("the message is too large")])
async def test_a_message_over_the_limit_is_told_and_not_asked_for_again(break_off: bytes | Exception) -> None:
    users = Streamed([quiet(1), event(2), break_off])
    router, _ = routed(users, RouterOptions(subgraph_response_bytes=1_000))
    *before, told = await items_of(router)
    assert shown(before) == [mark(1), {"changed": {"name": "n2", "friends": 7}}]
    assert isinstance(told, GraphQLAnswer)
    (error,) = cast("list[dict[str, Any]]", told.body()["errors"])
    assert error["message"] == "a message of the subgraph users has more than 1000 bytes"
    assert error["extensions"]["code"] == "SUBREQUEST_TOO_LARGE"
    assert (told.bookmark, len(users.asked)) == (mark(2), 1)


async def test_other_operations_are_streams_of_their_one_answer() -> None:
    router, _ = routed(Streamed())
    assert shown(await items_of(router, "{ a }")) == [{"a": None}]
    (refusal,) = await items_of(router, "{ nothing }")
    assert isinstance(refusal, GraphQLAnswer)
    assert refusal.refused


async def test_what_cannot_be_streamed_is_refused() -> None:
    class Deaf(DictSubgraph):
        """One that answers, and has no streams."""

    sdl = "type Query { a: Int } type Subscription { changed(id: ID!): Int }"
    router = router_over({"users": Deaf(sdl)})
    (refusal,) = await items_of(router, 'subscription { changed(id: "1") }')
    assert isinstance(refusal, GraphQLAnswer)
    assert refusal.errors[0]["extensions"]["code"] == "SUBSCRIPTIONS_NOT_SUPPORTED"
    plain = await router.execute('subscription { changed(id: "1") }')
    assert (plain.refused, plain.errors[0]["extensions"]["code"]) == (True, "SUBSCRIPTIONS_NOT_SUPPORTED")


async def test_a_subscriptions_plan_can_be_asked_for_without_subscribing() -> None:
    users = Streamed()
    (found,) = await items_of(routed(users)[0], queryPlan="only")
    assert isinstance(found, GraphQLAnswer)
    assert "queryPlan" in found.extensions
    assert users.asked == []


# A token that expires


async def test_a_stream_lasts_as_long_as_its_token_and_says_from_where_to_resume() -> None:
    closed = asyncio.Event()

    async def items() -> AsyncGenerator[StreamItem, None]:
        try:
            yield StreamProgress(mark(1))
            yield GraphQLAnswer({"n": 1}, [], {"bookmark": mark(2)})
            await asyncio.Event().wait()
        finally:
            closed.set()

    async with asyncio.timeout(seconds(10)):
        found = [one async for one in while_proved(items(), Caller("ada", expires=1.0))]
    assert [one.bookmark for one in found] == [mark(1), mark(2), mark(2)]
    last = found[-1]
    assert isinstance(last, GraphQLAnswer)
    assert (last.refused, last.errors[0]["extensions"]["code"]) == (True, "UNAUTHENTICATED")
    assert closed.is_set()


@pytest.mark.parametrize("caller", [None, Caller("ada"), Caller("ada", expires=1e11)])
async def test_a_stream_without_a_token_or_with_a_long_one_ends_by_itself(caller: Caller | None) -> None:
    async def items() -> AsyncGenerator[StreamItem, None]:
        yield StreamProgress(mark(1))

    assert [one async for one in while_proved(items(), caller)] == [StreamProgress(mark(1))]


async def test_a_subscription_ends_with_its_token_and_resumes_with_another() -> None:
    key = SigningKey()
    issuer = Issuer(ISSUER, key_set(key.public()), (AUDIENCE,))
    options = RouterOptions(authentication=Authentication((issuer,), leeway=0.0))
    users = Streamed(*[[quiet(1), event(2), None]] * 10)
    router, _ = routed(users, options)
    for lifetime in (1, 4, 16, 64):  # a token may be over before it is looked at, where the machine is busy
        request = GraphQLRequest(CHANGED, headers=bearer(key.token(exp=time.time() + lifetime)))
        async with asyncio.timeout(seconds(90)), aclosing(router.stream(request)) as stream:
            found = [one async for one in stream]
        if len(found) == 3:
            break
    assert [one.bookmark for one in found] == [mark(1), mark(2), mark(2)]
    assert isinstance(found[-1], GraphQLAnswer)
    assert found[-1].errors[0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert users.open == 0
    assert await router.credentials_expire({}) is None
    soon = time.time() + 500
    assert await router.credentials_expire(bearer(key.token(exp=soon))) == pytest.approx(soon, abs=1)
    with pytest.raises(RequestRefused):
        await router.credentials_expire(bearer(key.token(exp=1)))
    resumed = GraphQLRequest(CHANGED, headers=bearer(key.token()), extensions={"bookmark": mark(2)})
    async with aclosing(router.stream(resumed)) as stream:
        assert (await anext(stream)).bookmark == mark(2)
    await router.aclose()
