"""The envelope, version 1, is what docs/events.md says, and CloudEvents 1.0."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventkernel.errors import InvalidInput
from eventkernel.events import Record
from eventkernel.writing.envelope import from_attributes, from_json, to_attributes, to_json

PAGE = (Path(__file__).parents[3] / "docs/events.md").read_text()

ATTRIBUTES = {
    "type": str,
    "source": str,
    "id": str,
    "time": str,
    "subject": str,
    "specversion": str,
    "datacontenttype": str,
    "envelopeversion": int,
    "streamversion": int,
    "commitfirst": int,
    "commitsize": int,
    "commandid": str,
    "fingerprint": str,
    "claimstaken": str,
    "claimsgivenup": str,
    "generation": int,
    "schemaversion": int,
    "actor": str,
    "correlation": str,
    "causation": str,
    "traceparent": str,
    "tracestate": str,
    "tags": str,
}
"""What the architecture demands of an envelope: "CloudEvents 1.0 (type, source, id, time, subject = stream) with
extensions: version, the commit's first version and size, command id, fingerprint, claims taken and given up,
generation, schema version, actor, correlation, causation, trace context"; and the tags of conditional appends."""

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
    tags=("dd", "ee"),
    generation=4,
    schema_version=2,
    actor="actor-1",
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
    partition=st.just(0),
    offset=st.just(0),
    id=texts,
    type=texts,
    time_us=st.integers(0, 250_000_000_000_000_000),
    stream=st.one_of(st.just(""), texts),
    version=counts,
    first_version=counts,
    commit_size=st.integers(1, 1_000),
    command_id=texts,
    fingerprint=texts,
    claims_taken=seals,
    claims_given_up=seals,
    tags=seals,
    generation=counts,
    schema_version=st.integers(1, 99),
    actor=optional,
    correlation=optional,
    causation=optional,
    traceparent=optional,
    tracestate=optional,
    data=st.dictionaries(texts, texts).map(lambda data: json.dumps(data).encode()),
)


def test_the_envelope_has_every_attribute_that_the_architecture_lists() -> None:
    assert {name: type(value) for name, value in to_attributes(FULL).items()} == ATTRIBUTES


def test_the_page_has_the_same_table() -> None:
    table = PAGE.partition("## Attributes")[2].partition("## Data")[0]
    rows = re.findall(r"^\| `(\w+)` \| (yes|) ?\| (integer|)", table, re.MULTILINE)
    assert {name: int if kind else str for name, _, kind in rows} == ATTRIBUTES
    bare = Record(
        log="l.1", partition=0, offset=0, id="i", type="t", time_us=0, stream="", version=0, first_version=0,
        commit_size=1, command_id="", fingerprint="",
    )  # fmt: skip
    assert set(to_attributes(bare)) == {name for name, always, _ in rows if always}


def test_names_are_what_cloudevents_allows() -> None:
    """https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#attribute-naming-convention"""
    assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in ATTRIBUTES)


def test_a_record_in_structured_mode() -> None:
    assert json.loads(to_json(FULL)) == {
        "specversion": "1.0",
        "id": "user-1@7",
        "source": "users.x7f3k2q9",
        "type": "users.UserUpdated",
        "subject": "user-1",
        "time": "2023-11-14T22:13:20.000001Z",
        "datacontenttype": "application/json",
        "envelopeversion": 1,
        "streamversion": 7,
        "commitfirst": 6,
        "commitsize": 2,
        "commandid": "c1",
        "fingerprint": "f1",
        "claimstaken": "aa bb",
        "claimsgivenup": "cc",
        "tags": "dd ee",
        "generation": 4,
        "schemaversion": 2,
        "actor": "actor-1",
        "correlation": "correlation-1",
        "causation": "causation-1",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "a=1",
        "data": {"firstName": "Zoë"},
    }


@given(records)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    assert from_json(to_json(record), partition=0, offset=0) == record
    assert from_attributes(to_attributes(record), record.data, partition=0, offset=0) == record


def test_headers_that_have_numbers_as_text_and_unknown_ones_are_read() -> None:
    headers = {name: str(value) for name, value in to_attributes(FULL).items()} | {"knativearrivaltime": "now"}
    assert from_attributes(headers, FULL.data, partition=3, offset=41) == FULL


def test_the_time_may_be_given_with_another_offset_from_utc() -> None:
    attributes = to_attributes(FULL) | {"time": "2023-11-15T00:13:20.000001+02:00"}
    assert from_attributes(attributes, FULL.data, partition=3, offset=41) == FULL


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type", "time", "streamversion", "commitsize"])
def test_a_missing_attribute_is_named(name: str) -> None:
    attributes = to_attributes(FULL)
    del attributes[name]
    with pytest.raises(InvalidInput, match=name):
        from_attributes(attributes, b"{}", partition=0, offset=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("specversion", "0.3"),
        ("id", ""),
        ("datacontenttype", "application/xml"),
        ("envelopeversion", 2),
        ("streamversion", -1),
        ("streamversion", "one"),
        ("commitsize", 0),
        ("time", "2023-11-14T22:13:20"),
        ("time", "yesterday"),
    ],
)
def test_a_malformed_attribute_is_named(name: str, value: str | int) -> None:
    with pytest.raises(InvalidInput, match=name):
        from_attributes(to_attributes(FULL) | {name: value}, b"{}", partition=0, offset=0)


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b"\xff", to_json(FULL)[:-1], to_json(FULL) + b"x"])
def test_a_line_that_is_no_record_is_refused(line: bytes) -> None:
    with pytest.raises(InvalidInput, match="envelope"):
        from_json(line, partition=0, offset=0)
