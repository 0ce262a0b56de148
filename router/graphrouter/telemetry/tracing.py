"""Traces: the span that a task is in, where its trace comes from, and whether it is recorded.

Most traces are not recorded, so the decision comes first: a request that is not recorded gets no span, only ids, which
stand in log lines and go on to subgraphs with the flag that says so. They are drawn for the first of these. Recording
is a `Recorder`'s, which is loaded only where traces are exported (`otlp.py`).

https://www.w3.org/TR/trace-context/, https://opentelemetry.io/docs/specs/semconv/
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, Protocol, Self, TypeAlias

from graphrouter.telemetry.http import ROUTE, known_method
from graphrouter.telemetry.measures import OTHER

Kind: TypeAlias = Literal["internal", "server", "client", "producer", "consumer"]
Attributes: TypeAlias = Mapping[str, str | int]
Headers: TypeAlias = tuple[tuple[str, str], ...]

TRACE_HEADERS: Final = frozenset({"traceparent", "tracestate"})

_TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[ -~]*)?")
_TRACESTATE: Final = re.compile(r"[ -~]{1,512}")


class TraceContext(NamedTuple):
    """Where in which trace something happens. Ids are hexadecimal digits: 32 of the trace, 16 of the span."""

    trace_id: str
    span_id: str
    sampled: bool
    """Whether the trace is recorded."""
    state: str = ""
    """What vendors have said of it, `tracestate`."""

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    @classmethod
    def read(cls, traceparent: str | None, tracestate: str | None = None) -> TraceContext | None:
        """From the two headers; None where there is none, or none that can be read.

        https://www.w3.org/TR/trace-context/#traceparent-header
        """
        found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
        if found is None:
            return None
        version, trace_id, span_id, flags, more = found.groups()
        if (
            version == "ff"
            or (version == "00" and more is not None)
            or not (trace_id.strip("0") and span_id.strip("0"))
        ):
            return None
        state = tracestate if tracestate and _TRACESTATE.fullmatch(tracestate) else ""
        return cls(trace_id, span_id, bool(int(flags, 16) & 1), state)


class Recorded(Protocol):
    """A span that is recorded."""

    @property
    def context(self) -> TraceContext: ...

    def set(self, name: str, value: str | int) -> None: ...

    def fail(self) -> None:
        """It has failed."""
        ...

    def end(self) -> None: ...


class Recorder(Protocol):
    """Records spans, and exports them. Nothing of it waits, and nothing is raised."""

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
        """A span: without a parent, the first one of a trace. `link` is what it is related to beside that. `began_ns`
        is when it began, in nanoseconds since 1970, if not now."""
        ...


class Span:
    """What a task does, while it is entered; its end is left with the block. Where nothing is recorded it has only its
    place in the trace. Without one a trace begins here that is not recorded, and its ids are drawn when somebody asks.
    """

    __slots__ = ("_context", "_failed", "_headers", "_recorded", "_recorder", "_token", "is_recorded")

    def __init__(
        self, context: TraceContext | None, recorded: Recorded | None = None, recorder: Recorder | None = None
    ) -> None:
        self.is_recorded = recorded is not None
        self._context = context
        self._headers: Headers | None = None
        self._recorded = recorded
        self._recorder = recorder
        self._token: Token[Span | None] | None = None
        self._failed = False

    @property
    def context(self) -> TraceContext:
        if self._context is None:
            _, trace_id, span_id, _ = self.headers[0][1].split("-")
            self._context = TraceContext(trace_id, span_id, sampled=False)
        return self._context

    @property
    def headers(self) -> Headers:
        """What is sent to a subgraph, so that it goes on with the trace."""
        if self._headers is None:
            if self._context is None:  # one id in 2**64 is all zeros, which nobody reads
                digits = random.randbytes(24).hex()  # noqa: S311  # no secrets
                self._headers = (("traceparent", f"00-{digits[:32]}-{digits[32:]}-00"),)
            else:
                state = self._context.state
                self._headers = (
                    ("traceparent", self._context.traceparent),
                    *((("tracestate", state),) if state else ()),
                )
        return self._headers

    @classmethod
    def of(cls, recorded: Recorded, recorder: Recorder) -> Span:
        return cls(recorded.context, recorded, recorder)

    def set(self, name: str, value: str | int) -> None:
        """Sets an attribute, which has nothing personal."""
        if self._recorded is not None:
            self._recorded.set(name, value)

    def fail(self, error: str, *, here: bool = True) -> None:
        """What it is for has failed, with this code; `here` is false where that is the fault of whoever asked."""
        if self._recorded is not None:
            self._failed = True
            self._recorded.set("error.type", error[:100])
            if here:
                self._recorded.fail()

    def child(self, name: str, kind: Kind, attributes: Attributes) -> Span:
        """A span within this one; itself where nothing is recorded."""
        if self._recorder is None:
            return self
        return Span.of(self._recorder.begin(name, kind, attributes, self.context), self._recorder)

    def __enter__(self) -> Self:
        self._token = CURRENT.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if self._token is not None:
            CURRENT.reset(self._token)
        if self._recorded is not None:
            # Who is cancelled has not failed: the client has gone, or has ended its subscription.
            if isinstance(error, Exception) and not self._failed:
                code = getattr(error, "code", None)
                self.fail(code if isinstance(code, str) else type(error).__name__)
            self._recorded.end()


CURRENT: Final[ContextVar[Span | None]] = ContextVar("span", default=None)
"""The span that the task is in; None where nothing is traced."""


def record_no_more() -> None:
    """What follows in this task is not recorded: it may have no end."""
    here = CURRENT.get()
    if here is not None and here.is_recorded:
        CURRENT.set(Span(TraceContext(here.context.trace_id, here.context.span_id, sampled=False)))


@dataclass(frozen=True, slots=True)
class Tracing:
    """Who decides which requests are recorded.

    A request that names its parent (`traceparent`) goes on with that trace, and is recorded if that is; with
    `trusts_parents` unset it begins a trace of its own, so that strangers neither choose ids nor have everything
    recorded. Of traces that begin here, `ratio` (0 to 1) are recorded; with `follows_parents` unset, of all requests,
    whatever their parents say. `subgraph` is the name of the one that is asked.
    """

    recorder: Recorder = field(repr=False)
    ratio: float = 1.0
    trusts_parents: bool = False
    follows_parents: bool = True
    subgraph: str = ""

    def request(self, method: str, scheme: str, headers: Mapping[str, str]) -> Span:
        """The span of a request with these headers (names in lower case), which is not over before it is answered."""
        parent = None
        if (traceparent := headers.get("traceparent")) is not None:
            parent = TraceContext.read(traceparent, headers.get("tracestate"))
        if parent is not None and self.trusts_parents:
            if not (parent.sampled if self.follows_parents else self._draws()):
                return Span(parent._replace(sampled=False) if parent.sampled else parent)
            return self._recorded(method, scheme, parent, None)
        if not self._draws():
            return Span(None)
        return self._recorded(method, scheme, None, parent)

    def _draws(self) -> bool:
        return random.random() < self.ratio  # noqa: S311 - no secret

    def _recorded(self, method: str, scheme: str, parent: TraceContext | None, link: TraceContext | None) -> Span:
        method = known_method(method)
        attributes = {
            "http.request.method": method,
            "http.route": ROUTE,
            "url.path": ROUTE,
            "url.scheme": scheme,
        }
        if self.subgraph:
            attributes["graphql.subgraph.name"] = self.subgraph
        name = f"{'HTTP' if method == OTHER else method} {ROUTE}"
        return Span.of(self.recorder.begin(name, "server", attributes, parent, link=link), self.recorder)
