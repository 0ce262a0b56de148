"""The envelope, version 1, as CloudEvents 1.0: what docs/events.md specifies, as code.

Attributes are text and integers, as headers of a message (binary mode) or beside `data` in one JSON object (structured
mode, https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md). Where a record stands
(partition, offset) is none of them: a copy of the log stands elsewhere and has the same events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from eventkernel.errors import InvalidInput
from eventkernel.events import ENVELOPE_VERSION, Record, moment

Attributes: TypeAlias = dict[str, str | int]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Count = Annotated[int, msgspec.Meta(ge=0)]


class _Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The attributes by their CloudEvents names (lower-case letters, at most 20), in the order of the page."""

    specversion: Literal["1.0"]
    id: _Text
    source: _Text
    type: _Text
    subject: str = ""
    time: _Text
    datacontenttype: Literal["application/json"]
    envelopeversion: _Count
    streamversion: _Count
    commitfirst: _Count
    commitsize: Annotated[int, msgspec.Meta(ge=1)]
    commandid: str = ""
    fingerprint: str = ""
    claimstaken: str = ""
    claimsgivenup: str = ""
    generation: _Count
    schemaversion: Annotated[int, msgspec.Meta(ge=1)]
    actor: str | None = None
    correlation: str | None = None
    causation: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    tags: str = ""


class _Line(_Envelope, frozen=True, kw_only=True, omit_defaults=True):
    """The envelope with its data, as structured mode has them."""

    data: msgspec.Raw = msgspec.Raw(b"")


class _PlacedLine(_Line, frozen=True, kw_only=True, omit_defaults=True):
    """The same, with where the record stands."""

    partition: _Count
    offset: _Count


_encode: Final = msgspec.json.Encoder().encode
_decode_line: Final = msgspec.json.Decoder(_Line).decode
_decode_placed_line: Final = msgspec.json.Decoder(_PlacedLine).decode


def to_attributes(record: Record) -> Attributes:
    """A record's CloudEvents attributes; those without a value are left out."""
    attributes: Attributes = msgspec.to_builtins(_envelope(record))
    return attributes


def from_attributes(attributes: Mapping[str, str | int], data: bytes, *, partition: int, offset: int) -> Record:
    """The record of these attributes; numbers may be text, as headers have them, and unknown attributes are skipped.

    Raises:
        InvalidInput: an attribute is missing or malformed; the message names it.
    """
    try:
        envelope = msgspec.convert(dict(attributes), _Envelope, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"envelope: {error}") from None
    return _record(envelope, data, partition, offset)


def attributes_schema() -> tuple[Mapping[str, Mapping[str, object]], Sequence[str]]:
    """What each attribute looks like, as JSON Schema by name, and the names of those that are always there."""
    described = msgspec.json.schema(_Envelope)["$defs"][_Envelope.__name__]
    return described["properties"], described["required"]


def to_json(record: Record) -> bytes:
    """A record as one JSON object in structured mode, on one line without its end."""
    fields: dict[str, object] = {**to_attributes(record)}
    if record.data:
        fields["data"] = msgspec.Raw(record.data)
    return _encode(fields)


def from_json(line: bytes | str, *, partition: int, offset: int) -> Record:
    """The record that `to_json` wrote; unknown attributes are skipped.

    Raises:
        InvalidInput: the line is no such object; the message names what is wrong.
    """
    try:
        decoded = _decode_line(line)
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"envelope: {error}") from None
    return _record(decoded, bytes(decoded.data), partition, offset)


def to_placed_line(record: Record) -> bytes:
    """A record as `to_json` has it, with where it stands as the attributes `partition` and `offset`, and the line's
    end."""
    fields: dict[str, object] = {**to_attributes(record), "partition": record.partition, "offset": record.offset}
    if record.data:
        # Who else writes to the topic may lay JSON out on several lines.
        data = msgspec.json.format(record.data, indent=-1) if b"\n" in record.data else record.data
        fields["data"] = msgspec.Raw(data)
    return _encode(fields) + b"\n"


def from_placed_line(line: bytes) -> Record:
    """The record that `to_placed_line` wrote.

    Raises:
        InvalidInput: as `from_json`.
    """
    try:
        decoded = _decode_placed_line(line)
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"envelope: {error}") from None
    return _record(decoded, bytes(decoded.data), decoded.partition, decoded.offset)


def _envelope(record: Record) -> _Envelope:
    return _Envelope(
        specversion="1.0",
        id=record.id,
        source=record.log,
        type=record.type,
        subject=record.stream,
        time=moment(record.time_us).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        datacontenttype="application/json",
        envelopeversion=ENVELOPE_VERSION,
        streamversion=record.version,
        commitfirst=record.first_version,
        commitsize=record.commit_size,
        commandid=record.command_id,
        fingerprint=record.fingerprint,
        claimstaken=" ".join(record.claims_taken),
        claimsgivenup=" ".join(record.claims_given_up),
        generation=record.generation,
        schemaversion=record.schema_version,
        actor=record.actor,
        correlation=record.correlation,
        causation=record.causation,
        traceparent=record.traceparent,
        tracestate=record.tracestate,
        tags=" ".join(record.tags),
    )


def _record(envelope: _Envelope, data: bytes, partition: int, offset: int) -> Record:
    if envelope.envelopeversion > ENVELOPE_VERSION:
        raise InvalidInput(f"envelopeversion: expected at most {ENVELOPE_VERSION}, found {envelope.envelopeversion}")
    return Record(
        log=envelope.source,
        partition=partition,
        offset=offset,
        id=envelope.id,
        type=envelope.type,
        time_us=_microseconds(envelope.time),
        stream=envelope.subject,
        version=envelope.streamversion,
        first_version=envelope.commitfirst,
        commit_size=envelope.commitsize,
        command_id=envelope.commandid,
        fingerprint=envelope.fingerprint,
        claims_taken=tuple(envelope.claimstaken.split()),
        claims_given_up=tuple(envelope.claimsgivenup.split()),
        generation=envelope.generation,
        schema_version=envelope.schemaversion,
        actor=envelope.actor,
        correlation=envelope.correlation,
        causation=envelope.causation,
        traceparent=envelope.traceparent,
        tracestate=envelope.tracestate,
        data=data,
        tags=tuple(envelope.tags.split()),
    )


def _microseconds(time: str) -> int:
    try:
        return (datetime.fromisoformat(time) - _EPOCH) // _MICROSECOND
    except (ValueError, TypeError):  # TypeError: it names no offset from UTC
        raise InvalidInput(f"time: expected RFC 3339 with an offset from UTC, found {time!r}") from None
