"""Process managers, declared: for each type of event a pure function that gives the commands to send.

    def debit_source(event: Requested, record: Record) -> Sequence[Send]:
        transfer = TRANSFERS.id_of(record.stream)
        debit = send(ACCOUNTS, event.source, Debit(event.amount, transfer))
        return [debit.on_refusal(TooLittle, lambda refusal: [send(TRANSFERS, transfer, Fail(str(refusal)))])]

    MONEY_TRANSFERS = (
        Reactions[None]("money-transfers")
        .on(Requested, debit_source)
        .on(Debited, credit_target)
        .after(timedelta(minutes=1), Requested, give_up)
    )

    process = MONEY_TRANSFERS.process(handlers, sources, checkpoints)

What `process.py` asks of a reaction is seen to here: ids, fingerprints and metadata of commands are made from the event
and the command's place in the reaction; refusals bind, and one that is branched on takes the same branch again.

**The place** of a command is its stream; of the second command for a stream, the stream and a 2. So it does not depend
on the order in which streams stand among one another, which may differ from one delivery to the next where a reaction
reads a view. What follows a command has a place behind the place of that command. The first command that was sent in a
place for an event counts for ever, also where the reaction's code has changed since: the fingerprint says no more than
the place. A place may be named, where a reaction's commands for one stream vary.

**A branch** is found by the refusal's code, for only that is remembered: two kinds with one code are one. A command
with branches whose refusal fits none of them is a defect (`UnexpectedRefusal`), and its event is set aside. The refusal
of a command without branches means that there is nothing to do.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar, cast, overload

from eventkernel.clock import Clock
from eventkernel.decider import Command, Event, State
from eventkernel.errors import IdempotencyMismatch, Refusal, RefusalT, UnexpectedRefusal
from eventkernel.events import DomainEvent, Metadata, Position, Record, RecordedEvent, log_name
from eventkernel.reacting.checkpoints import CheckpointStore
from eventkernel.reacting.deadlines import Deadlines
from eventkernel.reacting.process import ProcessManager
from eventkernel.reacting.reaction import NoView, Patience, ViewGate
from eventkernel.reading.following import Source
from eventkernel.reading.membership import Membership
from eventkernel.writing.aggregates import Aggregate, AnyAggregate, CommandHandlers
from eventkernel.writing.commands import command_id, fingerprint
from eventkernel.writing.refusals import Refused

Read = TypeVar("Read")
Found = TypeVar("Found")
EventT = TypeVar("EventT", bound=DomainEvent)

_AT_ONCE: Final = 100
"""How many streams get commands at one time: enough to share an fsync, few enough not to push others aside."""


@dataclass(frozen=True, slots=True)
class Send:
    """A command for one stream, and what follows it. Made by `send`."""

    aggregate: AnyAggregate
    id: str
    command: object
    place: str | None = None
    branches: tuple[tuple[type[Refusal], Callable[[Any], Iterable[Send]]], ...] = ()
    following: tuple[Send, ...] = ()

    @property
    def stream(self) -> str:
        return self.aggregate.stream(self.id)

    def on_refusal(self, kind: type[RefusalT], react: Callable[[RefusalT], Iterable[Send]]) -> Send:
        """The same, and where the command is refused like this, these commands. The first branch that fits counts;
        `Refusal` fits all. `react` is pure, and gets the refusal as it is remembered: code, message, and the attributes
        that its class names."""
        return replace(self, branches=(*self.branches, (kind, react)))

    def then(self, *sends: Send) -> Send:
        """The same, and these commands once it has taken effect, or has found that there is nothing to change."""
        return replace(self, following=(*self.following, *sends))

    def after_refusal(self, refusal: Refusal) -> Iterable[Send]:
        """What the branches say.

        Raises:
            UnexpectedRefusal: there are some, and none that fits.
        """
        remembered = Refused.of(refusal)
        for kind, react in self.branches:
            fitting = remembered.refusal_as(kind)
            if fitting is not None:
                return react(fitting)
        if self.branches:
            raise UnexpectedRefusal(self.stream, refusal.code)
        return ()


def send(
    aggregate: Aggregate[State, Command, Event],
    id: str,
    command: Command,
    *,
    place: str | None = None,
) -> Send:
    """A command for the aggregate with this id. `place` names it among those of its reaction, where its stream does
    not."""
    return Send(aggregate, id, command, place)


Sends: TypeAlias = Iterable[Send]


@dataclass(frozen=True, slots=True)
class _Step:
    """A reaction to one type of event: what it looks up, if anything, and what it makes of that."""

    react: Callable[..., Sends]
    reading: Callable[[Any, Record, Any], Awaitable[Any]] | None

    async def sends(self, recorded: RecordedEvent, read: object) -> Sends:
        if self.reading is None:
            return self.react(recorded.event, recorded.record)
        found = await self.reading(recorded.event, recorded.record, read)
        return self.react(recorded.event, recorded.record, found)


@dataclass(frozen=True, slots=True)
class _Deadline:
    until: timedelta | Callable[[Any, Record], datetime | None]
    step: _Step

    def of(self, recorded: RecordedEvent) -> datetime | None:
        if isinstance(self.until, timedelta):
            return recorded.time + self.until
        return self.until(recorded.event, recorded.record)


@dataclass(frozen=True)
class Reactions(Generic[Read]):
    """What a process manager does, by types of events. Its name is its checkpoint's, and part of its commands' ids.

    `Read` is what its reactions may read: a build of a view, or None. `start` is as `ProcessManager` has it.
    """

    name: str
    start: Position | Literal["end"] = field(default_factory=Position)
    steps: Mapping[type[DomainEvent], _Step] = field(default_factory=dict[type[DomainEvent], _Step])
    deadlines: Mapping[type[DomainEvent], _Deadline] = field(default_factory=dict[type[DomainEvent], _Deadline])

    @overload
    def on(self, event: type[EventT], react: Callable[[EventT, Record], Sends]) -> Reactions[Read]: ...

    @overload
    def on(
        self,
        event: type[EventT],
        react: Callable[[EventT, Record, Found], Sends],
        *,
        reading: Callable[[EventT, Record, Read], Awaitable[Found]],
    ) -> Reactions[Read]: ...

    def on(
        self,
        event: type[DomainEvent],
        react: Callable[..., Sends],
        *,
        reading: Callable[[Any, Record, Any], Awaitable[Any]] | None = None,
    ) -> Reactions[Read]:
        """The same, and for each event of this type these commands.

        `react` is pure. What it has to know beside the event, `reading` looks up, in a view that has stored the event.
        Commands for different streams are sent side by side, those for one stream one after the other.

        Raises:
            TypeError: there is a reaction to this type already.
        """
        if event in self.steps:
            raise TypeError(f"{self.name}: two reactions to {event.__name__}")
        return replace(self, steps={**self.steps, event: _Step(react, reading)})

    @overload
    def after(
        self,
        until: timedelta | Callable[[EventT, Record], datetime | None],
        event: type[EventT],
        react: Callable[[EventT, Record], Sends],
    ) -> Reactions[Read]: ...

    @overload
    def after(
        self,
        until: timedelta | Callable[[EventT, Record], datetime | None],
        event: type[EventT],
        react: Callable[[EventT, Record, Found], Sends],
        *,
        reading: Callable[[EventT, Record, Read], Awaitable[Found]],
    ) -> Reactions[Read]: ...

    def after(
        self,
        until: timedelta | Callable[[Any, Record], datetime | None],
        event: type[DomainEvent],
        react: Callable[..., Sends],
        *,
        reading: Callable[[Any, Record, Any], Awaitable[Any]] | None = None,
    ) -> Reactions[Read]:
        """The same, and so long after each event of this type (or at the moment that `until` gives, None: never) these
        commands, whatever has happened: the rules of their aggregates find out whether there is still something to do.

        Raises:
            TypeError: there is a deadline for this type already.
        """
        if event in self.deadlines:
            raise TypeError(f"{self.name}: two deadlines for {event.__name__}")
        deadline = _Deadline(until, _Step(react, reading))
        return replace(self, deadlines={**self.deadlines, event: deadline})

    @property
    def reacts_to(self) -> Sequence[type[DomainEvent]]:
        return list(dict.fromkeys((*self.steps, *self.deadlines)))

    @property
    def reads_a_view(self) -> bool:
        steps = (*self.steps.values(), *(deadline.step for deadline in self.deadlines.values()))
        return any(step.reading is not None for step in steps)

    def process(
        self,
        handlers: CommandHandlers,
        sources: Sequence[Source],
        checkpoints: CheckpointStore,
        *,
        gate: ViewGate[Read] | None = None,
        clock: Clock | None = None,
        patience: Patience | None = None,
        membership: Membership | None = None,
        look: float = 1.0,
    ) -> ProcessManager[Read]:
        """The process manager, which reads `sources` and sends commands by `handlers`. `gate` gives what the reactions
        read; those that read nothing need none. `look` is as `Deadlines` has it.

        Raises:
            TypeError: there is a reaction that reads, and no gate.
        """
        if self.reads_a_view and gate is None:
            raise TypeError(f"{self.name} reads a view: expected a gate, found none")
        reading = gate if gate is not None and self.reads_a_view else cast("ViewGate[Read]", NoView())
        deadlines: Deadlines[Read] | None = None
        if self.deadlines:
            deadlines = Deadlines(self.deadline_of, partial(self.react_late, handlers), look)
        return ProcessManager(
            self.name,
            sources,
            reading,
            partial(self.react, handlers),
            checkpoints,
            reacts_to=self.reacts_to,
            clock=clock,
            patience=patience,
            membership=membership,
            start=self.start,
            deadlines=deadlines,
        )

    async def react(self, handlers: CommandHandlers, recorded: RecordedEvent, read: Read) -> None:
        """Send what an event asks for, once in effect."""
        step = self.steps.get(type(recorded.event))
        if step is not None:
            with handlers.tracer.reaction(self.name, recorded.record) as trace:
                await _Sending(self.name, handlers, recorded.record, trace).all(await step.sends(recorded, read))

    async def react_late(self, handlers: CommandHandlers, recorded: RecordedEvent, read: Read) -> None:
        """Send what an event's deadline asks for, once in effect."""
        deadline = self.deadlines.get(type(recorded.event))
        if deadline is not None:
            with handlers.tracer.reaction(self.name, recorded.record) as trace:
                sends = await deadline.step.sends(recorded, read)
                await _Sending(self.name, handlers, recorded.record, trace).all(sends, "deadline\n")

    def deadline_of(self, recorded: RecordedEvent) -> datetime | None:
        """The moment when an event's deadline is over; None for one without."""
        deadline = self.deadlines.get(type(recorded.event))
        return None if deadline is None else deadline.of(recorded)


