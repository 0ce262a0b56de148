"""An answer in parts over HTTP: the formats, who gets them, and what becomes of those who go away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from typing import Any

import httpx
import orjson
import pytest

from graphrouter import GraphQLAnswer, GraphQLRequest
from graphrouter.http.capacity import EndpointLimits
from graphrouter.http.endpoint import GraphQLEndpoint
from graphrouter.http.parts import asked_format
from graphrouter.request import AnswerPart, Completed, Increment, Items, Pending, error_object
from infra.patience import seconds

CURRENT = "multipart/mixed"
OLD = "multipart/mixed;deferSpec=20220824"
A = Pending("0", ["a", 0], "later")
B = Pending("1", ["b"], None)
L = Pending("0", ["l"], "later")
M = Pending("1", ["m"], None)
ERROR = error_object("no", "NULL_VALUE", path=["b", "x"])
FIRST = AnswerPart(has_next=True, first=GraphQLAnswer({"a": [{}], "b": {}}, [], {}), pending=[A, B])
PARTS = (
    FIRST,
    AnswerPart(has_next=True, incremental=[Increment(A, ["in"], {"y": 1}, [])], completed=[Completed(A, [])]),
    AnswerPart(has_next=False, completed=[Completed(B, [ERROR])]),
)


class Scripted:
    """An executor that gives these parts."""

    def __init__(self, *parts: GraphQLAnswer | AnswerPart) -> None:
        self.given = parts
        self.barriers: dict[int, asyncio.Event] = {}
        self.ended = asyncio.Event()

    async def answer(self, request: GraphQLRequest) -> GraphQLAnswer:
        return GraphQLAnswer({"plain": True}, [], {})

    async def parts(self, request: GraphQLRequest) -> AsyncGenerator[GraphQLAnswer | AnswerPart, None]:
        try:
            for number, part in enumerate(self.given):
                if number in self.barriers:
                    await self.barriers[number].wait()
                yield part
        finally:
            self.ended.set()


def endpoint_of(executor: Scripted, **limits: Any) -> GraphQLEndpoint:
    return GraphQLEndpoint(lambda: executor, EndpointLimits(1_000, 1, **limits))


async def answered(executor: Scripted, accept: str) -> httpx.Response:
    transport = httpx.ASGITransport(endpoint_of(executor))
    async with asyncio.timeout(seconds(10)), httpx.AsyncClient(transport=transport, base_url="http://r") as client:
        return await client.post("/", json={"query": "{a}"}, headers={"accept": accept})


def bodies(response: httpx.Response) -> list[Any]:
    before, *parts, end = response.content.split(b"\r\n---")
    assert (before, end) == (b"", b"--\r\n")
    found: list[Any] = []
    for part in parts:
        head, _, body = part.partition(b"\r\n\r\n")
        assert head == b"\r\ncontent-type: application/json; charset=utf-8"
        found.append(orjson.loads(body))
    return found


async def test_parts_are_written_in_the_current_format() -> None:
    response = await answered(Scripted(*PARTS), CURRENT)
    assert response.headers["content-type"] == 'multipart/mixed; boundary="-"'
    assert bodies(response) == [
        {
            "data": {"a": [{}], "b": {}},
            "pending": [{"id": "0", "path": ["a", 0], "label": "later"}, {"id": "1", "path": ["b"]}],
            "hasNext": True,
        },
        {
            "incremental": [{"data": {"y": 1}, "id": "0", "subPath": ["in"]}],
            "completed": [{"id": "0"}],
            "hasNext": True,
        },
        {"completed": [{"id": "1", "errors": [ERROR]}], "hasNext": False},
    ]


async def test_parts_are_written_in_the_format_of_2022_for_who_asks_for_it() -> None:
    response = await answered(Scripted(*PARTS, AnswerPart(has_next=False)), f"{OLD}, application/json")
    assert response.headers["content-type"] == 'multipart/mixed; boundary="-"; deferSpec=20220824'
    assert bodies(response) == [
        {"data": {"a": [{}], "b": {}}, "hasNext": True},
        {"incremental": [{"data": {"y": 1}, "path": ["a", 0, "in"], "label": "later"}], "hasNext": True},
        {"incremental": [{"data": None, "path": ["b"], "errors": [ERROR]}], "hasNext": False},
        {"hasNext": False},
    ]


async def test_items_are_written_in_both_formats() -> None:
    lists = [
        AnswerPart(has_next=True, first=GraphQLAnswer({"l": [1], "m": []}, [], {}), pending=[L, M]),
        AnswerPart(
            has_next=False,
            incremental=[Items(L, 1, [2, 3], [ERROR])],
            completed=[Completed(L, [], 1), Completed(M, [ERROR], 0)],
        ),
    ]
    assert bodies(await answered(Scripted(*lists), CURRENT))[1] == {
        "incremental": [{"items": [2, 3], "id": "0", "errors": [ERROR]}],
        "completed": [{"id": "0"}, {"id": "1", "errors": [ERROR]}],
        "hasNext": False,
    }
    assert bodies(await answered(Scripted(*lists), OLD))[1] == {
        "incremental": [
            {"items": [2, 3], "path": ["l", 1], "label": "later", "errors": [ERROR]},
            {"items": None, "path": ["m", 0], "errors": [ERROR]},
        ],
        "hasNext": False,
    }


async def test_what_only_announces_or_completes_is_not_told_in_the_format_of_2022() -> None:
    silent = AnswerPart(has_next=True, pending=[B], completed=[Completed(A, [])])
    response = await answered(Scripted(FIRST, silent, AnswerPart(has_next=False, completed=[Completed(B, [])])), OLD)
    assert bodies(response) == [{"data": {"a": [{}], "b": {}}, "hasNext": True}, {"hasNext": False}]


@pytest.mark.parametrize(
    ("accept", "name"),
    [
        ("multipart/mixed", ""),
        ("application/json, multipart/mixed", ""),
        ("Multipart/Mixed;q=0.5, application/json", ""),
        ("multipart/mixed;deferSpec=20220824,application/graphql-response+json,application/json;q=0.9", OLD[16:]),
        ('multipart/mixed; deferSpec="20220824"', 'deferSpec="20220824"'),
        ("multipart/mixed;incrementalSpec=v0.2,application/json;q=0.9", "incrementalSpec=v0.2"),
        ("multipart/mixed;deferSpec=20220824;q=0.1, multipart/mixed", ""),
        ("multipart/mixed;deferSpec=19990101, application/json", None),
        ('multipart/mixed;boundary="graphql";subscriptionSpec=1.0, application/json', None),
        ("multipart/mixed;q=0, application/json", None),
        ("multipart/*, */*", None),
        ("application/json", None),
        ("x" * 2_000 + ",multipart/mixed", None),
        (None, None),
    ],
)
def test_parts_are_for_who_asks_for_them_by_name(accept: str | None, name: str | None) -> None:
    found = asked_format(accept)
    assert (found.name if found else None) == name


async def test_who_does_not_ask_for_parts_gets_the_whole_answer() -> None:
    response = await answered(Scripted(*PARTS), "application/json")
    assert response.json() == {"data": {"plain": True}}


async def test_an_answer_that_comes_as_a_whole_is_no_multipart() -> None:
    whole = Scripted(GraphQLAnswer({"a": 1}, [], {}))
    response = await answered(whole, "multipart/mixed, application/json")
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.json() == {"data": {"a": 1}}
    response = await answered(whole, CURRENT)
    assert response.headers["content-type"] == "application/graphql-response+json; charset=utf-8"


class Connection:
    """One request, whose response is read chunk by chunk."""

    def __init__(self, endpoint: GraphQLEndpoint) -> None:
        self.sent: asyncio.Queue[bytes] = asyncio.Queue()
        self.gone = asyncio.Event()
        self.status = 0
        self._body = [b'{"query":"{a}"}']
        self._headers = [(b"accept", CURRENT.encode()), (b"content-type", b"application/json")]
        self.task = asyncio.create_task(self._run(endpoint))

    async def _run(self, endpoint: Callable[..., Awaitable[None]]) -> None:
        scope = {"type": "http", "method": "POST", "headers": self._headers, "query_string": b"", "client": None}
        await endpoint(scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        if self._body:
            return {"type": "http.request", "body": self._body.pop(), "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.sent.put_nowait(message["body"])

    async def chunk(self) -> bytes:
        async with asyncio.timeout(seconds(10)):
            return await self.sent.get()


async def test_each_part_ends_before_the_next_one_is_there_and_silence_is_no_end() -> None:
    executor = Scripted(*PARTS)
    executor.barriers[1] = asyncio.Event()
    connection = Connection(endpoint_of(executor, silence_seconds=0.01))
    first = await connection.chunk()
    assert first.startswith(b"\r\n---\r\n")
    assert first.endswith(b'"hasNext":true}\r\n---')
    sign = b'\r\ncontent-type: application/json; charset=utf-8\r\n\r\n{"hasNext":true}\r\n---'
    for _ in range(3):
        assert await connection.chunk() == sign
    executor.barriers[1].set()
    while b"incremental" not in (chunk := await connection.chunk()):
        assert chunk == sign
    await connection.task


async def test_a_client_that_goes_away_ends_the_work_and_makes_room_for_another() -> None:
    executor = Scripted(*PARTS)
    executor.barriers[1] = asyncio.Event()
    endpoint = endpoint_of(executor)
    connection = Connection(endpoint)
    await connection.chunk()
    refused = Connection(endpoint)
    assert (b"OVERLOADED" in await refused.chunk(), refused.status) == (True, 503)
    connection.gone.set()
    async with asyncio.timeout(seconds(10)):
        await executor.ended.wait()
        await connection.task
    executor.barriers.clear()
    assert (await answered(executor, CURRENT)).status_code == 200
