"""Explains how one request was answered: what each fetch took, and how far the answer of each had come.

Only a request that asks for it has an `Explanation`; nothing here is on the way of others.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from graphrouter import bookmarks
from graphrouter.execution.prepare import PreparedPlan
from graphrouter.json_text import Json
from graphrouter.planning.plan import Fetch
from graphrouter.transport import (
    RequestTrace,
    SubgraphRequest,
    SubgraphResponse,
    SubgraphTransport,
    TransportError,
)

_DIGITS = 3
"""Of milliseconds: what is less than a microsecond is noise."""


@dataclass(slots=True)
class _Exchange:
    """One fetch's request and its answer. Moments are of the event loop's clock."""

    request_bytes: int
    started: float
    ended: float = 0.0
    bytes: int = 0
    status: int | None = None
    code: str = ""
    bookmark: str = ""
    trace: RequestTrace = field(default_factory=RequestTrace)


class Explanation:
    """What is known of one execution; `started` is when the request came, a moment of the event loop's clock."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._prepared = self._fetched = asyncio.get_running_loop().time()
        self._exchanges: dict[int, _Exchange] = {}

    async def send(self, fetch: Fetch, transport: SubgraphTransport, request: SubgraphRequest) -> SubgraphResponse:
        """Sends a fetch's request, as `SubgraphTransport.send` does."""
        now = asyncio.get_running_loop().time
        exchange = self._exchanges[fetch.id] = _Exchange(len(request.body), now())
        try:
            response = await transport.send(replace(request, trace=exchange.trace))
        except TransportError as failure:
            exchange.code = failure.code
            raise
        finally:
            exchange.ended = self._fetched = now()
        exchange.status, exchange.bytes = response.status, len(response.body)
        return response

    def answered(self, fetch: Fetch, bookmarks_given: Iterable[Json]) -> None:
        """The bookmarks that the answer of a fetch came with; one that is malformed is told elsewhere."""
        if (exchange := self._exchanges.get(fetch.id)) is not None:
            with contextlib.suppress(bookmarks.InvalidBookmark):
                exchange.bookmark = bookmarks.join_texts(text for text in bookmarks_given if isinstance(text, str))

    def failed(self, fetch: Fetch, code: str) -> None:
        """A fetch gave nothing."""
        if (exchange := self._exchanges.get(fetch.id)) is not None:
            exchange.code = code

    def told(self, plan: PreparedPlan) -> dict[str, Json]:
        """The extension `explain`; times in milliseconds, starts since the request came."""
        now = asyncio.get_running_loop().time()
        return {
            "milliseconds": _milliseconds(now - self._started),
            "preparing": {
                "milliseconds": _milliseconds(self._prepared - self._started),
                "planning": _milliseconds(plan.seconds),
            },
            "fetches": [*self._fetches(plan)],
            "shaping": {"milliseconds": _milliseconds(now - self._fetched)},
        }

    def _fetches(self, plan: PreparedPlan) -> Iterator[dict[str, Json]]:
        for fetch in plan.plan.fetches:
            found: dict[str, Json] = {"id": fetch.id, "service": fetch.subgraph}
            exchange = self._exchanges.get(fetch.id)
            if exchange is None:
                yield {**found, "sent": False}
                continue
            found |= {
                "sent": True,
                "start": _milliseconds(exchange.started - self._started),
                "milliseconds": _milliseconds(exchange.ended - exchange.started),
                "requestBytes": exchange.request_bytes,
                "bytes": exchange.bytes,
                "status": exchange.status,
                "retries": exchange.trace.retries,
                "joined": exchange.trace.joined,
            }
            if exchange.code:
                found["code"] = exchange.code
            if exchange.bookmark:
                found |= {"bookmark": exchange.bookmark, "positions": {**bookmarks.decode(exchange.bookmark)}}
            yield found


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, _DIGITS)
