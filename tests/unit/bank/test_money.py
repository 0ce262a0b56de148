"""Money is exact, in one currency, and has one text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bank.money import DIGITS, Money
from eventkernel.errors import InvalidInput


@given(st.integers(-(10**18) + 1, 10**18 - 1), st.sampled_from(sorted(DIGITS)))
def test_the_text_of_an_amount_is_read_back_as_that_amount(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    assert Money.of_text(str(money)) == money


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("12.50 EUR", 1250),
        ("0.05 CHF", 5),
        ("-0.005 KWD", -5),
        ("300 JPY", 300),
        ("999999999999999999 JPY", 10**18 - 1),
    ],
)
def test_amounts_are_counted_in_the_smallest_unit(text: str, minor: int) -> None:
    money = Money.of_text(text)
    assert (money.minor, str(money)) == (minor, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("12.5 EUR", "expected 2 digits behind the point for EUR, found 1"),
        ("12 EUR", "expected 2 digits behind the point for EUR, found 0"),
        ("1.00 JPY", "expected 0 digits behind the point for JPY, found 2"),
        ("012.50 EUR", "expected an amount like 12.50 EUR, found '012.50 EUR'"),
        ("12.50EUR", "expected an amount like 12.50 EUR"),
        ("1e3 EUR", "expected an amount like 12.50 EUR"),
        ("١٢.٥٠ EUR", "expected an amount like 12.50 EUR"),
        ("12.50 EUR\n", "expected an amount like 12.50 EUR"),
        ("12.50 XYZ", "expected one of the currencies CHF, EUR"),
        ("9" * 100 + ".00 EUR", "expected an amount like 12.50 EUR"),
    ],
)
def test_other_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Money.of_text(text)
    assert str(refused.value).startswith(message)
    assert len(str(refused.value)) < 100


def test_currencies_do_not_mix() -> None:
    assert Money(5, "EUR") + Money(7, "EUR") - Money(2, "EUR") == Money(10, "EUR")
    assert Money(5, "EUR") < Money(7, "EUR")
    five, other = Money(5, "EUR"), Money(5, "USD")
    with pytest.raises(ValueError, match=r"0\.05 EUR and 0\.05 USD are of different currencies"):
        _ = five + other
    with pytest.raises(ValueError, match="different currencies"):
        _ = five - other
    with pytest.raises(ValueError, match="different currencies"):
        _ = five < other
