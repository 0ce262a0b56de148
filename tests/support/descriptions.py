"""Descriptions of a small system, for comparing two versions of it: `shelves`, whose events `readers` reads, too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from eventgraph.evolution import description
from eventgraph.evolution.changes import Change
from eventgraph.evolution.check import compared
from eventgraph.evolution.description import (
    AggregateDescription,
    Description,
    SettingDescription,
    SubgraphDescription,
)
from eventkernel.events import DomainEvent
from eventkernel.writing.codec import EventType

Types = Iterable[type[DomainEvent] | EventType]


def described(
    events: Types = (),
    *,
    reads: Types = (),
    upcasters: Iterable[tuple[str, int]] = (),
    reacts_to: Sequence[str] = (),
    api: str = "type Query { shelf: String }",
    sdl: str = "type Query { shelf: String }",
    settings: Mapping[str, SettingDescription] | None = None,
    operations: Mapping[str, str] | None = None,
    version: str = "1.0.0",
    prefix: str = "shelf-",
) -> Description:
    """A version of the system. `reads` is what `readers` takes from the log, and `reacts_to` what its process manager
    `tidying` reacts to."""
    owned = description._events(events, upcasters)
    shelves = SubgraphDescription(sdl, {"shelf": AggregateDescription(prefix, tuple(owned))}, owned)
    readers = SubgraphDescription(
        "type Query { reader: String }",
        reads={"shelves": description._events(reads)},
        processes={"tidying": tuple(reacts_to)} if reacts_to else {},
    )
    return Description(
        system="library",
        version=version,
        installation="library",
        subgraphs={"shelves": shelves, "readers": readers},
        settings={"up": dict(settings or {})},
        operations=dict(operations or {}),
        api=api,
    )


def told(released: Description, today: Description) -> list[tuple[str, str, str]]:
    """Severity, kind and path of each change."""
    return [(one.severity, one.kind, one.path) for one in compared(released, today)]


def change(released: Description, today: Description, kind: str) -> Change:
    """The one change of this kind."""
    (found,) = [one for one in compared(released, today) if one.kind == kind]
    return found
