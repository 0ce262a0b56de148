"""What an append may ask for, and what becomes of it: the rules that hold in every event store.

A store gathers what is known about the appends at hand (`Ledger`), and `settle` says for each in turn: these records,
or this refusal. Where they are kept, and what makes the step atomic, is the store's business.

The order of the questions matters. First the command id: a repeated command gets its commit, also where its own effect
would now be in the way. Then the version, then the condition, then the claims.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from eventkernel.errors import ClaimTaken, ConcurrencyConflict, IdempotencyMismatch, InvalidInput
from eventkernel.events import (
    COMMAND_REFUSED,
    COMMAND_REMEMBERED,
    NO_METADATA,
    STREAM_RESUMED,
    EncodedEvent,
    Metadata,
    Position,
    Record,
)
from eventkernel.writing.boundary import (
    MOST_TAGS,
    AppendCondition,
    TaggedEvent,
    check_condition,
    checked_query,
    seal_query,
    seal_tags,
)
from eventkernel.writing.claims import ClaimsKey
from eventkernel.writing.refusals import Refused
from eventkernel.writing.store import ClaimHolder, Commit

LONGEST_NAME: Final = 200
"""Characters of a stream's name, a command id, a fingerprint, a type, a claim."""
LONGEST_METADATA: Final = 1_000
"""Characters of each metadata text."""
MOST_EVENTS: Final = 1_000
"""Events in one commit."""
LARGEST_COMMIT: Final = 512 * 1024
"""Bytes of data in one commit: with its envelopes it fits into one batch of any log that we know."""

_UNPRINTABLE: Final = "\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
"""What CloudEvents has no room for in an attribute
(https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#type-system)."""
_name: Final = re.compile(f"[^{_UNPRINTABLE}]{{1,{LONGEST_NAME}}}").fullmatch
_metadata: Final = re.compile(f"[^{_UNPRINTABLE}]{{0,{LONGEST_METADATA}}}").fullmatch


class Append(msgspec.Struct, frozen=True, gc=False):
    """One call of `EventStore.append`, checked; `claims` are sealed, each with its clear text, and so are tags."""

    stream: str
    events: Sequence[EncodedEvent]
    expected_version: int | None
    command_id: str
    fingerprint: str
    claims: Mapping[str, str] | None
    metadata: Metadata
    refusal: Refused | None = None
    condition: AppendCondition | None = None
    tags: frozenset[str] = frozenset()
    """Those of the events, and the guards of the condition: in whose order the commit has a turn."""


class StreamEnd(msgspec.Struct, frozen=True, gc=False):
    version: int = 0
    time_us: int = 0


_NEW_STREAM: Final = StreamEnd()


@dataclass(slots=True)
class Ledger:
    """What is known of the appends at hand: it may be more, and must not be less. `settle` keeps it up to date."""

    log: str
    next_offset: int
    partition: int = 0
    generation: int = 0
    commits: dict[str, Commit] = field(default_factory=dict[str, Commit])
    """By command id."""
    ends: dict[str, StreamEnd] = field(default_factory=dict[str, StreamEnd])
    holders: dict[str, ClaimHolder] = field(default_factory=dict[str, ClaimHolder])
    """By sealed claim."""
    held: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    """The sealed claims of each stream."""
    tag_times: dict[str, int] = field(default_factory=dict[str, int])
    """The time of the last commit that has a turn in a tag's order, by sealed tag."""
    tagged: dict[str, list[TaggedEvent]] = field(default_factory=dict[str, list[TaggedEvent]])
    """Events by sealed tag, in the order of their times. Of those that an append's condition excludes, one is enough.
    """


def is_name(text: str) -> bool:
    """Whether an append takes this text as a stream, a command id, a fingerprint or a claim."""
    return _name(text) is not None


