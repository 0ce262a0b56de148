"""Process managers: react to events with commands, any number of deliveries with one effect.

**Once in effect.** A reaction sends commands whose ids are made from the event that it reacts to. Delivered again, the
event gives the same ids, and the event store answers with what these commands did the first time. So the checkpoint may
move after the reaction, and whatever dies in between is simply done again.

**Write before read.** Two events of different logs may concern one another, and have no order: a user is deleted while
a friendship with them is being added. Whichever reaction looks at the view must not do so before the view has stored
its own event. Then, of two events, one is stored second; the reaction to that one looks later still, and so sees the
other. It may be that both see each other (one of the two commands then is a repetition or is refused), never that
neither does. A `ProcessManager` therefore waits for its view before it calls the reaction; if the view has parked the
event's stream, the event is not stored, and the reaction waits, too. A rebuild changes nothing about it: a build goes
live only when it has all that the one before had.

**What fails.** What may pass (`Unavailable`, a view that is late) is tried again, in place, for ever: nothing is lost,
everything waits. What a rule refuses is done: the world has changed so that the command has nothing to do. Anything
else is a defect and would stop every other reaction, so after some attempts the record is set aside, durably, together
with the later ones of its stream. It is tried again now and then, and the status shows it until it works.

**Several processes** may share the reacting, each for the partitions that it is assigned. While two believe to have the
same one, both react, which has no further effect. What is set aside is tried again by whom its partition is assigned to
now, whoever set it aside: so that is read anew with each assignment, now and then, and before a record behind it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Final, Generic, NoReturn, Protocol, TypeVar

from eventkernel.arrivals import Arrivals
from eventkernel.bookmark import WrittenStream
from eventkernel.cancelling import finished
from eventkernel.clock import Clock, SystemClock
from eventkernel.errors import ConcurrencyConflict, IdempotencyMismatch, OutOfDate, Refusal, Unavailable
from eventkernel.events import DomainEvent, Position, Record, RecordedEvent
from eventkernel.folding import checkpoint_after, further, reason_of, streams_of
from eventkernel.following import Following, Source, following
from eventkernel.gate import BookmarkGate, BuildT, StreamParked
from eventkernel.membership import EVERYTHING, Alone, Assignment, Membership, with_each_assignment
from eventkernel.retrying import Backoff, Trouble, Troubles
from eventkernel.status import ParkedStream, PartitionStatus, parked_streams, partition_status
from eventkernel.store import Batch, Checkpoint
from eventkernel.views import NOTHING_RELEASED, BuildRetired, ParkedRecord

T = TypeVar("T")

Reaction = Callable[[RecordedEvent, BuildT], Awaitable[None]]
"""Reads the build and sends commands, with ids made from the event (`Record.id`)."""

_LOOK: Final = 5.0
"""Seconds to wait for the view before the status says that it is late."""

_UNSAVED: Final = 1_000
"""How many records without a reaction may pass before the checkpoint is saved: to read them again costs little."""

_PASSING: Final = (Unavailable, OutOfDate, ConcurrencyConflict, BuildRetired)

_log: Final = logging.getLogger(__name__)


class CheckpointStore(Protocol):
    """How far readers of logs are that have no view of their own to keep it with, and the records they set aside.

    Every method raises `Unavailable` where it cannot be done now.
    """

    async def checkpoint(self, reader: str) -> Checkpoint:
        """Where this reader stands; at the start if it was never heard of."""
        ...

    async def save(
        self,
        reader: str,
        checkpoint: Checkpoint,
        parked: Sequence[ParkedRecord] = (),
        released: Mapping[str, int] = NOTHING_RELEASED,
    ) -> None:
        """Durable, and all or nothing. The checkpoint never goes back; what it does not name stays.

        `released` is as `Fold` has it: of each stream the records up to a version are forgotten, all but those that
        stand in `parked`.
        """
        ...

    async def parked(self, reader: str) -> Sequence[ParkedRecord]:
        """What this reader has set aside, grouped by stream, by version within one."""
        ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How a process manager deals with what fails."""

    backoff: Backoff = field(default_factory=Backoff)
    attempts: int = 5
    """How often a defective reaction is tried before it is set aside."""
    again_after: float = 30.0
    """Seconds until what is set aside is tried again."""


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """A process manager: where it is, which reactions are set aside, what is failing at this moment."""

    name: str
    partitions: tuple[PartitionStatus, ...]
    parked: tuple[ParkedStream, ...]
    troubles: tuple[Trouble, ...]
    reactions: int
    """How many reactions were completed since the process began."""


