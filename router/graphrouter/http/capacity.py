"""How much one endpoint takes: requests and streams of answers at the same time, and what a client may send.

The endpoint of HTTP and that of WebSockets at the same path share it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from starlette.types import Scope

from graphrouter.http.admission import AdaptiveAdmission, Admission
from graphrouter.http.rates import RateLimit, Rates
from graphrouter.http.refusal import HttpRefusal
from graphrouter.http.streaming import StreamLimits
from graphrouter.request import GraphQLRequest, RequestRefused, error_object
from graphrouter.telemetry.http import HttpMetrics

RETRY_AFTER: Final = (b"retry-after", b"1")
"""Seconds after which a client that was turned away may come again."""


@dataclass(frozen=True, slots=True)
class EndpointLimits:
    """What one endpoint takes."""

    body_bytes: int
    concurrent: int
    """Requests that are executed at the same time; one more is refused at once, with OVERLOADED."""
    adaptive: bool = False
    """Whether fewer are executed at the same time while the event loop is never idle."""
    rate: RateLimit | None = None
    """What one client may send; beyond that it is refused, with RATE_LIMITED."""
    persisted: bool = False
    """Whether the executor knows operations by their ids."""
    streams: int = 10_000
    """Streams of answers (subscriptions) at the same time; the same."""
    stream: StreamLimits = field(default_factory=StreamLimits)
    silence_seconds: float = 10.0
    """After so long without a part of an answer that comes in parts, the client is sent a sign of life."""


class Capacity:
    """What is taken of the limits now, whatever the transport."""

    def __init__(self, limits: EndpointLimits, metrics: HttpMetrics | None = None) -> None:
        self.limits = limits
        self.metrics = metrics
        """What counts; None: nothing does."""
        self.requests = AdaptiveAdmission(limits.concurrent) if limits.adaptive else Admission(limits.concurrent)
        self.streams = Admission(limits.streams)
        self._rates = Rates(limits.rate) if limits.rate else None
        if metrics is not None:
            metrics.watch(self)

    def begin_request(self) -> None:
        """Counts a request, until `requests.leave()`; raises HttpRefusal where there are too many."""
        if not self.requests.enter():
            raise HttpRefusal(503, "OVERLOADED", "too many requests are being executed: try again", (RETRY_AFTER,))

    @contextmanager
    def a_stream(self) -> Generator[None]:
        """Counts a stream while it is open; raises HttpRefusal where there are too many."""
        if not self.streams.enter():
            raise HttpRefusal(503, "OVERLOADED", "too many streams of answers are open: try again", (RETRY_AFTER,))
        try:
            yield
        finally:
            self.streams.leave()

    def count(self, scope: Scope, headers: Mapping[str, str]) -> None:
        """Counts a request of a client; raises HttpRefusal where it has sent too many."""
        if (rates := self._rates) is None:
            return
        wait = rates.wait(rates.client(scope, headers), asyncio.get_running_loop().time())
        if wait:
            message = f"the client has sent too many requests: expected the next one in {wait} s at the earliest"
            raise HttpRefusal(429, "RATE_LIMITED", message, ((b"retry-after", str(wait).encode()),))

    def check_persisted(self, request: GraphQLRequest) -> GraphQLRequest:
        """The request; RequestRefused where it is an id, and nobody knows operations by ids."""
        if not request.query and request.document_id is not None and not self.limits.persisted:
            # In the words of the protocol, after which clients send the text.
            raise RequestRefused(error_object("PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED"))
        return request
