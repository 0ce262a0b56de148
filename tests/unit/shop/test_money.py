"""Money is exact, and has one spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventkernel.errors import InvalidInput
from shop.money import CURRENCIES, Money


@given(st.integers(0, 10**15 - 1), st.sampled_from(CURRENCIES))
def test_an_amount_is_read_as_it_was_written(cents: int, currency: str) -> None:
    assert Money.of_text(str(Money(cents, currency))) == Money(cents, currency)


def test_it_is_written_with_two_digits_and_its_currency() -> None:
    assert [str(Money(cents, "USD")) for cents in (0, 5, 199, 10_000)] == [
        "0.00 USD",
        "0.05 USD",
        "1.99 USD",
        "100.00 USD",
    ]


@pytest.mark.parametrize(
    "text", ["1.9 USD", "1 USD", "1.999 USD", "-1.00 USD", "01.00 USD", "1.00", "1.00 usd", "1,00 USD", "1.00  USD",
             "1.00 XXX", "1e2.00 USD", "١.00 USD", "99999999999999.00 USD", ""],
)  # fmt: skip
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="expected"):
        Money.of_text(text)
