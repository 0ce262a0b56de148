"""Reads Server-Sent Events as a client does, line by line; imports nothing of what it is there to check.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from graphrouter.transport import StreamingTransport, SubgraphRequest
from infra.patience import seconds


@dataclass(frozen=True)
class Event:
    """A block of the stream: `name` is empty where it dispatches no event."""

    name: str
    body: dict[str, Any]
    id: str

    @property
    def data(self) -> Any:
        """The one field that was asked for."""
        assert "errors" not in self.body, self.body
        (value,) = self.body["data"].values()
        return value

    @property
    def bookmark(self) -> str:
        assert self.body["extensions"]["bookmark"] == self.id
        return self.id


async def events_of(lines: AsyncIterable[str]) -> AsyncGenerator[Event, None]:
    name, data, last_id, blank = "", "", "", True
    async for line in lines:
        if line:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            blank = False
            match field:
                case "event":
                    name = value
                case "data":
                    data += value
                case "id":
                    last_id = value
                case _:
                    assert field == "", line
        elif not blank:
            yield Event(name, json.loads(data) if data else {}, last_id)
            name, data, blank = "", "", True


class Listening:
    """The events of one stream, as they come."""

    def __init__(self, events: AsyncGenerator[Event, None]) -> None:
        self.events = events
        self.last_id = ""

    async def any(self) -> Event:
        """The next block, whatever it is; StopAsyncIteration at the stream's end."""
        async with asyncio.timeout(seconds(30)):
            event = await anext(self.events)
        self.last_id = event.id
        return event

    async def next(self) -> Event:
        """The next that dispatches an event."""
        while not (event := await self.any()).name:
            pass
        return event


async def _lines(chunks: AsyncIterable[bytes]) -> AsyncGenerator[str, None]:
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.decode()


@asynccontextmanager
async def listening(
    transport: StreamingTransport, query: str, variables: dict[str, Any] | None = None, **headers: str
) -> AsyncGenerator[Listening]:
    """Subscribed over a transport; its first block, which says where the stream begins, has come."""
    body = json.dumps({"query": query, "variables": variables or {}}).encode()
    sent = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    async with transport.stream(SubgraphRequest(body, sent)) as stream:
        assert stream.status == 200, b"".join([chunk async for chunk in stream.chunks])
        assert stream.headers["content-type"] in {"text/event-stream; charset=utf-8", "text/event-stream"}
        async with aclosing(events_of(_lines(stream.chunks))) as events:
            listener = Listening(events)
            while not listener.last_id:
                assert not (await listener.any()).name
            yield listener


@asynccontextmanager
async def listening_at(
    client: httpx.AsyncClient, url: str, query: str, variables: dict[str, Any] | None = None, **headers: str
) -> AsyncGenerator[Listening]:
    """The same over HTTP."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()} | {"accept": "text/event-stream"}
    body = {"query": query, "variables": variables or {}}
    async with client.stream("POST", url, json=body, headers=sent, timeout=httpx.Timeout(60, read=None)) as response:
        assert response.status_code == 200, await response.aread()
        async with aclosing(events_of(response.aiter_lines())) as events:
            listener = Listening(events)
            while not listener.last_id:
                assert not (await listener.any()).name
            yield listener


async def refused(transport: StreamingTransport, query: str, **headers: str) -> tuple[int, str]:
    """The status and the code of a subscription that is refused."""
    sent = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    async with transport.stream(SubgraphRequest(json.dumps({"query": query}).encode(), sent)) as stream:
        body = json.loads(b"".join([chunk async for chunk in stream.chunks]))
        return stream.status, body["errors"][0]["extensions"]["code"]
