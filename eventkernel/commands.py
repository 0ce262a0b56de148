"""Running a command: read, decide, append; and decide again when somebody was faster.

A command has an id that its caller chose. Sent again it has no second effect: it gets the answer of the first time, the
stream as it was after the commit. The same id with other content is a mistake of the caller, told by the fingerprint,
which is taken before ids and times are drawn.

Nearly every command is new, so nobody looks its id up first. What is decided for one that is not goes nowhere: the
store asks for the id before anything else, and gives the commit that it finds. Where the decider refuses instead (a
repeated «add» meets its own effect, or that of a twin request), the id is looked up before anybody is told of it.

The answer is made of the records that were decided on and those that the append has made: the stream is read once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, cast

import msgspec

from eventkernel.codec import Codec
from eventkernel.decider import Command, Decider, Event, State
from eventkernel.errors import (
    ConcurrencyConflict,
    IdempotencyMismatch,
    InvalidInput,
    Refusal,
    Unavailable,
    VersionConflict,
)
from eventkernel.events import NO_METADATA, DomainEvent, Metadata, Record
from eventkernel.store import Commit, EventStore

_MOST_ATTEMPTS: Final = 100
"""Every lost race is somebody else's success, so this many commands may meet on one stream at once."""

_canonical: Final = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command led to: its commit, and the stream's records up to the commit's version, oldest first.

    `commit.stream` may be another stream than the repeated command named, where ids are drawn per request. `repeated`:
    the command was known before.
    """

    commit: Commit
    records: Sequence[Record]
    repeated: bool


@dataclass(frozen=True)
class CommandHandler(Generic[State, Command, Event]):
    """Runs the commands of one kind of aggregate against one log.

    `claims` gives all that a stream holds in a state (`username:ada`); None: this aggregate claims nothing.
    """

    store: EventStore
    codec: Codec
    decider: Decider[State, Command, Event]
    claims: Callable[[State], frozenset[str]] | None = None

    async def execute(
        self,
        stream: str,
        command: Command,
        *,
        command_id: str,
        fingerprint: str,
        expected_version: int | None = None,
        metadata: Metadata = NO_METADATA,
    ) -> Outcome:
        """Run one command to its end; the commit is durable when this returns.

        `expected_version` is the caller's: the version that the command is meant for, None for whatever there is.

        Raises:
            Refusal: the decider's, or one of these:
            VersionConflict: the stream is not at the version that the caller expects.
            IdempotencyMismatch: the id was used for a command of other content.
            ClaimTaken: another stream holds what this one would.
            Unavailable: the outcome is unknown, or too many others were faster; the same call may be repeated.
        """
        for _ in range(_MOST_ATTEMPTS):
            records = await self.store.read_stream(stream)
            try:
                if expected_version is not None and expected_version != len(records):
                    raise VersionConflict(stream, expected_version, len(records))
                state = self.decider.fold(cast("Event", self.codec.decode(record)) for record in records)
                events = self.decider.decide(command, state)
            except Refusal:
                known = await self.store.find_command(command_id)
                if known is None:
                    raise
                return await self._repeated(known, fingerprint)
            try:
                commit = await self.store.append(
                    stream,
                    [self.codec.encode(cast("DomainEvent", event), stream) for event in events],
                    expected_version=len(records),
                    command_id=command_id,
                    fingerprint=fingerprint,
                    claims=self._claims_after(state, events),
                    metadata=metadata,
                )
            except ConcurrencyConflict:
                continue
            if not commit.records:
                return await self._repeated(commit, fingerprint)
            return Outcome(commit, [*records, *(commit.records if commit.events else ())], repeated=False)
        raise Unavailable(f"{stream}: {_MOST_ATTEMPTS} commits of others came in between; try again")

    async def _repeated(self, known: Commit, fingerprint: str) -> Outcome:
        if known.fingerprint != fingerprint:
            raise IdempotencyMismatch("the idempotency key was used before, for a command with other content")
        return Outcome(known, await self.store.read_stream(known.stream, known.version), repeated=True)

    def _claims_after(self, state: State, events: Sequence[Event]) -> frozenset[str] | None:
        if self.claims is None or not events:
            return None
        for event in events:
            state = self.decider.evolve(state, event)
        return self.claims(state)


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
