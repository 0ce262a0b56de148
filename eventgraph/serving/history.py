"""What has happened to one thing: a page of its stream, for a subgraph's own connection types to tell.

A history ends at the version of what it hangs from: it is how that came about, in the present as in the past.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import strawberry

from eventgraph.serving import connections
from eventgraph.serving.connections import Asked, Page
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

    @field("Who did it: the subject of the token that they had; null if nobody was known.")
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
    asked = connections.asked(_ORDER, first, after)
    behind = version_of(asked) or 0
    until = min(version, behind + asked.limit)
    request.spend("events of histories", until, EVENTS_LIMIT)
    recorded = await mutations.recorded(stream, until)
    page = asked.page(recorded[behind:], key=lambda event: str(event.version))
    return page, recorded[: behind + asked.size]


def version_of(asked: Asked) -> int | None:
    """The version that a page of a stream's events begins behind; None: it is the first one."""
    key = asked.behind
    if key is not None and not (key.isascii() and key.isdecimal() and len(key) <= _VERSION_DIGITS):
        raise InvalidInput("after: expected a cursor that this connection gave, found another text")
    return None if key is None else int(key)
