"""Descriptions, @deprecated, @inaccessible and @tag."""

from graphrouter.composition import Code
from tests.unit.composition.composing import codes, composed, printed, refused


def test_the_first_description_counts_and_a_different_one_is_hinted_at() -> None:
    result = composed(
        a='type Query { a: E } "of a" enum E { P }', b='type Query { b: E } "of b" enum E { "a value" P }'
    )
    assert '"""of a"""\nenum E' in result.supergraph_sdl
    assert '  """a value"""\n  P @join__enumValue' in result.supergraph_sdl
    assert codes(result.hints) == [Code.INCONSISTENT_DESCRIPTION]


def test_descriptions_stand_everywhere() -> None:
    sdl = '"q" type Query { "f" n("x" x: Int): Int u: U i: I } "u" union U = O "o" type O { a: Int } '
    sdl += '"i" interface I { a: Int } "s" scalar S extend type Query { s(f: F): S } "f" input F { "g" g: Int }'
    text = composed(a=sdl).supergraph_sdl
    for described in ("q", "u", "o", "i", "s", "f", "g", "x"):
        assert f'"""{described}"""' in text


def test_tags_add_up_and_a_spec_is_linked_only_where_it_is_used() -> None:
    result = composed(
        a='type Query { n: Int @shareable @tag(name: "x") }', b='type Query { n: Int @shareable @tag(name: "w") }'
    )
    assert 'n: Int @tag(name: "w") @tag(name: "x")' in printed(result, "Query")
    assert "https://specs.apollo.dev/tag/" in result.supergraph_sdl
    assert "inaccessible" not in result.supergraph_sdl
    assert "tag" not in composed(a="type Query { n: Int }").supergraph_sdl


def test_what_one_subgraph_hides_is_hidden() -> None:
    result = composed(a="type Query { n: Int @shareable @inaccessible m: Int }", b="type Query { n: Int @shareable }")
    assert "n: Int @inaccessible\n" in printed(result, "Query")
    assert '@link(url: "https://specs.apollo.dev/inaccessible/v0.2", for: SECURITY)' in result.supergraph_sdl


def test_what_belongs_to_a_hidden_type_may_depend_on_hidden_things() -> None:
    result = composed(
        a="type Query { q: Int x: X @inaccessible } type X @inaccessible { y: Y } type Y @inaccessible { n: E }"
        " enum E { P }"
    )
    assert "y: Y\n" in printed(result, "X")


def test_a_default_cannot_name_a_hidden_input_field() -> None:
    (error,) = refused(a="type Query { q(f: F = { x: 1, y: 2 }): Int } input F { x: Int y: Int @inaccessible }")
    assert error.code == Code.DEFAULT_VALUE_USES_INACCESSIBLE
    assert '"F.y"' in error.message


def test_a_deprecation_travels_and_a_different_reason_is_hinted_at() -> None:
    result = composed(
        a='type Query { n: Int @shareable @deprecated(reason: "old") m: Int @deprecated }',
        b='type Query { n: Int @shareable @deprecated(reason: "\\"bad\\"") }',
    )
    assert 'n: Int @deprecated(reason: "old")' in printed(result, "Query")
    assert 'm: Int @deprecated(reason: "No longer supported")' in printed(result, "Query")
    assert codes(result.hints) == [Code.INCONSISTENT_NON_REPEATABLE_DIRECTIVE_ARGUMENTS]
