"""A commit as the ledger has it, and the document that it is kept in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from eventkernel.adapters.mongodb.connection import Document
from eventkernel.errors import StreamWaits
from eventkernel.events import COMMAND_REFUSED, Position, Record
from eventkernel.writing.envelope import from_json, to_json
from eventkernel.writing.refusals import Refused
from eventkernel.writing.store import Commit

BEHIND_A_GAP: Final = "behind a gap"
_CLAIM: Final = "claim "
_TAG: Final = "tag "
HAS_CLAIMS: Final = {"keys": {"$lt": "claim!"}}
"""A key of a claim sorts before this, and one of a version behind it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A commit as the ledger has it."""

    stream: str
    first_version: int
    """0: it has no event."""
    version: int
    """The stream's version after it."""
    command_id: str
    fingerprint: str
    time_us: int
    partition: int
    size: int
    """How many records it has."""
    claims: tuple[str, ...]
    """Those that it has taken and its stream still holds, sealed."""
    given_up: tuple[str, ...] = ()
    refusal: str | None = None
    """The data of the record that remembers a refusal."""
    offset: int | None = None
    """Where its first record stands; None as long as it is not known to be on the log."""
    stops_at: int | None = None
    """Of what keeps a stream's next version from everybody, because a commit stands on the log behind a gap: the
    version at which the stream waits. It has no place of its own, and an id that no command has."""
    tags: tuple[str, ...] = ()
    """Those in whose order it has a turn, sealed: its events' and, as long as the ledger is not filled anew, those
    that its condition asked about."""
    turns: tuple[str, ...] = ()
    """The keys of its turns, where it is to be inserted."""
    texts: Sequence[str] = field(default=(), repr=False)
    """The records in CloudEvents' JSON, where they were asked for."""

    @staticmethod
    def of(
        records: Sequence[Record],
        partition: int,
        claims: Iterable[str],
        offset: int | None = None,
        ends: Mapping[str, int] | None = None,
    ) -> Entry:
        """`ends`: by tag the time of the last commit before this one, which is to have the turn behind it."""
        first, last = records[0], records[-1]
        tags = {tag for record in records for tag in record.tags} if ends is None else ends
        return Entry(
            stream=first.stream,
            first_version=first.version,
            version=last.version or last.first_version,
            command_id=first.command_id,
            fingerprint=first.fingerprint,
            time_us=last.time_us,
            partition=partition,
            size=len(records),
            claims=tuple(claims),
            given_up=first.claims_given_up,
            refusal=first.data.decode() if first.type == COMMAND_REFUSED else None,
            offset=offset,
            tags=tuple(sorted(tags)),
            turns=() if ends is None else tuple(_turn(tag, time) for tag, time in sorted(ends.items())),
            texts=[to_json(record).decode() for record in records],
        )

    @property
    def pending(self) -> bool:
        return self.offset is None and self.stops_at is None

    @property
    def events(self) -> int:
        return self.size if self.first_version else 0

    def versions(self) -> Sequence[int]:
        """Those that no other commit can have."""
        if self.stops_at is not None:
            return [self.stops_at + 1]
        return range(max(self.first_version, 1), self.version + 1)

    def waits(self, log: str) -> StreamWaits:
        return StreamWaits(log, self.stream, self.stops_at or 0, self.first_version)

    def commit(self, log: str) -> Commit:
        position = Position.of(log, self.partition, (self.offset or 0) + self.size)
        refusal = None if self.refusal is None else Refused.decoded(self.refusal)
        return Commit(self.stream, self.version, self.events, self.command_id, self.fingerprint, position, refusal)

    def records(self) -> Sequence[Record]:
        base = -self.size if self.offset is None else self.offset
        return [from_json(text, partition=self.partition, offset=base + at) for at, text in enumerate(self.texts)]

    def document(self) -> Document:
        document: Document = {
            "_id": self.command_id,
            "stream": self.stream,
            "first": self.first_version,
            "last": self.version,
            "fingerprint": self.fingerprint,
            "time": self.time_us,
            "keys": self._keys(),
            "givenUp": list(self.given_up),
            "partition": self.partition,
            "size": self.size,
            "records": list(self.texts),
        }
        if self.refusal is not None:
            document["refusal"] = self.refusal
        if self.tags and self.stops_at is None:
            document["tags"] = list(self.tags)
        # Only a document that has the field is in the sparse index of what is pending, or waits.
        if self.stops_at is not None:
            return document | {"stopsAt": self.stops_at, "pending": BEHIND_A_GAP}
        return document | ({"pending": True} if self.offset is None else {"offset": self.offset})

    def _keys(self) -> Sequence[str]:
        """Never empty: a unique index takes two empty arrays for the same."""
        if self.stops_at is not None:
            return [version_key(self.stream, self.stops_at + 1)]  # nobody else gets it
        if not self.first_version:
            return [f"command {self.command_id}", *self.turns]
        versions = [version_key(self.stream, version) for version in range(self.first_version, self.version + 1)]
        return [*versions, *(claim_key(seal) for seal in self.claims), *self.turns]


def entry_of(document: Mapping[str, Any]) -> Entry:  # what `Entry.document` made
    return Entry(
        stream=document["stream"],
        first_version=document["first"],
        version=document["last"],
        command_id=document["_id"],
        fingerprint=document["fingerprint"],
        time_us=document["time"],
        partition=document["partition"],
        size=document["size"],
        claims=tuple(key.removeprefix(_CLAIM) for key in document["keys"] if key.startswith(_CLAIM)),
        given_up=tuple(document["givenUp"]),
        refusal=document.get("refusal"),
        offset=document.get("offset"),
        stops_at=document.get("stopsAt"),
        tags=tuple(document.get("tags", ())),
        texts=document.get("records", ()),
    )


def has_gap(entries: Sequence[Entry], after: int) -> bool:
    """Whether something is missing between a version and these commits behind it, or between them."""
    ends = [after, *(entry.version for entry in entries)]
    return any(entry.first_version > end + 1 for end, entry in zip(ends, entries, strict=False))


def has_events() -> Document:
    """What finds the commits that have events, and count."""
    return {"first": {"$gt": 0}, "stopsAt": {"$exists": False}}


def claim_key(seal: str) -> str:
    return f"{_CLAIM}{seal}"


def _turn(tag: str, time_us: int) -> str:
    """The turn behind the commit of this time in a tag's order: one commit can have it."""
    return f"{_TAG}{tag} {time_us}"


def version_key(stream: str, version: int) -> str:
    return f"version {version} {stream}"
