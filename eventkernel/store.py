"""The port of an event store: one log that is the truth, with conditional appends, command ids and claims."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from eventkernel.events import NO_METADATA, EncodedEvent, Metadata, Position, Record


@dataclass(frozen=True, slots=True)
class Commit:
    """What one command put on the log, all or nothing.

    `version` is the stream's version after it (for a command without events: at it). `position` is just past the
    commit's last record: a view that has reached it shows the commit.
    """

    stream: str
    version: int
    events: int
    command_id: str
    fingerprint: str
    position: Position
    records: Sequence[Record] = field(default=(), compare=False, repr=False)
    """What was put on the log, for whom it was put there; empty where the commit was known before."""


@dataclass(frozen=True, slots=True)
class ClaimHolder:
    """The stream that holds a claim, and the stream's version when it took it."""

    stream: str
    version: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one partition in order, and where the reading goes on after them.

    `records` may be empty: then only fences or records of an older generation lay between.
    """

    log: str
    partition: int
    records: Sequence[Record]
    next_offset: int
    generation: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a reader is, per partition, and the generation that it had seen there."""

    position: Position = field(default_factory=Position)
    generations: tuple[tuple[str, int, int], ...] = ()
    """(log id, partition, generation), one entry a partition."""


class LogReader(Protocol):
    """What those who follow a log need of it: projectors, process managers, exports."""

    @property
    def log(self) -> str:
        """The log's id: its name, a dot, and random characters drawn when it was made (`users.x7f3k2q9`)."""
        ...

    async def head(self) -> Position:
        """The position of the log's end: past every acknowledged record, in every partition."""
        ...

    def subscribe(self, after: Checkpoint, partitions: frozenset[int] | None = None) -> AsyncGenerator[Batch, None]:
        """Every record after a checkpoint, in order per partition, for ever: waits at the end for new ones.

        `partitions` restricts it to some of the log's partitions; None means all.

        May repeat a record. Never yields a fence or a record of an older generation. A batch has at most some
        thousands of records and comes as soon as there is one. Ends when its consumer closes it (`aclose`).

        Raises:
            CorruptData: the checkpoint is past the log's end: something was lost.
            Unavailable: the log cannot be read now; subscribe again.
        """
        ...


class EventStore(LogReader, Protocol):
    """What a command needs. Every method raises `Unavailable` where the outcome is unknown, in bounded time.

    A look-up by a name that no append would take finds nothing.
    """

    async def append(
        self,
        stream: str,
        events: Sequence[EncodedEvent],
        *,
        expected_version: int,
        command_id: str,
        fingerprint: str,
        claims: frozenset[str] | None = None,
        metadata: Metadata = NO_METADATA,
    ) -> Commit:
        """Put the events after `expected_version` (0: the stream is new), all or nothing, durably before returning.

        `claims` is the full set that the stream holds after this append (in clear; the store keeps HMACs): a stream may
        take its own again, one that is missing is given up and stays held until that is on the log; None keeps the set
        as it is. No events: one record without a version remembers the command id (claims must then be None).

        Raises:
            ConcurrencyConflict: the stream is at another version.
            ClaimTaken: another stream holds one of the claims.
            IdempotencyMismatch: the command id is known with another fingerprint. With the same fingerprint the
                commit that it made is returned, and nothing is appended.
            InvalidInput: a name is malformed or the commit too large (docs/events.md has the limits).
            Unavailable: the outcome is unknown; the same call may be repeated.
        """
        ...

    async def find_command(self, command_id: str) -> Commit | None:
        """The commit that a command made."""
        ...

    async def find_claim(self, claim: str) -> ClaimHolder | None:
        """Who holds a claim (clear text), after helping an unpublished commit."""
        ...

    async def read_stream(self, stream: str, up_to: int | None = None) -> Sequence[Record]:
        """The stream's records with a version, oldest first, all or up to a version. Empty for an unknown stream."""
        ...
