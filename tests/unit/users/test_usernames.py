"""Which characters a username may have, and which usernames look alike (https://www.unicode.org/reports/tr39/)."""

from __future__ import annotations

import unicodedata

import pytest

from subgraphs.users.usernames import skeleton, unfit


@pytest.mark.parametrize("username", ["ada", "Ada_L-2.0", "Zoë", "Анна", "名前", "אבא", "अनीता", "سارة", "ß"])
def test_letters_digits_and_marks_of_living_scripts_are_fit(username: str) -> None:
    assert unfit(unicodedata.normalize("NFC", username)) is None


@pytest.mark.parametrize(
    ("username", "found"),
    [
        ("a\u034fb", "\u034f"),  # combining grapheme joiner: default ignorable
        ("a\ufe00b", "\ufe00"),  # a variation selector
        ("a\U000e0100b", "\U000e0100"),
        ("a\u202eb", "\u202e"),  # a control of direction
        ("a\u200db", "\u200d"),
        ("a\u3164b", "\u3164"),  # shows nothing
        ("ﬁ", "ﬁ"),  # not in NFKC
        ("ŉ", "ŉ"),  # deprecated
        ("ᚠ", "ᚠ"),  # of a script that is no longer written
        ("ǃ", "ǃ"),  # technical
        ("a b", " "),
        ("a:b", ":"),
        ("a'b", "'"),
        ("😀", "😀"),
    ],
)
def test_the_first_character_that_is_not_fit_is_told(username: str, found: str) -> None:
    assert unfit(username) == found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("anna", "аnna"),  # Cyrillic a
        ("Anna", "Аnna"),
        ("Anna", "anna"),
        ("Anna", "Anna\u034f"),
        ("paypal", "PaypaI"),
        ("scope", "ѕсоре"),  # all Cyrillic
        ("mm", "rnrn"),
        ("l1", "ll"),
        ("O0", "oo"),
        ("Zoë", "Zoe\u0308"),
    ],
)
def test_usernames_that_look_alike_have_one_skeleton(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize(
    ("one", "other"), [("anna", "hanna"), ("zoe", "zoë"), ("i", "l"), ("jose", "josé"), ("a", "ä")]
)
def test_usernames_that_do_not_look_alike_have_others(one: str, other: str) -> None:
    assert skeleton(one) != skeleton(other)
