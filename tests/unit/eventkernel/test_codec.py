"""Events survive being stored, whatever happens to their types afterwards."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventkernel.errors import CorruptData, InvalidInput, UnknownEventType
from eventkernel.events import DomainEvent, EncodedEvent, Personal, Record
from eventkernel.writing.codec import Codec, EventType, Fields, Unread


class Joined(DomainEvent, frozen=True, tag="club.Joined"):
    name: Annotated[str, Personal(erased="somebody")]
    nick: Annotated[str | None, Personal()] = None
    since: int = 0


class Vouched(DomainEvent, frozen=True, tag="club.Vouched"):
    voucher: str
    note: Annotated[str, Personal(person="voucher")]


class Closed(DomainEvent, frozen=True, tag="club.Closed", omit_defaults=True):
    reason: str = "unknown"


class Emptied(DomainEvent, frozen=True, tag="club.Emptied"):
    pass


EVENTS: list[type[DomainEvent]] = [Joined, Vouched, Closed, Emptied]


class KeystreamCipher:
    """A key per person; text is XORed with HMAC-SHA256 in counter mode. A forgotten key stays forgotten."""

    def __init__(self) -> None:
        self._keys: dict[str, bytes | None] = {}

    def encrypt(self, person: str, plaintext: str) -> str:
        key = self._keys.setdefault(person, secrets.token_bytes(32))
        assert key is not None, "an erased person writes no more"
        nonce = secrets.token_bytes(16)
        return (nonce + self._xor(key, nonce, plaintext.encode())).hex()

    def decrypt(self, person: str, ciphertext: str) -> str | None:
        key = self._keys.get(person)
        raw = bytes.fromhex(ciphertext)
        return None if key is None else self._xor(key, raw[:16], raw[16:]).decode()

    def forget(self, person: str) -> None:
        self._keys[person] = None

    @staticmethod
    def _xor(key: bytes, nonce: bytes, text: bytes) -> bytes:
        blocks = (hmac.digest(key, nonce + bytes([block]), hashlib.sha256) for block in range(len(text) // 32 + 1))
        return bytes(a ^ b for a, b in zip(text, b"".join(blocks), strict=False))


def record(encoded: EncodedEvent, stream: str = "member-1") -> Record:
    return Record(
        log="club.1",
        partition=0,
        offset=7,
        id="1",
        type=encoded.type,
        schema_version=encoded.schema_version,
        time_us=0,
        stream=stream,
        version=1,
        first_version=1,
        commit_size=1,
        command_id="c",
        fingerprint="f",
        data=encoded.data,
    )


def stored(kind: str, data: object, schema_version: int = 1) -> Record:
    return record(EncodedEvent(kind, schema_version, json.dumps(data).encode()))


names = st.text(max_size=40)
events = st.one_of(
    st.builds(Joined, name=names, nick=st.none() | names, since=st.integers(0, 2**60)),
    st.builds(Vouched, voucher=names, note=names),
    st.builds(Closed, reason=names),
    st.just(Closed()),
    st.just(Emptied()),
)


@given(events, st.booleans())
def test_an_event_comes_back_as_it_was(event: DomainEvent, encrypting: bool) -> None:
    codec = Codec(EVENTS, cipher=KeystreamCipher() if encrypting else None)
    encoded = codec.encode(event, "member-1")
    recorded = codec.recorded(record(encoded))
    assert (recorded.event, recorded.stream, recorded.version) == (event, "member-1", 1)
    assert "type" not in json.loads(encoded.data)


def test_the_type_stands_beside_the_data_and_not_in_it() -> None:
    encoded = Codec(EVENTS).encode(Joined(name="Ada", since=3), "member-1")
    assert encoded == EncodedEvent("club.Joined", 1, b'{"name":"Ada","nick":null,"since":3}')
    assert Codec(EVENTS).encode(Closed(), "club-1") == EncodedEvent("club.Closed", 1, b"{}")


def test_an_unknown_field_is_skipped_and_a_missing_one_takes_its_default() -> None:
    codec = Codec(EVENTS)
    assert codec.decode(stored("club.Joined", {"name": "Ada", "shoe": 38})) == Joined(name="Ada", nick=None, since=0)


def test_a_newer_schema_version_is_read_as_far_as_it_is_understood() -> None:
    codec = Codec(EVENTS)
    assert codec.decode(stored("club.Joined", {"name": "Ada", "hats": [1]}, schema_version=9)) == Joined(name="Ada")


def test_who_reads_a_few_of_somebody_elses_types_can_leave_the_others_unread() -> None:
    codec = Codec([Joined], skip_others=True)
    assert codec.decode(stored("club.Closed", {"whatever": 1})) == Unread()
    assert codec.decode(stored("club.Joined", {"name": "Ada"})) == Joined(name="Ada")
    with pytest.raises(UnknownEventType, match="Closed"):
        codec.encode(Closed(), "club-1")


def test_an_unknown_type_is_an_error_and_never_a_guess() -> None:
    codec = Codec([Joined])
    assert (codec.knows("club.Joined"), codec.knows("club.Closed")) == (True, False)
    with pytest.raises(UnknownEventType, match=r"club\.Closed"):
        codec.decode(stored("club.Closed", {}))
    with pytest.raises(UnknownEventType, match="Closed"):
        codec.encode(Closed(), "club-1")


@pytest.mark.parametrize("data", [{}, {"name": 1}, [], {"name": "Ada", "since": "long ago: Lovelace"}])
def test_data_that_the_type_cannot_be_are_named_without_being_shown(data: object) -> None:
    with pytest.raises(CorruptData, match=r"club\.1/0 at 7: club\.Joined version 1: .*`") as caught:
        Codec(EVENTS).decode(stored("club.Joined", data))
    assert "Lovelace" not in str(caught.value)


# Upcasting


class Moved(DomainEvent, frozen=True, tag="club.Moved"):
    street: str
    town: str
    country: str = "unknown"


def split_address(fields: Fields) -> Fields:
    street, town = str(fields["address"]).split(", ")
    return {"street": street, "town": town}


def capitalize(fields: Fields) -> Fields:
    return {**fields, "town": str(fields["town"]).capitalize()}


MOVED = EventType(Moved, schema_version=4)
UPCASTERS = {("club.Moved", 1): split_address, ("club.Moved", 3): capitalize}


def test_an_old_shape_goes_through_every_upcaster_from_its_version_on() -> None:
    codec = Codec([MOVED], upcasters=UPCASTERS)
    expected = Moved(street="Main 1", town="Ulm")
    assert codec.decode(stored("club.Moved", {"address": "Main 1, ulm"}, 1)) == expected
    assert codec.decode(stored("club.Moved", {"street": "Main 1", "town": "ulm"}, 2)) == expected
    assert codec.decode(stored("club.Moved", {"street": "Main 1", "town": "ulm"}, 3)) == expected
    assert codec.decode(stored("club.Moved", {"street": "Main 1", "town": "ulm"}, 4)) == Moved(
        street="Main 1", town="ulm"
    )
    assert codec.encode(expected, "member-1").schema_version == 4


@pytest.mark.parametrize("key", [("club.Other", 1), ("club.Moved", 4), ("club.Moved", 0)])
def test_an_upcaster_that_leads_nowhere_is_refused(key: tuple[str, int]) -> None:
    with pytest.raises(TypeError, match="leads to no registered event type"):
        Codec([MOVED], upcasters={key: capitalize})


def test_upcasters_see_clear_text() -> None:
    cipher = KeystreamCipher()
    old = Codec([Joined], cipher=cipher).encode(Joined(name="Ada Lovelace"), "member-1")

    class JoinedNow(DomainEvent, frozen=True, tag="club.Joined"):
        first: Annotated[str, Personal()]
        last: Annotated[str, Personal()]

    def split(fields: Fields) -> Fields:
        first, last = str(fields["name"]).split()
        return {"first": first, "last": last}

    now = Codec([EventType(JoinedNow, 2)], upcasters={("club.Joined", 1): split}, cipher=cipher)
    assert now.decode(record(old)) == JoinedNow(first="Ada", last="Lovelace")


# Personal data


def test_personal_fields_are_stored_encrypted_and_others_in_clear() -> None:
    encoded = Codec(EVENTS, cipher=KeystreamCipher()).encode(Joined(name="Ada", nick="Al", since=3), "member-1")
    fields = json.loads(encoded.data)
    assert fields["since"] == 3
    for name in ("name", "nick"):
        assert set(fields[name]) == {"$person", "$encrypted"}
        assert fields[name]["$person"] == "member-1"
    assert b"Ada" not in encoded.data


def test_the_person_may_stand_in_a_field() -> None:
    cipher = KeystreamCipher()
    codec = Codec(EVENTS, cipher=cipher)
    encoded = codec.encode(Vouched(voucher="member-2", note="knows her"), "member-1")
    assert json.loads(encoded.data)["note"]["$person"] == "member-2"
    cipher.forget("member-1")
    assert codec.decode(record(encoded)) == Vouched(voucher="member-2", note="knows her")


def test_what_was_erased_reads_as_the_default_or_as_what_the_type_says() -> None:
    cipher = KeystreamCipher()
    codec = Codec(EVENTS, cipher=cipher)
    encoded = codec.encode(Joined(name="Ada", nick="Al", since=3), "member-1")
    cipher.forget("member-1")
    assert codec.decode(record(encoded)) == Joined(name="somebody", nick=None, since=3)


def test_a_log_may_hold_fields_from_before_there_was_a_cipher() -> None:
    clear = Codec(EVENTS).encode(Joined(name="Ada"), "member-1")
    assert Codec(EVENTS, cipher=KeystreamCipher()).decode(record(clear)) == Joined(name="Ada")


def test_encrypted_fields_without_a_cipher_are_named() -> None:
    encoded = Codec(EVENTS, cipher=KeystreamCipher()).encode(Joined(name="Ada"), "member-1")
    with pytest.raises(CorruptData, match=r"club\.Joined\.name is encrypted"):
        Codec(EVENTS).decode(record(encoded))


def test_a_reader_that_leaves_a_personal_field_out_needs_no_cipher() -> None:
    encoded = Codec(EVENTS, cipher=KeystreamCipher()).encode(Joined(name="Ada", since=3), "member-1")

    class JoinedForOthers(DomainEvent, frozen=True, tag="club.Joined"):
        since: int

    assert Codec([JoinedForOthers]).decode(record(encoded)) == JoinedForOthers(since=3)


def test_a_person_that_is_no_text_is_refused() -> None:
    class Odd(DomainEvent, frozen=True, tag="club.Odd"):
        number: int
        note: Annotated[str, Personal(person="number")]

    with pytest.raises(InvalidInput, match=r"club\.Odd\.number"):
        Codec([Odd], cipher=KeystreamCipher()).encode(Odd(number=1, note="x"), "member-1")


# Mistakes in the types


def test_types_that_cannot_be_kept_apart_or_marked_are_refused() -> None:
    class AlsoJoined(DomainEvent, frozen=True, tag="club.Joined"):
        pass

    class Untagged(DomainEvent, frozen=True):
        pass

    class Nobody(DomainEvent, frozen=True, tag="club.Nobody"):
        note: Annotated[str, Personal(person="who")]

    class Inside(DomainEvent, frozen=True, tag="club.Inside"):
        notes: list[Annotated[str, Personal()]] = msgspec.field(default_factory=list)

    cases: list[tuple[list[type[DomainEvent] | EventType], str]] = [
        ([Joined, AlsoJoined], "two event types"),
        ([Untagged], "explicit tag"),
        ([Nobody], "'who', which is missing"),
        ([Inside], "around a field's whole type"),
        ([EventType(Joined, 0)], "count from 1"),
    ]
    for event_types, message in cases:
        with pytest.raises(TypeError, match=message):
            Codec(event_types)


class Address(msgspec.Struct, frozen=True):
    street: str


class Housed(DomainEvent, frozen=True, tag="club.Housed"):
    homes: Annotated[tuple[Address, ...], Personal()] = (Address("(erased)"),)
    age: Annotated[int, Personal()] = 0
    marks: Annotated[list[str], Personal()] = msgspec.field(default_factory=list)
    left: Annotated[Address | None, Personal()] = None


def test_personal_values_that_are_no_texts_are_encrypted_and_erased_alike() -> None:
    cipher = KeystreamCipher()
    codec = Codec([Housed], cipher=cipher)
    housed = Housed(homes=(Address("Oak Street"), Address("Pine Road")), age=36, marks=["left-handed"])
    encoded = codec.encode(housed, "member-1")
    assert [word for word in (b"Oak", b"Pine", b"left-handed") if word in encoded.data] == []
    assert json.loads(encoded.data)["left"] is None
    assert codec.decode(record(encoded)) == housed
    cipher.forget("member-1")
    assert codec.decode(record(encoded)) == Housed()
