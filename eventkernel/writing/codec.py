"""Domain events to bytes and back: JSON, read tolerantly, with personal fields under a key per person.

Old logs are read for ever, by code that has moved on and by code that has not yet. So:

- an unknown field is skipped, and a missing one takes its default;
- a record of an older schema version goes through the upcasters from there on, one version at a time; a step without
  one needs none (it added a field with a default, say);
- a record of a newer schema version is read as if it were the current one;
- a type that was renamed is known by its old names, too, whatever the schema version; only its tag is written;
- a type that nobody registered is `UnknownEventType`, or `Unread` for those who said so: never a guess.

A field marked `Personal` is stored as `{"$person": "reader", "$encrypted": "…"}` where there is a cipher, and as it is
where there is none; `"$json": true` stands beside it where the clear text is the JSON of a value that is no text. A
stored field says itself whether it is encrypted and whose it is, so that logs may hold both, types may change, and
upcasters see clear text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Protocol, cast, get_args, get_origin, get_type_hints

import msgspec

from eventkernel.errors import CorruptData, InvalidInput, UnknownEventType
from eventkernel.events import DomainEvent, EncodedEvent, Personal, Record, RecordedEvent, Tag, damage_of, names_of

Fields = dict[str, object]
"""An event's data as JSON has it: field name → value."""

Upcaster = Callable[[Fields], Fields]
"""Gives the data of one schema version as the next one has it."""

_ENCRYPTED: Final = "$encrypted"
_ENCRYPTED_BYTES: Final = b'"$encrypted"'

_encoder: Final = msgspec.json.Encoder()
_decode_fields: Final = msgspec.json.Decoder(Fields).decode


class _Encrypted(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    rename={"person": "$person", "ciphertext": _ENCRYPTED, "as_json": "$json"},
):
    """How an encrypted field stands in the data."""

    person: str
    ciphertext: str
    as_json: bool = False
    """Whether the clear text is JSON, and not the value itself."""


class FieldCipher(Protocol):
    """Keeps one key per person; to throw it away erases whatever was encrypted with it."""

    def encrypt(self, person: str, plaintext: str) -> str: ...

    def decrypt(self, person: str, ciphertext: str) -> str | None:
        """The plaintext, or None: the person's key was thrown away."""
        ...


@dataclass(frozen=True, slots=True)
class EventType:
    """A domain event's class, and the version of its schema where that is not 1."""

    event: type[DomainEvent]
    schema_version: int = 1


@dataclass(frozen=True, slots=True)
class _PersonalField:
    name: str
    """As JSON has it."""
    person: str | None
    """The field, as JSON has it, that says whose data it is; None: the stream."""
    erased: object
    """As JSON has it."""


@dataclass(frozen=True, slots=True)
class _Registered:
    tag: str
    schema_version: int
    tag_length: int
    """How many bytes `{"type":"…"` has."""
    fields: frozenset[str]
    """As JSON has them."""
    personal: Mapping[str, _PersonalField]
    tagging: Mapping[str, str]
    """The names of tags, by field, as Python has it."""
    decode: Callable[[bytes], DomainEvent]
    convert: Callable[[Fields], DomainEvent]


class Unread(DomainEvent, frozen=True, tag="eventkernel.Unread"):
    """Stands for an event of a type that its reader knows nothing of."""


