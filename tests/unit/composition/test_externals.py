"""@external: a field that is only mentioned must look as where it is resolved, and says nothing of its own."""

from __future__ import annotations

import pytest

from graphrouter.composition import Code
from tests.unit.composition.composing import codes, composed, printed, refused

BASE = 'type X @key(fields: "id") { id: ID! m%s }'
USE = 'type Query { x: X } type X @key(fields: "id") { id: ID! m%s @external n: Int @requires(fields: "m%s") }'


@pytest.mark.parametrize(
    "mark",
    [
        "@inaccessible",
        '@tag(name: "t")',
        "@cost(weight: 1)",
    ],
)
def test_nothing_that_is_merged_stands_on_an_external_field(mark: str) -> None:
    (error,) = refused(a=USE % (f": Int {mark}", ""), b=BASE % ": Int")
    assert error.code == Code.MERGED_DIRECTIVE_APPLICATION_ON_EXTERNAL
    assert f'"X.m" has {mark.split("(", maxsplit=1)[0]} in subgraph "a", where it is @external' in error.message


def test_nor_where_the_whole_type_is_external_or_the_field_is_provided() -> None:
    whole = 'type Query { x: X } type X @key(fields: "id") { id: ID! n: Int @requires(fields: "m") }'
    whole += " extend type X @external { m: Int @inaccessible }"
    assert codes(refused(a=whole, b=BASE % ": Int")) == [Code.MERGED_DIRECTIVE_APPLICATION_ON_EXTERNAL]
    provided = 'type Query { x: X @provides(fields: "m") } type X @key(fields: "id") { id: ID! m: Int @external %s }'
    base = BASE % ": Int @shareable"
    assert codes(refused(a=provided % "@inaccessible", b=base)) == [Code.MERGED_DIRECTIVE_APPLICATION_ON_EXTERNAL]


def test_an_argument_that_is_hidden_on_an_external_field_is_hidden() -> None:
    result = composed(a=USE % ("(s: Int @inaccessible): Int", ""), b=BASE % '(s: Int @tag(name: "t")): Int')
    assert 'm(s: Int @inaccessible @tag(name: "t")): Int' in printed(result, "X")


def test_federation_one_let_tags_stand_there() -> None:
    a = USE % (': Int @tag(name: "t")', "")
    assert "@tag" not in printed(composed(a="#fed1\n" + a, b=BASE % ": Int"), "X")
    resolved = "#fed1\n" + BASE % ': Int @tag(name: "t")'
    assert 'm: Int @tag(name: "t")' in printed(composed(a="#fed1\n" + a, b=resolved), "X")


@pytest.mark.parametrize(("here", "there"), [("Int", "Int!"), ("Int!", "Int"), ("[Int]", "[Int!]")])
def test_an_external_field_is_null_where_the_resolved_one_is(here: str, there: str) -> None:
    assert codes(refused(a=USE % (f": {here}", ""), b=BASE % f": {there}")) == [Code.EXTERNAL_TYPE_MISMATCH]


def test_where_those_that_resolve_it_differ_an_external_field_may_be_any_of_them() -> None:
    parts = {"b": BASE % ": Int @shareable", "c": BASE % ": Int! @shareable"}
    for here in ("Int", "Int!"):
        assert "external: true" in printed(composed(a=USE % (f": {here}", ""), **parts), "X")


def test_an_external_argument_takes_all_that_the_resolved_one_takes() -> None:
    errors = refused(a=USE % ("(s: Int!): Int", "(s: 1)"), b=BASE % "(s: Int): Int")
    assert codes(errors) == [Code.EXTERNAL_ARGUMENT_TYPE_MISMATCH]


def test_a_field_that_is_provided_is_shared() -> None:
    provides = 'type Query { x: X @provides(fields: "m") } type X @key(fields: "id") { id: ID! m: Int @external }'
    (error,) = refused(a=provides, b=BASE % ": Int")
    assert error.code == Code.INVALID_FIELD_SHARING
    assert 'not @shareable in subgraph "b"' in error.message
    assert "external: true" in printed(composed(a=provides, b=BASE % ": Int @shareable"), "X")


def test_a_field_that_is_provided_through_an_interface_is_shared() -> None:
    provides = """
        type Query { i: I @provides(fields: "m") } interface I { m: Int }
        type X implements I @key(fields: "id") { id: ID! m: Int @external }
    """
    assert codes(refused(a=provides, b=BASE % ": Int")) == [Code.INVALID_FIELD_SHARING]
