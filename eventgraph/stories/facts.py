"""What one subgraph knows of a story: the events of its own log, and what its view and process managers made of events.

The events' data are not among it. Whoever asks has a correlation or a command's id, and gets no more than what
happened, when, and where.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Literal, Protocol

import msgspec

from eventgraph.serving.served import ServedSubgraph
from eventkernel.errors import CorruptData, KernelError, Unavailable
from eventkernel.events import COMMAND_REFUSED, FENCE, Record
from eventkernel.writing.refusals import Refused

LOOKED_THROUGH: Final = 20_000
"""Records at each partition's end in which those of a correlation are looked for."""
MOST_EVENTS: Final = 200
"""Of a partition, in one story."""
_SIDE_BY_SIDE: Final = 8
"""Questions to a view or a process manager at one time."""
_TURN_SECONDS: Final = 5.0
"""How long a look through a log waits for those before it: who asks goes away, and does not take the look along."""


class Facts(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What is told as JSON."""


class Event(Facts, frozen=True):
    """A record without its data; `time_us` in microseconds since 1970 UTC, `version` 0 for one that is no event."""

    log: str
    partition: int
    offset: int
    id: str
    type: str
    stream: str
    version: int
    time_us: int
    command_id: str
    correlation: str = ""
    causation: str = ""
    actor: str = ""
    traceparent: str = ""
    refusal: Refused | None = None
    """Of a command that was refused."""

    @classmethod
    def of(cls, record: Record) -> Event:
        return cls(
            record.log,
            record.partition,
            record.offset,
            record.id,
            record.type,
            record.stream,
            record.version,
            record.time_us,
            record.command_id,
            record.correlation or "",
            record.causation or "",
            record.actor or "",
            record.traceparent or "",
            _refusal(record),
        )

    @property
    def key(self) -> tuple[str, str]:
        """Unique in the system."""
        return self.log, self.id

    def record(self) -> Record:
        """As far as those need it who say what has become of it."""
        return Record(
            log=self.log,
            partition=self.partition,
            offset=self.offset,
            id=self.id,
            type=self.type,
            time_us=self.time_us,
            stream=self.stream,
            version=self.version,
            first_version=self.version,
            commit_size=1,
            command_id=self.command_id,
            fingerprint="",
        )


class Found(Facts, frozen=True):
    """Events of one log."""

    events: tuple[Event, ...] = ()
    since_us: int | None = None
    """The log was looked through from this moment on; None: from its beginning."""
    more: bool = False
    """Whether earlier ones were found and left out."""


class Outcome(Facts, frozen=True):
    """What has become of one event in a view or a process manager."""

    log: str
    event: str
    """Its id."""
    reader: str
    """The name of the view or of the process manager."""
    kind: Literal["view", "process"]
    state: Literal["shown", "done", "waits", "parked", "set aside", "skipped", "unknown"]
    reason: str = ""
    at_us: int | None = None
    """When a view has shown it; None: the process that was asked does not know."""
    exact: bool = False
    """False: `at_us` is the latest that it can have been."""
    due_us: int | None = None
    """When the reaction to its deadline is due, that is still to come."""


class Asked(Facts, frozen=True):
    """Which events of a log: those of a correlation, or those of a command."""

    correlation: str = ""
    command: str = ""


class Teller(Protocol):
    """What tells the facts of one subgraph. `events` and `outcomes` raise a `KernelError` where they cannot be told."""

    @property
    def name(self) -> str: ...

    async def events(self, asked: Asked) -> Found:
        """Of the subgraph's own log; none where it owns none."""
        ...

    async def outcomes(self, events: Sequence[Event]) -> Sequence[Outcome]:
        """Of these events in the subgraph's view, as far as it reads them, and its process managers."""
        ...


class SubgraphTeller:
    """Tells the facts of a subgraph of this process. One look through its log at a time: it may be long."""

    def __init__(self, subgraph: ServedSubgraph) -> None:
        self._subgraph = subgraph
        self._looking = asyncio.Lock()

    @property
    def name(self) -> str:
        return self._subgraph.name

    async def events(self, asked: Asked) -> Found:
        store = self._subgraph.store
        if store is None:
            return Found()
        if asked.command:
            return Found(tuple(map(Event.of, await store.read_command(asked.command))))
        async with self._turn():
            found = await store.read_correlated(asked.correlation, LOOKED_THROUGH, MOST_EVENTS)
        events = tuple(Event.of(record) for record in found.records if record.type != FENCE)
        return Found(events, found.since_us, found.more)

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(_TURN_SECONDS):
                await self._looking.acquire()
        except TimeoutError:
            raise Unavailable(f"others are looking through it for more than {_TURN_SECONDS:g} s") from None
        try:
            yield
        finally:
            self._looking.release()

    async def outcomes(self, events: Sequence[Event]) -> Sequence[Outcome]:
        places = asyncio.Semaphore(_SIDE_BY_SIDE)

        async def of(event: Event) -> list[Outcome]:
            async with places:
                return await self._outcomes(event)

        return [outcome for found in await asyncio.gather(*map(of, events)) for outcome in found]

    async def _outcomes(self, event: Event) -> list[Outcome]:
        record = event.record()
        found: list[Outcome] = []
        if record.version and self._subgraph.reads(record):
            found.append(await self._shown(event, record))
        for process in self._subgraph.processes:
            try:
                reaction = await process.reaction_to(record)
            except KernelError as error:
                found.append(Outcome(*event.key, process.name, "process", "unknown", str(error)))
                continue
            if reaction is not None:
                told = Outcome(*event.key, process.name, "process", reaction.state, reaction.reason)
                found.append(msgspec.structs.replace(told, due_us=reaction.due_us))
        return found

    async def _shown(self, event: Event, record: Record) -> Outcome:
        try:
            showing = await self._subgraph.projector.showing(record)
        except KernelError as error:
            return Outcome(*event.key, self.name, "view", "unknown", str(error))
        told = Outcome(*event.key, self.name, "view", showing.state, showing.reason)
        if showing.shown is None:
            return told
        return msgspec.structs.replace(told, at_us=showing.shown.time_us, exact=showing.shown.exact)


def _refusal(record: Record) -> Refused | None:
    if record.type != COMMAND_REFUSED:
        return None
    try:
        return Refused.decoded(record.data)
    except CorruptData:
        return None
