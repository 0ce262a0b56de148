"""Records as Kafka messages: the CloudEvents 1.0 Kafka binding in binary mode, and back.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md

Each attribute is a header `ce_…` with its text in UTF-8, `datacontenttype` is the header `content-type`, the message's
value is the data, and its key is the stream, so that others' producers would choose the same partition. A fence has no
key: it stands in every partition.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple, Protocol, TypeAlias

from eventkernel.errors import CorruptData, InvalidInput
from eventkernel.events import ENVELOPE_VERSION, Record
from eventkernel.writing.envelope import from_attributes, to_attributes

Headers: TypeAlias = Sequence[tuple[str, bytes]]

_PREFIX: Final = "ce_"
_CONTENT_TYPE: Final = "content-type"
_UNDER_OTHER_NAMES: Final = {"datacontenttype": _CONTENT_TYPE}


class Message(NamedTuple):
    """What a producer is given."""

    key: bytes | None
    value: bytes
    headers: Headers
    timestamp_ms: int


class ConsumedMessage(Protocol):
    """What a consumer gives."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


def to_message(record: Record) -> Message:
    """The record as it travels; where it stands (partition, offset) is not part of it."""
    headers = [(_header(name), str(value).encode()) for name, value in to_attributes(record).items()]
    return Message(record.stream.encode() or None, record.data, headers, record.time_us // 1_000)


def from_message(message: ConsumedMessage) -> Record:
    """The record that a message holds, standing where the message stands; headers that are no attributes are skipped.

    Raises:
        InvalidInput: the message is no record in this envelope; the error names what is wrong.
        CorruptData: the record is in an envelope of a newer release.
    """
    try:
        attributes: dict[str, str | int] = {_attribute(name): value.decode() for name, value in message.headers}
    except (UnicodeDecodeError, AttributeError):  # AttributeError: a header without a value, which none of ours is
        raise InvalidInput("headers: expected texts in UTF-8, found something else") from None
    try:
        return from_attributes(attributes, message.value or b"", partition=message.partition, offset=message.offset)
    except InvalidInput as error:
        if _is_newer(attributes.get("envelopeversion")):
            raise CorruptData(f"partition {message.partition}, offset {message.offset}: {error}") from None
        raise


def attribute_of(message: ConsumedMessage, name: str) -> bytes | None:
    """One attribute of a message, without reading the others; None: it has none of this name."""
    header = _header(name)
    return next((value for found, value in message.headers if found == header), None)


def _is_newer(envelope: str | int | None) -> bool:
    return isinstance(envelope, str) and envelope.isdecimal() and int(envelope) > ENVELOPE_VERSION


@lru_cache(maxsize=256)
def _header(attribute: str) -> str:
    return _UNDER_OTHER_NAMES.get(attribute, _PREFIX + attribute)


@lru_cache(maxsize=256)
def _attribute(header: str) -> str:
    if header == _CONTENT_TYPE:
        return "datacontenttype"
    # A name that no attribute can have, for those that are none (such as a tracer's own headers).
    return header.removeprefix(_PREFIX) if header.startswith(_PREFIX) else f"-{header}"
