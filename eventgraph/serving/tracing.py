"""What a trace has of commands, process managers and views: the kernel's port `Tracer`.

Names and attributes are OpenTelemetry's for messaging: https://opentelemetry.io/docs/specs/semconv/messaging/. No
stream and no key is told, for they may be a person's.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from eventkernel.events import Metadata, Record, log_name
from graphrouter.telemetry.tracing import Recorded, Recorder, Span, TraceContext, Tracing

_LONGEST_AGO_US: Final = 3_600_000_000
"""Traces of records that are older are over: a view that is filled from the start of its logs begins none of them
anew."""


@dataclass(frozen=True, slots=True)
class EventTracer:
    """Of one process. `system` is where its logs are: `sqlite` or `kafka`."""

    recorder: Recorder
    system: str

    @contextmanager
    def command(self, log: str, command: object, metadata: Metadata) -> Generator[Metadata]:
        parent = TraceContext.read(metadata.traceparent, metadata.tracestate)
        if parent is None or not parent.sampled:
            yield metadata
            return
        attributes = {
            "messaging.system": self.system,
            "messaging.operation.type": "send",
            "messaging.operation.name": "append",
            "messaging.destination.name": log_name(log),
            "eventkernel.command": type(command).__name__,
        }
        recorded = self.recorder.begin(f"append {log_name(log)}", "producer", attributes, parent)
        with Span.of(recorded, self.recorder) as span:
            yield replace(metadata, traceparent=span.context.traceparent)

    @contextmanager
    def reaction(self, process: str, record: Record) -> Generator[str | None]:
        parent = TraceContext.read(record.traceparent, record.tracestate)
        if parent is None:
            yield record.traceparent
            return
        if not parent.sampled or _is_over(record):
            here = TraceContext(parent.trace_id, parent.span_id, sampled=False)
            with Span(here):
                yield here.traceparent
            return
        with Span.of(self._taken(process, record, parent, None), self.recorder) as span:
            yield span.context.traceparent

    def applied(self, view: str, records: Iterable[Record], began_ns: int) -> None:
        for record in records:
            if record.traceparent is None or record.traceparent.endswith("-00") or _is_over(record):
                continue
            parent = TraceContext.read(record.traceparent, record.tracestate)
            if parent is not None and parent.sampled:
                self._taken(view, record, parent, began_ns).end()

    def _taken(self, reader: str, record: Record, parent: TraceContext, began_ns: int | None) -> Recorded:
        attributes: dict[str, str | int] = {
            "messaging.system": self.system,
            "messaging.operation.type": "process",
            "messaging.operation.name": "process",
            "messaging.consumer.group.name": reader,
            "messaging.destination.name": log_name(record.log),
            "messaging.destination.partition.id": str(record.partition),
            "eventkernel.event": record.type,
        }
        name = f"process {log_name(record.log)}"
        return self.recorder.begin(name, "consumer", attributes, parent, began_ns=began_ns)


@dataclass(frozen=True, slots=True)
class TracedSubgraph:
    """What traces one subgraph: its requests, and what they lead to."""

    requests: Tracing
    tracer: EventTracer


def _is_over(record: Record) -> bool:
    return record.time_us < time.time_ns() // 1_000 - _LONGEST_AGO_US