def placed(sends: Sends, behind: str = "") -> Mapping[str, Send]:
    """Commands by their places.

    Raises:
        ValueError: two have a place of the same name.
    """
    places: dict[str, Send] = {}
    streams = Counter[str]()
    for sent in sends:
        place = sent.place
        if place is None:
            streams[sent.stream] += 1
            count = streams[sent.stream]
            place = sent.stream if count == 1 else f"{sent.stream}\n{count}"
        if behind + place in places:
            raise ValueError(f"two commands of one reaction have the place {place[:200]!r}")
        places[behind + place] = sent
    return places


@dataclass(frozen=True, slots=True)
class _Sending:
    """Sends the commands of one reaction."""

    process: str
    handlers: CommandHandlers
    because: Record
    trace: str | None
    """The `traceparent` of the commands."""

    async def all(self, sends: Sends, behind: str = "") -> None:
        lanes: dict[str, list[tuple[str, Send]]] = {}
        for place, sent in placed(sends, behind).items():
            lanes.setdefault(sent.stream, []).append((place, sent))
        waiting = list(lanes.values())
        for start in range(0, len(waiting), _AT_ONCE):
            under_way = [self._in_order(lane) for lane in waiting[start : start + _AT_ONCE]]
            if len(under_way) == 1:  # nearly always, and without a task
                await under_way[0]
                continue
            for outcome in await asyncio.gather(*under_way, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome

    async def _in_order(self, lane: Sequence[tuple[str, Send]]) -> None:
        for place, sent in lane:
            await self._one(place, sent)

    async def _one(self, place: str, sent: Send) -> None:
        because = self.because
        try:
            await self.handlers.any_of(sent.aggregate).execute(
                sent.stream,
                sent.command,
                # No request's caller has such a name: a line feed stands in no header. The log goes by its name: a copy
                # of it has another id, and what has taken effect must not do so again.
                command_id=command_id(f"process\n{self.process}", f"{log_name(because.log)}/{because.id}/{place}"),
                fingerprint=fingerprint(self.process, place),
                metadata=Metadata(
                    actor=because.actor,
                    correlation=because.correlation,
                    causation=because.id,
                    traceparent=self.trace,
                    tracestate=because.tracestate,
                ),
                binding=True,
            )
        except IdempotencyMismatch:
            raise
        except Refusal as refusal:
            await self.all(sent.after_refusal(refusal), f"{place}\nrefused\n")
        else:
            await self.all(sent.following, f"{place}\nthen\n")
