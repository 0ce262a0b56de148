"""A stream of answers to one client, as GraphQL over Server-Sent Events, each operation on a connection of its own.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md#distinct-connections-mode

What comes waits in a bounded queue for the client to read. One that does not read is told so, with the bookmark to
resume from, as soon as it reads again; if it never does, the server's limit on writing ends the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from starlette.types import Send

from graphrouter.http.connections import ENDLESS
from graphrouter.http.media_types import EVENT_STREAM
from graphrouter.http.server_sent_events import COMPLETE, next_event, progress
from graphrouter.request import GraphQLAnswer, StreamInterrupted, StreamItem, StreamProgress, error_object

_HEADERS: Final = (
    (b"content-type", EVENT_STREAM),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx would keep events back
)


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What one stream of answers may take."""

    messages: int = 64
    """How many wait for a client that does not read."""
    slow_seconds: float = 10.0
    """For so long the queue may be full. Less than a server lets an answer lie (`ConnectionLimits.write_seconds`)."""


class OutgoingStream:
    """The items of a stream on their way to a client: taken as they come, given as fast as the client reads."""

    def __init__(self, items: AsyncGenerator[StreamItem, None], limits: StreamLimits) -> None:
        self._items = items
        self._limits = limits
        self._room = asyncio.Semaphore(limits.messages)
        self._queue: asyncio.Queue[StreamItem | None] = asyncio.Queue()
        self._is_complete = False
        self._is_slow = False
        self._bookmark = ""

    async def read(self) -> AsyncGenerator[StreamItem, None]:
        """The items. For a client that is slow, the last one says so.

        Raises:
            StreamInterrupted: the stream ends before its operation does.
        """
        taking = asyncio.create_task(self._take())
        try:
            while (item := await self._queue.get()) is not None:
                yield item
                self._room.release()
                self._bookmark = item.bookmark or self._bookmark
            if self._is_slow:
                yield self._told_slow()
            elif not self._is_complete:
                raise StreamInterrupted from (taking.exception() if taking.done() else None)
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)

    async def _take(self) -> None:
        try:
            async with aclosing(self._items) as items:
                async for item in items:
                    if not await self._has_room():
                        self._is_slow = True
                        return
                    self._queue.put_nowait(item)
            self._is_complete = True
        finally:
            self._queue.put_nowait(None)

    async def _has_room(self) -> bool:
        try:
            async with asyncio.timeout(self._limits.slow_seconds):
                await self._room.acquire()
        except TimeoutError:
            return False
        return True

    def _told_slow(self) -> GraphQLAnswer:
        message = "messages were read more slowly than they came: subscribe again from the bookmark of the last one"
        extensions: dict[str, object] = {"bookmark": self._bookmark} if self._bookmark else {}
        return GraphQLAnswer(None, [error_object(message, "SLOW_CONSUMER")], extensions, refused=True)


async def send_events(
    send: Send, items: AsyncGenerator[StreamItem, None], limits: StreamLimits, *, endless: bool
) -> None:
    """Writes a response that lasts as long as the operation; without its `complete` a client is to come back. One that
    is not `endless` is waited for by whoever stops."""
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS, ENDLESS: endless})

    async def write(body: bytes) -> None:
        await send({"type": "http.response.body", "body": body, "more_body": True})

    async with aclosing(OutgoingStream(items, limits).read()) as outgoing:
        try:
            async for item in outgoing:
                if isinstance(item, StreamProgress):
                    await write(progress(item.bookmark))
                else:
                    await write(next_event(item.text(), item.bookmark or ""))
            await write(COMPLETE)
        except StreamInterrupted:
            return
