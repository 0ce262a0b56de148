"""Records as Kafka messages are CloudEvents 1.0 in binary mode, and come back as they were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventkernel.adapters.kafka.records import Message, from_message, to_message
from eventkernel.errors import CorruptData, InvalidInput
from eventkernel.events import Record
from eventkernel.writing.claims import ClaimsKey
from eventkernel.writing.fences import claims_key_of, fence

FULL = Record(
    log="users.x7f3k2q9",
    partition=3,
    offset=41,
    id="user-1@7",
    type="users.UserUpdated",
    time_us=1_700_000_000_000_001,
    stream="user-1",
    version=7,
    first_version=6,
    commit_size=2,
    command_id="c1",
    fingerprint="f1",
    claims_taken=("aa", "bb"),
    claims_given_up=("cc",),
    generation=4,
    schema_version=2,
    actor="Zoë",
    correlation="correlation-1",
    causation="causation-1",
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    tracestate="a=1",
    data=b'{"firstName": "Zo\xc3\xab"}',
)

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
optional = st.one_of(st.none(), texts)
counts = st.integers(0, 2**31 - 1)
seals = st.lists(st.text("0123456789abcdef", min_size=64, max_size=64), max_size=3).map(tuple)
records = st.builds(
    Record,
    log=texts,
    partition=st.integers(0, 99),
    offset=counts,
    id=texts,
    type=texts,
    time_us=st.integers(0, 250_000_000_000_000_000),
    stream=st.one_of(st.just(""), texts),
    version=counts,
    first_version=counts,
    commit_size=st.integers(1, 1_000),
    command_id=st.one_of(st.just(""), texts),
    fingerprint=texts,
    claims_taken=seals,
    claims_given_up=seals,
    generation=counts,
    schema_version=st.integers(1, 99),
    actor=optional,
    correlation=optional,
    causation=optional,
    traceparent=optional,
    tracestate=optional,
    data=st.binary(max_size=100),
)


@dataclass(frozen=True)
class Consumed:
    partition: int
    offset: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


def consumed(message: Message, partition: int = 3, offset: int = 41) -> Consumed:
    return Consumed(partition, offset, message.value, message.headers)


def changed(**headers: bytes | None) -> Consumed:
    """FULL's message with some of its headers replaced, or left out (None)."""
    message = to_message(FULL)
    named = {name.replace("content_type", "content-type"): value for name, value in headers.items()}
    kept = [(name, value) for name, value in message.headers if name not in named]
    return Consumed(3, 41, message.value, kept + [(name, value) for name, value in named.items() if value is not None])


def test_another_implementation_of_the_binding_reads_the_event() -> None:
    """https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md#32-binary-content-mode"""
    message = to_message(FULL)
    attributes = {name.removeprefix("ce_"): text.decode("utf-8") for name, text in message.headers}
    assert all(name.startswith("ce_") for name, _ in message.headers if name != "content-type")
    assert len(attributes) == len(message.headers)
    assert attributes == {
        "specversion": "1.0",
        "id": "user-1@7",
        "source": "users.x7f3k2q9",
        "type": "users.UserUpdated",
        "subject": "user-1",
        "time": "2023-11-14T22:13:20.000001Z",
        "content-type": "application/json",
        "envelopeversion": "1",
        "streamversion": "7",
        "commitfirst": "6",
        "commitsize": "2",
        "commandid": "c1",
        "fingerprint": "f1",
        "claimstaken": "aa bb",
        "claimsgivenup": "cc",
        "generation": "4",
        "schemaversion": "2",
        "actor": "Zoë",
        "correlation": "correlation-1",
        "causation": "causation-1",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "a=1",
    }
    assert message.value == FULL.data
    assert message.key == b"user-1"
    assert message.timestamp_ms == 1_700_000_000_000


@given(records)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    assert from_message(consumed(to_message(record), record.partition, record.offset)) == record


def test_headers_come_in_any_order_and_among_others() -> None:
    message = consumed(to_message(FULL))
    others = [("b3", b"80f198ee56343ba8"), ("time", b"noon"), ("datacontenttype", b"text/plain")]
    assert from_message(Consumed(3, 41, message.value, [*others, *reversed(message.headers)])) == FULL


def test_a_fence_has_no_key_and_says_which_key_seals_the_claims() -> None:
    key = ClaimsKey.draw()
    message = to_message(fence("users.x7f3k2q9", 2, 5, key.fingerprint, 1_700_000_000_000_000))
    assert message.key is None
    back = from_message(consumed(message, 2, 0))
    assert (back.log, back.partition, back.generation, back.stream, back.version) == ("users.x7f3k2q9", 2, 5, "", 0)
    assert claims_key_of(back) == key.fingerprint


def test_no_other_record_passes_for_a_fence() -> None:
    with pytest.raises(CorruptData, match=r"users\.x7f3k2q9: expected a fence at offset 41, found users\.UserUpdated"):
        claims_key_of(FULL)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ce_specversion", b"0.3"),
        ("ce_id", b""),
        ("content_type", b"application/xml"),
        ("content_type", None),
        ("ce_streamversion", b"one"),
        ("ce_streamversion", None),
        ("ce_commitsize", b"0"),
        ("ce_time", b"yesterday"),
    ],
)
def test_a_message_that_is_no_record_is_refused_and_the_attribute_named(name: str, value: bytes | None) -> None:
    attribute = {"content_type": "datacontenttype"}.get(name, name.removeprefix("ce_"))
    with pytest.raises(InvalidInput, match=attribute):
        from_message(changed(**{name: value}))


def test_headers_that_are_no_text_are_refused() -> None:
    with pytest.raises(InvalidInput, match="headers: expected texts in UTF-8"):
        from_message(changed(ce_actor=b"\xff"))


def test_a_record_of_a_newer_release_is_no_strange_message_but_an_error() -> None:
    with pytest.raises(CorruptData, match=r"partition 3, offset 41: envelopeversion: expected at most 1, found 2"):
        from_message(changed(ce_envelopeversion=b"2"))
