"""Field sets of @key, @requires and @provides: what each may select."""

from __future__ import annotations

import pytest

from graphrouter.composition import Code
from graphrouter.composition.field_set import InvalidFieldSet, parse_field_set, print_selections
from tests.unit.composition.composing import composed, printed, refused

SUBGRAPH = """
    type Query { x: X }
    type X @key(fields: "id") {
        id: ID! n(a: Int!, b: Int = 1, c: Int): Int @external y: Y @external i: I @external
        z: Int @requires(fields: "%s")
        all: Int @requires(fields: "n(a: 1) y { w } i { ... on A { m } }")
    }
    type Y @key(fields: "id") { id: ID! w: Int @external }
    interface I { id: ID! }
    type A implements I @key(fields: "id") { id: ID! m: Int @external }
    union U = Y
"""
OTHER = """
    type X @key(fields: "id") { id: ID! n(a: Int!, b: Int = 1, c: Int): Int y: Y i: I }
    type Y @key(fields: "id") { id: ID! w: Int }
    interface I { id: ID! }
    type A implements I @key(fields: "id") { id: ID! m: Int }
"""


@pytest.mark.parametrize(
    "requires",
    [
        "n(a: 1)",
        "n(a: 1, b: 2)",
        "y { id w }",
        "y { ... on Y { w } ... { id } }",
        "i { id __typename }",
        "i { ... on A { m } }",
    ],
)
def test_these_can_be_required(requires: str) -> None:
    result = composed(a=SUBGRAPH % requires, b=OTHER)
    assert f'requires: "{requires}"' in printed(result, "X")


@pytest.mark.parametrize(
    ("requires", "code", "says"),
    [
        ("", Code.REQUIRES_INVALID_FIELDS, "it selects nothing"),
        ("y { }", Code.REQUIRES_INVALID_FIELDS, "it selects nothing"),
        ("y {", Code.REQUIRES_INVALID_FIELDS, "Syntax Error"),
        ("nope", Code.REQUIRES_INVALID_FIELDS, 'it selects "nope", which "X" does not have'),
        ("y", Code.REQUIRES_INVALID_FIELDS, 'it has no selections for "X.y" of type "Y"'),
        ("n(a: 1) { x }", Code.REQUIRES_INVALID_FIELDS, 'it has selections for "X.n" of type "Int"'),
        ("n", Code.REQUIRES_INVALID_FIELDS, 'it selects "X.n" without its required argument "a"'),
        ("n(a: 1, d: 1)", Code.REQUIRES_INVALID_FIELDS, 'it gives "X.n" the argument "d", which it does not have'),
        ("other: id", Code.REQUIRES_INVALID_FIELDS, 'it gives "id" the alias "other"'),
        ("...F", Code.REQUIRES_INVALID_FIELDS, "it spreads a named fragment"),
        ("id } { id", Code.REQUIRES_INVALID_FIELDS, "it holds more than selections"),
        (
            "i { ... on Nope { id } }",
            Code.REQUIRES_INVALID_FIELDS,
            'it selects on the type "Nope", which does not exist',
        ),
        ("i { ... on Y { id } }", Code.REQUIRES_INVALID_FIELDS, 'it selects on the type "Y", which "I" can never be'),
        ("id", Code.REQUIRES_FIELDS_MISSING_EXTERNAL, 'it selects "X.id", which is not @external in this subgraph'),
    ],
)
def test_these_cannot_be_required(requires: str, code: Code, says: str) -> None:
    (error,) = refused(a=SUBGRAPH % requires, b=OTHER)
    assert (error.code, error.coordinate) == (code, "X.z")
    assert says in error.message
    assert f'"{requires}"' in error.message


def test_a_field_set_prints_as_it_was_written() -> None:
    text = 'id a(x: "USD", y: [1]) { b ... on C { d } ... { e } }'
    assert print_selections(parse_field_set(text).selections) == text
    assert parse_field_set(" { id } ").text == "id"


def test_an_operation_is_no_field_set() -> None:
    with pytest.raises(InvalidFieldSet):
        parse_field_set("id } query { id")
