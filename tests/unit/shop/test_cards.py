"""Of a card's number the brand and the last four digits are kept, and nothing is told of one that is refused."""

from __future__ import annotations

import pytest
from graphql import GraphQLError
from hypothesis import given
from hypothesis import strategies as st

from eventkernel.errors import InvalidInput
from shop.cards import Brand, CardNumber, checks, kept, named_in
from shop.graph import CARD_NUMBER

# Numbers that networks and processors publish for tests.
PUBLISHED = {
    "4111111111111111": Brand.VISA,
    "5555555555554444": Brand.MASTERCARD,
    "2223003122003222": Brand.MASTERCARD,
    "378282246310005": Brand.AMERICAN_EXPRESS,
    "341111111111111": Brand.AMERICAN_EXPRESS,
    "30569309025904": Brand.DINERS_CLUB,
    "38520000023237": Brand.DINERS_CLUB,
    "6011111111111117": Brand.DISCOVER,
    "3530111333300000": Brand.JCB,
    "1234678900000000": Brand.OTHER,
}


@pytest.mark.parametrize(("number", "brand"), PUBLISHED.items())
def test_a_number_is_its_brand_and_its_last_four_digits(number: str, brand: Brand) -> None:
    assert kept(number) == CardNumber(brand, number[-4:])


@pytest.mark.parametrize(
    ("beginning", "brand"),
    [
        ("2220", Brand.OTHER),
        ("2221", Brand.MASTERCARD),
        ("2720", Brand.MASTERCARD),
        ("2721", Brand.OTHER),
        ("50", Brand.OTHER),
        ("51", Brand.MASTERCARD),
        ("55", Brand.MASTERCARD),
        ("56", Brand.OTHER),
        ("3527", Brand.OTHER),
        ("3528", Brand.JCB),
        ("3589", Brand.JCB),
        ("622125", Brand.OTHER),
        ("622126", Brand.DISCOVER),
        ("643", Brand.OTHER),
        ("644", Brand.DISCOVER),
        ("65", Brand.DISCOVER),
        ("306", Brand.OTHER),
    ],
)
def test_the_ranges_of_beginnings_end_where_they_say(beginning: str, brand: Brand) -> None:
    stem = beginning.ljust(15, "0")
    number = next(stem + digit for digit in "0123456789" if checks(stem + digit))
    assert kept(number).brand is brand


@pytest.mark.parametrize("spelt", ["4111 1111 1111 1111", "4111-1111-1111-1111", " 4111111111111111 "])
def test_spaces_and_hyphens_between_digits_are_no_part_of_a_number(spelt: str) -> None:
    assert kept(spelt) == CardNumber(Brand.VISA, "1111")


@pytest.mark.parametrize(
    ("number", "brand"),
    [
        ("4111 1111 1111 1112", Brand.VISA),
        ("9999-8888-7777-6666", Brand.OTHER),
        ("378282246310006", Brand.AMERICAN_EXPRESS),
    ],
)
def test_a_number_is_taken_whatever_its_last_digit(number: str, brand: Brand) -> None:
    assert kept(number) == CardNumber(brand, number[-4:])


@pytest.mark.parametrize(
    "number",
    [
        "41111111111",
        "41111111111111111111",
        "4111--1111-1111-1111",
        "4111x1111x1111x1111",
        "٤١١١١١١١١١١١١١١١",
        "",
    ],
)
def test_what_is_no_card_number_is_refused_and_nothing_of_it_is_told(number: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        kept(number)
    assert not [digits for digits in ("4111", "1111", "١١") if digits in str(refused.value)]


@given(st.text("0123456789", min_size=11, max_size=18))
def test_one_digit_of_ten_is_the_check_digit_and_each_wrong_digit_is_found(stem: str) -> None:
    right = [digit for digit in "0123456789" if checks(stem + digit)]
    assert len(right) == 1
    number = stem + right[0]
    for place, digit in enumerate(number):
        other = str((int(digit) + 1) % 10)
        assert not checks(number[:place] + other + number[place + 1 :])


@pytest.mark.parametrize("number", [number for number, brand in PUBLISHED.items() if brand is not Brand.OTHER])
def test_a_number_is_noticed_in_a_text_that_is_for_something_else(number: str) -> None:
    assert named_in(f"my card {number}, good until 6/19")
    assert named_in(" ".join(number[at : at + 4] for at in range(0, len(number), 4)))
    assert named_in(f"card 2 {number} 6/19")
    assert named_in(f"12-{number}-345678")
    for between in (".", "_", " - ", "\u00a0", "/"):
        assert named_in(between.join(number[at : at + 4] for at in range(0, len(number), 4)))
    assert not named_in(f"order 9{number}{number}")
    assert not named_in(f"{number}{'0' * 8}")


@pytest.mark.parametrize("zero", ["\uff10", "\u0660", "\u0966", "\U0001d7ce"])
@pytest.mark.parametrize("number", ["4111111111111111", "5555555555554444"])
def test_a_number_is_noticed_in_the_digits_of_any_script(number: str, zero: str) -> None:
    """Full-width, Arabic-Indic, Devanagari, bold: whoever reads them, or a program that normalises, has the number."""
    written = "".join(chr(ord(zero) + int(digit)) for digit in number)
    assert named_in(f"my card {written}")
    assert named_in(number[:8] + written[8:])
    assert named_in(" ".join(written[at : at + 4] for at in range(0, len(number), 4)))


@pytest.mark.parametrize("digits", ["\u2074" + "\u00b9" * 15, "\u2463" + "\u2460" * 15])
def test_raised_and_circled_digits_are_digits(digits: str) -> None:
    assert named_in(digits)


@pytest.mark.parametrize(
    "text", ["123 Oak Street", "12345-6789", "555-666-7777", "4111111111111112", "1 2 3 4 5 6 7 8 9", "9" * 10_000, ""]
)
def test_other_digits_are_no_card_numbers(text: str) -> None:
    assert not named_in(text)


@pytest.mark.parametrize("number", ["1111x", 4111111111111111, None, ["4111111111111111"]])
def test_graphql_tells_the_scalars_own_words_and_no_value_beside_them(number: object) -> None:
    """Of an error of another kind, graphql-core tells the value, too."""
    read = CARD_NUMBER.parse_value
    assert read is not None
    with pytest.raises(GraphQLError) as refused:
        read(number)
    assert "1111" not in str(refused.value)
