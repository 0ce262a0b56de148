"""Money: an exact amount in one currency. Inside it is a whole number of the currency's smallest unit."""

from __future__ import annotations

import re
from typing import Final, Self

from msgspec import Struct

from eventkernel.errors import InvalidInput

DIGITS: Final = {"CHF": 2, "EUR": 2, "GBP": 2, "JPY": 0, "KWD": 3, "USD": 2}
"""The currencies in which accounts are kept, with the digits behind the point (ISO 4217)."""

MOST_MINOR: Final = 10**15
"""The most that one booking moves, in smallest units: a thousand such bookings still fit into 64 bits."""

_TEXT: Final = re.compile(r"(-?)(0|[1-9][0-9]{0,17})(?:\.([0-9]{1,3}))? ([A-Z]{3})")


class Money(Struct, frozen=True):
    """An amount. Amounts of different currencies cannot be added or compared."""

    minor: int
    """In the smallest unit: cents, or yen."""
    currency: str

    @classmethod
    def of_text(cls, text: str) -> Self:
        """The amount of a text like `12.50 EUR`, with as many digits as the currency has.

        Raises:
            InvalidInput: it is no such text.
        """
        found = _TEXT.fullmatch(text)
        if found is None:
            raise InvalidInput(f"expected an amount like 12.50 EUR, found {text[:40]!r}")
        sign, whole, fraction, currency = found[1], found[2], found[3] or "", found[4]
        digits = digits_of(currency)
        if len(fraction) != digits:
            raise InvalidInput(f"expected {digits} digits behind the point for {currency}, found {len(fraction)}")
        return cls(int(f"{sign}{whole}{fraction}"), currency)

    def __str__(self) -> str:
        digits = DIGITS[self.currency]
        text = str(abs(self.minor)).rjust(digits + 1, "0")
        whole, fraction = (text[:-digits], f".{text[-digits:]}") if digits else (text, "")
        return f"{'-' if self.minor < 0 else ''}{whole}{fraction} {self.currency}"

    def __add__(self, other: Money) -> Money:
        self._check(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._check(other)
        return Money(self.minor - other.minor, self.currency)

    def __lt__(self, other: Money) -> bool:
        self._check(other)
        return self.minor < other.minor

    def _check(self, other: Money) -> None:
        if self.currency != other.currency:
            raise ValueError(f"{self} and {other} are of different currencies")


def digits_of(currency: str) -> int:
    """The digits behind the point.

    Raises:
        InvalidInput: no accounts are kept in it.
    """
    digits = DIGITS.get(currency)
    if digits is None:
        raise InvalidInput(f"expected one of the currencies {', '.join(DIGITS)}, found {currency[:10]!r}")
    return digits
