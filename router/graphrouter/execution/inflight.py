"""Joins equal work that is under way at the same time: it is done once, and all who asked get what comes out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from graphrouter.transport import SubgraphRequest, SubgraphResponse, SubgraphTimedOut, SubgraphTransport

Result = TypeVar("Result")


@dataclass(slots=True)
class _Flight(Generic[Result]):
    task: asyncio.Task[Result]
    waiting: int = 0


class Flights(Generic[Result]):
    """Work under way, by a key that says what it is. Each who waits may leave; the last one to leave ends the work."""

    def __init__(self) -> None:
        self._flights: dict[object, _Flight[Result]] = {}

    async def join(self, key: object, start: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = self._started(key, start)
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                self._forget(key, flight)
                flight.task.cancel()

    def _started(self, key: object, start: Callable[[], Coroutine[Any, Any, Result]]) -> _Flight[Result]:
        flight = _Flight(asyncio.create_task(start()))
        flight.task.add_done_callback(lambda _: self._forget(key, flight))
        return flight

    def _forget(self, key: object, flight: _Flight[Result]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]


class JoiningTransport:
    """A transport that sends a repeatable request only if no equal one (body and headers) is in flight.

    The request in flight has no deadline of its own: each of those who wait for it leaves at its own. Mutations and
    health checks pass straight through.
    """

    def __init__(self, inner: SubgraphTransport) -> None:
        self._inner = inner
        self._flights: Flights[SubgraphResponse] = Flights()

    async def start(self) -> None:
        await self._inner.start()

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        if not request.repeatable or request.get is not None:
            return await self._inner.send(request)
        try:
            async with asyncio.timeout_at(request.deadline):
                return await self._flights.join(
                    (request.body, request.headers), lambda: self._inner.send(replace(request, deadline=None))
                )
        except TimeoutError as error:
            raise SubgraphTimedOut("the subgraph did not answer in time") from error

    async def aclose(self) -> None:
        await self._inner.aclose()
