"""Running a command: read, decide, append; and decide again when somebody was faster.

A command has an id that its caller chose. Sent again it has no second effect: it gets the answer of the first time, the
stream as it was after the commit. The same id with other content is a mistake of the caller, told by the fingerprint,
which is taken before ids and times are drawn.

Nearly every command is new, so nobody looks its id up first. What is decided for one that is not goes nowhere: the
store asks for the id before anything else, and gives the commit that it finds. Where the decider refuses instead (a
repeated "add" meets its own effect, or that of a twin request), the id is looked up before anybody is told of it. A
refusal that is to bind is a commit, too (`refusals.py`), and is decided like one.

**Commands of one stream queue.** Within a process they would only make one another decide again. While one is under
way, the others wait, and are then taken together: one read, one decision after the other, each on the state that the
ones before would leave, and all appends at once, each on the version before. Nobody is answered, and nobody refused,
before what the decision rests on is on the log; where an earlier append of the round comes to nothing, the later ones
meet another version, and are decided again. What a stream has become is kept (`stream_states.py`), so that a command's
cost does not grow with its length.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeAlias, TypeVar, cast

import msgspec

from eventkernel.decider import Command, Decider, Event, State
from eventkernel.errors import (
    ClaimTaken,
    ConcurrencyConflict,
    IdempotencyMismatch,
    InvalidInput,
    Refusal,
    Unavailable,
    VersionConflict,
)
from eventkernel.events import NO_METADATA, DomainEvent, Metadata, RecordedEvent
from eventkernel.tracing import NOT_TRACED, Tracer
from eventkernel.writing.codec import Codec
from eventkernel.writing.refusals import Refused, refusals_bind
from eventkernel.writing.snapshots import Snapshots
from eventkernel.writing.store import Commit, EventStore
from eventkernel.writing.stream_states import Answer, Folded, StreamStates

Doc = TypeVar("Doc")

_MOST_ATTEMPTS: Final = 100
"""Every lost race is somebody else's success, so this many commits of other processes may come in between."""
_AT_ONCE: Final = 64
"""Commands of one stream that are taken together."""
_LONGEST_PAUSE: Final = 0.02
"""Seconds, at most, before what was lost to another process twice or more is decided again."""

