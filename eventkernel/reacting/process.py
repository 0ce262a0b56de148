"""Process managers: react to events with commands, any number of deliveries with one effect.

**Once in effect.** A reaction sends commands whose ids are made from the event that it reacts to. Delivered again, the
event gives the same ids, and the event store answers with what these commands did the first time. So the checkpoint may
move after the reaction, and whatever dies in between is simply done again. That holds for refusals, too: those of a
reaction's commands bind (`refusals.py`), so that a reaction which branches on one takes the same branch again. Commands
that are sent in another way than by a `CommandHandler` from within the reaction have no such promise: a refusal that
does not bind may be another answer the next time, and a reaction must not do anything because of it that it would not
take back.

**Write before read.** Two events of different logs may concern one another, and have no order: a member leaves while
somebody is lending them a book. Whichever reaction looks at the view must not do so before the view has stored
its own event. Then, of two events, one is stored second; the reaction to that one looks later still, and so sees the
other. It may be that both see each other (one of the two commands then is a repetition or is refused), never that
neither does. A `ProcessManager` therefore waits for its view before it calls the reaction; if the view has parked the
event's stream, the event is not stored, and the reaction waits, too. A rebuild changes nothing about it: a build goes
live only when it has all that the one before had. A reaction that reads no view waits for none (`NoView`).

**Side by side.** Streams have no order among them, so a bounded number of reactions is under way at once, those of one
stream one after the other. The checkpoint is the *low water*: in each partition, everything before it is dealt with. It
is saved as soon as it has moved and the save before is done, so that whoever restarts often gets on all the same.

**What fails.** What may pass (`Unavailable`, a commit of somebody else) is tried again for as long as the budget says;
meanwhile only its own stream waits. What a rule refuses is done: the world has changed so that the command has nothing
to do. Anything else is a defect, also a cancellation that is not the process manager's own, and is tried a few times.
What is over its budget is set aside, durably, together with the later records of its stream. It is tried again now and
then (where it is very much, some of it in turn, and more as soon as some of it works), and the status shows it until it
works, or until an operator skips it with a reason, which stays as a mark. A view that is late is waited for without
end.

**What does not happen.** An event may have a deadline (`deadlines.py`): a reaction that is called when the clock says
so, whatever has happened.

**Another history.** A log that is not the one that was read (it was put back to an older copy, or cut) is read as if
for the first time: what is set aside of it and its deadlines are forgotten. What was reacted to before and stands there
still has no second effect.

**Several processes** may share the reacting, each for the partitions that it is assigned. While two believe to have the
same one, both react, which has no further effect. What is set aside is tried again by whom its partition is assigned to
now, whoever set it aside: so that is read anew with each assignment, now and then, and before a record behind it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic, Literal, NoReturn, TypeVar

from eventkernel.cancelling import finished
from eventkernel.clock import Clock, SystemClock
from eventkernel.errors import CheckpointMismatch, InvalidInput, NotFound, Unavailable
from eventkernel.events import DomainEvent, Partition, Position, Record, RecordedEvent, log_name, names_of
from eventkernel.keyed_locks import KeyedLocks
from eventkernel.reacting.checkpoints import CheckpointStore
from eventkernel.reacting.deadlines import Deadlines, PendingDeadlines, due_us
from eventkernel.reacting.lanes import Lanes, side_by_side
from eventkernel.reacting.low_water import LowWater
from eventkernel.reacting.reaction import Patience, Reacting, Reaction, ViewGate
from eventkernel.reading.arrivals import Arrivals
from eventkernel.reading.folding import ParkedStreams, further, reason_of
from eventkernel.reading.following import Following, Source, following
from eventkernel.reading.landmarks import compare
from eventkernel.reading.membership import EVERYTHING, Alone, Assignment, Membership, with_each_assignment
from eventkernel.reading.status import ParkedStream, PartitionStatus, parked_streams, partition_status, waiting_in
from eventkernel.reading.views import NOTHING_WAITS, ParkedRecord, Waiting
from eventkernel.retrying import Trouble, Troubles
from eventkernel.writing.store import Checkpoint

T = TypeVar("T")
Read = TypeVar("Read")

_UNDER_WAY: Final = 1_000
"""Records that wait for their reaction in memory: their streams may all be different."""

_UNSAVED: Final = 1_000
"""How many records without a reaction may pass before the checkpoint is saved: to read them again costs little."""

_TRIED_AT_ONCE: Final = 500
"""Of what is set aside so many records are read at a time, and their streams tried again."""

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """A process manager: where it is, which reactions are set aside, what is failing at this moment.

    `parked` has the deadlines whose reaction has failed, too.
    """

    name: str
    partitions: tuple[PartitionStatus, ...]
    parked: tuple[ParkedStream, ...]
    troubles: tuple[Trouble, ...]
    reactions: int
    """How many reactions were completed since the process began."""
    parked_known: bool = True
    """False: where that is kept does not answer now, and `parked` is empty although something may be set aside."""
    deadlines: int = 0
    """How many are to come, or over and not dealt with."""
    overdue_seconds: float = 0.0
    """How long the oldest of them has been over; 0 where none is."""
    waiting: Waiting = NOTHING_WAITS
    """How much is set aside; in `parked`, where that is asked for."""


@dataclass(frozen=True, slots=True)
class ReactionStatus:
    """What has become of a process manager's reaction to one event."""

    state: Literal["done", "waits", "set aside", "skipped"]
    """`waits`: it is still to come, behind others of its stream perhaps."""
    reason: str = ""
    """Why it was set aside or skipped."""
    due_us: int | None = None
    """When a reaction to its deadline is due that is still to come, in microseconds since 1970 UTC."""