def checked(append: Append) -> Append:
    """The append, if it is well formed.

    Raises:
        InvalidInput: what is malformed, what was expected, and what was found.
    """
    stream, command_id, fingerprint = append.stream, append.command_id, append.fingerprint
    if not _are_plain(stream, command_id, fingerprint):
        for what, value in (("stream", stream), ("command id", command_id), ("fingerprint", fingerprint)):
            if _name(value) is None:
                raise InvalidInput(_unexpected_text(what, value, 1, LONGEST_NAME))
    if append.stream == "*":
        raise InvalidInput("stream: expected a name, found '*', which stands for any stream in bookmarks")
    if append.metadata is not NO_METADATA:
        _check_metadata(append.metadata)
    _check_expected_version(append)
    if not append.events and append.claims is not None:
        raise InvalidInput("claims: expected none with a commit without events, found some")
    if append.events and append.refusal is not None:
        raise InvalidInput("refusal: expected none with a commit with events, found one")
    if len(append.events) > MOST_EVENTS:
        raise InvalidInput(f"events: expected at most {MOST_EVENTS} in one commit, found {len(append.events)}")
    size = sum([len(event.data) for event in append.events])
    if size > LARGEST_COMMIT:
        raise InvalidInput(f"events: expected at most {LARGEST_COMMIT} bytes of data in one commit, found {size}")
    return append


def _check_expected_version(append: Append) -> None:
    if append.expected_version is None:
        if append.condition is None:
            raise InvalidInput("expected version: expected a number where there is no condition, found none")
    elif append.expected_version < 0:
        raise InvalidInput(f"expected version: expected 0 or more, found {append.expected_version}")


def _check_tags(events: Sequence[EncodedEvent], condition: AppendCondition | None) -> None:
    tags = {tag for event in events for tag in event.tags}
    if condition is not None:
        checked_query(condition.query, condition.after)
        tags |= {tag for item in condition.query.items for tag in item.tags}
    for tag in tags:
        if _name(tag) is None:
            raise InvalidInput(_unexpected_text("tag", tag, 1, LONGEST_NAME))
    if len(tags) > MOST_TAGS:
        raise InvalidInput(f"tags: expected at most {MOST_TAGS} different ones in one commit, found {len(tags)}")


def _are_plain(one: str, two: str, three: str) -> bool:
    """Whether all are names, told by one look. Most are; `isprintable` takes less than CloudEvents does."""
    return (
        0 < len(one) <= LONGEST_NAME
        and 0 < len(two) <= LONGEST_NAME
        and 0 < len(three) <= LONGEST_NAME
        and f"{one}{two}{three}".isprintable()
    )


def _check_metadata(metadata: Metadata) -> None:
    values = msgspec.structs.astuple(metadata)
    text = "".join(filter(None, values))
    if text.isprintable() and len(text) <= LONGEST_METADATA:
        return
    for name, value in zip(metadata.__struct_fields__, values, strict=True):
        if value is not None and _metadata(value) is None:
            raise InvalidInput(_unexpected_text(name, value, 0, LONGEST_METADATA))


def prepared(append: Append, key: ClaimsKey, claims: frozenset[str] | None) -> Append:
    """The append that a store was asked for, in clear, checked and sealed.

    Raises:
        InvalidInput: what is malformed, what was expected, and what was found.
    """
    if claims is not None:
        append = msgspec.structs.replace(append, claims=seal_claims(key, claims))
    if append.condition is not None or any([event.tags for event in append.events]):  # noqa: C419 -- half the time
        append = _with_tags_sealed(append, key)
    return checked(append)


def _with_tags_sealed(append: Append, key: ClaimsKey) -> Append:
    _check_tags(append.events, append.condition)
    events, condition = seal_tags(key, append.events), append.condition
    places = {tag for event in events for tag in event.tags}
    if condition is not None:
        condition = AppendCondition(seal_query(key, condition.query), condition.after)
        places |= {item.guard for item in condition.query.items}
    return msgspec.structs.replace(append, events=events, condition=condition, tags=frozenset(places))


def seal_claims(key: ClaimsKey, claims: frozenset[str] | None) -> Mapping[str, str] | None:
    """The claims as `Append` has them."""
    if claims is None:
        return None
    for claim in claims:
        if _name(claim) is None:
            raise InvalidInput(_unexpected_text("claim", claim, 1, LONGEST_NAME))
    return key.seal_all(claims)


