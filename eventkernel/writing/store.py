"""The port of an event store: one log that is the truth, with conditional appends, command ids, claims and tags."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, Self

import msgspec

from eventkernel.events import NO_METADATA, EncodedEvent, Metadata, Partition, Position, Record
from eventkernel.writing.boundary import AppendCondition, Query, TaggedBatch
from eventkernel.writing.refusals import Refused


class Commit(msgspec.Struct, frozen=True, eq=False, gc=False):
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
    refusal: Refused | None = None
    """For a command that was refused, and whose refusal binds."""
    records: Sequence[Record] = ()
    """What was put on the log, for whom it was put there; empty where the commit was known before. Two commits that
    differ in this alone are equal."""

    def _known(self) -> tuple[object, ...]:
        return (
            self.stream, self.version, self.events, self.command_id, self.fingerprint, self.position, self.refusal,
        )  # fmt: skip

    def __eq__(self, other: object) -> bool:
        return self._known() == other._known() if isinstance(other, Commit) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.stream, self.version, self.command_id))

    def __repr__(self) -> str:
        return f"Commit{self._known()}"


class ClaimHolder(msgspec.Struct, frozen=True, gc=False):
    """The stream that holds a claim, and the stream's version when it took it."""

    stream: str
    version: int


@dataclass(frozen=True, slots=True)
class Writing:
    """Whether a store takes commands, for people."""

    refused: str = ""
    """Why it takes none at all."""
    waiting: Sequence[str] = ()
    """Of each stream that waits behind a gap on the log, why it takes none; of some, where they are many."""


@dataclass(frozen=True, slots=True)
class Correlated:
    """Records of one correlation, in order per partition, found among the last ones of a log."""

    records: Sequence[Record]
    since_us: int | None = None
    """The time of the first record that was looked at, where there are earlier ones; None: all of the log was."""
    more: bool = False
    """Whether earlier ones were found and left out."""


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


class Landmark(NamedTuple):
    """A record that a reader has taken: its offset, and a digest of what it says.

    An offset alone does not tell one history of a log from another. A log that was put back to an older copy and has
    grown again has another record there.
    """

    offset: int
    digest: str

    def to_text(self) -> str:
        """Texts sort as the offsets do."""
        return f"{self.offset:019d} {self.digest}"

    @classmethod
    def from_text(cls, text: str) -> Self:
        offset, _, digest = text.partition(" ")
        return cls(int(offset), digest)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a reader is, per partition, the generation that it had seen there, and the last record that it took."""

    position: Position = field(default_factory=Position)
    generations: tuple[tuple[str, int, int], ...] = ()
    """(log id, partition, generation), one entry a partition."""
    landmarks: Mapping[Partition, Landmark] = field(default_factory=dict[Partition, Landmark])
    """None for a partition of which nothing was taken; a checkpoint of release 0.1.0 has none at all."""


class LogReader(Protocol):
    """What those who follow a log need of it: projectors, process managers, exports."""

    @property
    def log(self) -> str:
        """The log's id: its name, a dot, and random characters drawn when it was made (`books.x7f3k2q9`)."""
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
            CheckpointMismatch: the checkpoint is past the log's end, or the log has another record where its landmark
                is: this is another history of the log than the one that was read.
            CorruptData: the log is damaged.
            Unavailable: the log cannot be read now; subscribe again.
        """
        ...

    async def records_before(self, offsets: Mapping[int, int]) -> Mapping[int, Record]:
        """By partition: the last record before an offset that subscribers are given. A partition without one is left
        out.

        Raises:
            CorruptData: the log is damaged.
            Unavailable: the log cannot be read now.
        """
        ...


class EventStore(LogReader, Protocol):
    """What a command needs. Every method raises `Unavailable` where the outcome is unknown, in bounded time.

    A look-up by a name that no append would take finds nothing.
    """

    async def append(  # noqa: PLR0913 -- all of it is one step
        self,
        stream: str,
        events: Sequence[EncodedEvent],
        *,
        expected_version: int | None,
        command_id: str,
        fingerprint: str,
        claims: frozenset[str] | None = None,
        metadata: Metadata = NO_METADATA,
        refusal: Refused | None = None,
        condition: AppendCondition | None = None,
    ) -> Commit:
        """Put the events after `expected_version` (0: the stream is new), all or nothing, durably before returning.

        `claims` is the full set that the stream holds after this append (in clear; the store keeps HMACs): a stream may
        take its own again, one that is missing is given up and stays held until that is on the log; None keeps the set
        as it is. No events: one record without a version remembers the command id (claims must then be None), and that
        the command was refused, where a refusal is given.

        `condition`: nothing has come that the decision should have known (`boundary.py`). With a condition, and only
        then, `expected_version` may be None: wherever the stream is.

        Raises:
            ConcurrencyConflict: the stream is at another version.
            AppendConditionFailed: the condition does not hold.
            ClaimTaken: another stream holds one of the claims.
            StreamWaits: the stream has a gap on the log; so does `read_stream`.
            IdempotencyMismatch: the command id is known with another fingerprint. With the same fingerprint the
                commit that it made is returned, and nothing is appended.
            InvalidInput: a name is malformed or the commit too large (docs/events.md has the limits).
            Unavailable: the outcome is unknown; the same call may be repeated.
        """
        ...

    async def writing(self) -> Writing:
        """Whether commands are taken."""
        ...

    async def backlog(self) -> int:
        """How many commits are kept that are not known to be on the log yet; always 0 where a commit is both at once.

        Raises:
            Unavailable: that cannot be told now.
        """
        ...

    async def resume(self, stream: str, reason: str) -> Commit:
        """Let a stream go on that waits behind a gap, or has a record that cannot be decoded: what stands on the log
        behind the gap has no effect, and the record has none on commands. The stream gets a record more, of type
        `STREAM_RESUMED`.

        Raises:
            NotFound: there is no such stream.
            CorruptData: the gap cannot be closed on this log.
        """
        ...

    async def find_command(self, command_id: str) -> Commit | None:
        """The commit that a command made."""
        ...

    async def read_command(self, command_id: str) -> Sequence[Record]:
        """The records of the commit that a command made, one without a version too; empty for an unknown command."""
        ...

    async def read_correlated(self, correlation: str, back: int, most: int) -> Correlated:
        """The records with this correlation among the last `back` records of each partition: of very many, the last
        `most` of a partition. There is no index of it, so it costs reading as many records as it looks at."""
        ...

    async def find_claim(self, claim: str) -> ClaimHolder | None:
        """Who holds a claim (clear text), after helping an unpublished commit."""
        ...

    async def read_stream(self, stream: str, up_to: int | None = None, after: int = 0) -> Sequence[Record]:
        """The stream's records with a version, oldest first: all, or up to a version, or behind one. Empty for an
        unknown stream. What is left out costs nothing."""
        ...

    def read_tagged(self, query: Query, after: tuple[int, ...] = ()) -> AsyncGenerator[TaggedBatch, None]:
        """The events that a query matches, each once, up to the log's end at this moment; along each tag in the order
        in which they came.

        `after`: of an earlier reading's condition; what it has had is left out. There is one batch at least, and each
        has some thousands of records at most. The last one's condition is for the append that rests on all of them.

        Raises:
            InvalidInput: the query is malformed.
            CorruptData: the log is damaged.
            Unavailable: the log cannot be read now; read again.
        """
        ...
