"""The kernel's and the router's bookmarks against the page that specifies them, and against each other."""

from __future__ import annotations

import base64
import json
import re
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventkernel.errors import InvalidInput
from eventkernel.reading.bookmark import Bookmark
from graphrouter import bookmarks

PAGE = (Path(__file__).parents[2] / "docs" / "bookmarks.md").read_text()
VECTORS = [
    (json.loads(written), "" if text.strip() == "the empty string" else text.strip().strip("`"))
    for written, text in re.findall(r"^\| `(\{.*?\})` \| (.*?) \|$", PAGE, re.MULTILINE)
]

partitions = st.tuples(st.sampled_from(["users.a", "friends.b", "x.é"]), st.integers(0, 12))
streams = st.text(st.sampled_from("ab/~*-é"), min_size=1, max_size=12).filter(lambda name: name != "*")
positions = partitions.map(lambda it: f"{it[0]}/{it[1]}")
stream_keys = st.tuples(positions, streams).map("/".join)
offsets = st.integers(1, 2**53)
maps = st.builds(
    lambda places, written, vague: {**places, **written, **dict.fromkeys((f"{key}/*" for key in vague), 1)},
    st.dictionaries(positions, offsets, max_size=5),
    st.dictionaries(stream_keys, offsets, max_size=14),
    st.sets(positions, max_size=2),
)


def kernel_join(texts: list[str]) -> str:
    return Bookmark.joined(map(Bookmark.decode, texts)).encode()


def router_join(texts: list[str]) -> str:
    return bookmarks.encode(bookmarks.join(map(bookmarks.decode, texts)))


def test_the_page_has_vectors() -> None:
    assert len(VECTORS) >= 3


@pytest.mark.parametrize(("written", "text"), VECTORS)
def test_both_read_and_write_the_pages_vectors(written: dict[str, int], text: str) -> None:
    assert dict(Bookmark.decode(text).as_map()) == bookmarks.decode(text) == written
    assert Bookmark.decode(text).encode() == bookmarks.encode(written) == text


@given(st.lists(maps, min_size=1, max_size=4))
def test_both_join_to_the_last_byte_alike(given_maps: list[dict[str, int]]) -> None:
    texts = [bookmarks.encode(bookmarks.join([one])) for one in given_maps]
    joined = router_join(texts)
    assert joined == kernel_join(texts) == bookmarks.join_texts(texts)
    assert len(joined) <= 4096
    named = [key for key in bookmarks.decode(joined) if key.count("/") > 1 and not re.fullmatch(r"[^/]*/\d+/\*", key)]
    assert len(named) <= 16
    assert router_join([joined, *texts]) == joined


WELL_FORMED_KEY = re.compile(r"[^/]+/(0|[1-9][0-9]*)(/.+)?", re.DOTALL)
"""What the page says of a key; the router gives keys no meaning, the kernel refuses others."""

keys = st.one_of(positions, stream_keys, st.sampled_from(["", "a", "/0", "a/", "a/x", "a/01", "a/0/", "a/-1"]))
values = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([-1, -(2**40), 1.0, True, None, "1", [1]]))
packed_maps = st.dictionaries(keys, values, max_size=3).map(msgspec.msgpack.encode)


@st.composite
def bruised(draw: st.DrawFn) -> bytes:
    """A packed map, mostly whole: cut short, with a byte changed, or with something behind it."""
    packed = draw(packed_maps)
    cut = draw(st.integers(0, len(packed)))
    at = draw(st.integers(0, len(packed) - 1))
    byte = bytes([draw(st.integers(0, 255))])
    return draw(
        st.sampled_from([packed, packed, packed[:cut], packed[:at] + byte + packed[at + 1 :], packed + byte]),
    )


@settings(max_examples=500)
@given(bruised())
def test_both_refuse_the_same_texts(packed: bytes) -> None:
    text = base64.urlsafe_b64encode(packed).rstrip(b"=").decode()
    router = kernel = None
    with suppress(bookmarks.InvalidBookmark):
        router = bookmarks.decode(text)
    with suppress(InvalidInput):
        kernel = dict(Bookmark.decode(text).as_map())
    if router is not None and all(map(WELL_FORMED_KEY.fullmatch, router)):
        assert kernel == router
    else:
        assert kernel is None


@given(st.dictionaries(keys.filter(WELL_FORMED_KEY.fullmatch), st.integers(0, 2**64 - 1), min_size=1, max_size=3))
def test_both_read_what_any_msgpack_writer_writes(written: dict[str, int]) -> None:
    text = base64.urlsafe_b64encode(msgspec.msgpack.encode(written)).rstrip(b"=").decode()
    assert bookmarks.decode(text) == dict(Bookmark.decode(text).as_map()) == written
