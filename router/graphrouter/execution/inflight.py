"""Joins equal work that is under way at the same time: it is done once, and all who asked get what comes out.

Who comes first does the work; the others wait. Nothing is made for those who never come: no task, no future. Should
the first one leave before the end (its client is gone, its deadline has passed), one of the others does the work anew,
which is at most what would have been done without joining.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeAlias, TypeVar

from graphrouter.transport import SubgraphRequest, SubgraphResponse, SubgraphTimedOut, SubgraphTransport

Result = TypeVar("Result")

_Outcome: TypeAlias = tuple[Result | None, Exception | None]
"""What came out, one of the two; neither where whoever did the work has left."""


class Flights(Generic[Result]):
    """Work under way, by a key that says what it is.

    `leaving` are the exceptions that concern only the one who does the work, beside being cancelled.
    """

    def __init__(self, *leaving: type[Exception]) -> None:
        self._leaving = leaving
        self._waiting: dict[object, list[asyncio.Future[_Outcome[Result]]]] = {}

    def has(self, key: object) -> bool:
        return key in self._waiting

    async def join(self, key: object, start: Callable[[], Awaitable[Result]]) -> Result:
        """What `start()` gives, here or for somebody with an equal key who is at it already."""
        while (waiting := self._waiting.get(key)) is not None:
            mine: asyncio.Future[_Outcome[Result]] = asyncio.get_running_loop().create_future()
            waiting.append(mine)
            result, error = await mine
            if error is not None:
                raise error
            if result is not None:
                return result
        self._waiting[key] = []
        outcome: _Outcome[Result] = (None, None)
        try:
            result = await start()
            outcome = (result, None)
        except Exception as error:
            if not isinstance(error, self._leaving):
                outcome = (None, error)
            raise
        finally:
            for one in self._waiting.pop(key):
                if not one.done():
                    one.set_result(outcome)
        return result


class JoiningTransport:
    """A transport that sends a repeatable request only if no equal one (body and headers) is in flight.

    Everybody leaves at their own deadline. Mutations and health checks pass straight through.
    """

    def __init__(self, inner: SubgraphTransport) -> None:
        self._inner = inner
        self._flights: Flights[SubgraphResponse] = Flights(SubgraphTimedOut)

    async def start(self) -> None:
        await self._inner.start()

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        if not request.repeatable or request.get is not None:
            return await self._inner.send(request)
        key = (request.body, request.headers)
        if not self._flights.has(key):
            return await self._flights.join(key, lambda: self._inner.send(request))
        if request.trace is not None:
            request.trace.joined = True
        try:
            async with asyncio.timeout_at(request.deadline):
                return await self._flights.join(key, lambda: self._inner.send(request))
        except TimeoutError as error:
            raise SubgraphTimedOut("the subgraph did not answer in time") from error

    async def aclose(self) -> None:
        await self._inner.aclose()
