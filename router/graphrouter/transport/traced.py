"""Tells a subgraph which trace a request belongs to, and records the request as a span where that is recorded.

It stands below what joins equal requests: those of different traces are equal all the same. The one that is sent is in
the trace of whoever came first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from graphrouter.telemetry.tracing import CURRENT, Span, TraceContext, traced_headers
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

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        here = CURRENT.get()
        if here is None:
            return await self._inner.send(request)
        if not here.is_recorded:
            return await self._inner.send(_within(request, here.context))
        with here.child(_NAME, "client", {**self._attributes, **request.about}) as span:
            return await self._send(request, span)

    async def _send(self, request: SubgraphRequest, span: Span) -> SubgraphResponse:
        try:
            answer = await self._inner.send(_within(request, span.context))
        except TransportError as failure:
            span.fail(failure.code)
            raise
        span.set("http.response.status_code", answer.status)
        if answer.status >= 400:
            span.fail(str(answer.status))
        return answer


def _within(request: SubgraphRequest, context: TraceContext) -> SubgraphRequest:
    return SubgraphRequest(
        request.body,
        traced_headers(request.headers, context),
        request.deadline,
        request.repeatable,
        request.get,
        request.trace,
        request.about,
    )
