"""Running a command whose rule is about more than one stream: read what a query matches, decide, append on a condition.

A `CommandHandler` folds a state from one stream, and its append needs the stream's version. Here the state is folded
from all events that the command's query matches, in whichever streams they stand, and the append needs that nothing has
come since that the query matches (`boundary.py`). Where something has come, it is read, the fold goes on with it, and
the decider decides again. The decider is the same kind of thing, and is tested in the same way.

The new events go on one stream, wherever that ends, unless the caller expects a version. Command ids, repetitions and
refusals that bind are what they are for every command (`commands.py`). Within a process, commands whose queries share a
guard wait for one another: they would only make one another decide again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Generic, cast

from eventkernel.decider import Command, Decider, Event, State
from eventkernel.errors import (
    AppendConditionFailed,
    ConcurrencyConflict,
    CorruptData,
    IdempotencyMismatch,
    Refusal,
    Unavailable,
    VersionConflict,
)
from eventkernel.events import NO_METADATA, STREAM_RESUMED, DomainEvent, Metadata, Record
from eventkernel.keyed_locks import KeyedLocks
from eventkernel.tracing import NOT_TRACED, Tracer
from eventkernel.writing.boundary import AppendCondition, Query, checked_query
from eventkernel.writing.codec import Codec
from eventkernel.writing.commands import Outcome
from eventkernel.writing.refusals import Refused, refusals_bind
from eventkernel.writing.store import Commit, EventStore
from eventkernel.writing.stream_states import Answer, StreamStates, out_of_place

_MOST_ATTEMPTS: Final = 100
"""Every lost race is somebody else's success, so this many commits of other processes may come in between."""
_LONGEST_PAUSE: Final = 0.02
"""Seconds, at most, before what was lost to another process twice or more is decided again."""


@dataclass(frozen=True, slots=True)
class _Order:
    """One call of `execute`."""

    stream: str
    command_id: str
    fingerprint: str
    expected_version: int | None
    metadata: Metadata
    binding: bool


class DecisionHandler(Generic[State, Command, Event]):
    """Runs the commands of one kind whose rule is about the events that `boundary` names for a command.

    The codec tags the events (`Annotated[str, Tag("owner")]` in their types). `answer` is what outcomes are folded
    with, from the stream that the events go on; None: their callers ask for none.
    """

    def __init__(
        self,
        store: EventStore,
        codec: Codec,
        decider: Decider[State, Command, Event],
        boundary: Callable[[Command], Query],
        *,
        answer: Answer | None = None,
        tracer: Tracer = NOT_TRACED,
    ) -> None:
        self.store = store
        self.codec = codec
        self.decider = decider
        self.boundary = boundary
        self._answer = answer
        self._tracer = tracer
        stateless: Decider[None, Command, Event] = Decider(lambda: None, lambda _, __: (), lambda state, _: state)
        self._answers: StreamStates[None, Event] = StreamStates(store, codec, stateless, answer, None)
        self._locks = KeyedLocks()

    async def execute(
        self,
        stream: str,
        command: Command,
        *,
        command_id: str,
        fingerprint: str,
        expected_version: int | None = None,
        metadata: Metadata = NO_METADATA,
        binding: bool = False,
    ) -> Outcome:
        """Run one command to its end; the commit is durable when this returns. The events go on `stream`.

        The arguments are those of `CommandHandler.execute`.

        Raises:
            Refusal: the decider's, or one of these:
            VersionConflict: the stream is not at the version that the caller expects.
            IdempotencyMismatch: the id was used for a command of other content.
            InvalidInput: the query is malformed.
            CorruptData: an event that the query matches is damaged, and nobody has let its stream go on.
            Unavailable: the outcome is unknown, or too many others were faster; the same call may be repeated.
        """
        query = checked_query(self.boundary(command))
        with self._tracer.command(self.store.log, command, metadata) as carried:
            order = _Order(stream, command_id, fingerprint, expected_version, carried, binding or refusals_bind())
            return await self._executed(query, command, order)

    async def _executed(self, query: Query, command: Command, order: _Order) -> Outcome:
        async with self._locks.hold([item.guard for item in query.items]):
            commit = await self._committed(query, command, order)
        if commit.fingerprint != order.fingerprint:
            raise IdempotencyMismatch("the idempotency key was used before, for a command with other content")
        if commit.refusal is not None:
            raise commit.refusal.refusal()
        answer = None
        if commit.version:
            answer = await self._answers.answer_at(commit.stream, commit.version, commit.command_id)
        return Outcome(commit, repeated=not commit.records, answer=answer, answered_by=self._answer)

    async def _committed(self, query: Query, command: Command, order: _Order) -> Commit:
        """The command's commit, of this time or an earlier one."""
        state, condition = self.decider.initial(), AppendCondition(query)
        for attempt in range(_MOST_ATTEMPTS):
            if attempt > 1:
                await asyncio.sleep(random.uniform(0, _LONGEST_PAUSE))  # noqa: S311  # no secret
            state, condition = await self._read_on(state, condition)
            try:
                return await self._decided(command, state, condition, order)
            except (AppendConditionFailed, ConcurrencyConflict):
                continue
        raise Unavailable(f"{order.stream}: {_MOST_ATTEMPTS} commits of others came in between; try again")

    async def _read_on(self, state: State, condition: AppendCondition) -> tuple[State, AppendCondition]:
        """The state after all that has come since, page by page."""
        async with aclosing(self.store.read_tagged(condition.query, condition.after)) as batches:
            async for batch in batches:
                for record in batch.records:
                    try:
                        state = self.decider.evolve(state, cast("Event", self.codec.recorded(record).event))
                    except (Refusal, CorruptData) as error:
                        await self._check_let_go(record, error)
                condition = batch.condition
        return state, condition

    async def _check_let_go(self, record: Record, error: Refusal | CorruptData) -> None:
        """Raises what is wrong with a record, unless an operator has let its stream go on: then it has no effect."""
        later = await self.store.read_stream(record.stream, after=record.version)
        if any(one.type == STREAM_RESUMED for one in later):
            return
        if isinstance(error, Refusal):
            raise out_of_place(record, error) from error
        raise error

    async def _decided(self, command: Command, state: State, condition: AppendCondition, order: _Order) -> Commit:
        try:
            events = self.decider.decide(command, state)
        except Refusal as refusal:
            return await self._refused(refusal, None, condition, order)
        try:
            return await self.store.append(
                order.stream,
                [self.codec.encode(cast("DomainEvent", event), order.stream) for event in events],
                expected_version=order.expected_version,
                command_id=order.command_id,
                fingerprint=order.fingerprint,
                metadata=order.metadata,
                condition=condition,
            )
        except ConcurrencyConflict as conflict:  # the caller has expected this version
            moved = VersionConflict(conflict.stream, conflict.expected, conflict.actual)
            return await self._refused(moved, conflict.actual, condition, order)

    async def _refused(
        self, refusal: Refusal, version: int | None, condition: AppendCondition, order: _Order
    ) -> Commit:
        """The commit that the command made earlier. There is none: tell of the refusal, and store one that binds first,
        if what it rests on is still so."""
        known: Commit | None
        if order.binding:
            known = await self.store.append(
                order.stream,
                (),
                expected_version=version,
                command_id=order.command_id,
                fingerprint=order.fingerprint,
                metadata=order.metadata,
                refusal=Refused.of(refusal),
                condition=condition,
            )
        else:
            known = await self.store.find_command(order.command_id)
        if known is None or known.records:
            raise refusal
        return known
