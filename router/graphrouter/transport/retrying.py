"""Sends a query to a subgraph again where it was not answered, within a budget.

Sending again helps against what is over in a moment, and harms a subgraph that has too much to do. So the pauses are
random and grow, and all retries together are a small part of the requests.

https://sre.google/sre-book/handling-overload/ (budgets),
https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ (full jitter)
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from graphrouter.transport.port import (
    SubgraphLeftAlone,
    SubgraphRequest,
    SubgraphResponse,
    SubgraphTransport,
    SubgraphUnreachable,
)

_UNANSWERED: Final = frozenset({502, 503, 504})
"""Statuses by which a proxy, or the server itself, says that the request was not executed to its end."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often what is safe to repeat is sent again: queries, never mutations."""

    attempts: int = 3
    """The first one included."""
    first_pause: float = 0.05
    """Seconds before the second attempt, at most: the pause is drawn between 0 and this. Each following one is twice
    as long."""
    longest_pause: float = 1.0
    """Seconds that a pause has at most. A subgraph that asks for a longer one (`Retry-After`) is not asked again."""
    share: float = 0.1
    """Retries for each request that is sent the first time: 0.1 allows one for ten requests."""
    saved: float = 10.0
    """Retries that can be saved up, and are there at the start."""


class RetryingTransport:
    """A transport that sends repeatable requests again, before their deadline."""

    def __init__(
        self,
        inner: SubgraphTransport,
        retries: Retries,
        *,
        draw: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = lambda: asyncio.get_running_loop().time(),
    ) -> None:
        self._inner = inner
        self._retries = retries
        self._draw = draw
        self._sleep = sleep
        self._now = now
        self._left = retries.saved

    async def start(self) -> None:
        await self._inner.start()

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        if not request.repeatable or request.get is not None:
            return await self._inner.send(request)
        self._left = min(self._retries.saved, self._left + self._retries.share)
        attempt = 1
        while True:
            try:
                answer = await self._inner.send(request)
            except SubgraphLeftAlone:
                raise
            except SubgraphUnreachable:
                if not await self._pause(attempt, request, 0.0):
                    raise
            else:
                if answer.status not in _UNANSWERED:
                    return answer
                if not await self._pause(attempt, request, _asked_for(answer)):
                    return answer
            attempt += 1
            if request.trace is not None:
                request.trace.retries += 1

    async def _pause(self, attempt: int, request: SubgraphRequest, asked: float) -> bool:
        """Waits before the next attempt; False where there is to be none."""
        if attempt >= self._retries.attempts or self._left < 1:
            return False
        longest = min(self._retries.longest_pause, self._retries.first_pause * 2 ** (attempt - 1))
        seconds = max(asked, self._draw() * longest)
        if asked > self._retries.longest_pause:
            return False
        if request.deadline is not None and self._now() + seconds >= request.deadline:
            return False
        self._left -= 1
        await self._sleep(seconds)
        return True


def _asked_for(answer: SubgraphResponse) -> float:
    """https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3, in seconds; a date is not read."""
    text = answer.headers.get("retry-after", "").strip()
    return float(text) if text.isdecimal() and len(text) < 10 else 0.0
