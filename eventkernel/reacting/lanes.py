"""Records worked on side by side, those of one stream one after the other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from eventkernel.events import Record

T = TypeVar("T")


async def side_by_side(items: Iterable[T], work: Callable[[T], Awaitable[object]], places: int) -> None:
    """Works on all of them, some at a time. When all are done, raises the first exception that one has raised."""
    free = asyncio.Semaphore(places)

    async def attempt(item: T) -> Exception | None:
        async with free:
            try:
                await work(item)
            except Exception as error:  # noqa: BLE001  # raised when the others are done
                return error
            return None

    async with asyncio.TaskGroup() as group:
        attempts = [group.create_task(attempt(item)) for item in items]
    for failure in (task.result() for task in attempts):
        if failure is not None:
            raise failure


class Lanes:
    """A lane for each stream that has records under way; at most `room` records are, in all of them together.

    What `work` raises ends the group of tasks.
    """

    def __init__(self, group: asyncio.TaskGroup, work: Callable[[Record], Awaitable[None]], room: int) -> None:
        self._group = group
        self._work = work
        self._room = asyncio.Semaphore(room)
        self._lanes: dict[str, deque[Record]] = {}

    async def put(self, record: Record) -> None:
        """Returns as soon as there is room for the record."""
        await self._room.acquire()
        lane = self._lanes.get(record.stream)
        if lane is None:
            self._lanes[record.stream] = deque((record,))
            self._group.create_task(self._run(record.stream), name=f"lane of {record.stream}")
        else:
            lane.append(record)

    async def _run(self, stream: str) -> None:
        lane = self._lanes[stream]
        while lane:
            await self._work(lane.popleft())
            self._room.release()
        del self._lanes[stream]
