"""The kernel's and the router's bookmarks against the page that specifies them, and against each other."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventkernel.bookmark import Bookmark
from eventkernel.errors import InvalidInput
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


@given(st.binary(max_size=40).map(lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=").decode()))
def test_both_refuse_the_same_texts(text: str) -> None:
    try:
        kernel: object = dict(Bookmark.decode(text).as_map())
    except InvalidInput:
        kernel = None
    try:
        router: object = bookmarks.decode(text)
    except bookmarks.InvalidBookmark:
        router = None
    if kernel is not None:
        assert router == kernel
