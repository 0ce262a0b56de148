"""A receiver of spans: OTLP over HTTP, in protobuf, on a loopback port.

https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from infra import patience


@dataclass(frozen=True)
class Received:
    """A span, as it came."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    """Empty for the first one of a trace."""
    failed: bool
    attributes: Mapping[str, str | int]
    links: Sequence[tuple[str, str]]
    nanoseconds: int
    """How long it took."""


@dataclass
class Receiver:
    """What has come so far. `status` is what is answered."""

    url: str = ""
    status: int = 200
    spans: list[Received] = field(default_factory=list[Received])
    requests: int = 0
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    def environment(self) -> dict[str, str]:
        """The variables that have a program send its spans here, and soon."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}

    async def until(self, satisfied: Callable[[Sequence[Received]], bool]) -> Sequence[Received]:
        """All spans, as soon as they are satisfying."""
        async with asyncio.timeout(patience.seconds(30)):
            while not satisfied(self.spans):
                self._came.clear()
                await self._came.wait()
        return self.spans

    def traces(self) -> Mapping[str, Sequence[Received]]:
        """The spans by their trace."""
        found: dict[str, list[Received]] = defaultdict(list)
        for span in self.spans:
            found[span.trace_id].append(span)
        return found

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                headers = {}
                while header := (await reader.readline()).decode().strip():
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                self._take(line.decode(), headers, await reader.readexactly(int(headers["content-length"])))
                body = ExportTraceServiceResponse().SerializeToString()
                writer.write(
                    b"HTTP/1.1 %d Said\r\ncontent-type: application/x-protobuf\r\ncontent-length: %d\r\n\r\n%b"
                    % (self.status, len(body), body)
                )
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    def _take(self, line: str, headers: Mapping[str, str], body: bytes) -> None:
        assert line.startswith("POST /v1/traces "), line
        assert headers["content-type"] == "application/x-protobuf"
        self.requests += 1
        if self.status == 200:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                about = {one.key: one.value.string_value for one in resource.resource.attributes}
                for scope in resource.scope_spans:
                    self.spans += [_received(about["service.name"], span) for span in scope.spans]
        self._came.set()


@asynccontextmanager
async def receiver() -> AsyncGenerator[Receiver]:
    received = Receiver()
    server = await asyncio.start_server(received.serve, "127.0.0.1", 0)
    received.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield received
    finally:
        server.close()


def _received(service: str, span: Sent) -> Received:
    return Received(
        service,
        span.name,
        Sent.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.status.code == Status.STATUS_CODE_ERROR,
        {
            one.key: one.value.int_value if one.value.WhichOneof("value") == "int_value" else one.value.string_value
            for one in span.attributes
        },
        [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        span.end_time_unix_nano - span.start_time_unix_nano,
    )