_canonical: Final = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command led to: its commit, and the answer that the handler folds, at the commit's version.

    `commit.stream` may be another stream than the repeated command named, where ids are drawn per request. `repeated`:
    the command was known before.
    """

    commit: Commit
    repeated: bool
    answer: object = field(repr=False)
    answered_by: Answer | None = field(repr=False)

    def folded(self, evolve: Callable[[Doc | None, RecordedEvent], Doc]) -> Doc:
        """The stream's answer at the commit's version; `evolve` is the one that the handler was given."""
        if evolve is not self.answered_by or self.answer is None:
            raise AssertionError(f"{self.commit.stream}: its handler does not answer with this, or it has no event")
        return cast("Doc", self.answer)


@dataclass(slots=True)
class _Order(Generic[Command]):
    """One call of `execute`."""

    command: Command
    command_id: str
    fingerprint: str
    expected_version: int | None
    metadata: Metadata
    binding: bool
    served: asyncio.Future[None] | None = None
    """For one that waits in the queue."""
    lost: int = 0
    """How many commits of other processes have come in between."""
    result: Outcome | Exception | None = None
    """None as long as it is to be decided (again)."""

    def conclude(self, result: Outcome | Exception) -> None:
        self.result = result
        if self.served is not None and not self.served.done():
            self.served.set_result(None)


@dataclass(frozen=True, slots=True)
class _Refused:
    """What the decider has raised: told when it is known what that rests on."""

    error: Exception


_Step: TypeAlias = "tuple[_Order[Command], Coroutine[Any, Any, Commit] | _Refused]"
_Taken: TypeAlias = "tuple[_Order[Command], Commit | Exception | _Refused]"


class CommandHandler(Generic[State, Command, Event]):
    """Runs the commands of one kind of aggregate against one log.

    `claims` gives all that a stream holds in a state (`shelf:17`); None: this aggregate claims nothing. `answer`
    is what outcomes are folded with; None: their callers ask for none. `snapshots` says how long streams are kept
    short; None: they are not. The names of its streams begin with `prefix`; other aggregates of the log have others.
    """

    def __init__(
        self,
        store: EventStore,
        codec: Codec,
        decider: Decider[State, Command, Event],
        claims: Callable[[State], frozenset[str]] | None = None,
        *,
        answer: Answer | None = None,
        snapshots: Snapshots | None = None,
        prefix: str = "",
        tracer: Tracer = NOT_TRACED,
    ) -> None:
        self.store = store
        self.codec = codec
        self.decider = decider
        self.claims = claims
        self.prefix = prefix
        self._tracer = tracer
        self._answer = answer
        self._states: StreamStates[State, Event] = StreamStates(store, codec, decider, answer, snapshots)
        self._queues: dict[str, deque[_Order[Command]]] = {}
        """The streams that commands are under way on, and those that wait for them."""
        self._serving: set[asyncio.Task[None]] = set()

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
        """Run one command to its end; the commit is durable when this returns.

        `expected_version` is the caller's: the version that the command is meant for, None for whatever there is.
        `binding`: a refusal, too, is durable before it is raised, and the command's answer for ever (`refusals.py`).
        Otherwise it is none: the same command may take effect later, also by an attempt that was begun before.

        Raises:
            Refusal: the decider's, or one of these:
            VersionConflict: the stream is not at the version that the caller expects.
            IdempotencyMismatch: the id was used for a command of other content.
            ClaimTaken: another stream holds what this one would.
            Unavailable: the outcome is unknown, or too many others were faster; the same call may be repeated.
        """
        if not stream.startswith(self.prefix):
            raise ValueError(f"expected a stream of this aggregate, {self.prefix}…, found {stream[:200]!r}")
        with self._tracer.command(self.store.log, command, metadata) as carried:
            order = _Order(command, command_id, fingerprint, expected_version, carried, binding or refusals_bind())
            return await self._executed(stream, order)

    async def _executed(self, stream: str, order: _Order[Command]) -> Outcome:
        queue = self._queues.get(stream)
        if queue is not None:
            order.served = asyncio.get_running_loop().create_future()
            queue.append(order)
            await order.served
        else:
            self._queues[stream] = deque()
            try:
                await self._run(stream, [order])
            finally:
                self._hand_on(stream)
        if isinstance(order.result, Outcome):
            return order.result
        raise order.result or AssertionError(f"{stream}: a command was left without a result")

    def _hand_on(self, stream: str) -> None:
        """A task of its own serves the commands that have come meanwhile: the first caller may go away."""
        if not self._queues[stream]:
            del self._queues[stream]
            return
        serving = asyncio.create_task(self._serve(stream), name=f"commands of {stream}")
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _serve(self, stream: str) -> None:
        queue = self._queues[stream]
        orders: list[_Order[Command]] = []
        try:
            while queue:
                orders = [queue.popleft() for _ in range(min(len(queue), _AT_ONCE))]
                await self._run(stream, [order for order in orders if order.served and not order.served.done()])
        finally:
            del self._queues[stream]
            for order in (*orders, *queue):  # this task was cancelled: nobody may wait for ever
                if order.served is not None:
                    order.served.cancel()

    async def _run(self, stream: str, orders: Sequence[_Order[Command]]) -> None:
        """Give every order its result."""
        while left := [order for order in orders if order.result is None]:
            if left[0].lost > 1:
                await asyncio.sleep(random.uniform(0, _LONGEST_PAUSE))  # noqa: S311  # no secret
            try:
                folded = await self._states.at_end(stream)
                taken = await _together(self._decided(stream, left, folded))
                await self._conclude(stream, taken, folded)
            except Exception as error:  # noqa: BLE001  # each of them is told
                self._states.forget(stream)
                for order in left:
                    if order.result is None:  # one each: an exception collects where it was raised
                        order.conclude(Unavailable(str(error)) if type(error) is Unavailable else error)

    def _decided(self, stream: str, orders: Sequence[_Order[Command]], folded: Folded[State]) -> list[_Step[Command]]:
        """Decide the orders one after the other, each on what the ones before would leave. An order whose twin is among
        those waits for the next round."""
        state, version = folded.state, folded.version
        steps: list[_Step[Command]] = []
        ids = set[str]()
        for order in orders:
            if order.command_id in ids:
                continue
            ids.add(order.command_id)
            try:
                events, after = self._decide(stream, order, state, version)
                appending = self.store.append(
                    stream,
                    [self.codec.encode(cast("DomainEvent", event), stream) for event in events],
                    expected_version=version,
                    command_id=order.command_id,
                    fingerprint=order.fingerprint,
                    claims=self.claims(after) if self.claims is not None and events else None,
                    metadata=order.metadata,
                )
            except Exception as error:  # noqa: BLE001  # a refusal, or a defect: this order's alone
                steps.append((order, _Refused(error)))
                continue
            steps.append((order, appending))
            state, version = after, version + len(events)
        return steps

    def _decide(self, stream: str, order: _Order[Command], state: State, version: int) -> tuple[Sequence[Event], State]:
        if order.expected_version is not None and order.expected_version != version:
            raise VersionConflict(stream, order.expected_version, version)
        events = self.decider.decide(order.command, state)
        for event in events:
            state = self.decider.evolve(state, event)
        return events, state

    async def _conclude(self, stream: str, taken: Sequence[_Taken[Command]], folded: Folded[State]) -> None:
        """Answer the orders whose decisions rest on what is on the log; the others are left for the next round."""
        known: Folded[State] | None = folded
        as_foreseen = True
        for order, what in taken:
            if isinstance(what, _Refused):
                if as_foreseen and known is not None:
                    await self._refuse(stream, order, what.error, known.version)
            elif isinstance(what, ConcurrencyConflict):
                order.lost += as_foreseen
                if order.lost >= _MOST_ATTEMPTS:
                    order.conclude(Unavailable(f"{stream}: {order.lost} commits of others came in between; try again"))
                as_foreseen = False
            elif isinstance(what, ClaimTaken):
                if known is not None:
                    await self._refuse(stream, order, what, known.version)
                as_foreseen = False
            elif isinstance(what, Exception):
                order.conclude(what)
                as_foreseen = False
            elif not what.records:
                order.conclude(await self._repeated(what, order.fingerprint))
                as_foreseen = False
            else:
                known = self._after(known, what)
                order.conclude(await self._outcome(what, known))
        if known is None:
            self._states.forget(stream)
        else:
            self._states.keep(stream, known)

    def _after(self, known: Folded[State] | None, commit: Commit) -> Folded[State] | None:
        """The stream after a commit; None where something else has come in between.

        Raises what is wrong with an event of it: a state without that event must not be kept.
        """
        if known is None or commit.version != known.version + commit.events:
            return None
        folded = self._states.after(known, commit.records if commit.events else ())
        if folded.unreadable is not None:
            raise folded.unreadable
        return folded

    async def _outcome(self, commit: Commit, known: Folded[State] | None) -> Outcome:
        if known is None:
            answer = await self._states.answer_at(commit.stream, commit.version, commit.command_id)
        else:
            answer = known.answer
            self._states.keep_answer(commit.stream, known, commit.command_id)
        return Outcome(commit, repeated=False, answer=answer, answered_by=self._answer)

    async def _refuse(self, stream: str, order: _Order[Command], error: Exception, version: int) -> None:
        """Tell of a refusal, unless the command is known. One that binds is stored first; where the stream has moved on
        meanwhile the order is decided again."""
        known: Commit | None = None
        if isinstance(error, Refusal) and order.binding:
            try:
                known = await self.store.append(
                    stream,
                    (),
                    expected_version=version,
                    command_id=order.command_id,
                    fingerprint=order.fingerprint,
                    metadata=order.metadata,
                    refusal=Refused.of(error),
                )
            except ConcurrencyConflict:
                return
        elif isinstance(error, Refusal) and not isinstance(error, ClaimTaken):  # for that one the store has looked
            known = await self.store.find_command(order.command_id)
        if known is None or known.records:
            order.conclude(error)
        else:
            order.conclude(await self._repeated(known, order.fingerprint))

    async def _repeated(self, known: Commit, fingerprint: str) -> Outcome | Exception:
        if known.fingerprint != fingerprint or not known.stream.startswith(self.prefix):
            return IdempotencyMismatch("the idempotency key was used before, for a command with other content")
        if known.refusal is not None:
            return known.refusal.refusal()
        answer = await self._states.answer_at(known.stream, known.version, known.command_id) if known.version else None
        return Outcome(known, repeated=True, answer=answer, answered_by=self._answer)


async def _together(steps: Sequence[_Step[Command]]) -> list[_Taken[Command]]:
    """Append all at once, in order; what became of each step."""
    if len(steps) == 1:  # nearly always, and without a task
        order, step = steps[0]
        try:
            return [(order, step if isinstance(step, _Refused) else await step)]
        except Exception as error:  # noqa: BLE001  # it is the order's result
            return [(order, error)]
    appending = [asyncio.ensure_future(step) for _, step in steps if not isinstance(step, _Refused)]
    outcomes = iter(await asyncio.gather(*appending, return_exceptions=True))
    taken: list[_Taken[Command]] = []
    for order, step in steps:
        what = step if isinstance(step, _Refused) else next(outcomes)
        if isinstance(what, BaseException) and not isinstance(what, Exception):
            what = Unavailable("the append was cancelled, and its outcome is unknown")
        taken.append((order, what))
    return taken


def fingerprint(name: str, canonical_input: object) -> str:
    """64 hexadecimal digits that tell two commands apart: by name, and by input in canonical form (JSON-able).

    The order of keys does not count. Take it before ids and times are drawn.

    Raises:
        InvalidInput: a text in it is none (half of a surrogate pair).
    """
    return _digest([name, canonical_input])


def command_id(caller: str, key: str) -> str:
    """The id of the command that this caller names with this key, for ever: 32 hexadecimal digits.

    Callers cannot meet each other's keys, and what a key says does not come on the log.
    """
    return _digest([caller, key])[:32]


def _digest(value: object) -> str:
    try:
        return hashlib.sha256(_canonical.encode(value)).hexdigest()
    except UnicodeEncodeError:
        raise InvalidInput("input: expected text, found half of a surrogate pair in it") from None
