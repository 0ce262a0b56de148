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


VALUES = """
    type Query { x: X }
    type X @key(fields: "id") {
        id: ID! z: Int @requires(fields: "n(%s)")
        n(i: Int, f: Float, s: String, b: Boolean, d: ID, e: E, l: [Int!], o: F, c: Custom, r: Int! = 1): Int %s
    }
    enum E { ONE TWO }
    input F { a: Int! b: [E] }
    scalar Custom
"""


def with_value(value: str) -> dict[str, str]:
    own = VALUES.replace('z: Int @requires(fields: "n(%s)")', "").replace("%s", "").replace("type Query { x: X }", "")
    return {"a": VALUES % (value.replace('"', '\\"'), "@external"), "b": own}


@pytest.mark.parametrize(
    "value",
    [
        'i: 1, f: 1, s: "x", b: true, d: 7',
        'f: 1.5, d: "x"',
        "i: null, e: null, o: null",
        "e: TWO",
        "l: [1, 2]",
        "l: 1",
        "o: { a: 1, b: [ONE, null] }",
        "o: { a: 1, b: ONE }",
        'c: { anything: [1, "x"] }',
        "i: 2147483647",
    ],
)
def test_a_required_field_is_given_values_of_its_arguments_types(value: str) -> None:
    assert "requires" in printed(composed(**with_value(value)), "X")


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ('i: "1"', 'n(i:)" of type "Int" the value "1"'),
        ("i: 1.5", 'n(i:)" of type "Int" the value 1.5'),
        ("i: 2147483648", 'n(i:)" of type "Int" the value 2147483648'),
        ('f: "x"', 'n(f:)" of type "Float"'),
        ("s: 1", 'n(s:)" of type "String"'),
        ("b: 1", 'n(b:)" of type "Boolean"'),
        ("d: true", 'n(d:)" of type "ID"'),
        ("e: THREE", 'n(e:)" of type "E" the value THREE'),
        ('e: "ONE"', 'n(e:)" of type "E" the value "ONE"'),
        ("l: [1, null]", 'n(l:)" of type "[Int!]" the value null'),
        ('l: ["x"]', 'n(l:)" of type "[Int!]" the value "x"'),
        ("o: 1", 'n(o:)" of type "F" the value 1'),
        ("o: { b: [] }", 'which lacks "a"'),
        ("o: { a: 1, z: 1 }", 'of which it has no field "z"'),
        ("o: { a: 1, b: [FOUR] }", "the value FOUR"),
        ("r: null", 'n(r:)" of type "Int!" the value null'),
        ("i: $i", "the value $i"),
        ("z: 1", 'the argument "z", which it does not have'),
    ],
)
def test_a_value_that_is_not_of_its_arguments_type_is_refused(value: str, named: str) -> None:
    (error,) = refused(**with_value(value))
    assert error.code == Code.REQUIRES_INVALID_FIELDS
    assert named in error.message


@pytest.mark.parametrize(
    ("there", "says"),
    [
        ("n(e: E): Int @shareable", 'it gives "X.n" the argument "i", which it does not have'),
        ("n(i: Int, e: E, needed: Int! = 1): Int @shareable", None),
        ("n(i: Int, e: E): Int @shareable", None),
    ],
)
def test_a_requirement_fits_the_supergraph_too(there: str, says: str | None) -> None:
    parts = {
        "a": 'type Query { x: X } enum E { A B } type X @key(fields: "id") '
        '{ id: ID! n(i: Int, e: E): Int @external z: Int @requires(fields: "n(i: 1)") }',
        "b": 'enum E { A B } type X @key(fields: "id") { id: ID! n(i: Int, e: E): Int @shareable }',
        "c": f'enum E {{ A B }} type X @key(fields: "id") {{ id: ID! {there} }}',
    }
    if says is None:
        assert "requires" in printed(composed(**parts), "X")
        return
    (error,) = refused(**parts)
    assert (error.code, error.subgraphs) == (Code.REQUIRES_INVALID_FIELDS, ("a",))
    assert f"in the supergraph, {says}" in error.message


def test_a_required_value_that_the_supergraphs_enum_lost_is_refused() -> None:
    enum = "enum E { A %s }"
    (error,) = refused(
        a=f'type Query {{ x: X }} {enum % "B"} type X @key(fields: "id") '
        '{ id: ID! n(e: E): Int @external z: Int @requires(fields: "n(e: B)") }',
        b=f'{enum % ""} type X @key(fields: "id") {{ id: ID! n(e: E): Int }}',
    )
    assert 'in the supergraph, it gives "X.n(e:)" of type "E" the value B' in error.message


@pytest.mark.parametrize(
    "fields",
    ["y { ... on A { m } }", "i { ... on Y { w } }", "... on Y { w }", "i { ... on E { x } }", "i { ... on J { id } }"],
)
def test_a_type_condition_that_can_never_hold_is_refused(fields: str) -> None:
    more = " enum E { P } interface J { id: ID! } type B implements J { id: ID! } "
    more += 'type C @key(fields: "id") { id: ID! c: Int @requires(fields: "id") d: Int }'
    errors = refused(a=SUBGRAPH % fields + more.replace(' @requires(fields: "id")', ""), b=OTHER)
    assert {error.code for error in errors} == {Code.REQUIRES_INVALID_FIELDS}
    assert "can never be" in errors[0].message


@pytest.mark.parametrize(
    ("kind", "sdl"),
    [
        ("KEY", 'type Query { x: X } type X @key(fields: "n") { n(a: Int): ID! }'),
        (
            "PROVIDES",
            'type Query { x: X @provides(fields: "n") } type X @key(fields: "id") { id: ID! n(a: Int): Int @external }',
        ),
    ],
)
def test_keys_and_provided_fields_have_no_arguments(kind: str, sdl: str) -> None:
    (error, *_) = refused(a=sdl)
    assert error.code == Code(f"{kind}_FIELDS_HAS_ARGS")


@pytest.mark.parametrize(
    "sdl",
    [
        "type Query { q: Int @shareable @shareable }",
        "type Query @shareable @shareable { q: Int }",
        "type Query { q: Int } extend type Query @shareable @shareable { r: Int }",
    ],
)
def test_shareable_stands_once_in_a_place(sdl: str) -> None:
    (error,) = refused(a=sdl)
    assert error.code == Code.INVALID_SHAREABLE_USAGE
    assert "more than once in one place" in error.message


def test_shareable_may_stand_on_a_type_and_on_its_extension() -> None:
    assert composed(a="type Query @shareable { q: Int } extend type Query @shareable { r: Int }").supergraph_sdl


def test_a_key_of_an_interface_is_its_implementations_key_in_any_order() -> None:
    interface = 'interface I @key(fields: "a b { c d }") { a: ID! b: B } type B { c: Int d: Int }'
    implementation = 'type X implements I @key(fields: "b { d } a b { c } a") { a: ID! b: B }'
    assert composed(a=f"type Query {{ i: I }} {interface} {implementation}").supergraph_sdl


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
