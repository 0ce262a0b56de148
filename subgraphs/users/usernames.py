"""What a username may be, and which usernames look alike: Unicode's security mechanisms (UTS 39).

A new username has letters, digits, marks and `_-.` only, all of them allowed in identifiers by the General Security
Profile (https://www.unicode.org/reports/tr39/#General_Security_Profile). It excludes what shows nothing (default
ignorable characters, variation selectors, controls of direction), what is obsolete or technical, and what has a plain
form. Usernames whose skeletons (https://www.unicode.org/reports/tr39/#def-skeleton) are equal look alike: with one of
them taken, the others are taken, too.

`unicode_security.json` has the data, made by `python -m infra.unicode_security`. Their version is that of the rule: an
event says by which one its username was judged, and a username that was judged by another one, or by none, is found by
its skeleton in the view instead of by a claim.
"""

from __future__ import annotations

import json
import unicodedata
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

UNICODE_VERSION: Final = "18.0.0"
"""Of the data. Raising it gives the users' view another shape."""

_PUNCTUATION: Final = frozenset("_-.")
_CATEGORIES: Final = frozenset("LNM")
"""Letters, numbers, marks."""


def unfit(username: str) -> str | None:
    """The first character that no new username may have; None where it may be one."""
    allowed = _security_data().allowed
    for character in username:
        if character in _PUNCTUATION:
            continue
        if unicodedata.category(character)[0] not in _CATEGORIES or character not in allowed:
            return character
    return None


@lru_cache(16_384)
def skeleton(username: str) -> str:
    """Equal for usernames that look alike, whatever the case that they are written in.

    Case is folded between two skeletons: `PaypaI` with a capital I is one with `paypal`, as it looks.
    """
    return _skeleton(_skeleton(username).casefold())


def _skeleton(text: str) -> str:
    data = _security_data()
    decomposed = unicodedata.normalize("NFD", text)
    shown = (data.prototypes.get(it, it) for it in decomposed if it.isascii() or it not in data.ignorable)
    return unicodedata.normalize("NFD", "".join(shown))


class _Characters:
    """A set of characters, kept as ranges of code points in order: pairs of the first and the last."""

    def __init__(self, ranges: Sequence[tuple[int, int]]) -> None:
        self._firsts = [first for first, _ in ranges]
        self._lasts = [last for _, last in ranges]

    def __contains__(self, character: str) -> bool:
        place = bisect_right(self._firsts, ord(character)) - 1
        return place >= 0 and ord(character) <= self._lasts[place]


@dataclass(frozen=True, slots=True)
class _SecurityData:
    allowed: _Characters
    """Identifier_Status=Allowed."""
    ignorable: _Characters
    """Default_Ignorable_Code_Point."""
    prototypes: Mapping[str, str]
    """What a character looks like, of the table of confusable characters."""


@cache
def _security_data() -> _SecurityData:
    data = json.loads(Path(__file__).with_name("unicode_security.json").read_bytes())
    if data["unicode"] != UNICODE_VERSION:
        raise AssertionError(f"unicode_security.json is of Unicode {data['unicode']}, expected {UNICODE_VERSION}")
    return _SecurityData(_Characters(data["allowed"]), _Characters(data["ignorable"]), data["prototypes"])
