"""A mutation's story, gathered: the requests, the commits with their events, what became of each, and who saw them.

    stories = Stories(system, tellers, recent)
    story = await stories.of_correlation("5f0c…")
    story = await stories.of_command("anonymous", "my-key")

Where the facts are. Events stand on the logs. A command is found by its id, which its idempotency key and its caller
make. What has no index, a correlation, is looked for in the last records of each log, and the story says from when on
it has looked. When a view has shown an event is known to the process that fills the view, as long as it lives. Requests
are those that this process's router remembers.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, TypeAlias

from eventgraph.stories.facts import LOOKED_THROUGH, MOST_EVENTS, Asked, Event, Facts, Found, Outcome, Teller
from eventgraph.system import System
from eventkernel.errors import InvalidInput, KernelError
from eventkernel.events import Partition, Position, log_name, moment, names_of
from eventkernel.reading.bookmark import Bookmark
from eventkernel.writing.commands import command_id
from eventkernel.writing.refusals import Refused
from graphrouter.telemetry.recent import AnsweredPart, RecentRequest, RecentRequests

LONGEST: Final = 512
"""Characters of a correlation."""
_MOST_REQUESTS: Final = 500
"""Of a correlation, in one story: a client may send the same one with whatever it asks."""
_LATER: Final = 20
"""Queries that came after the events, and are told whoever asked them."""

_Offsets: TypeAlias = Mapping[Partition, Sequence[int]]
"""Where events stand."""


class SeenBy(Facts, frozen=True, kw_only=True):
    """A part of an answer, and how many of the events it is not older than, of those that its subgraph reads."""

    subgraph: str
    place: str
    """Where it stands in the response."""
    seen: int
    of: int


class RequestLine(Facts, frozen=True, kw_only=True):
    """A client's request, as the router remembers it."""

    at: datetime
    seconds: float
    kind: str
    name: str
    codes: tuple[str, ...]
    parts: tuple[SeenBy, ...]


class EventLine(Facts, frozen=True, kw_only=True):
    """An event, with what became of it in each view and process manager that takes its type."""

    id: str
    type: str
    version: int
    at: datetime
    partition: int
    offset: int
    outcomes: tuple[Outcome, ...]


class CommitLine(Facts, frozen=True, kw_only=True):
    """What one command put on a log."""

    log: str
    stream: str
    command_id: str
    at: datetime
    actor: str
    traceparent: str
    by: str
    """The process manager that sent the command; empty: a request did."""
    because: str
    """The id of the event that it reacts to."""
    refusal: Refused | None
    """Why the command was refused, where it was: then there is no event."""
    events: tuple[EventLine, ...]
    """Empty without a refusal: the command changed nothing."""


class Story(Facts, frozen=True, kw_only=True):
    """All that is known. `later` are queries of anybody that came after the first event."""

    correlation: str
    requests: tuple[RequestLine, ...] = ()
    commits: tuple[CommitLine, ...] = ()
    later: tuple[RequestLine, ...] = ()
    notes: tuple[str, ...] = ()
    """What was not looked at, or could not be."""

    @property
    def is_empty(self) -> bool:
        return not self.requests and not self.commits


