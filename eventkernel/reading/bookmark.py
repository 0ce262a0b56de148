"""Bookmarks, "at least this far", as docs/bookmarks.md specifies them."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Final, NamedTuple

import msgspec

from eventkernel.errors import InvalidInput
from eventkernel.events import Partition, Position
from eventkernel.writing.store import Commit

MOST_STREAMS: Final = 16
LONGEST_TEXT: Final = 4_096

ANY_STREAM: Final = "*"
"""The stream name that stands for some streams of a partition, more than are listed."""

_LARGEST_PACKED: Final = LONGEST_TEXT * 3 // 4
"""Bytes: three of them are four characters."""
_REMEMBERED_TEXTS: Final = 512
_REMEMBERED_KEYS: Final = 8_192

_BASE64URL: Final = re.compile("[A-Za-z0-9_-]+")
_PARTITION: Final = re.compile("0|[1-9][0-9]{0,8}")
_Unsigned = Annotated[int, msgspec.Meta(ge=0)]
_unpack: Final = msgspec.msgpack.Decoder(dict[str, _Unsigned]).decode
_pack: Final = msgspec.msgpack.Encoder().encode


class WrittenStream(NamedTuple):
    """A stream that a bookmark says was written; `name` is `ANY_STREAM` where it does not say which."""

    log: str
    partition: int
    name: str


@dataclass(frozen=True, slots=True)
class Bookmark:
    """How far its carrier has seen, and the streams written on the way.

    `position` says what to wait for. `streams` (to the version that was written, 1 for `ANY_STREAM`) says whose being
    parked makes an answer impossible.
    """

    position: Position = field(default_factory=Position)
    streams: Mapping[WrittenStream, int] = field(default_factory=dict[WrittenStream, int])

    @classmethod
    def of_commit(cls, commit: Commit) -> Bookmark:
        """The bookmark of the answer to a command: a request that sends it back sees the commit."""
        streams = {WrittenStream(*partition, commit.stream): commit.version for partition in commit.position}
        return cls(commit.position, streams if commit.version else {})

    @classmethod
    def joined(cls, bookmarks: Iterable[Bookmark]) -> Bookmark:
        """The pointwise maximum, made vague where it has too many streams.

        Raises:
            InvalidInput: it names so many partitions that no text can hold it.
        """
        offsets: dict[Partition, int] = {}
        streams: dict[WrittenStream, int] = {}
        for bookmark in bookmarks:
            for partition, offset in bookmark.position.offsets.items():
                if offset > offsets.get(partition, -1):
                    offsets[partition] = offset
            for stream, version in bookmark.streams.items():
                if version > streams.get(stream, -1):
                    streams[stream] = version
        joined = cls(Position(offsets), streams)
        keys = joined.as_map()
        return joined if joined._is_within_limits(keys) else cls._of_keys(_within_limits(keys))

    def join(self, other: Bookmark) -> Bookmark:
        return Bookmark.joined((self, other))

    @staticmethod
    @lru_cache(_REMEMBERED_TEXTS)  # an answer's bookmark comes back, and goes to several subgraphs at once
    def decode(text: str) -> Bookmark:
        """
        Raises:
            InvalidInput: the text is no bookmark.
        """
        if not text:
            return Bookmark()
        if len(text) > LONGEST_TEXT:
            raise InvalidInput(f"bookmark: expected at most {LONGEST_TEXT} characters, found {len(text)}")
        if _BASE64URL.fullmatch(text) is None or len(text) % 4 == 1:
            raise InvalidInput("bookmark: expected base64url without padding, found something else")
        try:
            return Bookmark._of_keys(_unpack(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise InvalidInput(f"bookmark: expected one map from text to unsigned integers: {error}") from None

    def encode(self) -> str:
        """The opaque text; equal bookmarks give equal texts."""
        keys = self.as_map()
        return _text(keys if self._is_within_limits(keys) else _within_limits(keys))

    def as_map(self) -> dict[str, int]:
        """The map that the text stands for, with the page's keys."""
        keys = {f"{log}/{partition}": offset for (log, partition), offset in self.position.items()}
        keys.update({f"{log}/{partition}/{name}": version for (log, partition, name), version in self.streams.items()})
        return keys

    def _is_within_limits(self, keys: Mapping[str, int]) -> bool:
        named = [stream for stream in self.streams if stream.name != ANY_STREAM]
        return len(named) <= MOST_STREAMS and len(_pack(keys)) <= _LARGEST_PACKED

    @classmethod
    def _of_keys(cls, keys: Mapping[str, int]) -> Bookmark:
        offsets: dict[Partition, int] = {}
        streams: dict[WrittenStream, int] = {}
        for key, value in keys.items():
            named = _named(key)
            if isinstance(named, WrittenStream):
                streams[named] = value
            else:
                offsets[named] = value
        return cls(Position(offsets), streams)


@lru_cache(_REMEMBERED_KEYS)
def _named(key: str) -> Partition | WrittenStream:
    log, _, rest = key.partition("/")
    number, slash, name = rest.partition("/")
    # One way to write a number: two keys of one partition would hide each other.
    if not (log and _PARTITION.fullmatch(number)) or (slash and not name):
        raise InvalidInput(f"bookmark: expected keys LOG/PARTITION or LOG/PARTITION/STREAM, found {key!r}")
    return WrittenStream(log, int(number), name) if slash else Partition(log, int(number))


def _within_limits(keys: dict[str, int]) -> dict[str, int]:
    # The order of code points, Python's, is that of UTF-8 bytes.
    named = sorted(key for key in keys if key.count("/") >= 2 and key.split("/", 2)[2] != ANY_STREAM)
    while named and (len(named) > MOST_STREAMS or len(_pack(keys)) > _LARGEST_PACKED):
        last = named.pop()
        del keys[last]
        log, partition, _ = last.split("/", 2)
        keys[f"{log}/{partition}/{ANY_STREAM}"] = 1
    if len(_pack(keys)) > _LARGEST_PACKED:
        raise InvalidInput(f"bookmark: it names too many partitions for {LONGEST_TEXT} characters")
    return keys


def _text(keys: Mapping[str, int]) -> str:
    if not keys:
        return ""
    return base64.urlsafe_b64encode(_pack(dict(sorted(keys.items())))).rstrip(b"=").decode()
