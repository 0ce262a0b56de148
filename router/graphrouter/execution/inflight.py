"""Joins equal queries that are on their way to one subgraph at the same time: one request, one answer for all."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from graphrouter.transport import SubgraphRequest, SubgraphResponse, SubgraphTimedOut, SubgraphTransport


@dataclass(slots=True)
class _Flight:
    task: asyncio.Task[SubgraphResponse]
    waiting: int = 0


class JoiningTransport:
    """A transport that sends a repeatable request only if no equal one (body and headers) is in flight.

    The request in flight has no deadline of its own: each of those who wait for it leaves at its own, and the last one
    to leave ends it. Mutations and health checks pass straight through.
    """

    def __init__(self, inner: SubgraphTransport) -> None:
        self._inner = inner
        self._flights: dict[tuple[bytes, tuple[tuple[str, str], ...]], _Flight] = {}

    async def start(self) -> None:
        await self._inner.start()

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        if not request.repeatable or request.get is not None:
            return await self._inner.send(request)
        key = (request.body, request.headers)
        flight = self._flights.get(key)
        if flight is None:
            task = asyncio.create_task(self._inner.send(replace(request, deadline=None)))
            flight = self._flights[key] = _Flight(task)
            task.add_done_callback(lambda _: self._forget(key, flight))
        flight.waiting += 1
        try:
            async with asyncio.timeout_at(request.deadline):
                return await asyncio.shield(flight.task)
        except TimeoutError as error:
            raise SubgraphTimedOut("the subgraph did not answer in time") from error
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                self._forget(key, flight)
                flight.task.cancel()

    def _forget(self, key: tuple[bytes, tuple[tuple[str, str], ...]], flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    async def aclose(self) -> None:
        await self._inner.aclose()