class ProcessManager(Generic[BuildT]):
    """Calls `react` for each event of the types `reacts_to`, in order per stream. Its name is its checkpoint's."""

    def __init__(  # noqa: PLR0913  # four things that it works with, and one word for each way of working
        self,
        name: str,
        sources: Sequence[Source],
        gate: BookmarkGate[BuildT],
        react: Reaction[BuildT],
        checkpoints: CheckpointStore,
        *,
        reacts_to: Collection[type[DomainEvent]],
        clock: Clock | None = None,
        patience: Patience | None = None,
        membership: Membership | None = None,
    ) -> None:
        self.name = name
        self._logs = [source.log for source in sources]
        self._codecs = {source.log.log: source.codec for source in sources}
        self._gate = gate
        self._react = react
        self._checkpoints = checkpoints
        self._types = frozenset(event.__struct_config__.tag for event in reacts_to)
        self._clock = clock or SystemClock()
        self._patience = patience or Patience()
        self._membership = membership or Alone()
        self._troubles = Troubles(self._patience.backoff)
        self._following: Following | None = None
        self._reached = Checkpoint()
        self._arrivals = Arrivals(Position(), name)
        self._waiting: AbstractSet[str] = frozenset()
        """Streams of which something is set aside, as it was read last; others may have changed it since."""
        self._unsaved = 0
        self._reactions = 0
        self._turn = asyncio.Lock()

    async def run(self) -> NoReturn:
        """React to what is assigned, until cancelled."""
        await with_each_assignment(self._membership, self._follow)

    async def try_again(self) -> None:
        """One more attempt at every reaction that is set aside, whoever is to react to it."""
        await self._try_again(EVERYTHING)

    async def reached(self, position: Position, timeout: float) -> bool:
        """True as soon as every event before the position was reacted to or set aside; False after `timeout` s.

        What other processes react to is not known here.
        """
        return await self._arrivals.reached(position, timeout)

    async def status(self) -> ProcessStatus:
        troubles = self._troubles.current()
        position = self._reached.position
        try:
            position = position.join((await self._checkpoints.checkpoint(self.name)).position)
            parked = tuple(parked_streams(await self._checkpoints.parked(self.name)))
        except Unavailable as error:
            parked = ()
            troubles = (*troubles, Trouble("asking what is set aside", str(error), 1))
        waiting_since = {} if self._following is None else self._following.waiting_since()
        return ProcessStatus(
            name=self.name,
            partitions=await partition_status(
                self._logs, position, waiting_since, self._clock.now_us(), self._membership.assignment()
            ),
            parked=parked,
            troubles=troubles,
            reactions=self._reactions,
        )

    async def _follow(self, assignment: Assignment) -> NoReturn:
        async with self._turn:
            checkpoint = await self._storing("reading the checkpoint", partial(self._checkpoints.checkpoint, self.name))
            self._move(checkpoint)
        loop = asyncio.get_running_loop()
        again_at = loop.time()  # before anything else it learns what was set aside, and tries it
        async with following(self._logs, checkpoint, self._troubles, assignment) as logs:
            self._following = logs
            while True:
                if loop.time() >= again_at:
                    await self._try_again(assignment)
                    again_at = loop.time() + self._patience.again_after
                batches = await logs.next(again_at)
                async with self._turn:
                    await self._take(batches)
                logs.finished(batches)

    async def _set_aside(self) -> Sequence[ParkedRecord]:
        """What is set aside now."""
        entries = await self._storing("reading what is set aside", partial(self._checkpoints.parked, self.name))
        self._waiting = {entry.record.stream for entry in entries}
        return entries

    async def _try_again(self, assignment: Assignment) -> None:
        async with self._turn:
            ours = [entry for entry in await self._set_aside() if assignment.has(entry.partition)]
            for stream, group in groupby(ours, key=lambda entry: entry.record.stream):
                await self._try_stream(stream, list(group))

    async def _take(self, batches: Sequence[Batch]) -> None:
        if self._waiting and not self._waiting.isdisjoint(streams_of(batches)):
            await self._set_aside()
        set_aside: list[ParkedRecord] = []
        reactions = 0
        for batch in batches:
            for record in batch.records:
                if not record.version or record.type not in self._types:
                    continue
                reactions += 1
                reason = None if record.stream in self._waiting else await self._complete(record)
                if reason is not None or record.stream in self._waiting:
                    self._waiting |= {record.stream}
                    set_aside.append(ParkedRecord(record, reason))
        after = checkpoint_after(batches)
        self._unsaved += sum(len(batch.records) for batch in batches)
        if reactions or self._unsaved >= _UNSAVED:
            save = partial(self._checkpoints.save, self.name, further(self._reached, after), set_aside)
            await self._storing("storing the checkpoint", partial(finished, save))
            self._unsaved = 0
        self._move(after)

    async def _complete(self, record: Record) -> str | None:
        """React, whatever it takes; gives the reason where the record has to be set aside."""
        doing = f"reacting to {record.type}"
        attempts = 0
        reason: str | None = None
        while True:
            try:
                await self._attempt(record)
            except StreamParked as parked:
                reason = reason_of(parked, "waiting to react to", record.type)
            except _PASSING as passing:
                await self._troubles.failed(doing, passing)
                continue
            except Exception as error:  # noqa: BLE001  # a defect, which must not stop the other reactions
                attempts += 1
                if attempts < self._patience.attempts:
                    await self._troubles.failed(doing, error)
                    continue
                reason = reason_of(error, "reacting to", record.type)
            if reason is None:
                self._troubles.over(doing)
            else:
                self._troubles.given_up(doing)
                _log.error("%s: %s version %d set aside: %s", self.name, record.stream, record.version, reason)
            return reason

    async def _try_stream(self, stream: str, entries: Sequence[ParkedRecord]) -> None:
        """One attempt at a stream's reactions, in order, up to the first that fails."""
        left = list(entries)
        while left:
            record = left[0].record
            try:
                await self._attempt(record)
            except Exception as error:  # noqa: BLE001  # it stays set aside, whatever it is
                left[0] = ParkedRecord(record, reason_of(error, "reacting to", record.type))
                break
            left.pop(0)
        save = partial(self._checkpoints.save, self.name, Checkpoint(), left, {stream: entries[-1].record.version})
        await self._storing("storing what is set aside", partial(finished, save))
        if not left:
            self._waiting -= {stream}

    async def _attempt(self, record: Record) -> None:
        """Wait until the view has stored the event, then react."""
        recorded = self._codecs[record.log].recorded(record)
        stored = Position.of(record.log, record.partition, record.offset + 1)
        streams = (WrittenStream(record.log, record.partition, record.stream),)
        build = await self._gate.reach(stored, streams, _LOOK)
        try:
            await self._react(recorded, build)
        except IdempotencyMismatch:
            raise  # two reactions to one event differ: a defect
        except Refusal as refusal:
            _log.info("%s: %s version %d: %s", self.name, record.stream, record.version, refusal.code)
        self._reactions += 1

    def _move(self, checkpoint: Checkpoint) -> None:
        self._reached = further(self._reached, checkpoint)
        self._arrivals.moved(self._reached.position)

    async def _storing(self, doing: str, call: Callable[[], Awaitable[T]]) -> T:
        return await self._troubles.until_done(doing, call, on=Exception)
