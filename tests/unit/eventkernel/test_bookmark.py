"""Bookmarks are what docs/bookmarks.md says."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventkernel.errors import InvalidInput
from eventkernel.events import Partition, Position
from eventkernel.reading.bookmark import Bookmark, WrittenStream
from eventkernel.writing.store import Commit

PAGE = (Path(__file__).parents[3] / "docs/bookmarks.md").read_text()
VECTORS: list[tuple[dict[str, int], str]] = [
    (json.loads(keys), "" if text == "the empty string" else text.strip("`"))
    for keys, text in re.findall(r"^\| `(\{.*?\})` \| (.*?) \|$", PAGE.partition("## Vectors")[2], re.MULTILINE)
]

logs = st.sampled_from(["users.a", "friends.b", "größe.ü"])
numbers = st.integers(0, 12)
names = st.one_of(st.just("*"), st.text("abc/~é😀", min_size=1, max_size=400))
keys = st.one_of(st.builds("{}/{}".format, logs, numbers), st.builds("{}/{}/{}".format, logs, numbers, names))
maps = st.dictionaries(keys, st.integers(1, 2**64 - 1), max_size=30)


def of(keys: dict[str, int]) -> Bookmark:
    """A bookmark by the keys of its map."""
    parts = {tuple(key.split("/", 2)): value for key, value in keys.items()}
    return Bookmark(
        Position({Partition(p[0], int(p[1])): value for p, value in parts.items() if len(p) == 2}),
        {WrittenStream(p[0], int(p[1]), p[2]): value for p, value in parts.items() if len(p) == 3},
    )


def text_of(value: object) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(value)).rstrip(b"=").decode()


def test_the_page_has_vectors() -> None:
    assert len(VECTORS) >= 3


@pytest.mark.parametrize(("keys", "text"), VECTORS)
def test_a_vector_of_the_page_reads_and_writes_as_it_stands_there(keys: dict[str, int], text: str) -> None:
    assert of(keys).encode() == text
    assert Bookmark.decode(text) == of(keys)


def test_a_commit_gives_its_position_and_its_stream() -> None:
    commit = Commit("user-1", 3, 2, "id", "print", Position.of("users.a", 0, 70))
    assert Bookmark.of_commit(commit).as_map() == {"users.a/0": 70, "users.a/0/user-1": 3}


def test_a_commit_that_left_its_stream_empty_names_no_stream() -> None:
    commit = Commit("user-1", 0, 0, "id", "print", Position.of("users.a", 0, 70))
    assert Bookmark.of_commit(commit).as_map() == {"users.a/0": 70}


def test_the_seventeenth_stream_makes_its_partition_vague() -> None:
    sixteen = {f"users.a/0/user-{n:02}": n + 1 for n in range(16)}
    joined = of(sixteen).join(of({"users.a/0/user-99": 1, "friends.b/1/friendship-1": 2}))
    expected = {key: value for key, value in sixteen.items() if key != "users.a/0/user-15"}
    assert joined.as_map() == {**expected, "friends.b/1/friendship-1": 2, "users.a/0/*": 1}


def test_vague_partitions_do_not_count_as_streams() -> None:
    vague = {f"users.a/{n}/*": 1 for n in range(40)}
    assert of(vague).join(of({"users.a/0/user-1": 1})).as_map() == {**vague, "users.a/0/user-1": 1}


def test_streams_with_long_names_become_vague_before_the_text_is_too_long() -> None:
    joined = of({f"users.a/0/{letter * 1_000}": 1 for letter in "abcd"}).join(Bookmark())
    assert set(joined.as_map()) == {*(f"users.a/0/{letter * 1_000}" for letter in "abc"), "users.a/0/*"}
    assert len(joined.encode()) <= 4_096


def test_a_bookmark_of_too_many_partitions_is_refused() -> None:
    with pytest.raises(InvalidInput, match="too many partitions"):
        of({f"users.a/{n}": n for n in range(1_000)}).encode()


@pytest.mark.parametrize(
    "text",
    [
        "no bookmark!",
        "gal1c2Vycy5hLzAB=",
        "gal1c2Vycy5hLzA",
        "gal1c2Vycy5hLz+B",
        "A",
        "Zürich",
        "A" * 4_097,
        text_of([1]),
        text_of({1: 1}),
        text_of({"users.a/0": -1}),
        text_of({"users.a/0": 1.0}),
        text_of({"users.a/0": "1"}),
        text_of({"users.a/0": True}),
        text_of({"users.a": 1}),
        text_of({"/0": 1}),
        text_of({"users.a/": 1}),
        text_of({"users.a/-1": 1}),
        text_of({"users.a/0": 5, "users.a/00": 1}),
        text_of({"users.a/0/user-1": 5, "users.a/00/user-1": 1}),
        text_of({"users.a/²": 1}),
        text_of({"users.a/١": 1}),
        text_of({"users.a/0/": 1}),
        base64.urlsafe_b64encode(b"\x81\xa9users.a/0\x01\x00").rstrip(b"=").decode(),
        base64.urlsafe_b64encode(b"\x81\xa9users.\xff/0\x01").rstrip(b"=").decode(),
        base64.urlsafe_b64encode(b"\xdf\xff\xff\xff\xff").rstrip(b"=").decode(),
    ],
)
def test_a_malformed_bookmark_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="bookmark"):
        Bookmark.decode(text)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        bookmark = Bookmark.decode(text)
    except InvalidInput:
        return
    assert Bookmark.decode(bookmark.encode()) == bookmark


@given(maps, maps, maps)
def test_joining_is_a_maximum_in_its_positions_and_stays_within_the_limits(
    a: dict[str, int], b: dict[str, int], c: dict[str, int]
) -> None:
    one, two, three = of(a), of(b), of(c)
    joined = one.join(two)
    assert joined == two.join(one)
    assert joined.join(two) == joined
    assert joined.join(three).position == one.join(two.join(three)).position
    assert len(joined.encode()) <= 4_096
    assert sum(stream.name != "*" for stream in joined.streams) <= 16
    assert Bookmark.decode(joined.encode()) == joined
    for key, value in {**a, **b}.items():
        if key.count("/") == 1:
            assert joined.as_map()[key] == max(a.get(key, 0), b.get(key, 0)) >= value
        else:
            vague = "/".join([*key.split("/", 2)[:2], "*"])
            assert key in joined.as_map() or vague in joined.as_map()
