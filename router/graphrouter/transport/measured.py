"""Measures how long each request to a subgraph takes, and what comes of it."""

from __future__ import annotations

import time

from graphrouter.telemetry.router import RouterMetrics
from graphrouter.transport.port import SubgraphRequest, SubgraphResponse, SubgraphTransport, TransportError

_CANCELLED = "CANCELLED"
"""Told where nobody wanted the answer any more."""


class MeasuredTransport:
    """A transport whose requests are counted."""

    def __init__(self, name: str, inner: SubgraphTransport, metrics: RouterMetrics) -> None:
        self._inner = inner
        self._requests = metrics.subgraph(name)

    async def start(self) -> None:
        await self._inner.start()

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        started = time.perf_counter()
        status, error = "", _CANCELLED
        self._requests.active += 1
        try:
            answer = await self._inner.send(request)
            status, error = str(answer.status), ""
        except TransportError as failure:
            error = failure.code
            raise
        finally:
            self._requests.active -= 1
            self._requests.ended(status, error, time.perf_counter() - started)
        return answer
