"""Bookmarks, "at least this far": what docs/bookmarks.md of the repository specifies, for carrying and joining them.

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
from typing import Annotated, NamedTuple, TypeAlias

import msgspec

Bookmark: TypeAlias = Mapping[str, int]

MAX_TEXT = 4096
MAX_STREAMS = 16

_MAX_PACKED = MAX_TEXT * 3 // 4
"""Bytes: three of them are four characters."""
_REMEMBERED_TEXTS = 512

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
    try:
        return _unpack(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidBookmark(f"a bookmark is one map from text to unsigned integers: {error}") from None


def encode(bookmark: Bookmark) -> str:
    """The text of a bookmark: equal maps give equal texts."""
    if not bookmark:
        return ""
    return base64.urlsafe_b64encode(_pack(bookmark)).rstrip(b"=").decode()


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
    size = len(_pack(joined))
    if len(streams) > MAX_STREAMS or size > _MAX_PACKED:
        streams.sort()
        while streams and (len(streams) > MAX_STREAMS or size > _MAX_PACKED):
            last = streams.pop()
            del joined[last]
            log, partition, _ = last.split("/", 2)
            joined[f"{log}/{partition}/*"] = 1
            size = len(_pack(joined))
    if size > _MAX_PACKED:
        raise InvalidBookmark(f"the joined bookmark is longer than {MAX_TEXT} characters")


def _names_a_stream(key: str) -> bool:
    return key.split("/", 2)[2] != "*"


_Offset = Annotated[int, msgspec.Meta(ge=0)]
_unpack = msgspec.msgpack.Decoder(dict[str, _Offset]).decode
_pack = msgspec.msgpack.Encoder(order="sorted").encode
"""Keys in the order of their code points, which is that of their UTF-8 bytes; integers and lengths in their shortest
form."""
