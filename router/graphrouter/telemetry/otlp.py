"""Exports spans with OpenTelemetry's SDK, by OTLP over HTTP (the extra `tracing`).

The environment says where to and how, as for every program that OpenTelemetry instruments; the SDK reads most of it:
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/,
https://opentelemetry.io/docs/specs/otel/protocol/exporter/

Spans wait in a queue that is bounded (`OTEL_BSP_MAX_QUEUE_SIZE`), and are sent by a thread. What the queue has no room
for is dropped: nothing waits for whoever takes them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace import Span as ApiSpan
from opentelemetry.util.types import AttributeValue

from graphrouter.telemetry.tracing import Attributes, Kind, Recorded, TraceContext

_KINDS: Final = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}
_CLOSING_SECONDS: Final = 3.0
"""How long a process that ends waits for its last spans to be taken."""

_log: Final = logging.getLogger("graphrouter.tracing")


class OtlpRecorder:
    """Records spans of one process: a `Recorder`.

    `service` is its name unless `OTEL_SERVICE_NAME` says another. `endpoint` is where spans go, the whole URL, instead
    of where the environment says.
    """

    def __init__(self, service: str, version: str, endpoint: str | None = None) -> None:
        # What the SDK says of every attempt is told once here, when it begins to fail and when that is over.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        named = Resource({SERVICE_NAME: service, "service.version": version})
        self._exporter = _Told(OTLPSpanExporter(endpoint=endpoint))
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,  # nothing comes here that is not to be recorded
            resource=Resource.create().merge(named).merge(OTELResourceDetector().detect()),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("graphrouter", version)

    def begin(
        self,
        name: str,
        kind: Kind,
        attributes: Attributes,
        parent: TraceContext | None,
        *,
        link: TraceContext | None = None,
        began_ns: int | None = None,
    ) -> Recorded:
        context = set_span_in_context(NonRecordingSpan(_remote(parent) if parent else _ROOT))
        links = [Link(_remote(link))] if link is not None else []
        span = self._tracer.start_span(name, context, _KINDS[kind], attributes, links, began_ns)
        return _Recorded(span, parent.state if parent is not None else "")

    def close(self) -> None:
        """Sends what is left, and waits a moment for that. It blocks."""
        closing = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        closing.start()
        closing.join(_CLOSING_SECONDS)
        if closing.is_alive():
            self._exporter.shutdown()  # which ends its waiting for another attempt
            closing.join(_CLOSING_SECONDS)


@dataclass(frozen=True, slots=True)
class _Recorded:
    span: ApiSpan
    state: str

    @property
    def context(self) -> TraceContext:
        found = self.span.get_span_context()
        return TraceContext(f"{found.trace_id:032x}", f"{found.span_id:016x}", sampled=True, state=self.state)

    def set(self, name: str, value: AttributeValue) -> None:
        self.span.set_attribute(name, value)

    def fail(self) -> None:
        self.span.set_status(StatusCode.ERROR)

    def end(self) -> None:
        self.span.end()


def _remote(context: TraceContext) -> SpanContext:
    return SpanContext(
        int(context.trace_id, 16),
        int(context.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if context.sampled else TraceFlags.DEFAULT),
        trace_state=TraceState.from_header([context.state]) if context.state else None,
    )


_ROOT: Final = SpanContext(0, 0, is_remote=False)
"""In the place of a parent: the SDK begins a trace."""


class _Told(SpanExporter):
    """An exporter that says once when it begins to fail, and once when that is over."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._failing = False
        self._lost = 0
        self._closed = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE if self._closed.is_set() else self._inner.export(spans)
        if result is SpanExportResult.SUCCESS:
            if self._failing:
                _log.warning("spans are taken again; at least %d were lost", self._lost)
            self._failing, self._lost = False, 0
            return result
        self._lost += len(spans)
        if not self._failing:
            self._failing = True
            _log.warning("spans are lost: where they are exported to does not take them; requests are not concerned")
        return result

    def shutdown(self) -> None:
        if not self._closed.is_set():
            self._closed.set()
            self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)
