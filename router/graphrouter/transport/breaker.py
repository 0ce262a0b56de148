"""A circuit breaker: a subgraph that keeps failing is left alone for a while.

closed ──too many of the last requests failed──> open ──its seconds have passed──> half open
half open: one request is let through; its success closes the circuit, its failure opens it again.

Who is turned away learns it at once, and a subgraph that comes up again is not met by all who were waiting.
https://learn.microsoft.com/azure/architecture/patterns/circuit-breaker
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from graphrouter.transport.port import (
    SubgraphLeftAlone,
    SubgraphRequest,
    SubgraphResponse,
    SubgraphTimedOut,
    SubgraphTransport,
    SubgraphUnreachable,
)

_log = logging.getLogger("graphrouter.transport")

_SLICES: Final = 10
_SERVER_ERRORS: Final = range(500, 600)


@dataclass(frozen=True, slots=True)
class Breaker:
    """When a circuit opens, and for how long."""

    failed: float = 0.5
    """The share of failed requests, of those that ended in the last `window_seconds`, from which on it is open. Failed
    are those without an answer, those that took too long, and those answered with a status from 500 on."""
    requests: int = 20
    """So many have to have ended before it opens."""
    window_seconds: float = 10.0
    """How long a request counts after its end."""
    open_seconds: float = 5.0
    """How long nothing is sent."""


class BreakingTransport:
    """A transport with a circuit breaker. Health checks pass straight through and do not count."""

    def __init__(
        self, name: str, inner: SubgraphTransport, breaker: Breaker, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = name
        self._inner = inner
        self._breaker = breaker
        self._now = now
        self._slices: deque[_Slice] = deque()
        self._open_until = 0.0
        """0 while the circuit is closed."""
        self._trying = False

    @property
    def state(self) -> Literal["closed", "open", "half open"]:
        if not self._open_until:
            return "closed"
        return "open" if self._now() < self._open_until else "half open"

    async def start(self) -> None:
        await self._inner.start()

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        if request.get is not None:
            return await self._inner.send(request)
        if not self._open_until:
            return await self._counted(request, self._count)
        if self._trying or self._now() < self._open_until:
            raise SubgraphLeftAlone("the subgraph has failed too often and is left alone for a while")
        self._trying = True
        try:
            return await self._counted(request, self._tried)
        finally:
            self._trying = False

    async def _counted(self, request: SubgraphRequest, ended: Callable[[float, bool], None]) -> SubgraphResponse:
        try:
            answer = await self._inner.send(request)
        except (SubgraphUnreachable, SubgraphTimedOut):
            ended(self._now(), True)
            raise
        ended(self._now(), answer.status in _SERVER_ERRORS)
        return answer

    def _tried(self, now: float, failed: bool) -> None:
        if failed:
            self._open(now)
        else:
            self._close()

    def _count(self, now: float, failed: bool) -> None:
        if self._open_until:
            return  # it was sent before
        length = self._breaker.window_seconds / _SLICES
        while self._slices and self._slices[0].begun <= now - self._breaker.window_seconds:
            self._slices.popleft()
        if not self._slices or self._slices[-1].begun <= now - length:
            self._slices.append(_Slice(now))
        self._slices[-1].ended += 1
        if not failed:
            return
        self._slices[-1].failed += 1
        ended = sum(one.ended for one in self._slices)
        if ended >= self._breaker.requests and sum(one.failed for one in self._slices) >= self._breaker.failed * ended:
            self._open(now)

    def _open(self, now: float) -> None:
        if not self._open_until:
            _log.warning("subgraph %s: too many requests failed, nothing is sent for a while", self._name)
        self._open_until = now + self._breaker.open_seconds
        self._slices.clear()

    def _close(self) -> None:
        _log.info("subgraph %s: a request was answered, requests are sent again", self._name)
        self._open_until = 0.0


@dataclass(slots=True)
class _Slice:
    """A part of the window."""

    begun: float
    ended: int = 0
    failed: int = 0
