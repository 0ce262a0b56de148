"""The words that a document is found by: what a search compares, the same in every database.

A text is decomposed (NFKD), loses its accents (nonspacing marks) and its case, and is taken apart at everything that is
no letter, digit or other mark: `Jean-François O'Neill` is found by `jean`, `francois`, `o` and `neill`, and by any
beginnings of these. A search text is taken apart in the same way; a document is found if every word of the text is
the beginning of some word of its own.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

_ASCII_WORD: Final = re.compile("[a-z0-9]+")
_LAST_CODE_POINT: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)


@lru_cache(16_384)  # names come again and again
def words(text: str) -> frozenset[str]:
    if text.isascii():
        return frozenset(_ASCII_WORD.findall(text.lower()))
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    spaced = (_folded(character) for character in decomposed)
    return frozenset("".join(spaced).split())


def prefix_end(prefix: str) -> str | None:
    """The least text that is above all texts with this beginning, in the order of code points (which is the order of
    UTF-8 bytes); None if there is none."""
    code_points = [ord(character) for character in prefix]
    while code_points:
        following = code_points.pop() + 1
        if following <= _LAST_CODE_POINT:
            following = _SURROGATES.stop if following in _SURROGATES else following
            return "".join(map(chr, code_points)) + chr(following)
    return None


def _folded(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Mn":
        return ""
    return character if category[0] in "LNM" else " "
