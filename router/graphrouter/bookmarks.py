"""Bookmarks, «at least this far»: what docs/bookmarks.md of the repository specifies, for carrying and joining them.

A bookmark is a map from strings to unsigned integers; its text is base64url without padding of that map in msgpack
(https://github.com/msgpack/msgpack/blob/master/spec.md), of which only maps, strings and unsigned integers are used.
The router gives the keys no meaning, except that it may shorten the list of streams (keys with two slashes).

Every request carries bookmarks, and one answer's bookmark comes back with the next request. So texts that were read or
written a short while ago are remembered with their maps, and `join_texts` packs nothing where one of the bookmarks
covers the others, as it is with a subgraph that joins what it was sent into its answer.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple, TypeAlias

Bookmark: TypeAlias = Mapping[str, int]

MAX_TEXT = 4096
MAX_STREAMS = 16

_REMEMBERED_TEXTS = 512
_REMEMBERED_KEYS = 8192

_base64url = re.compile("[A-Za-z0-9_-]+").fullmatch


class InvalidBookmark(ValueError):
    """The text is no bookmark: the message says where it ends being one."""


def decode(text: str) -> dict[str, int]:
    """The map that a bookmark's text stands for; InvalidBookmark where it stands for none."""
    if not text:
        return {}
    if len(text) > MAX_TEXT:
        raise InvalidBookmark(f"a bookmark has at most {MAX_TEXT} characters, found {len(text)}")
    if _base64url(text) is None or len(text) % 4 == 1:
        raise InvalidBookmark("a bookmark is base64url text without padding")
    return _unpack(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def encode(bookmark: Bookmark) -> str:
    """The text of a bookmark: equal maps give equal texts."""
    if not bookmark:
        return ""
    parts = [_pack_size(len(bookmark), 0x80, 15, _LONG_MAPS)]
    for key in sorted(bookmark):  # the order of code points, Python's, is that of UTF-8 bytes
        parts += (_packed_key(key), _packed_value(bookmark[key]))
    return base64.urlsafe_b64encode(b"".join(parts)).rstrip(b"=").decode()


def join(bookmarks: Iterable[Bookmark]) -> dict[str, int]:
    """The pointwise maximum, with as many streams made vague as needed to stay within the limits."""
    joined: dict[str, int] = {}
    for bookmark in bookmarks:
        for key, value in bookmark.items():
            if value > joined.get(key, -1):
                joined[key] = value
    _shorten(joined)
    return joined


def join_texts(texts: Iterable[str]) -> str:
    """The same of texts: the text of the join; InvalidBookmark where one of them is no bookmark."""
    known = [_read(text) for text in dict.fromkeys(texts) if text]
    if len(known) < 2:
        return known[0].text if known else ""
    for one in reversed(known):
        if all(other is one or _covers(one.bookmark, other.bookmark) for other in known):
            return one.text
    return encode(join([one.bookmark for one in known]))


class _Known(NamedTuple):
    bookmark: Bookmark
    """Within the limits; not to be changed."""
    text: str
    """As `encode` writes it, which is not always as it was read."""


@lru_cache(_REMEMBERED_TEXTS)
def _read(text: str) -> _Known:
    bookmark = decode(text)
    if len(bookmark) > MAX_STREAMS:
        _shorten(bookmark)
    return _Known(bookmark, encode(bookmark))


def _covers(bookmark: Bookmark, other: Bookmark) -> bool:
    return all(bookmark.get(key, -1) >= value for key, value in other.items())


def _shorten(joined: dict[str, int]) -> None:
    streams = [key for key in joined if key.count("/") > 1 and _names_a_stream(key)]
    size = _packed_size(joined)
    if len(streams) > MAX_STREAMS or size > _MAX_PACKED:
        streams.sort()
        while streams and (len(streams) > MAX_STREAMS or _packed_size(joined) > _MAX_PACKED):
            last = streams.pop()
            del joined[last]
            log, partition, _ = last.split("/", 2)
            joined[f"{log}/{partition}/*"] = 1
        size = _packed_size(joined)
    if size > _MAX_PACKED:
        raise InvalidBookmark(f"the joined bookmark is longer than {MAX_TEXT} characters")


def _names_a_stream(key: str) -> bool:
    return key.split("/", 2)[2] != "*"


_MAX_PACKED = MAX_TEXT * 3 // 4
"""Bytes: three of them are four characters."""
_LONG_MAPS = ((0xDE, 2), (0xDF, 4))
_LONG_STRINGS = ((0xD9, 1), (0xDA, 2), (0xDB, 4))
_LONG_INTEGERS = ((0xCC, 1), (0xCD, 2), (0xCE, 4), (0xCF, 8))


def _packed_size(bookmark: Bookmark) -> int:
    """How many bytes a map packs into, without packing it."""
    size = len(_pack_size(len(bookmark), 0x80, 15, _LONG_MAPS))
    for key, value in bookmark.items():
        size += len(_packed_key(key)) + len(_packed_value(value))
    return size


@lru_cache(_REMEMBERED_KEYS)
def _packed_key(key: str) -> bytes:
    raw = key.encode()
    return _pack_size(len(raw), 0xA0, 31, _LONG_STRINGS) + raw


def _packed_value(value: int) -> bytes:
    return bytes((value,)) if value < 128 else _pack_size(value, 0x00, 127, _LONG_INTEGERS)


def _pack_size(number: int, short_tag: int, short_max: int, long_forms: tuple[tuple[int, int], ...]) -> bytes:
    if number <= short_max:
        return bytes((short_tag | number,))
    for tag, width in long_forms:
        if number < 1 << (8 * width):
            return bytes((tag,)) + number.to_bytes(width, "big")
    raise InvalidBookmark(f"{number} does not fit into a bookmark")


def _unpack(packed: bytes) -> dict[str, int]:
    """One msgpack map and nothing behind it."""
    size, at = _unpack_size(packed, 0, 0x80, 0x8F, _WIDE_MAPS, "a map")
    result: dict[str, int] = {}
    for _ in range(size):
        length, at = _unpack_size(packed, at, 0xA0, 0xBF, _WIDE_STRINGS, "a string")
        end = at + length
        try:
            key, value = packed[at:end].decode(), packed[end]
        except UnicodeDecodeError as error:
            raise InvalidBookmark("a bookmark's keys are UTF-8") from error
        except IndexError:
            raise InvalidBookmark(f"the bookmark breaks off at byte {len(packed)}") from None
        if value < 0x80:
            result[key], at = value, end + 1
        else:
            result[key], at = _unpack_size(packed, end, 0x00, 0x7F, _WIDE_INTEGERS, "an unsigned integer")
    if at != len(packed):
        raise InvalidBookmark(f"a bookmark ends with its map, found more at byte {at}")
    return result


_WIDE_MAPS, _WIDE_STRINGS, _WIDE_INTEGERS = map(dict, (_LONG_MAPS, _LONG_STRINGS, _LONG_INTEGERS))


def _unpack_size(
    packed: bytes, at: int, first: int, last: int, widths: Mapping[int, int], what: str
) -> tuple[int, int]:
    """The number that stands there, and where the next thing begins."""
    if at >= len(packed):
        raise InvalidBookmark(f"the bookmark breaks off at byte {len(packed)}")
    tag = packed[at]
    at += 1
    if first <= tag <= last:
        return tag - first, at
    width = widths.get(tag)
    if width is None:
        raise InvalidBookmark(f"expected {what} at byte {at - 1} of the bookmark, found 0x{tag:02x}")
    if at + width > len(packed):
        raise InvalidBookmark(f"the bookmark breaks off at byte {len(packed)}")
    return int.from_bytes(packed[at : at + width], "big"), at + width
