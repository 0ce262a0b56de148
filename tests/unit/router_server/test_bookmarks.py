"""Bookmarks as docs/bookmarks.md specifies them."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.bookmarks import MAX_STREAMS, MAX_TEXT, InvalidBookmark, decode, encode, join, join_texts

PAGE = Path(__file__).resolve().parents[3] / "docs" / "bookmarks.md"
VECTORS = [
    (orjson.loads(found[0]), "" if found[1] == "the empty string" else found[1].strip("`"))
    for found in re.findall(r"^\| `(\{.*?\})` \| (.+?) \|$", PAGE.read_text(), re.MULTILINE)
]

KEYS = st.tuples(
    st.sampled_from(["users.a", "friends.b"]),
    st.integers(0, 3),
    st.sampled_from(["", "/*", *(f"/s-{n}" for n in range(12))]),
).map(lambda parts: f"{parts[0]}/{parts[1]}{parts[2]}")
BOOKMARKS = st.dictionaries(KEYS, st.integers(1, 2**64 - 1), max_size=12)


def test_the_page_has_vectors() -> None:
    assert len(VECTORS) >= 3


@pytest.mark.parametrize(("bookmark", "text"), VECTORS)
def test_the_pages_vectors_hold(bookmark: dict[str, int], text: str) -> None:
    assert encode(bookmark) == text
    assert decode(text) == bookmark


@given(BOOKMARKS)
def test_decoding_undoes_encoding(bookmark: dict[str, int]) -> None:
    assert decode(encode(bookmark)) == bookmark


@given(BOOKMARKS, BOOKMARKS, BOOKMARKS)
def test_joining_is_associative_commutative_and_idempotent_in_positions(
    a: dict[str, int], b: dict[str, int], c: dict[str, int]
) -> None:
    def positions(bookmark: dict[str, int]) -> dict[str, int]:
        return {key: value for key, value in bookmark.items() if key.count("/") == 1}

    assert positions(join((join((a, b)), c))) == positions(join((a, join((b, c)))))
    assert join((a, b)) == join((b, a))
    assert positions(join((a, a))) == positions(a)
    assert all(join((a, b)).get(key, 0) >= value for key, value in positions(a).items())


def test_more_streams_than_allowed_become_vague_from_the_end() -> None:
    joined = join([{f"log/0/s{number:02}": number + 1} for number in range(MAX_STREAMS + 2)])
    assert joined == {**{f"log/0/s{n:02}": n + 1 for n in range(MAX_STREAMS)}, "log/0/*": 1}


def test_a_text_that_would_be_too_long_is_made_shorter_or_refused() -> None:
    assert join([{f"log/0/{'x' * 2000}": 1, f"log/1/{'y' * 2000}": 1}]) == {f"log/0/{'x' * 2000}": 1, "log/1/*": 1}
    with pytest.raises(InvalidBookmark, match="4096"):
        join([{f"{'l' * 50}{n}/0": 1 for n in range(100)}])


@pytest.mark.parametrize(
    "packed",
    [
        b"\xc0",
        b"\x81",
        b"\x81\xa1a",
        b"\x81\xa1a\xff",
        b"\x81\xa1a\xd0\xff",
        b"\x80\x00",
        b"\x81\x01\x01",
        b"\x81\xa1\xff\x01",
    ],
)
def test_what_is_no_map_of_unsigned_integers_is_refused(packed: bytes) -> None:
    with pytest.raises(InvalidBookmark):
        decode(base64.urlsafe_b64encode(packed).rstrip(b"=").decode())


@pytest.mark.parametrize("text", ["%%%", "a", "ä", "gA==\n", "gA==", "+A", "x" * (MAX_TEXT + 1)])
def test_what_is_no_base64url_is_refused(text: str) -> None:
    with pytest.raises(InvalidBookmark):
        decode(text)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_bookmark_or_refused(packed: bytes) -> None:
    try:
        found = decode(base64.urlsafe_b64encode(packed).rstrip(b"=").decode())
    except InvalidBookmark:
        return
    assert decode(encode(found)) == found


@given(st.lists(BOOKMARKS, max_size=4))
def test_texts_join_to_the_text_of_the_join(bookmarks: list[dict[str, int]]) -> None:
    texts = [encode(bookmark) for bookmark in bookmarks]
    assert join_texts(texts) == encode(join(bookmarks))


@given(st.lists(st.sampled_from("abcdefghijklmnopqrstuvwxyz"), min_size=17, unique=True), BOOKMARKS)
def test_a_text_with_too_many_streams_is_shortened_also_when_it_comes_alone(
    names: list[str], other: dict[str, int]
) -> None:
    long = {f"log/0/{name}": 1 for name in names}
    assert join_texts([encode(long)]) == encode(join([long]))
    assert join_texts([encode(long), encode(other)]) == encode(join([long, other]))


def test_a_text_that_is_written_in_another_way_joins_as_the_one_way() -> None:
    unsorted = base64.urlsafe_b64encode(b"\x82\xa3b/0\xcc\x01\xd9\x03a/0\x02").rstrip(b"=").decode()
    assert join_texts(["", unsorted]) == encode({"a/0": 2, "b/0": 1})
    with pytest.raises(InvalidBookmark):
        join_texts([unsorted, "%%%"])