class Codec:
    """The event types of one log, by tag and old names.

    `upcasters` are found by (tag, schema version that they read); the tag is today's, whatever a record's name is.
    Event types may be given bare (schema version 1) or as `EventType`. `skip_others` is for who reads a few of somebody
    else's types: all others are read as `Unread`.
    """

    def __init__(
        self,
        event_types: Iterable[type[DomainEvent] | EventType],
        *,
        upcasters: Mapping[tuple[str, int], Upcaster] | None = None,
        cipher: FieldCipher | None = None,
        skip_others: bool = False,
    ) -> None:
        self._skip_others = skip_others
        self._upcasters = dict(upcasters or {})
        self._cipher = cipher
        self._by_class: dict[type[DomainEvent], _Registered] = {}
        self._by_tag: dict[str, _Registered] = {}
        for given in event_types:
            event_type = given if isinstance(given, EventType) else EventType(given)
            registered = _register(event_type)
            self._by_class[event_type.event] = registered
            for name in names_of(event_type.event):
                if name in self._by_tag:
                    raise TypeError(f"two event types have the name {name!r}")
                self._by_tag[name] = registered
        for tag, version in self._upcasters:
            known = self._by_tag.get(tag)
            if known is None or known.tag != tag or not 1 <= version < known.schema_version:
                raise TypeError(f"an upcaster from version {version} of {tag!r} leads to no registered event type")

    @property
    def encrypts(self) -> bool:
        """Whether personal fields are encrypted, and so can be erased."""
        return self._cipher is not None

    def knows(self, event_type: str) -> bool:
        """Whether records of this type can be decoded."""
        return event_type in self._by_tag

    def encode(self, event: DomainEvent, stream: str) -> EncodedEvent:
        """The event as it goes on a stream.

        Raises:
            UnknownEventType: its class was not given to this codec.
        """
        registered = self._by_class.get(type(event))
        if registered is None:
            raise UnknownEventType(type(event).__name__)
        if self._cipher is not None and registered.personal:
            data = self._encrypted(self._cipher, registered, event, stream)
        else:
            data = _without_tag(_encoder.encode(event), registered.tag_length)
        if not registered.tagging:
            return EncodedEvent(registered.tag, registered.schema_version, data)
        return EncodedEvent(registered.tag, registered.schema_version, data, _tags(registered.tagging, event))

    def decode(self, record: Record) -> DomainEvent:
        """The event of a record.

        Raises:
            UnknownEventType: its type was not given to this codec, which does not skip others.
            CorruptData: it is damaged, or its data are not what the type says; the message names the field and holds
                no value.
        """
        if not record.intact:
            raise CorruptData(damage_of(record))
        registered = self._by_tag.get(record.type)
        if registered is None:
            if self._skip_others:
                return Unread()
            raise UnknownEventType(record.type)
        try:
            if record.schema_version >= registered.schema_version and _ENCRYPTED_BYTES not in record.data:
                return registered.decode(record.data)
            fields = self._decrypted(registered, _decode_fields(record.data))
            for version in range(record.schema_version, registered.schema_version):
                upcast = self._upcasters.get((registered.tag, version))
                fields = fields if upcast is None else upcast(fields)
            return registered.convert(fields)
        except msgspec.MsgspecError as error:
            place = f"{record.log}/{record.partition} at {record.offset}"
            raise CorruptData(f"{place}: {record.type} version {record.schema_version}: {error}") from None

    def recorded(self, record: Record) -> RecordedEvent:
        """A record with its event; raises what `decode` does."""
        return RecordedEvent(self.decode(record), record)

    def _encrypted(self, cipher: FieldCipher, registered: _Registered, event: DomainEvent, stream: str) -> bytes:
        fields: Fields = msgspec.to_builtins(event)
        del fields["type"]
        clear = dict(fields)
        for field in registered.personal.values():
            value = clear.get(field.name)
            if value is not None:
                person = stream if field.person is None else clear.get(field.person)
                if not isinstance(person, str):
                    raise InvalidInput(f"{registered.tag}.{field.person} names a person: expected text, found {person}")
                text = value if isinstance(value, str) else _encoder.encode(value).decode()
                ciphertext = cipher.encrypt(person, text)
                fields[field.name] = _Encrypted(person, ciphertext, as_json=not isinstance(value, str))
        return _encoder.encode(fields)

    def _decrypted(self, registered: _Registered, fields: Fields) -> Fields:
        for name, value in fields.items():
            if not (isinstance(value, dict) and _ENCRYPTED in value):
                continue
            if self._cipher is None:
                if name not in registered.fields:
                    continue  # its reader leaves it out
                raise CorruptData(f"{registered.tag}.{name} is encrypted, and there is no cipher to read it")
            encrypted = msgspec.convert(value, _Encrypted)
            clear = self._cipher.decrypt(encrypted.person, encrypted.ciphertext)
            if clear is None:
                mark = registered.personal.get(name)
                fields[name] = "" if mark is None else mark.erased
            else:
                fields[name] = msgspec.json.decode(clear) if encrypted.as_json else clear
        return fields


