"""What goes in: arguments, input types, enums, scalars, directives for operations."""

import pytest

from graphrouter.composition import Code
from tests.unit.composition.composing import codes, composed, printed, refused, shape


def test_an_argument_that_one_subgraph_lacks_is_dropped() -> None:
    result = composed(
        a="type Query { n(x: Int, y: Int = 2): Int @shareable }", b="type Query { n(y: Int = 2): Int @shareable }"
    )
    assert "n(y: Int = 2): Int\n" in printed(result, "Query")
    assert codes(result.hints) == [Code.INCONSISTENT_ARGUMENT_PRESENCE]


def test_an_argument_has_the_narrowest_of_its_types() -> None:
    result = composed(a="type Query { n(x: Int): Int @shareable }", b="type Query { n(x: Int!): Int @shareable }")
    assert "n(x: Int!): Int\n" in printed(result, "Query")
    assert codes(result.hints) == [Code.INCONSISTENT_BUT_COMPATIBLE_ARGUMENT_TYPE]


def test_a_default_that_not_all_have_is_none() -> None:
    result = composed(a="type Query { n(x: Int = 1): Int @shareable }", b="type Query { n(x: Int): Int @shareable }")
    assert "n(x: Int): Int\n" in printed(result, "Query")
    assert codes(result.hints) == [Code.INCONSISTENT_DEFAULT_VALUE_PRESENCE]


def test_an_external_field_has_no_say_in_arguments() -> None:
    result = composed(
        a='type Query { x: X } type X @key(fields: "id") { id: ID! n(u: Int): Int }',
        b='type X @key(fields: "id") { id: ID! n(u: Int, v: Int): Int @external m: Int @requires(fields: "n(u: 1)") }',
    )
    assert "n(u: Int): Int @join__field" in printed(result, "X")
    assert 'requires: "n(u: 1)"' in printed(result, "X")


def test_an_input_type_has_the_fields_that_all_know() -> None:
    result = composed(
        a="type Query { a(f: F): Int } input F { x: Int y: Int = 1 }",
        b="type Query { b(f: F): Int } input F { x: Int }",
    )
    assert printed(result, "F") == shape("input F\n@join__type(graph: A)\n@join__type(graph: B)\n{\nx: Int\n}")
    assert codes(result.hints) == [Code.INCONSISTENT_INPUT_OBJECT_FIELD]


def test_a_hidden_input_field_may_be_in_one_subgraph_only() -> None:
    result = composed(
        a="type Query { a(f: F): Int } input F { x: Int y: Int @inaccessible }",
        b="type Query { b(f: F): Int } input F { x: Int }",
    )
    assert "y: Int @inaccessible @join__field(graph: A)" in printed(result, "F")


def test_input_fields_of_different_types_keep_them_on_the_joins() -> None:
    result = composed(
        a="type Query { a(f: F): Int } input F { x: [Int!] }", b="type Query { b(f: F): Int } input F { x: [Int!]! }"
    )
    assert 'x: [Int!]! @join__field(graph: A, type: "[Int!]") @join__field(graph: B, type: "[Int!]!")' in printed(
        result, "F"
    )


def test_one_of_in_one_subgraph_is_one_of_for_all() -> None:
    result = composed(
        a="type Query { a(f: F): Int } input F @oneOf { x: Int y: Int }",
        b="type Query { b(f: F): Int } input F { x: Int y: Int }",
    )
    assert printed(result, "F").splitlines()[:2] == ["input F", "@oneOf"]


OUTPUT, INPUT = "type Query { %s: E }", "type Query { %s(e: E): Int }"


@pytest.mark.parametrize(
    ("query", "values", "hints"),
    [
        pytest.param(OUTPUT, ["P", "Q", "R"], [Code.INCONSISTENT_ENUM_VALUE_FOR_OUTPUT_ENUM] * 2, id="output: all"),
        pytest.param(INPUT, ["Q"], [Code.INCONSISTENT_ENUM_VALUE_FOR_INPUT_ENUM] * 2, id="input: those in common"),
    ],
)
def test_an_enum_merges_by_its_use(query: str, values: list[str], hints: list[Code]) -> None:
    result = composed(a=query % "a" + " enum E { P Q }", b=query % "b" + " enum E { Q R }")
    lines = printed(result, "E").splitlines()
    assert [line.split()[0] for line in lines[4:-1]] == values
    assert "Q @join__enumValue(graph: A) @join__enumValue(graph: B)" in lines
    assert codes(result.hints) == hints


def test_a_hidden_enum_value_may_differ_even_where_the_enum_is_used_both_ways() -> None:
    result = composed(a="type Query { a(e: E): E } enum E { P }", b="type Query { b: E } enum E { P Q @inaccessible }")
    assert "Q @inaccessible @join__enumValue(graph: B)" in printed(result, "E")


def test_a_scalar_is_joined_and_keeps_its_specification() -> None:
    result = composed(
        a='type Query { t: T } scalar T @specifiedBy(url: "https://a.example/t")', b="type Query { u: T } scalar T"
    )
    assert printed(result, "T") == shape("""
        scalar T
        @specifiedBy(url: "https://a.example/t")
        @join__type(graph: A)
        @join__type(graph: B)
    """)


def test_a_directive_for_operations_stays_where_all_subgraphs_take_it() -> None:
    result = composed(
        a="type Query { a: Int } directive @live(every: Int) repeatable on FIELD | QUERY directive @own on FIELD",
        b="type Query { b: Int } directive @live(every: Int) repeatable on FIELD",
    )
    assert "directive @live(every: Int) repeatable on FIELD\n" in result.supergraph_sdl
    assert "@own" not in result.supergraph_sdl
    assert codes(result.hints) == [
        Code.INCONSISTENT_EXECUTABLE_DIRECTIVE_LOCATIONS,
        Code.INCONSISTENT_EXECUTABLE_DIRECTIVE_PRESENCE,
    ]


def test_a_required_argument_message_names_who_has_it_and_who_has_not() -> None:
    (error,) = refused(a="type Query { n(x: Int!): Int @shareable }", b="type Query { n: Int @shareable }")
    assert str(error) == (
        'REQUIRED_ARGUMENT_MISSING_IN_SOME_SUBGRAPH: argument "Query.n(x:)" is required in subgraph "a", '
        'but missing in subgraph "b"'
    )
