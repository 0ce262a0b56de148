"""The port by which commands, reactions and projections are followed from one process to the next.

A record carries the trace that its command belongs to (`Metadata.traceparent`). Whoever reads it goes on with that.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol

from eventkernel.events import Metadata, Record


class Tracer(Protocol):
    """Records what happens in which trace. Nothing of it waits, and nothing is raised."""

    def command(self, log: str, command: object, metadata: Metadata) -> AbstractContextManager[Metadata]:
        """Around a command on a log; its records carry the metadata that the block is given."""
        ...

    def reaction(self, process: str, record: Record) -> AbstractContextManager[str | None]:
        """Around a process manager's reaction to a record; the block is given the `traceparent` of its commands."""
        ...

    def applied(self, view: str, records: Iterable[Record], began_ns: int) -> None:
        """A view has these records now. Its projector took them at `began_ns`, nanoseconds since 1970."""
        ...


class _NotTraced:
    def command(self, log: str, command: object, metadata: Metadata) -> AbstractContextManager[Metadata]:  # noqa: ARG002  # nothing is traced
        return nullcontext(metadata)

    def reaction(self, process: str, record: Record) -> AbstractContextManager[str | None]:  # noqa: ARG002  # nothing is traced
        return nullcontext(record.traceparent)

    def applied(self, view: str, records: Iterable[Record], began_ns: int) -> None:
        pass


NOT_TRACED: Final[Tracer] = _NotTraced()
"""Records nothing. What a command was sent with stands in its records all the same."""
