"""Bookmarks, «at least this far»: what docs/bookmarks.md of the repository specifies, for carrying and joining them.

A bookmark is a map from strings to unsigned integers; its text is base64url without padding of that map in msgpack
(https://github.com/msgpack/msgpack/blob/master/spec.md), of which only maps, strings and unsigned integers are used.
The router gives the keys no meaning, except that it may shorten the list of streams (keys with two slashes).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import TypeAlias

Bookmark: TypeAlias = Mapping[str, int]

MAX_TEXT = 4096
MAX_STREAMS = 16


class InvalidBookmark(ValueError):
    """The text is no bookmark: the message says where it ends being one."""


def decode(text: str) -> dict[str, int]:
    """The map that a bookmark's text stands for; InvalidBookmark where it stands for none."""
    if not text:
        return {}
    if len(text) > MAX_TEXT:
        raise InvalidBookmark(f"a bookmark has at most {MAX_TEXT} characters, found {len(text)}")
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidBookmark("a bookmark is base64url text without padding") from error
    return _Unpacker(packed).map()


def encode(bookmark: Bookmark) -> str:
    """The text of a bookmark: equal maps give equal texts."""
    if not bookmark:
        return ""
    parts = [_pack_size(len(bookmark), 0x80, 15, ((0xDE, 2), (0xDF, 4)))]
    for key, value in sorted(bookmark.items(), key=lambda item: item[0].encode()):
        raw = key.encode()
        parts += (_pack_size(len(raw), 0xA0, 31, ((0xD9, 1), (0xDA, 2), (0xDB, 4))), raw)
        parts.append(_pack_size(value, 0x00, 127, ((0xCC, 1), (0xCD, 2), (0xCE, 4), (0xCF, 8))))
    return base64.urlsafe_b64encode(b"".join(parts)).rstrip(b"=").decode()


def join(bookmarks: Iterable[Bookmark]) -> dict[str, int]:
    """The pointwise maximum, with as many streams made vague as needed to stay within the limits."""
    joined: dict[str, int] = {}
    for bookmark in bookmarks:
        for key, value in bookmark.items():
            if value > joined.get(key, -1):
                joined[key] = value
    streams = sorted((key for key in joined if _names_a_stream(key)), key=str.encode)
    while streams and (len(streams) > MAX_STREAMS or len(encode(joined)) > MAX_TEXT):
        vague = streams.pop()
        del joined[vague]
        log, partition, _ = vague.split("/", 2)
        joined[f"{log}/{partition}/*"] = 1
    if len(encode(joined)) > MAX_TEXT:
        raise InvalidBookmark(f"the joined bookmark is longer than {MAX_TEXT} characters")
    return joined


def _names_a_stream(key: str) -> bool:
    parts = key.split("/", 2)
    return len(parts) == 3 and parts[2] != "*"


def _pack_size(number: int, short_tag: int, short_max: int, long_forms: tuple[tuple[int, int], ...]) -> bytes:
    if number <= short_max:
        return bytes([short_tag | number])
    for tag, width in long_forms:
        if number < 1 << (8 * width):
            return bytes([tag]) + number.to_bytes(width, "big")
    raise InvalidBookmark(f"{number} does not fit into a bookmark")


class _Unpacker:
    """Reads one msgpack map and nothing behind it."""

    def __init__(self, packed: bytes) -> None:
        self._packed = packed
        self._at = 0

    def map(self) -> dict[str, int]:
        size = self._size(0x80, 0x8F, {0xDE: 2, 0xDF: 4}, "a map")
        result: dict[str, int] = {}
        for _ in range(size):
            key = self._string()
            result[key] = self._size(0x00, 0x7F, {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}, "an unsigned integer")
        if self._at != len(self._packed):
            raise InvalidBookmark(f"a bookmark ends with its map, found more at byte {self._at}")
        return result

    def _string(self) -> str:
        raw = self._take(self._size(0xA0, 0xBF, {0xD9: 1, 0xDA: 2, 0xDB: 4}, "a string"))
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise InvalidBookmark("a bookmark's keys are UTF-8") from error

    def _size(self, first: int, last: int, long_forms: Mapping[int, int], what: str) -> int:
        tag = self._take(1)[0]
        if first <= tag <= last:
            return tag - first
        if tag not in long_forms:
            raise InvalidBookmark(f"expected {what} at byte {self._at - 1} of the bookmark, found 0x{tag:02x}")
        return int.from_bytes(self._take(long_forms[tag]), "big")

    def _take(self, count: int) -> bytes:
        taken = self._packed[self._at : self._at + count]
        if len(taken) < count:
            raise InvalidBookmark(f"the bookmark breaks off at byte {len(self._packed)}")
        self._at += count
        return taken
