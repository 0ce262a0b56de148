"""The words that users are found by."""

from __future__ import annotations

import pytest

from eventkernel.reading.words import prefix_end, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ada Lovelace", {"ada", "lovelace"}),
        ("Jean-François O'Neill", {"jean", "francois", "o", "neill"}),
        ("  Søren\u00a0 Kierkegaard ", {"søren", "kierkegaard"}),
        ("Straße STRASSE", {"strasse"}),
        ("Ǆenan", {"dzenan"}),
        ("İstanbul", {"istanbul"}),
        ("李 小龍", {"李", "小龍"}),
        ("हिन्दी", {"हिनदी"}),
        ("R2-D2", {"r2", "d2"}),
        ("🎉 –", set[str]()),
        ("snake_case", {"snake", "case"}),
    ],
)
def test_a_name_is_taken_apart_into_words_without_case_and_accents(text: str, expected: set[str]) -> None:
    assert words(text) == expected


def test_plain_and_other_names_are_taken_apart_alike() -> None:
    plain = "Ada-Maria O'Neill_2 x9"
    assert words(plain) == words(plain + " é") - {"e"}


@pytest.mark.parametrize(
    ("prefix", "end"),
    [("ab", "ac"), ("a\U0010ffff", "b"), ("\U0010ffff", None), ("x\ud7ff", "x\ue000"), ("", None)],
)
def test_the_end_of_a_prefix_is_the_least_text_above_all_that_begin_with_it(prefix: str, end: str | None) -> None:
    assert prefix_end(prefix) == end
