"""The words of event sourcing that need no technology: events, records, positions, metadata.

A *domain event* is a fact in the domain's own words. A *record* is an event as it stands on a log: encoded, in the
envelope (version 1). A *recorded event* is a record read back, decoded, with its event. A *position* says how far
somebody has read, in every partition of every log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar, Final, NamedTuple

import msgspec

ENVELOPE_VERSION: Final = 1


class DomainEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What every event type derives from, with an explicit tag.

        class Opened(DomainEvent, frozen=True, tag="doors.Opened"): ...

    The tag is the CloudEvents `type`; it is never derived from the class's name, so that classes can be renamed. A type
    that gets another tag keeps the ones of before: `old_names: ClassVar = ("doors.Unlocked",)`. Records with an old
    name are read as this type for ever, and stay as they are; new ones have the tag.
    """

    old_names: ClassVar[tuple[str, ...]] = ()


def names_of(event: type[DomainEvent]) -> tuple[str, ...]:
    """Every `type` that records of an event type have: its tag, then its old names."""
    return (str(event.__struct_config__.tag), *event.old_names)


@dataclass(frozen=True, slots=True)
class Personal:
    """Marks a field that holds personal data: `Annotated[str, Personal()]`.

    The codec gives such fields to its cipher, with one key per person; `person` names the field that says whose data
    they are, and None stands for the stream. After an erasure the field reads as its default, or as `erased`
    where it has none.
    """

    person: str | None = None
    erased: str = ""


@dataclass(frozen=True, slots=True)
class Tag:
    """Marks a field whose value is a tag of the event: with `owner: Annotated[str, Tag("owner")]` it is `owner:17`.

    A field may hold several values (a list or a set: a tag each) or none (None). A log has tags sealed, as it has
    claims; so they can be compared, and cannot be read.
    """

    name: str


class Metadata(msgspec.Struct, frozen=True, gc=False):
    """Who caused a command and within what; carried by every record that comes of it.

    `actor` is an opaque id, never a name. `correlation` is shared by all that one request brought about, `causation`
    is the id of the command or the record that led to this command directly. `traceparent` and `tracestate` are the
    W3C trace context (https://www.w3.org/TR/trace-context/).
    """

    actor: str | None = None
    correlation: str | None = None
    causation: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None


NO_METADATA: Final = Metadata()


class EncodedEvent(msgspec.Struct, frozen=True, gc=False):
    """An event as bytes: its type, the version of its schema, its data as JSON, and its tags in clear."""

    type: str
    schema_version: int
    data: bytes
    tags: tuple[str, ...] = ()


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One record of a log: the envelope, version 1, and the data.

    The names of the CloudEvents attributes (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md) and
    extensions that they travel under outside of Python stand in `envelope.py`.

    A commit of a command that changes nothing is one record of type `COMMAND_REMEMBERED`, without a version
    (`version` 0); its `first_version` is the stream's version at that moment, so that a repeated command is answered
    with the stream folded to there. One of a command whose refusal binds is the same, of type `COMMAND_REFUSED`.
    """

    log: str
    """The log's id (CloudEvents `source`)."""
    partition: int
    offset: int
    id: str
    """Unique within the log."""
    type: str
    time_us: int
    """Microseconds since 1970 UTC: the later of the clock and the time of the stream's event before."""
    stream: str
    """CloudEvents `subject`."""
    version: int
    """The event's version in its stream, from 1."""
    first_version: int
    """The version of the commit's first event."""
    commit_size: int
    """How many records the commit has."""
    command_id: str
    fingerprint: str
    claims_taken: tuple[str, ...] = ()
    """HMACs with the log's claims key, never the clear text."""
    claims_given_up: tuple[str, ...] = ()
    generation: int = 0
    schema_version: int = 1
    actor: str | None = None
    correlation: str | None = None
    causation: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    data: bytes = b""
    tags: tuple[str, ...] = ()
    """HMACs with the log's claims key, never the clear text."""
    intact: bool = True
    """False: it is not what was written, as its checksum tells. Such a record cannot be decoded."""

    @property
    def time(self) -> datetime:
        return moment(self.time_us)


def damage_of(record: Record) -> str:
    """What is said of a record that is not intact."""
    place = f"{record.log}/{record.partition}, offset {record.offset}"
    return f"{place}: version {record.version} of the stream {record.stream[:200]!r} is damaged"


COMMAND_REMEMBERED: Final = "eventkernel.CommandRemembered"
"""The type of the record that remembers a command without events."""

COMMAND_REFUSED: Final = "eventkernel.CommandRefused"
"""The type of the record that remembers a refusal; its data are those of `eventkernel.writing.refusals.Refused`."""

STREAM_RESUMED: Final = "eventkernel.StreamResumed"
"""The type of the record by which an operator lets a stream go on that waits behind a gap. It has the stream's next
version and no effect; of what came before it behind the gap nothing counts. Its data say why."""

FENCE: Final = "eventkernel.Fence"
"""The type of the record that stands at a partition's start and opens each generation; carries the claims key's
fingerprint as its data. Never given to subscribers."""


class RecordedEvent(msgspec.Struct, frozen=True, gc=False):
    """A record with its event decoded."""

    event: DomainEvent
    record: Record

    @property
    def stream(self) -> str:
        return self.record.stream

    @property
    def version(self) -> int:
        return self.record.version

    @property
    def time(self) -> datetime:
        return self.record.time


def moment(time_us: int) -> datetime:
    """The aware UTC datetime of microseconds since 1970, exactly."""
    seconds, micros = divmod(time_us, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)


def log_name(log: str) -> str:
    """A log's name, out of its id: the name, a dot, and random characters."""
    return log.rpartition(".")[0] or log


class Partition(NamedTuple):
    """One partition of one log; the order of records is promised inside it only."""

    log: str
    number: int


@dataclass(frozen=True, slots=True)
class Position(Mapping[Partition, int]):
    """For every partition the offset of the next record to read; a partition that is not named stands at 0.

    Positions are partially ordered; `join` is the pointwise maximum.
    """

    offsets: Mapping[Partition, int] = field(default_factory=dict[Partition, int])

    @classmethod
    def of(cls, log: str, partition: int, next_offset: int) -> Position:
        return cls({Partition(log, partition): next_offset})

    @classmethod
    def joined(cls, positions: Iterable[Position]) -> Position:
        offsets: dict[Partition, int] = {}
        for position in positions:
            for partition, offset in position.offsets.items():
                if offset > offsets.get(partition, 0):
                    offsets[partition] = offset
        return cls(offsets)

    def join(self, other: Position) -> Position:
        return Position.joined((self, other))

    def covers(self, other: Position) -> bool:
        """Whether everything before `other` is also before this position."""
        return all(self.offsets.get(partition, 0) >= offset for partition, offset in other.offsets.items())

    def within(self, logs: Iterable[str]) -> Position:
        """This position, restricted to the partitions of these logs."""
        wanted = frozenset(logs)
        return Position({p: offset for p, offset in self.offsets.items() if p.log in wanted})

    def __getitem__(self, partition: Partition) -> int:
        return self.offsets[partition]

    def __iter__(self) -> Iterator[Partition]:
        return iter(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets)
