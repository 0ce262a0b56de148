"""What clients send, checked and brought into one form: each function returns the clean value or refuses by name.

Every text is normalised to NFC (https://www.unicode.org/reports/tr15/), trimmed of white space at both ends, and its
length is counted in code points after that. Control characters (those of direction too), line separators, lone
surrogates and noncharacters are refused, so that equal looking texts are equal and every store can keep them.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, TypeVar

from strawberry import UNSET

from eventkernel.errors import InvalidInput
from eventkernel.reading.words import words

ID_LIMIT: Final = 128
"""The longest id, in characters."""
KEY_LIMIT: Final = 128
"""The longest idempotency key, in characters."""
PAGE_DEFAULT: Final = 20
PAGE_LIMIT: Final = 1000
"""The most edges in one page of a connection."""

_REFUSED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_SPELT: Final = frozenset(
    "\u200c\u200d\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
)
"""Format characters that a language is written with: joiners, and signs that enclose what follows. All others control
how a text is shown (https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters) or show nothing."""
_INVISIBLE_CATEGORIES: Final = frozenset({"Cf", "Zs", "Mn"})
_INVISIBLE: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and signs that show nothing: the fillers of Hangul and the empty Braille pattern."""
_NOT_OF_AN_ID: Final = re.compile(r"[^A-Za-z0-9._~-]")
_KEY: Final = re.compile(r"[\x21-\x7e]+")

Value = TypeVar("Value")


def kind_of(value: object) -> str:
    """What kind of JSON value this is, as an error tells it: `a number`. Tells nothing of the value."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "an object"


def given(value: Value | None) -> Value | None:
    """None for an argument or field that was left out (Strawberry's UNSET keeps defaults of null out of the schema)."""
    return None if value is UNSET else value


def beginnings(field: str, value: str, *, limit: int) -> frozenset[str]:
    """The words of a text that is searched for, which are beginnings of words; at least one."""
    found = words(text(field, value, limit=limit))
    if not found:
        raise InvalidInput(f"{field}: expected at least one letter or digit, found none")
    return found


def text(field: str, value: str, *, limit: int, least: int = 1) -> str:
    """A text of `least` to `limit` code points, in NFC and trimmed."""
    # No text of names composes to less than a quarter of its length: a longer one is not even looked at.
    if len(value) > 4 * limit:
        raise InvalidInput(f"{field}: expected at most {limit} characters, found {len(value)}")
    if not value.isascii():
        value = unicodedata.normalize("NFC", value)
    value = value.strip()
    if not least <= len(value) <= limit:
        expected = f"{least} to {limit} characters" if least else f"at most {limit} characters"
        raise InvalidInput(f"{field}: expected {expected}, found {len(value)}")
    if not value.isprintable():
        _refuse_unprintable(field, value)
    if value and all(unicodedata.category(it) in _INVISIBLE_CATEGORIES or it in _INVISIBLE for it in value):
        raise InvalidInput(f"{field}: expected at least one visible character, found none")
    return value


def identifier(field: str, value: str) -> str:
    """An id as this system makes them; whether it exists is another question."""
    if not 1 <= len(value) <= ID_LIMIT:
        raise InvalidInput(f"{field}: expected an id of 1 to {ID_LIMIT} characters, found {len(value)}")
    if other := _NOT_OF_AN_ID.search(value):
        raise InvalidInput(f"{field}: expected an id of letters, digits and ._~- only, found U+{ord(other[0]):04X}")
    return value


def idempotency_key(value: str) -> str:
    if not 1 <= len(value) <= KEY_LIMIT:
        raise InvalidInput(f"idempotencyKey: expected 1 to {KEY_LIMIT} characters, found {len(value)}")
    if _KEY.fullmatch(value) is None:
        raise InvalidInput("idempotencyKey: expected visible ASCII characters without spaces, found others")
    return value


def page_size(value: int | None, field: str = "first") -> int:
    """How many edges a page has: `PAGE_DEFAULT` where null is asked for, at most `PAGE_LIMIT`."""
    if value is None:
        return PAGE_DEFAULT
    if not 0 <= value <= PAGE_LIMIT:
        raise InvalidInput(f"{field}: expected a number from 0 to {PAGE_LIMIT}, found {value}")
    return value


def expected_version(value: int | None) -> int | None:
    value = given(value)
    if value is not None and value < 1:
        raise InvalidInput(f"expectedVersion: expected a version from 1 on, found {value}")
    return value


def _refuse_unprintable(field: str, value: str) -> None:
    for character in value:
        code_point = ord(character)
        nonsense = code_point & 0xFFFE == 0xFFFE or 0xFDD0 <= code_point <= 0xFDEF
        refused = unicodedata.category(character) in _REFUSED_CATEGORIES and character not in _SPELT
        if nonsense or refused:
            raise InvalidInput(f"{field}: expected text without control characters, found U+{code_point:04X}")
