"""Tells a subgraph which trace a request belongs to, and records the request as a span where that is recorded.

It stands below what joins equal requests: those of different traces are equal all the same. The one that is sent is in
the trace of whoever came first.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any, Final

from graphrouter.telemetry.tracing import CURRENT, Span
from graphrouter.transport.port import SubgraphRequest, SubgraphResponse, SubgraphTransport, TransportError

_NAME: Final = "POST /graphql"
"""A request's method and its target: https://opentelemetry.io/docs/specs/semconv/http/http-spans/#name"""


class TracedTransport:
    """A transport whose requests have a place in a trace."""

    def __init__(self, name: str, inner: SubgraphTransport) -> None:
        self._inner = inner
        self._attributes: Mapping[str, str] = {"graphql.subgraph.name": name, "http.request.method": "POST"}

    async def start(self) -> None:
        await self._inner.start()

    async def aclose(self) -> None:
        await self._inner.aclose()

    def send(self, request: SubgraphRequest) -> Coroutine[Any, Any, SubgraphResponse]:
        here = CURRENT.get()
        if here is None:
            return self._inner.send(request)
        if not here.is_recorded:
            return self._inner.send(_within(request, here))
        return self._send(request, here)

    async def _send(self, request: SubgraphRequest, here: Span) -> SubgraphResponse:
        with here.child(_NAME, "client", {**self._attributes, **request.about}) as span:
            try:
                answer = await self._inner.send(_within(request, span))
            except TransportError as failure:
                span.fail(failure.code)
                raise
            span.set("http.response.status_code", answer.status)
            if answer.status >= 400:
                span.fail(str(answer.status))
            return answer


def _within(request: SubgraphRequest, span: Span) -> SubgraphRequest:
    return SubgraphRequest(
        request.body,
        request.headers + span.headers,
        request.deadline,
        request.repeatable,
        request.get,
        request.trace,
        request.about,
    )
