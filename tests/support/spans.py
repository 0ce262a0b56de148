"""A recorder that keeps its spans, to see what is recorded without exporting it."""

from __future__ import annotations

from dataclasses import dataclass, field

from graphrouter.telemetry.tracing import Attributes, Kind, TraceContext


@dataclass
class Kept:
    """A span."""

    name: str
    kind: Kind
    attributes: dict[str, str | int]
    context: TraceContext
    parent: TraceContext | None
    link: TraceContext | None
    began_ns: int | None
    failed: bool = False
    ended: bool = False

    def set(self, name: str, value: str | int) -> None:
        assert not self.ended
        self.attributes[name] = value

    def fail(self) -> None:
        self.failed = True

    def end(self) -> None:
        assert not self.ended
        self.ended = True


@dataclass
class Spans:
    """A `Recorder`. Its ids are numbers."""

    kept: list[Kept] = field(default_factory=list[Kept])

    def begin(
        self,
        name: str,
        kind: Kind,
        attributes: Attributes,
        parent: TraceContext | None,
        *,
        link: TraceContext | None = None,
        began_ns: int | None = None,
    ) -> Kept:
        number = len(self.kept) + 1
        trace_id = f"{number:032x}" if parent is None else parent.trace_id
        context = TraceContext(trace_id, f"{number:016x}", sampled=True, state=parent.state if parent else "")
        self.kept.append(Kept(name, kind, dict(attributes), context, parent, link, began_ns))
        return self.kept[-1]

    def one(self, kind: Kind) -> Kept:
        """The only one of its kind."""
        (found,) = [span for span in self.kept if span.kind == kind]
        return found