def _register(event_type: EventType) -> _Registered:
    event = event_type.event
    config = event.__struct_config__
    if not isinstance(config.tag, str) or config.tag_field != "type" or config.array_like:
        raise TypeError(f'{event.__name__} needs an explicit tag: class {event.__name__}(DomainEvent, tag="…")')
    if event_type.schema_version < 1:
        raise TypeError(f"{config.tag}: schema versions count from 1, found {event_type.schema_version}")

    def convert(fields: Fields) -> DomainEvent:
        return msgspec.convert(fields, event)

    return _Registered(
        tag=config.tag,
        schema_version=event_type.schema_version,
        tag_length=len(_encoder.encode({"type": config.tag})) - 1,
        fields=frozenset(field.encode_name for field in msgspec.structs.fields(event)),
        personal=_personal_fields(event),
        tagging=_tagging_fields(event),
        decode=msgspec.json.Decoder(event).decode,
        convert=convert,
    )


def _without_tag(data: bytes, tag_length: int) -> bytes:
    """msgspec writes the tag first, and the envelope has it already."""
    start = tag_length + data.startswith(b",", tag_length)
    return b"{" + data[start:]


def _personal_fields(event: type[DomainEvent]) -> Mapping[str, _PersonalField]:
    described = {field.name: field for field in msgspec.structs.fields(event)}
    personal: dict[str, _PersonalField] = {}
    for name, hint in get_type_hints(event, include_extras=True).items():
        mark = _personal_mark(hint)
        if mark is None:
            continue
        if mark.person is not None and mark.person not in described:
            raise TypeError(f"{event.__name__}.{name}: the person is in a field {mark.person!r}, which is missing")
        field = described[name]
        personal[field.encode_name] = _PersonalField(
            name=field.encode_name,
            person=None if mark.person is None else described[mark.person].encode_name,
            erased=_erased(field, mark),
        )
    return personal


def _erased(field: msgspec.structs.FieldInfo, mark: Personal) -> object:
    if field.default is not msgspec.NODEFAULT:
        return msgspec.to_builtins(field.default)
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.to_builtins(field.default_factory())
    return mark.erased


def _tagging_fields(event: type[DomainEvent]) -> Mapping[str, str]:
    marks = {
        name: [mark for mark in hint.__metadata__ if isinstance(mark, Tag)]
        for name, hint in get_type_hints(event, include_extras=True).items()
        if get_origin(hint) is Annotated
    }
    return {name: mark.name for name, found in marks.items() for mark in found}


def _tags(tagging: Mapping[str, str], event: DomainEvent) -> tuple[str, ...]:
    tags: list[str] = []
    for field, name in tagging.items():
        value = getattr(event, field)
        if isinstance(value, list | tuple | set | frozenset):
            tags += [f"{name}:{one}" for one in cast("Iterable[object]", value)]
        elif value is not None:
            tags.append(f"{name}:{value}")
    return tuple(tags)


def _personal_mark(hint: Any) -> Personal | None:  # what get_type_hints gives has no type
    if get_origin(hint) is not Annotated:
        if any(_personal_mark(inner) is not None for inner in get_args(hint)):
            raise TypeError(f"Personal() belongs around a field's whole type, found it inside of {hint}")
        return None
    return next((mark for mark in hint.__metadata__ if isinstance(mark, Personal)), None)