def settle(append: Append, ledger: Ledger, now_us: int) -> tuple[Commit, Sequence[Record]]:
    """What an append leads to: its commit, and the records that are to be kept now (none for a repeated command).

    Raises:
        IdempotencyMismatch, ConcurrencyConflict, AppendConditionFailed, ClaimTaken: as `EventStore.append` says; the
            ledger is as before.
    """
    known = ledger.commits.get(append.command_id)
    if known is not None:
        if known.fingerprint != append.fingerprint:
            raise IdempotencyMismatch("the idempotency key was used before, for a command with other content")
        return known, ()
    stream = append.stream
    end = ledger.ends.get(stream, _NEW_STREAM)
    if append.expected_version is not None and end.version != append.expected_version:
        raise ConcurrencyConflict(stream, append.expected_version, end.version)
    if append.condition is not None:
        check_condition(append.condition, ledger.tagged)
    taken, given_up = _claims(append, ledger)

    time_us = max(now_us, end.time_us)
    if append.tags:
        time_us = max(time_us, 1 + max([ledger.tag_times.get(tag, 0) for tag in append.tags]))
    records = _records(append, ledger, end, time_us, (taken, given_up))
    if append.tags:
        _take_turn(append, ledger, records)
    ledger.next_offset += len(records)
    events = len(append.events)
    position = Position.of(ledger.log, ledger.partition, ledger.next_offset)
    version = end.version + events
    said = (stream, version, events, append.command_id, append.fingerprint, position, append.refusal)
    commit, ledger.commits[append.command_id] = Commit(*said, records), Commit(*said)
    if events:
        ledger.ends[stream] = StreamEnd(commit.version, records[-1].time_us)
    for seal in taken:
        ledger.holders[seal] = ClaimHolder(stream, commit.version)
        ledger.held.setdefault(stream, set()).add(seal)
    for seal in given_up:
        del ledger.holders[seal]
        ledger.held[stream].remove(seal)
    return commit, records


def _take_turn(append: Append, ledger: Ledger, records: Sequence[Record]) -> None:
    """The commit is the last one in the order of its tags."""
    ledger.tag_times.update(dict.fromkeys(append.tags, records[0].time_us))
    for record in records:
        for tag in record.tags:
            ledger.tagged.setdefault(tag, []).append(TaggedEvent(record.time_us, record.type, record.tags))


def _claims(append: Append, ledger: Ledger) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if append.claims is None:
        return (), ()
    held = ledger.held.get(append.stream, frozenset[str]())
    taken = tuple(sorted(append.claims.keys() - held))
    for seal in taken:
        if seal in ledger.holders:
            raise ClaimTaken(append.claims[seal])
    return taken, tuple(sorted(held - append.claims.keys()))


def _records(
    append: Append, ledger: Ledger, end: StreamEnd, time_us: int, claims: tuple[tuple[str, ...], tuple[str, ...]]
) -> Sequence[Record]:
    remembered = not append.events
    events = append.events or (_remembering(append.refusal),)
    first_version = end.version if remembered else end.version + 1
    metadata = append.metadata
    return [
        Record(
            log=ledger.log,
            partition=ledger.partition,
            offset=ledger.next_offset + index,
            id=record_id(append.command_id, 0) if remembered else record_id(append.stream, first_version + index),
            type=event.type,
            time_us=time_us,
            stream=append.stream,
            version=0 if remembered else first_version + index,
            first_version=first_version,
            commit_size=len(events),
            command_id=append.command_id,
            fingerprint=append.fingerprint,
            claims_taken=() if index else claims[0],
            claims_given_up=() if index else claims[1],
            generation=ledger.generation,
            schema_version=event.schema_version,
            actor=metadata.actor,
            correlation=metadata.correlation,
            causation=metadata.causation,
            traceparent=metadata.traceparent,
            tracestate=metadata.tracestate,
            data=event.data,
            tags=event.tags,
        )
        for index, event in enumerate(events)
    ]


def _remembering(refusal: Refused | None) -> EncodedEvent:
    if refusal is None:
        return EncodedEvent(COMMAND_REMEMBERED, 1, b"{}")
    return EncodedEvent(COMMAND_REFUSED, 1, refusal.encoded())


def resuming(reason: str) -> EncodedEvent:
    """What lets a stream go on that waits behind a gap."""
    return EncodedEvent(STREAM_RESUMED, 1, msgspec.json.encode({"reason": reason}))


def record_id(name: str, version: int) -> str:
    """A record's id, unique within its log: its stream and version, for one without a version its command id and 0."""
    return f"{name}@{version}"


def _unexpected_text(what: str, value: str, least: int, most: int) -> str:
    found = f"{len(value)} characters" if not least <= len(value) <= most else "one that is not printable"
    return f"{what}: expected {least} to {most} printable characters, found {found}"
