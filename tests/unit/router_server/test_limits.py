"""Operations that cost too much are refused before any work is done for them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from graphql import parse

from graphrouter.limits import LimitExceeded, Limits, check_document

SMALL = Limits(depth=3, fields=10, aliases=2, root_fields=4, repeats=3)


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("{ a { b { c { d } } } }", "TOO_DEEP"),
        ("{ a { ...F } } fragment F on T { b { c { d } } }", "TOO_DEEP"),
        ("{ a b c d e }", "TOO_MANY_ROOT_FIELDS"),
        ("{ ...F ...F ...F } fragment F on Query { a b }", "TOO_MANY_ROOT_FIELDS"),
        ("{ x: a y: a z: a }", "TOO_MANY_ALIASES"),
        ("{ a { ...F b { ...F } } c { ...F } } fragment F on T { x: y }", "TOO_MANY_ALIASES"),
        ("{ a { b c d e f } g { h i j k } }", "TOO_MANY_FIELDS"),
        ("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }", "FRAGMENT_CYCLE"),
        ("{ a } fragment A on Query { a { ...A } }", "FRAGMENT_CYCLE"),
        ("{ a } query B { x: a y: a z: a }", "TOO_MANY_ALIASES"),
        ("{ a { b b b b } }", "OPERATION_TOO_LARGE"),
        ("{ a { b b } a { b b } }", "OPERATION_TOO_LARGE"),
        ("{ a { ...F ...F } } fragment F on T { b b }", "OPERATION_TOO_LARGE"),
    ],
)
def test_an_operation_over_a_limit_is_refused_with_its_code(document: str, code: str) -> None:
    with pytest.raises(LimitExceeded) as refused:
        check_document(parse(document), SMALL)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "document",
    [
        "{ a { b { c } } }",
        "{ a b c d }",
        "{ x: a y: b }",
        "{ a { b c d e f g } h { i } }",
        "{ ...Missing }",
        "{ a { b } a { b c c } }",
    ],
)
def test_an_operation_at_its_limits_passes(document: str) -> None:
    check_document(parse(document), SMALL)


def test_a_fragment_bomb_is_counted_without_being_spread() -> None:
    names = [f"F{number}" for number in range(60)]
    bomb = "".join(f"fragment {a} on Q {{ ...{b} ...{b} }}" for a, b in pairwise(names))
    with pytest.raises(LimitExceeded) as refused:
        check_document(parse(f"{{ ...F0 }} {bomb} fragment F59 on Q {{ a }}"), Limits())
    assert refused.value.code == "TOO_MANY_ROOT_FIELDS"


def test_nesting_without_fields_has_a_bound_too() -> None:
    with pytest.raises(LimitExceeded) as refused:
        check_document(parse("{" + "... {" * 150 + "a" + "}" * 151), Limits())
    assert refused.value.code == "TOO_DEEP"
    chain = "".join(f"fragment F{n} on Q {{ ...F{n + 1} }}" for n in range(400)) + "fragment F400 on Q { a }"
    with pytest.raises(LimitExceeded):
        check_document(parse("{ ...F0 }" + chain), Limits())
