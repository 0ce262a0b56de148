"""The users' events as they stand on the log: read for ever, and where there is a cipher without names in clear."""

from __future__ import annotations

import base64

import pytest

from eventkernel.events import DomainEvent, EncodedEvent, Record
from eventkernel.writing.codec import Codec
from subgraphs.users.domain import EVENT_TYPES, UserCreated, UserDeleted, UserUpdated

VERSION_1 = [
    (
        "users.UserCreated",
        b'{"first_name":"Ada","last_name":"Lovelace","username":"ada"}',
        b'{"first_name":"Ada","last_name":"Lovelace","username":"ada","username_unicode":null}',
        UserCreated(first_name="Ada", last_name="Lovelace", username="ada"),
    ),
    (
        "users.UserUpdated",
        b'{"first_name":"Augusta","last_name":"King","username":"countess","username_removed":false}',
        b'{"first_name":"Augusta","last_name":"King","username":"countess","username_removed":false,'
        b'"username_unicode":null}',
        UserUpdated(first_name="Augusta", last_name="King", username="countess"),
    ),
    (
        "users.UserUpdated",
        b'{"first_name":null,"last_name":null,"username":null,"username_removed":true}',
        b'{"first_name":null,"last_name":null,"username":null,"username_removed":true,"username_unicode":null}',
        UserUpdated(username_removed=True),
    ),
    ("users.UserDeleted", b"{}", b"{}", UserDeleted()),
]


class Base64Cipher:
    """Hides nothing from anybody who looks, but enough from a search for the clear text."""

    def __init__(self) -> None:
        self.forgotten = False

    def encrypt(self, person: str, plaintext: str) -> str:
        return base64.b64encode(f"{person} {plaintext}".encode()).decode()

    def decrypt(self, person: str, ciphertext: str) -> str | None:
        return None if self.forgotten else base64.b64decode(ciphertext).decode().removeprefix(f"{person} ")


def on_the_log(encoded: EncodedEvent) -> Record:
    return Record(
        log="users.x",
        partition=0,
        offset=1,
        id="e1",
        type=encoded.type,
        time_us=1,
        stream="user-u1",
        version=1,
        first_version=1,
        commit_size=1,
        command_id="c1",
        fingerprint="f",
        schema_version=encoded.schema_version,
        data=encoded.data,
    )


@pytest.mark.parametrize(("kind", "of_0_1_0", "data", "event"), VERSION_1)
def test_version_1_of_every_event_is_read_and_written(
    kind: str, of_0_1_0: bytes, data: bytes, event: DomainEvent
) -> None:
    codec = Codec(EVENT_TYPES)
    assert codec.decode(on_the_log(EncodedEvent(kind, 1, of_0_1_0))) == event
    assert codec.decode(on_the_log(EncodedEvent(kind, 1, data))) == event
    assert codec.encode(event, "user-u1") == EncodedEvent(kind, 1, data)


@pytest.mark.parametrize("event", [event for *_, event in VERSION_1])
def test_names_are_encrypted_where_there_is_a_cipher(event: DomainEvent) -> None:
    codec = Codec(EVENT_TYPES, cipher=Base64Cipher())
    encoded = codec.encode(event, "user-u1")
    for name in (b"Ada", b"ada", b"Lovelace", b"Augusta", b"King", b"countess"):
        assert name not in encoded.data
    assert codec.decode(on_the_log(encoded)) == event


def test_a_person_whose_key_is_gone_has_no_name() -> None:
    cipher = Base64Cipher()
    codec = Codec(EVENT_TYPES, cipher=cipher)
    encoded = codec.encode(UserCreated(first_name="Ada", last_name="Lovelace", username="ada"), "user-u1")
    cipher.forgotten = True
    assert codec.decode(on_the_log(encoded)) == UserCreated(first_name="", last_name="", username=None)
