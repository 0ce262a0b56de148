"""What the shop keeps of a card's number: its brand and its last four digits. The number itself goes no further."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from eventkernel.errors import InvalidInput


class Brand(StrEnum):
    AMERICAN_EXPRESS = "AMERICAN_EXPRESS"
    DINERS_CLUB = "DINERS_CLUB"
    DISCOVER = "DISCOVER"
    JCB = "JCB"
    MASTERCARD = "MASTERCARD"
    VISA = "VISA"
    OTHER = "OTHER"


class CardNumber(Struct, frozen=True):
    """A card's number as far as it is kept."""

    brand: Brand
    last_four: str


# https://en.wikipedia.org/wiki/Payment_card_number#Issuer_identification_number_(IIN): first and last of a range of
# beginnings, all of one length.
_BEGINNINGS: Final[Sequence[tuple[str, str, Brand]]] = (
    ("34", "34", Brand.AMERICAN_EXPRESS),
    ("37", "37", Brand.AMERICAN_EXPRESS),
    ("300", "305", Brand.DINERS_CLUB),
    ("36", "36", Brand.DINERS_CLUB),
    ("38", "39", Brand.DINERS_CLUB),
    ("6011", "6011", Brand.DISCOVER),
    ("622126", "622925", Brand.DISCOVER),
    ("644", "649", Brand.DISCOVER),
    ("65", "65", Brand.DISCOVER),
    ("3528", "3589", Brand.JCB),
    ("51", "55", Brand.MASTERCARD),
    ("2221", "2720", Brand.MASTERCARD),
    ("4", "4", Brand.VISA),
)
_NUMBER: Final = re.compile(r"[0-9](?:[ -]?[0-9]){11,18}", re.ASCII)
_RUN: Final = re.compile(r"[0-9]+(?:[^0-9A-Za-z]{1,3}[0-9]+)*", re.ASCII)
_LEAST, _MOST = 13, 19


def kept(number: str) -> CardNumber:
    """What is kept of a number, which may have spaces or hyphens between its digits. Its check digit is not looked at:
    which numbers are good is known by the networks, and not all of them have one.

    Raises:
        InvalidInput: it is no card's number. The message holds nothing of it.
    """
    if _NUMBER.fullmatch(number.strip()) is None:
        raise InvalidInput("expected a card number of 12 to 19 digits, found another text")
    digits = re.sub("[^0-9]", "", number)
    return CardNumber(_brand(digits), digits[-4:])


def checks(digits: str) -> bool:
    """Whether the last digit is the check digit of those before it (ISO/IEC 7812-1, annex B: Luhn's formula)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def named_in(text: str) -> bool:
    """Whether a text for something else holds what looks like the number of a card: groups of digits side by side whose
    check digit is right and whose beginning is a brand's, whatever other digits stand before and after them, in
    whatever script the digits are."""
    text = "".join(str(unicodedata.digit(one, one)) for one in text)
    return any(
        checks(digits) and _brand(digits) is not Brand.OTHER
        for run in _RUN.findall(text)
        for digits in _joined(re.findall("[0-9]+", run))
    )


def without_number(field: str, text: str) -> str:
    """The text of a field that is for something else than a card's number.

    Raises:
        InvalidInput: there is one in it. The message holds nothing of it.
    """
    if named_in(text):
        raise InvalidInput(f"{field}: expected no card number in it, found one")
    return text


def _joined(groups: Sequence[str]) -> Iterator[str]:
    for first in range(len(groups)):
        digits = ""
        for group in groups[first:]:
            digits += group
            if len(digits) > _MOST:
                break
            if len(digits) >= _LEAST:
                yield digits


def _brand(digits: str) -> Brand:
    for first, last, brand in _BEGINNINGS:
        if first <= digits[: len(first)] <= last:
            return brand
    return Brand.OTHER