class Stories:
    """Tells stories of one system; `tellers` are its subgraphs, `recent` the requests of this process's router."""

    def __init__(self, system: System, tellers: Sequence[Teller], recent: RecentRequests) -> None:
        self.title = system.title
        self._tellers = tellers
        self._recent = recent
        self._read = {subgraph.name: frozenset(subgraph.codecs) for subgraph in system.subgraphs}
        self._processes = {subgraph.name: subgraph.processes for subgraph in system.subgraphs}

    async def of_correlation(self, correlation: str) -> Story:
        """
        Raises:
            InvalidInput: no request can have this correlation.
        """
        if not 1 <= len(correlation) <= LONGEST or not (correlation.isascii() and correlation.isprintable()):
            raise InvalidInput(f"correlation: expected 1 to {LONGEST} printable ASCII characters, found others")
        return await self._told(correlation, [], [])

    async def of_command(self, caller: str, key: str) -> Story:
        """The story of the command that this caller has named with this idempotency key."""
        notes: list[str] = []
        asked = Asked(command=command_id(caller, key))
        known = [event for found in await self._asked(asked, notes) for event in found.events]
        correlation = next((event.correlation for event in known if event.correlation), "")
        if not correlation:
            return await self._of_events(correlation, known, notes)
        return await self._told(correlation, known, notes)

    async def _told(self, correlation: str, known: Sequence[Event], notes: list[str]) -> Story:
        """`known` are events that were found already; they may be older than what is looked through."""
        found = await self._asked(Asked(correlation=correlation), notes)
        since = [one.since_us for one in found if one.since_us is not None]
        if since:
            looked = f"Of each log the last {LOOKED_THROUGH:,} records of a partition were looked through"
            notes.append(f"{looked}: what is older than {_text(max(since))} may be missing.")
        if any(one.more for one in found):
            notes.append(f"There are more events than are told: of each partition these are the last {MOST_EVENTS}.")
        events = {event.key: event for event in known}
        events.update((event.key, event) for one in found for event in one.events)
        return await self._of_events(correlation, list(events.values()), notes)

    async def _of_events(self, correlation: str, found: Sequence[Event], notes: list[str]) -> Story:
        events = sorted(found, key=lambda event: (event.time_us, event.log, event.partition, event.offset))
        requests: Sequence[RecentRequest] = self._recent.of(correlation) if correlation else ()
        if not requests:
            kept = self._recent.kept_since("mutation")
            notes.append(f"Its request is not known: this process knows those since {_text(round(kept * 1e6))}.")
        if len(requests) > _MOST_REQUESTS:
            notes.append(f"There are more requests than are told: these are the last {_MOST_REQUESTS}.")
            requests = requests[-_MOST_REQUESTS:]
        later: Sequence[RecentRequest] = ()
        if events:
            after = self._recent.queries_since(events[0].time_us / 1e6)
            later = [one for one in after if not correlation or one.correlation != correlation][:_LATER]
        outcomes = await self._outcomes(events, notes)
        read = {name: _offsets(events, logs) for name, logs in self._read.items()}
        return Story(
            correlation=correlation,
            requests=tuple(_request(one, read) for one in requests),
            commits=tuple(self._commits(events, outcomes)),
            later=tuple(_request(one, read) for one in later),
            notes=tuple(notes),
        )

    async def _asked(self, asked: Asked, notes: list[str]) -> list[Found]:
        async def ask(teller: Teller) -> Found:
            try:
                return await teller.events(asked)
            except KernelError as error:
                notes.append(f"The log of {teller.name} cannot be read now: {error}.")
                return Found()

        return await asyncio.gather(*map(ask, self._tellers))

    async def _outcomes(self, events: Sequence[Event], notes: list[str]) -> Mapping[tuple[str, str], Sequence[Outcome]]:
        async def ask(teller: Teller) -> Sequence[Outcome]:
            try:
                return await teller.outcomes(events) if events else ()
            except KernelError as error:
                notes.append(f"What {teller.name} has made of it cannot be told now: {error}.")
                return ()

        told: dict[tuple[str, str], list[Outcome]] = {}
        for found in await asyncio.gather(*map(ask, self._tellers)):
            for outcome in found:
                told.setdefault((outcome.log, outcome.event), []).append(outcome)
        return told

    def _commits(
        self, events: Sequence[Event], outcomes: Mapping[tuple[str, str], Sequence[Outcome]]
    ) -> Iterable[CommitLine]:
        by_id = {event.id: event for event in events}
        commits: dict[tuple[str, str, str], list[Event]] = {}
        for event in events:
            commits.setdefault((event.log, event.stream, event.command_id), []).append(event)
        for commit in commits.values():
            first = commit[0]
            yield CommitLine(
                log=log_name(first.log),
                stream=first.stream,
                command_id=first.command_id,
                at=moment(first.time_us),
                actor=first.actor,
                traceparent=first.traceparent,
                by=self._sender(first, by_id.get(first.causation)),
                because=first.causation,
                refusal=first.refusal,
                events=tuple(_line(event, outcomes.get(event.key, ())) for event in commit if event.version),
            )

    def _sender(self, event: Event, cause: Event | None) -> str:
        """The process manager that has sent the event's command: the one whose commands have such ids, or else those
        that react to its cause."""
        if not event.causation:
            return ""
        names: list[str] = []
        for process in self._processes.get(log_name(event.log), ()):
            if cause is None:
                names.append(process.name)
                continue
            place = f"{log_name(cause.log)}/{cause.id}/{event.stream}"
            if command_id(f"process\n{process.name}", place) == event.command_id:
                return process.name
            if any(cause.type in names_of(kind) for kind in process.reacts_to):
                names.append(process.name)
        return " or ".join(names) or "a process manager"


def _offsets(events: Iterable[Event], logs: Container[str]) -> _Offsets:
    """Those of the events that stand on these logs, in ascending order."""
    found: dict[Partition, list[int]] = {}
    for event in events:
        if event.version and log_name(event.log) in logs:
            found.setdefault(Partition(event.log, event.partition), []).append(event.offset)
    return {partition: sorted(offsets) for partition, offsets in found.items()}


def _request(request: RecentRequest, read: Mapping[str, _Offsets]) -> RequestLine:
    """`read` has the events that each subgraph reads."""
    return RequestLine(
        at=moment(round(request.at * 1e6)),
        seconds=request.seconds,
        kind=request.kind,
        name=request.name,
        codes=request.codes,
        parts=tuple(_seen_by(part, read.get(part.subgraph, {})) for part in request.parts),
    )


def _seen_by(part: AnsweredPart, concerned: _Offsets) -> SeenBy:
    """A subgraph's bookmark has what others' logs were when it was asked, too: that says nothing of its view."""
    position = _position(part.bookmark)
    seen = sum(bisect_left(offsets, position.get(partition, 0)) for partition, offsets in concerned.items())
    return SeenBy(subgraph=part.subgraph, place=part.place, seen=seen, of=sum(map(len, concerned.values())))


def _line(event: Event, outcomes: Sequence[Outcome]) -> EventLine:
    return EventLine(
        id=event.id,
        type=event.type,
        version=event.version,
        at=moment(event.time_us),
        partition=event.partition,
        offset=event.offset,
        outcomes=tuple(outcomes),
    )


def _position(bookmark: str) -> Position:
    try:
        return Bookmark.decode(bookmark).position
    except InvalidInput:
        return Position()


def _text(time_us: int) -> str:
    return moment(time_us).isoformat(sep=" ", timespec="seconds")
