"""Money: an exact amount in one currency. Inside it is a whole number of cents."""

from __future__ import annotations

import re
from typing import Final, Self

from msgspec import Struct

from eventkernel.errors import InvalidInput

CURRENCIES: Final = ("CHF", "EUR", "GBP", "USD")
"""The currencies that the shop sells in; each has a hundred cents."""

MOST_CENTS: Final = 10**15
"""The most that an order is worth: it fits into 64 bits with room to spare."""

_TEXT: Final = re.compile(r"(0|[1-9][0-9]{0,12})\.([0-9]{2}) ([A-Z]{3})", re.ASCII)


class Money(Struct, frozen=True):
    """An amount of nothing or more."""

    cents: int
    currency: str

    @classmethod
    def of_text(cls, text: str) -> Self:
        """The amount of a text like `12.50 USD`.

        Raises:
            InvalidInput: it is no such text, or of another currency.
        """
        found = _TEXT.fullmatch(text)
        if found is None:
            raise InvalidInput("expected an amount like 12.50 USD, found another text")
        if found[3] not in CURRENCIES:
            raise InvalidInput(f"expected one of the currencies {', '.join(CURRENCIES)}, found {found[3]}")
        return cls(int(found[1] + found[2]), found[3])

    def __str__(self) -> str:
        return f"{self.cents // 100}.{self.cents % 100:02} {self.currency}"
