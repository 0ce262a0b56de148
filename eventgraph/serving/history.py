"""What has happened to one thing: a page of its stream, for a subgraph's own connection types to tell.

A history ends at the version of what it hangs from: it is how that came about, in the present as in the past.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import strawberry

from eventgraph.serving import connections, inputs
from eventgraph.serving.connections import Page
from eventgraph.serving.federation import field
from eventgraph.serving.mutations import Mutations
from eventgraph.serving.request import Request
from eventkernel.errors import InvalidInput
from eventkernel.events import RecordedEvent

First = Annotated[int | None, connections.how_many("events")]
After = connections.After

EVENTS_LIMIT: Final = 20_000
"""The most events that are read for the histories in one answer: a page is read from the stream's beginning on."""

_ORDER: Final = "history"
_VERSION_DIGITS: Final = 18


@strawberry.type
class HistoryEvent:
    """What the events of all histories tell. `types` are the event types that there are."""

    recorded: strawberry.Private[RecordedEvent]

    @field("The event's id, unique among all events of this kind.")
    def id(self) -> strawberry.ID:
        return strawberry.ID(self.recorded.record.id)

    @field("What happened: {types}.")
    def type(self) -> str:
        return self.recorded.record.type

    @field("The version that the event led to.")
    def version(self) -> int:
        return self.recorded.version

    @field("When it happened.")
    def time(self) -> datetime:
        return self.recorded.record.time

    @field("Who did it, as the header `Actor` named them; null if nobody was named.")
    def actor(self) -> str | None:
        return self.recorded.record.actor

    @field("Shared by all that one request brought about, the header `Correlation-Id` if it had one.")
    def correlation(self) -> str | None:
        return self.recorded.record.correlation

    @field("The id of the event that this one was a reaction to; null for what a client asked for.")
    def causation(self) -> str | None:
        return self.recorded.record.causation


async def history(
    request: Request[Any, Any],
    mutations: Mutations[Any, Any, Any],
    stream: str,
    version: int,
    first: int | None,
    after: str | None,
) -> tuple[Page[RecordedEvent], Sequence[RecordedEvent]]:
    """A page of a stream's events up to a version, oldest first; and all events up to the page's end, to fold."""
    size = inputs.page_size(first)
    behind = _behind(after)
    until = min(version, behind + size + 1)
    request.spend("events of histories", until, EVENTS_LIMIT)
    recorded = await mutations.recorded(stream, until)
    page = connections.page(
        recorded[behind:], first=size, after=after, order=_ORDER, key=lambda event: str(event.version)
    )
    return page, recorded[: behind + size]


def _behind(after: str | None) -> int:
    """The version that a page begins behind."""
    key = connections.after_key(_ORDER, after)
    if key is None:
        return 0
    if not (key.isascii() and key.isdecimal() and len(key) <= _VERSION_DIGITS):
        raise InvalidInput("after: expected a cursor that this connection gave, found another text")
    return int(key)
