"""Whether one schema's data are read by another: what msgspec decodes is the oracle."""

from __future__ import annotations

import itertools
from typing import Any, Literal

import msgspec
from hypothesis import given, note, settings
from hypothesis import strategies as st

from eventgraph.describing.event_schemas import draft_07
from eventgraph.evolution.readable import mismatches

MANY = 150
LIST: Any = list
TUPLE: Any = tuple
DICT: Any = dict

Pair = tuple[Any, st.SearchStrategy[Any]]
"""A type, and values of it as JSON has them."""


def _optional(pair: Pair) -> Pair:
    return pair[0] | None, pair[1] | st.none()


def _list(pair: Pair) -> Pair:
    return LIST[pair[0]], st.lists(pair[1], max_size=3)


def _tuple(pairs: list[Pair]) -> Pair:
    return TUPLE[tuple(kind for kind, _ in pairs)], st.tuples(*(values for _, values in pairs)).map(list)


def _map(pair: Pair) -> Pair:
    return DICT[str, pair[0]], st.dictionaries(st.text(max_size=2), pair[1], max_size=2)


_names = itertools.count()


def _struct(fields: dict[str, tuple[Pair, bool]]) -> Pair:
    """Each field with whether it has a default, and may be missing."""
    made = msgspec.defstruct(
        f"Made{next(_names)}",
        [(name, kind, None) if free else (name, kind) for name, ((kind, _), free) in fields.items()],
        kw_only=True,
    )
    required = {name: values for name, ((_, values), free) in fields.items() if not free}
    optional = {name: values for name, ((_, values), free) in fields.items() if free}
    return made, st.fixed_dictionaries(required, optional=optional)


LEAVES: st.SearchStrategy[Pair] = st.sampled_from(
    [
        (int, st.integers(-5, 5)),
        (float, st.floats(-5, 5).map(lambda value: value + 0.5)),
        (str, st.text(max_size=2)),
        (bool, st.booleans()),
        (Literal["a", "b"], st.sampled_from(["a", "b"])),
        (Literal["a", "b", "c"], st.sampled_from(["a", "b", "c"])),
        (Literal[1, 2], st.sampled_from([1, 2])),
        (Any, st.integers() | st.text()),
    ]
)
NAMES = st.sampled_from(["x", "y", "z"])
TYPES: st.SearchStrategy[Pair] = st.recursive(
    LEAVES,
    lambda inner: (
        inner.filter(lambda pair: pair[0] is not Any).map(_optional)
        | inner.map(_list)
        | inner.map(_map)
        | st.lists(inner, min_size=1, max_size=2).map(_tuple)
        | st.dictionaries(NAMES, st.tuples(inner, st.booleans()), max_size=3).map(_struct)
    ),
    max_leaves=4,
)


def schema_of(kind: Any) -> dict[str, Any]:
    (schema,), components = msgspec.json.schema_components([kind])
    found: dict[str, Any] = draft_07(schema, components)
    return found


@settings(deadline=None, derandomize=True, max_examples=MANY)
@given(st.data())
def test_what_is_said_to_be_readable_is_decoded(data: st.DataObject) -> None:
    written, values = data.draw(TYPES)
    read, _ = data.draw(TYPES)
    found = list(mismatches(schema_of(written), schema_of(read)))
    note(f"{schema_of(written)} → {schema_of(read)}: {found}")
    if not found:
        msgspec.json.decode(msgspec.json.encode(data.draw(values)), type=read)


@settings(deadline=None, derandomize=True, max_examples=MANY)
@given(TYPES)
def test_a_type_reads_itself(pair: Pair) -> None:
    assert list(mismatches(schema_of(pair[0]), schema_of(pair[0]))) == []
