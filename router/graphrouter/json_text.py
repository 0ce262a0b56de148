"""JSON as the router reads and writes it: numbers keep their digits, and what cannot be carried on is noticed.

msgspec reads, as fast as orjson, and keeps integers beyond 64 bits, which orjson reads as floats. Numbers beyond a
double's range are read as infinity, and are an error of the one field that has them. A number with a fraction or an
exponent is a double, as RFC 8259 recommends; digits beyond that belong into a string. orjson writes, several times
faster than any other, and leaves to msgspec what it cannot write.
https://www.rfc-editor.org/rfc/rfc8259#section-6
"""

from __future__ import annotations

import math
import re
from typing import Any, Final, TypeAlias, cast

import msgspec
import orjson

Json: TypeAlias = Any
"""What the reader gives. A union of its types would cost a cast, which is a call, at every step of hot loops."""

MAX_NESTING: Final = 250
"""Lists and objects inside one another in a value that no schema describes: of a custom scalar, or a variable."""

_MAX_READ_NESTING: Final = 2 * MAX_NESTING
_MAX_DIGITS: Final = 4300
_MAX_TAMED_BYTES: Final = 1024 * 1024

_PIECE_BYTES: Final = 256 * 1024
_PIECE_ITEMS: Final = 100
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])

_EXACT: Final = msgspec.json.Decoder(float_hook=float)

_UNTAMED: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]|-?[0-9]{%d,}+[-+.eE0-9]*' % (_MAX_DIGITS + 1), re.DOTALL)
_SURROGATES: Final = re.compile(
    rb"(\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_OPENING: Final = b"[{"
_CLOSING: Final = b"]}"


class NotJson(ValueError):
    """The text is no JSON."""


def loads(text: bytes) -> Json:
    """The value of a JSON text; NotJson where it is none.

    A value that is nested deeper than any value may be (see `fault_of`) may have lost what is deepest in it.
    """
    try:
        return _EXACT.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # an integer of too many digits, or nested too deeply, or no JSON
    if len(text) > _MAX_TAMED_BYTES:
        raise NotJson("the text is not JSON")
    try:
        return _EXACT.decode(_tamed(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotJson("the text is not JSON") from error


def with_whole_characters(text: bytes) -> bytes:
    """The text with U+FFFD for each half of a surrogate pair that stands alone, as `String.toWellFormed` has it.

    Languages of UTF-16 write such halves where they cut a string inside a character.
    https://www.rfc-editor.org/rfc/rfc8259#section-8.2
    """
    return _SURROGATES.sub(lambda found: found[1] or b"\\ufffd", text)


def loads_in_pieces(text: bytes) -> Json:
    """As `loads`, for a long text, in pieces: between them other threads get their turn."""
    if len(text) <= _PIECE_BYTES:
        return loads(text)
    first = text[:64].lstrip()[:1]
    try:
        if first == b"{":
            return {key: loads_in_pieces(bytes(piece)) for key, piece in _OBJECT.decode(text).items()}
        if first == b"[":
            return _items(_LIST.decode(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    return loads(text)


def _items(pieces: list[msgspec.Raw]) -> list[Json]:
    items: list[Json] = []
    waiting: list[bytes] = []
    size = 0
    for piece in map(bytes, pieces):
        if size + len(piece) > _PIECE_BYTES and waiting:
            items += loads(b"[%b]" % b",".join(waiting))
            waiting, size = [], 0
        if len(piece) > _PIECE_BYTES:
            items.append(loads_in_pieces(piece))
        else:
            waiting.append(piece)
            size += len(piece)
    items += loads(b"[%b]" % b",".join(waiting))
    return items


def dumps_in_pieces(value: Json, levels: int = 8) -> bytes:
    """As `dumps`, for a large value: what is in lists on the first levels is written a few items at a time."""
    if levels and value.__class__ is dict:
        entries = [b"%b:%b" % (dumps(key), dumps_in_pieces(one, levels - 1)) for key, one in value.items()]
        return b"{%b}" % b",".join(entries)
    if levels and value.__class__ is list and len(value) > _PIECE_ITEMS:
        pieces = [value[start : start + _PIECE_ITEMS] for start in range(0, len(value), _PIECE_ITEMS)]
        return b"[%b]" % b",".join(dumps(piece)[1:-1] for piece in pieces)
    return dumps(value)


def dumps(value: Json) -> bytes:
    """The JSON text of a value in which `fault_of` finds nothing."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return msgspec.json.encode(value)  # integers beyond 64 bits, or more levels than orjson writes


def fault_of(value: Json) -> str | None:
    """Why a value cannot be carried on, as the end of a sentence that begins with it; None where it can."""
    level: list[Json] = [value]
    for _ in range(MAX_NESTING + 1):
        below: list[Json] = []
        for one in level:
            if one.__class__ is dict:
                below.extend(cast("dict[str, Json]", one).values())
            elif one.__class__ is list:
                below.extend(one)
            elif one.__class__ is float and not math.isfinite(one):
                return "is a number beyond the range of a double"
        if not below:
            return None
        level = below
    return f"is nested more than {MAX_NESTING} levels deep"


def _tamed(text: bytes) -> bytes:
    """The text without what is nested too deeply to be read, and with infinity for integers of too many digits."""
    kept: list[bytes] = []
    depth = start = 0
    for token in _UNTAMED.finditer(text):
        first = text[token.start() : token.start() + 1]
        if first in _OPENING:
            depth += 1
            if depth == _MAX_READ_NESTING + 1:
                kept.append(text[start : token.start()])
                kept.append(b"null")
        elif first in _CLOSING:
            if depth == _MAX_READ_NESTING + 1:
                start = token.end()
            depth -= 1
        elif first != b'"' and depth <= _MAX_READ_NESTING:
            kept.append(text[start : token.start()])
            kept.append(b"1e999")
            start = token.end()
    kept.append(text[start:])
    return b"".join(kept)
