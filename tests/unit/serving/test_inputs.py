"""What is let in, and how the rest is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strawberry import UNSET

from eventgraph.serving import inputs
from eventkernel.errors import InvalidInput


def test_a_text_is_trimmed_and_brought_into_one_form() -> None:
    assert inputs.text("name", " \u2003Jose\u0301\u00a0", limit=4) == "José"


def test_lengths_are_counted_in_code_points_after_that() -> None:
    assert inputs.text("name", "🎉" * 5, limit=5) == "🎉" * 5
    with pytest.raises(InvalidInput, match=r"name: expected 1 to 5 characters, found 6"):
        inputs.text("name", "🎉" * 6, limit=5)


@pytest.mark.parametrize("value", ["", "   ", "\u2003"])
def test_an_empty_text_is_refused(value: str) -> None:
    with pytest.raises(InvalidInput, match=r"name: expected 1 to 5 characters, found 0"):
        inputs.text("name", value, limit=5)


@pytest.mark.parametrize(
    "character",
    ["\x00", "\t", "\n", "\x7f", "\x85", "\u2028", "\ud800", "\ufffe", "\ufdd0", "\u202e", "\u2066", "\u200b"],
)
def test_a_character_that_nobody_can_see_is_refused_by_its_number(character: str) -> None:
    with pytest.raises(InvalidInput, match=rf"name: .* found U\+{ord(character):04X}"):
        inputs.text("name", f"a{character}b", limit=5)


@pytest.mark.parametrize("value", ["\u200d", "\u200c\u034f", "\u3164", "\u2800 \u115f"])
def test_a_text_of_which_nothing_can_be_seen_is_refused(value: str) -> None:
    with pytest.raises(InvalidInput, match="name: expected at least one visible character"):
        inputs.text("name", value, limit=9)


@pytest.mark.parametrize("value", ["न्\u200dय", "👩\u200d🚀", "O\u2019Neill", "a\u00a0b", "\u0378"])
def test_joiners_spaces_and_letters_of_tomorrow_are_let_in(value: str) -> None:
    assert inputs.text("name", value, limit=7) == value


@settings(deadline=None)
@given(st.text(max_size=50))
def test_what_was_let_in_once_stays_as_it_is(value: str) -> None:
    try:
        clean = inputs.text("name", value, limit=20)
    except InvalidInput:
        return
    assert inputs.text("name", clean, limit=20) == clean
    assert clean.encode()


@pytest.mark.parametrize("value", ["u1", "01890a5d-ac96-774b-bcce-b302099a8057", "a~b", "a_b.c"])
def test_an_id_has_letters_digits_and_a_few_marks(value: str) -> None:
    assert inputs.identifier("id", value) == value


@pytest.mark.parametrize("value", ["", "a b", "a/b", "ü", "x" * 129, "a\n"])
def test_another_id_is_refused(value: str) -> None:
    with pytest.raises(InvalidInput, match="id: expected an id"):
        inputs.identifier("id", value)


def test_of_an_id_that_is_refused_the_first_wrong_character_is_told_and_nothing_else() -> None:
    with pytest.raises(InvalidInput, match=r"^id: expected an id of letters, digits and \._~- only, found U\+0020$"):
        inputs.identifier("id", "4111 1111/1111")


@pytest.mark.parametrize("value", ["", "a b", "ü", "x" * 129])
def test_an_idempotency_key_is_short_and_visible(value: str) -> None:
    with pytest.raises(InvalidInput, match="idempotencyKey: expected"):
        inputs.idempotency_key(value)
    assert inputs.idempotency_key("k-1") == "k-1"


def test_a_page_has_a_size_within_limits() -> None:
    assert [inputs.page_size(None), inputs.page_size(0), inputs.page_size(1000)] == [20, 0, 1000]
    for value in (-1, 1001):
        with pytest.raises(InvalidInput, match=rf"first: expected a number from 0 to 1000, found {value}"):
            inputs.page_size(value)


def test_an_expected_version_is_a_version() -> None:
    assert [inputs.expected_version(None), inputs.expected_version(UNSET), inputs.expected_version(3)] == [
        None,
        None,
        3,
    ]
    with pytest.raises(InvalidInput, match="expectedVersion"):
        inputs.expected_version(0)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "null"),
        (True, "true or false"),
        (7, "a number"),
        (0.5, "a number"),
        ("7", "a text"),
        ([7], "a list"),
        ({"seven": 7}, "an object"),
    ],
)
def test_errors_tell_the_kind_of_a_value_and_not_the_value(value: object, kind: str) -> None:
    assert inputs.kind_of(value) == kind
