"""Traces of a process of a system: what records them, for its router and for its subgraphs.

OpenTelemetry's own variables say where to (docs/tracing.md): `OTEL_EXPORTER_OTLP_ENDPOINT` turns it on.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

from eventgraph.errors import StartError
from eventgraph.serving.tracing import EventTracer, TracedSubgraph
from graphrouter.telemetry.settings import TracingSettings, TracingUnavailable
from graphrouter.telemetry.tracing import Recorder, Tracing


@dataclass(frozen=True, slots=True)
class Traces:
    """Gives tracing to what a process serves; none where nothing is exported."""

    settings: TracingSettings = field(default_factory=TracingSettings)
    recorder: Recorder | None = None
    logs: Literal["sqlite", "kafka"] = "sqlite"

    def router(self, *, trusts_clients: bool) -> Tracing | None:
        return self.settings.tracing(self.recorder, trusts_parents=trusts_clients)

    def subgraph(self, name: str) -> TracedSubgraph | None:
        """Who asks a subgraph is a router, whose traces it goes on with. The router has decided whichever sampler there
        is: a trace is recorded whole, or not."""
        requests = self.settings.tracing(self.recorder, trusts_parents=True)
        if requests is None:
            return None
        of_router = replace(requests, subgraph=name, follows_parents=True)
        return TracedSubgraph(of_router, EventTracer(requests.recorder, self.logs))


NO_TRACES = Traces()


@contextmanager
def traces(service: str, version: str, logs: Literal["sqlite", "kafka"]) -> Generator[Traces]:
    """What records the spans of this process; those that wait are sent at the end.

    Raises:
        StartError: spans are to be exported, and cannot be.
    """
    with ExitStack() as stack:
        try:
            settings = TracingSettings.read()
            recorder = stack.enter_context(settings.recording(service, version))
        except TracingUnavailable as error:
            raise StartError(str(error)) from error
        yield Traces(settings, recorder, logs)