class ProcessManager(Generic[Read]):
    """Calls `react` for each event of the types `reacts_to`, in order per stream. Its name is its checkpoint's.

    `start` is where a process manager begins that has never run, in the logs that it has not heard of: at a position,
    or at the logs' ends at that moment.
    """

    def __init__(  # noqa: PLR0913  # four things that it works with, and one word for each way of working
        self,
        name: str,
        sources: Sequence[Source],
        gate: ViewGate[Read],
        react: Reaction[Read],
        checkpoints: CheckpointStore,
        *,
        reacts_to: Collection[type[DomainEvent]],
        clock: Clock | None = None,
        patience: Patience | None = None,
        membership: Membership | None = None,
        start: Position | Literal["end"] = Position(),  # noqa: B008  # immutable
        deadlines: Deadlines[Read] | None = None,
    ) -> None:
        self.name = name
        self._logs = [source.log for source in sources]
        self._codecs = {source.log.log: source.codec for source in sources}
        self._gate = gate
        self._react = react
        self._checkpoints = checkpoints
        self._types = frozenset(name for event in reacts_to for name in names_of(event))
        self._clock = clock or SystemClock()
        self._patience = patience or Patience()
        self._membership = membership or Alone()
        self._start = start
        self._deadlines = deadlines
        self._pending = PendingDeadlines(name, checkpoints)
        self._troubles = Troubles(self._patience.backoff)
        self._reacting = Reacting(name, self._codecs, gate, self._patience, self._troubles)
        self._following: Following | None = None
        self._low_water = LowWater()
        self._progress = asyncio.Event()
        self._reached = Checkpoint()
        self._arrivals = Arrivals(Position(), name)
        self._parked = ParkedStreams()
        """What is set aside, as it was read last; others may have changed it since."""
        self._tried = ""
        """The last stream that was tried again: those behind it come next."""
        self._locks = KeyedLocks()
        """By stream: what becomes of its records is one thing after the other."""
        self._unsaved_records = self._unsaved_reactions = 0

    async def run(self) -> NoReturn:
        """React to what is assigned, until cancelled."""
        await with_each_assignment(self._membership, self._follow)

    async def try_again(self) -> None:
        """One more attempt at every reaction that is set aside, whoever is to react to it.

        Raises:
            Unavailable: what is set aside cannot be read or stored.
        """
        await self._try_again(EVERYTHING)

    async def retry(self, stream: str) -> None:
        """One more attempt at what is set aside of a stream, in order, up to the first that fails again.

        Raises:
            NotFound: nothing of this stream is set aside.
            Unavailable: what is set aside cannot be read or stored.
        """
        await self._ordered(stream, None)

    async def skip(self, stream: str, reason: str) -> None:
        """Let the first record of a stream that is set aside have no reaction, and try the ones behind it. Where only a
        deadline's reaction has failed, that one is left out.

        The record stays beside the checkpoint with the operator's reason.

        Raises:
            NotFound, Unavailable: as for `retry`.
        """
        await self._ordered(stream, reason)

    async def react_again(self, records: Sequence[Record]) -> None:
        """React once more to these records, in this order, whether or not that was done before: what their commands
        have done has no further effect. Records of other types and records that were skipped have no reaction.

        Raises:
            InvalidInput: they are of a log that this process manager does not read.
            Unavailable: it cannot be done now. Whatever else a reaction raises.
        """
        for record in records:
            if record.log not in self._codecs:
                raise InvalidInput(f"{self.name} does not read the log {log_name(record.log)}")
            if record.version and record.type in self._types:
                async with self._locks.hold([record.stream]):
                    entries = await self._checkpoints.parked(self.name, [record.stream])
                    if record.version not in {entry.record.version for entry in entries if entry.skipped}:
                        await self._reacting.attempt(record, self._react)

    async def reached(self, position: Position, timeout: float) -> bool:
        """True as soon as every event before the position was reacted to or set aside; False after `timeout` s.

        What other processes react to is not known here.
        """
        return await self._arrivals.reached(position, timeout)

    async def reaction_to(self, record: Record) -> ReactionStatus | None:
        """What has become of the reaction to a record of these logs; None: it has none.

        Raises:
            Unavailable: that cannot be read now.
        """
        if record.log not in self._codecs or not record.version or record.type not in self._types:
            return None
        position = (await self._checkpoints.checkpoint(self.name)).position
        entries = await self._checkpoints.parked(self.name, [record.stream])
        aside = next((entry for entry in entries if entry.record.version == record.version), None)
        if aside is not None:
            reason = aside.reason or ""
            return ReactionStatus("skipped" if aside.skipped else "set aside" if reason else "waits", reason)
        if self._reached.position.join(position).get(Partition(record.log, record.partition), 0) <= record.offset:
            return ReactionStatus("waits")
        return await self._after_reacting(record)

    async def _after_reacting(self, record: Record) -> ReactionStatus:
        """There may be a deadline still."""
        deadline = await self._pending.of(record) if self._deadlines is not None else None
        if deadline is None:
            return ReactionStatus("done")
        if deadline.skipped:
            return ReactionStatus("done", f"its deadline was skipped: {deadline.reason}")
        failed = (deadline.reason or "").partition(" ")[2]
        return ReactionStatus("set aside" if failed else "done", failed, due_us(deadline))

    async def status(self, *, listed: bool = True) -> ProcessStatus:
        """With `listed` unset what is set aside is counted, and `parked` is empty."""
        troubles = self._troubles.current()
        position = self._reached.position
        parked: tuple[ParkedStream, ...] = ()
        waiting: Waiting | None = None
        try:
            position = position.join((await self._checkpoints.checkpoint(self.name)).position)
            failed = tuple(parked_streams(await self._pending.failing())) if self._deadlines is not None else ()
            if listed:
                parked = (*parked_streams(await self._checkpoints.parked(self.name)), *failed)
                waiting = waiting_in(parked)
            else:
                aside, late = await self._checkpoints.waiting(self.name), waiting_in(failed)
                waiting = Waiting(aside.streams + late.streams, aside.records + late.records)
        except Unavailable as error:
            troubles = (*troubles, Trouble("asking what is set aside", str(error), 1))
        waiting_since = {} if self._following is None else self._following.waiting_since()
        waiting_since |= self._low_water.waiting_since()
        return ProcessStatus(
            name=self.name,
            partitions=await partition_status(
                self._logs, position, waiting_since, self._clock.now_us(), self._membership.assignment()
            ),
            parked=parked,
            troubles=troubles,
            reactions=self._reacting.completed,
            deadlines=self._pending.count,
            overdue_seconds=self._pending.overdue_us(self._clock.now_us()) / 1_000_000,
            parked_known=waiting is not None,
            waiting=waiting or NOTHING_WAITS,
        )

    async def _follow(self, assignment: Assignment) -> NoReturn:
        while True:
            try:
                await self._follow_from_checkpoint(assignment)
            except* CheckpointMismatch as mismatches:
                _log.error("%s: %s; it begins again where it knows the log", self.name, mismatches.exceptions[0])
                self._reached = Checkpoint()  # it may be of the log as it was

    async def _follow_from_checkpoint(self, assignment: Assignment) -> NoReturn:
        checkpoint = await self._storing("reading the checkpoint", self._beginning)
        self._move(checkpoint)
        self._pending = PendingDeadlines(self.name, self._checkpoints)
        await self._storing("reading what is set aside", partial(self._learn, assignment))
        self._low_water = LowWater()
        async with following(self._logs, checkpoint, self._troubles, assignment) as logs, asyncio.TaskGroup() as group:
            self._following = logs
            group.create_task(self._save_progress(), name=f"checkpoint of {self.name}")
            group.create_task(self._try_now_and_then(assignment), name=f"set aside by {self.name}")
            if self._deadlines is not None:
                group.create_task(self._keep_deadlines(self._deadlines), name=f"deadlines of {self.name}")
            lanes = Lanes(group, self._deal_with, _UNDER_WAY)
            while True:
                batches = await logs.next()
                for batch in batches:
                    for record in self._low_water.begin(batch, self._types):
                        await lanes.put(record)
                    self._unsaved_records += len(batch.records)
                logs.finished(batches)
                self._progress.set()

    # Where it is

    async def _beginning(self) -> Checkpoint:
        """The checkpoint. In logs that it does not know yet, that is the start, which is then stored."""
        checkpoint = await self._checkpoints.checkpoint(self.name)
        for log in self._logs:
            try:
                await compare(log, checkpoint)
            except CheckpointMismatch as mismatch:
                _log.error("%s: %s; it reads this log as if for the first time", self.name, mismatch)
                await self._pending.forget(log.log)
                await self._checkpoints.forget(self.name, log.log)
                self._reached = checkpoint = await self._checkpoints.checkpoint(self.name)
        known = {partition.log for partition in checkpoint.position}
        new = [log for log in self._logs if log.log not in known]
        if not new or not self._start:
            return checkpoint
        if isinstance(self._start, Position):
            position = self._start.within(log.log for log in new)
        else:
            position = Position.joined([await log.head() for log in new])
        await finished(partial(self._checkpoints.save, self.name, Checkpoint(position)))
        return await self._checkpoints.checkpoint(self.name)

    async def _save_progress(self) -> NoReturn:
        while True:
            await self._progress.wait()
            self._progress.clear()
            reached = further(self._reached, self._low_water.checkpoint())
            if reached.position == self._reached.position:
                continue
            if self._unsaved_reactions or self._unsaved_records >= _UNSAVED:
                self._unsaved_reactions = self._unsaved_records = 0
                save = partial(self._checkpoints.save, self.name, reached)
                await self._storing("storing the checkpoint", partial(finished, save))
            self._move(reached)

    def _move(self, checkpoint: Checkpoint) -> None:
        self._reached = further(self._reached, checkpoint)
        self._arrivals.moved(self._reached.position)

    # Records

    async def _deal_with(self, record: Record) -> None:
        """React, or set the record aside durably."""
        async with self._locks.hold([record.stream]):
            if record.version > self._parked.skipped.get(record.stream, 0):
                reason = None
                waits = await self._waits(record.stream)
                if not waits:
                    reason = await self._reacting.complete(record, self._react_and_note)
                if waits or reason is not None:
                    entry = ParkedRecord(record, reason)
                    save = partial(self._checkpoints.save, self.name, Checkpoint(), [entry])
                    await self._storing("storing what is set aside", partial(finished, save))
                    self._parked.add([entry])
        self._low_water.done(record)
        self._unsaved_reactions += 1
        self._progress.set()

    async def _react_and_note(self, recorded: RecordedEvent, read: Read) -> None:
        if self._deadlines is not None:
            until = self._deadlines.until(recorded)
            if until is not None:
                await self._pending.set(recorded.record, until)
        await self._react(recorded, read)

    async def _waits(self, stream: str) -> bool:
        """Whether something of the stream is set aside; somebody else may have dealt with it meanwhile."""
        if stream not in self._parked.waiting:
            return False
        look = partial(self._checkpoints.first_parked, self.name, [stream])
        self._parked.read([stream], await self._storing("reading what is set aside", look))
        return stream in self._parked.waiting

    # What is set aside

    async def _learn(self, assignment: Assignment) -> list[str]:
        """Reads what is set aside and the deadlines; gives the assigned streams of which something waits.

        Nothing is unlearnt here: what waits no more shows when its stream is looked at.
        """
        entries = await self._checkpoints.parked(self.name)
        self._parked.add(entries)
        ours = {entry.record.stream for entry in entries if assignment.has(entry.partition) and not entry.skipped}
        if self._deadlines is not None:
            await self._pending.read(assignment)
        return sorted(ours)

    async def _try_now_and_then(self, assignment: Assignment) -> NoReturn:
        while True:
            await self._storing("trying again what is set aside", partial(self._try_some, assignment))
            await asyncio.sleep(self._patience.again_after)

    async def _try_some(self, assignment: Assignment) -> None:
        """Try those whose turn it is, and go on for as long as one of them works again. So a look costs no more where
        very much is set aside that still fails."""
        if self._deadlines is not None:
            await self._pending.read_some(assignment)
        works, last = True, self._tried
        while works:
            entries = await self._checkpoints.waiting_after(self.name, last, _TRIED_AT_ONCE)
            if not entries and last and last == self._tried:  # it was at the end: from the beginning
                last = self._tried = ""
                continue
            self._parked.add(entries)
            ours = sorted({entry.record.stream for entry in entries if assignment.has(entry.partition)})
            await side_by_side(ours, lambda stream: self._try_stream(stream, None), self._patience.side_by_side)
            works = any(stream not in self._parked.waiting for stream in ours)
            last = entries[-1].record.stream if entries else ""
        self._tried = last

    async def _try_again(self, assignment: Assignment) -> None:
        streams = await self._learn(assignment)
        await side_by_side(streams, lambda stream: self._try_stream(stream, None), self._patience.side_by_side)

    async def _ordered(self, stream: str, skip: str | None) -> None:
        """What an operator asks for."""
        if await self._try_stream(stream, skip):
            return
        failing = await self._pending.failing([stream]) if self._deadlines is not None else []
        if not failing or self._deadlines is None:
            raise NotFound(f"no reaction to the stream {stream!r} is set aside by {self.name}")
        if skip is not None:
            await self._pending.skip(failing.pop(0).record, skip)
        for entry in failing:
            await self._overdue(self._deadlines, entry.record)

    async def _try_stream(self, stream: str, skip: str | None) -> bool:
        """One attempt at a stream's reactions, in order, up to the first that fails; whether there was one. With `skip`
        the first is left out, if it is known to fail."""
        async with self._locks.hold([stream]):
            done = 0
            if skip is None:  # as long as the first fails, nothing behind it is read
                firsts = await self._checkpoints.first_parked(self.name, [stream])
                self._parked.read([stream], firsts)
                for first in (entry for entry in firsts if not entry.skipped):
                    failed = await self._attempted(first.record)
                    if failed is not None:
                        await finished(partial(self._checkpoints.save, self.name, Checkpoint(), [failed]))
                        return True
                    done = first.record.version
            entries = await self._checkpoints.parked(self.name, [stream])
            marks = [entry for entry in entries if entry.skipped]
            left = [entry for entry in entries if not entry.skipped and entry.record.version > done]
            if left and skip is not None and left[0].reason is not None:
                marks.append(ParkedRecord(left.pop(0).record, skip, skipped=True))
                _log.warning("%s: %s version %d skipped", self.name, stream, marks[-1].record.version)
            while left:
                failed = await self._attempted(left[0].record)
                if failed is not None:
                    left[0] = failed
                    break
                left.pop(0)
            if any(not entry.skipped for entry in entries):
                released = {stream: entries[-1].record.version}
                save = partial(self._checkpoints.save, self.name, Checkpoint(), [*marks, *left], released)
                await finished(save)
            self._parked.read([stream], [*marks, *left])
            return any(not entry.skipped for entry in entries)

    async def _attempted(self, record: Record) -> ParkedRecord | None:
        """One attempt; gives the record with the reason where it stays set aside."""
        try:
            await self._reacting.attempt(record, self._react_and_note)
        except Exception as error:  # noqa: BLE001  # whatever it is
            return ParkedRecord(record, reason_of(error, "reacting to", record.type))
        return None

    # Deadlines

    async def _keep_deadlines(self, deadlines: Deadlines[Read]) -> NoReturn:
        while True:
            due = self._pending.due(self._clock.now_us())
            await side_by_side(due, partial(self._stored_overdue, deadlines), self._patience.side_by_side)
            await asyncio.sleep(deadlines.look)

    async def _stored_overdue(self, deadlines: Deadlines[Read], record: Record) -> None:
        await self._storing(f"reacting to a deadline in {record.stream}", partial(self._overdue, deadlines, record))

    async def _overdue(self, deadlines: Deadlines[Read], record: Record) -> None:
        async with self._locks.hold([record.stream]):
            try:
                await self._reacting.attempt(record, deadlines.react)
            except Exception as error:  # noqa: BLE001  # it is tried again, and shown
                reason = reason_of(error, "reacting to the deadline of", record.type)
                again_us = self._clock.now_us() + round(self._patience.again_after * 1_000_000)
                await self._pending.failed(record, reason, again_us)
                _log.error("%s: %s version %d: %s", self.name, record.stream, record.version, reason)
            else:
                await self._pending.over(record)

    async def _storing(self, doing: str, call: Callable[[], Awaitable[T]]) -> T:
        return await self._troubles.until_done(doing, call, on=Exception)
