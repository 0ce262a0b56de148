"""The contract of `DocumentView`, as tests.

An adapter passes it by deriving a class that says how a build of a view of `NOTES` is made:

    class TestMyDocuments(DocumentViewContract):
        @pytest.fixture
        def build(self) -> DocumentView[Note]:
            ...
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
import pytest

from eventkernel.events import Partition, Position
from eventkernel.reading.as_of import AsOf, Moment
from eventkernel.reading.documents import (
    DocumentQuestions,
    Documents,
    DocumentView,
    Index,
    MultiIndex,
    Placed,
    Remarks,
    Unique,
    Words,
)
from eventkernel.reading.views import Change, Fold, State
from eventkernel.writing.store import Checkpoint

LOG: Final = "notes.0123abcd"
OTHER_LOG: Final = "imports.4567cdef"


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """A document with one of everything that an index may look at."""

    text: str = ""
    author: str | None = None
    rank: int | None = None
    slug: str | None = None
    tags: tuple[str, ...] = ()
    deleted: bool = False


BY_AUTHOR: Final = Index[Note]("author", by=lambda note: None if note.author is None else (note.author, note.rank))
BY_RANK: Final = Index[Note]("rank", by=lambda note: (note.rank,))
SLUG: Final = Unique[Note]("slug", by=lambda note: note.slug)
TEXT: Final = Words[Note]("text", of=lambda note: note.text)
TAGS: Final = Words[Note]("tags", of=lambda note: " ".join(note.tags))
BY_TAG: Final = MultiIndex[Note]("tag", by=lambda note: [(tag, note.rank) for tag in note.tags])
UNKNOWN: Final = Index[Note]("unknown", by=lambda note: note.rank)


def _told(notes: Iterable[Note]) -> Sequence[str]:
    authors = [note.author or "" for note in notes]
    return [f"{len(authors)} with an author, the first is {authors[0]}"] if authors else []


NOTES: Final = Documents[Note](
    Note,
    indexes=(BY_AUTHOR, BY_RANK, SLUG, TEXT, TAGS, BY_TAG),
    deleted=lambda note: note.deleted,
    key_of=lambda stream: stream.removeprefix("note-"),
    stream_of=lambda key: f"note-{key}",
    remarks=(Remarks(BY_AUTHOR, of=_told),),
)
"""What the builds under test keep."""


class Feed:
    """Saves documents as a projector does: each is its stream's next state, a millisecond and an offset further on."""

    def __init__(self, build: DocumentView[Note]) -> None:
        self.build = build
        self.states: dict[str, list[State[Note]]] = {}
        self._offsets: dict[Partition, int] = {}
        self._time_us = 0

    async def take(self, *notes: tuple[str, Note], log: str = LOG, partition: int = 0) -> None:
        """Saves one batch of (key, the document's next state)."""
        place = Partition(log, partition)
        changed: dict[str, list[State[Note]]] = {}
        for key, note in notes:
            before = self.states.setdefault(key, [])
            offset = self._offsets[place] = self._offsets.get(place, 0) + 1
            self._time_us += 1_000
            state = State(len(before) + 1, self._time_us, log, partition, offset, note)
            before.append(state)
            changed.setdefault(key, []).append(state)
        changes = [Change(NOTES.stream_of(key), tuple(states)) for key, states in changed.items()]
        checkpoint = Checkpoint(Position({at: offset + 1 for at, offset in self._offsets.items()}))
        await self.build.save(Fold(changes, checkpoint))


def places(found: Sequence[Placed[Note]]) -> list[str]:
    return [one.place for one in found]


def texts(found: Sequence[Placed[Note]]) -> list[str]:
    return [one.doc.text for one in found]


class DocumentViewContract:
    """Give it a fixture `build`: a live build of a view of `NOTES`, still empty."""

    @pytest.fixture
    def build(self) -> DocumentView[Note]:
        raise NotImplementedError("an adapter's suite says how its build is made")

    @pytest.fixture
    def feed(self, build: DocumentView[Note]) -> Feed:
        return Feed(build)

    async def test_documents_are_found_by_key_in_one_read(self, build: DocumentView[Note], feed: Feed) -> None:
        one = Note(text="One", author="ada", rank=-3, slug="o n e", tags=("a", "b"))
        await feed.take(("a", Note(text="Zero")), ("a", one), ("b", Note(text="Two")))
        assert await build.many(["b", "nobody", "a", "a"]) == {"a": one, "b": Note(text="Two")}
        assert await build.many(["a"]) == {"a": one}
        assert await build.many(["nobody"]) == {}
        assert await build.many([]) == {}

    async def test_a_document_is_loaded_by_its_stream_with_its_version(
        self, build: DocumentView[Note], feed: Feed
    ) -> None:
        await feed.take(("a", Note(text="One")), ("a", Note(text="Two", deleted=True)))
        assert await build.load(["note-a", "note-b"]) == {"note-a": feed.states["a"][-1]}

    async def test_a_tombstone_is_in_no_answer_and_its_values_are_free(
        self, build: DocumentView[Note], feed: Feed
    ) -> None:
        note = Note(text="One", author="ada", rank=1, slug="one", tags=("x",))
        gone = msgspec.structs.replace(note, deleted=True)
        await feed.take(("a", note), ("b", note), ("c", note), ("c", gone))
        await feed.take(("a", gone))
        assert await build.many(["a", "b", "c"]) == {"b": note}
        assert places(await build.page(limit=9)) == ["b"]
        assert len(await build.page(BY_AUTHOR, limit=9)) == len(await build.page(BY_RANK, where=(1,), limit=9)) == 1
        assert places(await build.search(TEXT, ["one"], limit=9)) == ["b"]
        assert (await build.count(), await build.count(BY_RANK), await build.count(BY_AUTHOR, where=("ada",))) == (
            1,
            1,
            1,
        )
        assert await build.one(SLUG, "one") == note
        await feed.take(("b", gone))
        assert await build.one(SLUG, "one") is None

    async def test_pages_by_key_follow_each_other_in_either_direction(
        self, build: DocumentView[Note], feed: Feed
    ) -> None:
        order = ["A", "B", "a", "b", "z", "é", "\uff5e", "😀"]
        await feed.take(*((key, Note(text=key)) for key in reversed(order)))
        assert places(await build.page(limit=100)) == texts(await build.page(limit=100)) == order
        assert places(await build.page(limit=3)) == order[:3]
        assert places(await build.page(after="a", limit=3)) == order[3:6]
        assert places(await build.page(after="aa", limit=3)) == order[3:6]
        assert places(await build.page(after="😀", limit=3)) == []
        assert places(await build.page(limit=3, descending=True)) == order[:-4:-1]
        assert places(await build.page(after="a", limit=9, descending=True)) == ["B", "A"]
        assert places(await build.page(after="A", limit=9, descending=True)) == []
        assert await build.page(limit=0) == await build.page(BY_RANK, limit=0) == []

    async def test_none_comes_before_numbers_by_size_and_these_before_nothing_else(
        self, build: DocumentView[Note], feed: Feed
    ) -> None:
        ranks = [None, -(2**63), -300, -2, -1, 0, 1, 2, 10, 255, 2**40, 2**63 - 1]
        for number, rank in enumerate(reversed(ranks)):
            await feed.take((f"{number:02}", Note(rank=rank)))
        assert [one.doc.rank for one in await build.page(BY_RANK, limit=99)] == ranks
        assert [one.doc.rank for one in await build.page(BY_RANK, limit=99, descending=True)] == ranks[::-1]
        for rank in ranks:
            assert [one.doc.rank for one in await build.page(BY_RANK, where=(rank,), limit=99)] == [rank]

    async def test_texts_go_by_their_code_points_and_a_beginning_comes_first(
        self, build: DocumentView[Note], feed: Feed
    ) -> None:
        authors = [
            "", "\x00", "\x01", "\t", " ", "  ", "!", "!P", '"', "$a", "A", "Z", "a", "a\x00", "a b", "a!", "a.b",
            "aa", "ab", "b", "ä", "\u200b", "\uff5e", "😀",
        ]  # fmt: skip
        assert authors == sorted(authors)
        for number, author in enumerate(reversed(authors)):
            await feed.take((f"{number:02}", Note(author=author)))
        assert [one.doc.author for one in await build.page(BY_AUTHOR, limit=99)] == authors
        for author in authors:
            assert [one.doc.author for one in await build.page(BY_AUTHOR, where=(author,), limit=99)] == [author]
            assert await build.count(BY_AUTHOR, where=(author,)) == 1

    async def test_a_page_of_given_values_goes_on_behind_the_place_of_its_last_document(
        self, build: DocumentView[Note], feed: Feed
    ) -> None:
        ranks = {"e": 1, "d": 1, "c": 2, "b": 3, "a": 3}
        await feed.take(*((key, Note(text=key, author="ada", rank=rank)) for key, rank in ranks.items()))
        await feed.take(("f", Note(text="f", author="ad", rank=2)), ("g", Note(text="g", author="adam", rank=2)))
        await feed.take(("h", Note(text="h", author="ada")), ("i", Note(text="i")))
        order = ["h", "d", "e", "c", "a", "b"]
        assert texts(await build.page(BY_AUTHOR, where=("ada",), limit=9)) == order
        assert texts(await build.page(BY_AUTHOR, limit=9)) == ["f", *order, "g"]
        assert texts(await build.page(BY_AUTHOR, where=("ada", 1), limit=9)) == ["d", "e"]
        assert texts(await build.page(BY_AUTHOR, where=("ada", None), limit=9)) == ["h"]
        assert texts(await build.page(BY_AUTHOR, where=("eve",), limit=9)) == []
        for descending in (False, True):
            pages: list[str] = []
            after: str | None = None
            while found := await build.page(BY_AUTHOR, where=("ada",), after=after, limit=2, descending=descending):
                pages += texts(found)
                after = found[-1].place
            assert pages == (order[::-1] if descending else order)

    async def test_a_place_outside_of_the_given_values_begins_at_their_end(
        self, build: DocumentView[Note], feed: Feed
    ) -> None:
        await feed.take(*((author, Note(text=author, author=author)) for author in "abcde"))
        first, _, middle, _, last = places(await build.page(BY_AUTHOR, limit=9))
        for after, descending, expected in (
            (first, False, ["c"]),
            (middle, False, []),
            (last, False, []),
            (first, True, []),
            (middle, True, []),
            (last, True, ["c"]),
        ):
            page = await build.page(BY_AUTHOR, where=("c",), after=after, limit=9, descending=descending)
            assert texts(page) == expected

    async def test_a_document_moves_in_an_index_with_its_values_and_leaves_it_without(
        self, build: DocumentView[Note], feed: Feed
    ) -> None:
        await feed.take(("a", Note(author="ada", rank=1)), ("b", Note(author="ada", rank=2)))
        await feed.take(("a", Note(author="ada", rank=3)))
        assert [one.doc.rank for one in await build.page(BY_AUTHOR, limit=9)] == [2, 3]
        await feed.take(("b", Note(author="bob", rank=2)), ("a", Note(rank=3)))
        assert [one.doc.author for one in await build.page(BY_AUTHOR, limit=9)] == ["bob"]
        assert await build.count(BY_AUTHOR) == 1
        assert await build.count() == 2

    async def test_a_document_stands_once_under_each_of_its_values(self, build: DocumentView[Note], feed: Feed) -> None:
        tags = {"a": ("x", "y"), "b": ("y", "x", "y"), "c": ("yy",), "d": (), "e": ("y",)}
        ranks = {"a": 3, "b": 1, "c": 2, "d": 2, "e": 2}
        await feed.take(*((key, Note(text=key, rank=ranks[key], tags=tags[key])) for key in reversed(tags)))
        assert texts(await build.page(BY_TAG, where=("x",), limit=9)) == ["b", "a"]
        assert texts(await build.page(BY_TAG, where=("y",), limit=9)) == ["b", "e", "a"]
        assert texts(await build.page(BY_TAG, where=("y", 2), limit=9)) == ["e"]
        assert texts(await build.page(BY_TAG, where=("z",), limit=9)) == []
        order = ["b", "a", "b", "e", "a", "c"]
        assert texts(await build.page(BY_TAG, limit=9)) == order
        assert (await build.count(BY_TAG), await build.count(BY_TAG, where=("y",))) == (6, 3)
        for descending in (False, True):
            pages: list[str] = []
            after: str | None = None
            while found := await build.page(BY_TAG, after=after, limit=2, descending=descending):
                pages += texts(found)
                after = found[-1].place
            assert pages == (order[::-1] if descending else order)
        assert await build.page(BY_TAG, limit=0) == []

    async def test_a_document_comes_and_goes_under_its_values_and_stood_there_then(
        self, build: DocumentView[Note], feed: Feed
    ) -> None:
        await feed.take(("a", Note(text="1", tags=("x", "y"))), ("b", Note(text="1", tags=("x",))))
        await feed.take(("a", Note(text="2", tags=("y", "z"))))
        await feed.take(("a", Note(text="3", tags=("x", "z"))), ("b", Note(text="2", tags=("x",), deleted=True)))
        await feed.take(("a", Note(text="4", rank=7, tags=("x",))))
        pasts: list[tuple[DocumentQuestions[Note], dict[str, list[str]]]] = [
            (build, {"x": ["a4"]}),
            (build.as_of(Moment(2_000)), {"x": ["a1", "b1"], "y": ["a1"]}),
            (build.as_of(Position.of(LOG, 0, 3)), {"x": ["a1", "b1"], "y": ["a1"]}),
            (build.as_of(Moment(3_000)), {"x": ["b1"], "y": ["a2"], "z": ["a2"]}),
            (build.as_of(Position.of(LOG, 0, 5)), {"x": ["a3", "b1"], "z": ["a3"]}),
            (build.as_of(Moment(5_000)), {"x": ["a3"], "z": ["a3"]}),
            (build.as_of(Moment(9_000)), {"x": ["a4"]}),
            (build.as_of(Moment(999)), {}),
        ]
        for asked, expected in pasts:
            for tag in ("x", "y", "z"):
                found = await asked.page(BY_TAG, where=(tag,), limit=9)
                assert [one.place[-1] + one.doc.text for one in found] == expected.get(tag, [])
                assert texts(await asked.page(BY_TAG, where=(tag,), limit=9, descending=True)) == texts(found)[::-1]
                assert await asked.count(BY_TAG, where=(tag,)) == len(found)
            assert await asked.count(BY_TAG) == sum(map(len, expected.values()))

    async def test_the_document_of_a_unique_value_is_found_and_the_later_of_two(
        self, build: DocumentView[Note], feed: Feed
    ) -> None:
        await feed.take(("b", Note(text="1", slug="a b")), ("a", Note(text="2", slug="other")))
        found = await build.one(SLUG, "a b")
        assert found is not None
        assert found.text == "1"
        assert await build.one(SLUG, "a") is None
        await feed.take(("a", Note(text="3", slug="a b")))
        found = await build.one(SLUG, "a b")
        assert found is not None
        assert found.text == "3"
        assert await build.one(SLUG, "other") is None
        await feed.take(("b", Note(text="4", slug="a b")))
        for asked in (build, build.as_of(Moment(4_000))):
            found = await asked.one(SLUG, "a b")
            assert found is not None
            assert found.text == "4"

    async def test_every_prefix_begins_some_word(self, build: DocumentView[Note], feed: Feed) -> None:
        await feed.take(
            ("a", Note(text="Ada Lovelace")), ("b", Note(text="Adèle Lévy-Dubois", tags=("ada",))),
            ("c", Note(text="Lo Adler")), ("d", Note(text="Love, love, loved")), ("e", Note()),
        )  # fmt: skip
        for prefixes, expected in {
            ("ad",): ["a", "b", "c"],
            ("ad", "lo"): ["a", "c"],
            ("lo", "ad"): ["a", "c"],
            ("adele", "dub"): ["b"],
            ("levy",): ["b"],
            ("love",): ["a", "d"],
            ("ovelace",): [],
            ("adax",): [],
            ("ad", "x"): [],
            ("\U0010ffff",): [],
        }.items():
            assert places(await build.search(TEXT, prefixes, limit=9)) == expected, prefixes
        assert places(await build.search(TAGS, ["ad"], limit=9)) == ["b"]
        assert places(await build.search(TEXT, ["ad"], limit=2)) == ["a", "b"]
        assert places(await build.search(TEXT, ["ad"], after="b", limit=2)) == ["c"]
        assert await build.search(TEXT, ["ad"], limit=0) == []

    async def test_only_words_of_now_are_found_now(self, build: DocumentView[Note], feed: Feed) -> None:
        await feed.take(("a", Note(text="ada byron")))
        await feed.take(("a", Note(text="ada king")), ("a", Note(text="ada lovelace")))
        assert places(await build.search(TEXT, ["love"], limit=9)) == ["a"]
        for past in ("byron", "king"):
            assert await build.search(TEXT, [past], limit=9) == []
        await feed.take(("a", Note(text="ada byron")), ("a", Note(text="byron byron")))
        assert places(await build.search(TEXT, ["byr"], limit=9)) == ["a"]
        assert await build.search(TEXT, ["ada"], limit=9) == []
        assert await build.search(TEXT, ["byron", "ada"], limit=9) == []

    async def test_every_question_has_the_answer_of_then(self, build: DocumentView[Note], feed: Feed) -> None:
        one = Note(text="Ada Byron", author="ada", rank=2, slug="ada", tags=("x",))
        two = Note(text="Grace", author="ada", rank=1)
        later = msgspec.structs.replace(one, text="Ada Lovelace", author="bob", slug="countess", tags=())
        gone = msgspec.structs.replace(two, deleted=True)
        other = Note(text="Carol Byron", author="ada", rank=3, slug="ada")
        await feed.take(("a", one), ("b", two))
        await feed.take(("a", later), ("b", gone))
        await feed.take(("c", other))
        pasts: list[tuple[AsOf, AsOf, Mapping[str, Note], list[str], list[str], Note | None]] = [
            (Moment(999), Position.of(LOG, 0, 1), {}, [], [], None),
            (Moment(1_000), Position.of(LOG, 0, 2), {"a": one}, ["a"], ["a"], one),
            (Moment(2_999), Position.of(LOG, 0, 3), {"a": one, "b": two}, ["b", "a"], ["a"], one),
            (Moment(3_000), Position.of(LOG, 0, 4), {"a": later, "b": two}, ["b"], [], None),
            (Moment(4_000), Position.of(LOG, 0, 5), {"a": later}, [], [], None),
            (Moment(9_000), Position.of(LOG, 0, 6), {"a": later, "c": other}, ["c"], ["c"], other),
        ]
        for moment, position, notes, of_ada, byrons, holder in pasts:
            for then in (moment, position):
                past = build.as_of(then)
                assert await past.many(["a", "b", "c"]) == notes
                assert await past.page(limit=9) == list(notes.items())
                assert places(await past.page(after="a", limit=1)) == [key for key in notes if key > "a"][:1]
                assert places(await past.page(limit=9, descending=True)) == list(notes)[::-1]
                by_author = [one.doc for one in await past.page(BY_AUTHOR, where=("ada",), limit=9)]
                assert by_author == [notes[key] for key in of_ada]
                assert by_author[::-1] == [
                    one.doc for one in await past.page(BY_AUTHOR, where=("ada",), limit=9, descending=True)
                ]
                assert places(await past.search(TEXT, ["byr"], limit=9)) == byrons
                assert await past.one(SLUG, "ada") == holder
                assert await past.count() == len(notes)
                assert await past.count(BY_AUTHOR, where=("ada",)) == len(of_ada)
        assert places(await build.as_of(None).page(limit=9)) == ["a", "c"]

    async def test_a_position_counts_in_the_log_and_partition_that_it_names(
        self, build: DocumentView[Note], feed: Feed
    ) -> None:
        for log, partition in ((LOG, 0), (LOG, 1), (OTHER_LOG, 0)):
            key = f"{log[0]}{partition}"
            await feed.take((key, Note(text="1", rank=1)), (key, Note(text="2", rank=2)), log=log, partition=partition)
        ends = {Partition(LOG, 0): 3, Partition(LOG, 1): 2, Partition(OTHER_LOG, 0): 1, Partition("unheard.1", 1): 9}
        past = build.as_of(Position(ends))
        assert {one.place: one.doc.rank for one in await past.page(limit=9)} == {"n0": 2, "n1": 1}
        assert [one.doc.rank for one in await past.page(BY_RANK, limit=9)] == [1, 2]
        nothing = build.as_of(Position())
        assert await nothing.page(limit=9) == await nothing.page(BY_RANK, limit=9) == []
        assert await nothing.count() == 0

    async def test_a_batch_that_comes_again_changes_nothing(self, build: DocumentView[Note], feed: Feed) -> None:
        await feed.take(("a", Note(text="ada", rank=1)), ("a", Note(text="augusta", rank=2)), ("b", Note(text="b")))
        again = [Change(f"note-{key}", tuple(states)) for key, states in feed.states.items()]
        await build.save(Fold(again, Checkpoint(Position.of(LOG, 0, 4))))
        assert places(await build.page(limit=9)) == ["a", "b"]
        assert [one.doc.rank for one in await build.page(BY_RANK, limit=9)] == [None, 2]
        assert await build.search(TEXT, ["ada"], limit=9) == []
        assert places(await build.as_of(Moment(1_000)).search(TEXT, ["ada"], limit=9)) == ["a"]

    async def test_documents_tell_their_remarks(self, build: DocumentView[Note], feed: Feed) -> None:
        assert list(await build.remarks()) == []
        await feed.take(("b", Note(author="zoe")), ("a", Note(author="eve")), ("c", Note()))
        assert list(await build.remarks()) == ["2 with an author, the first is eve"]

    async def test_an_index_that_was_not_declared_is_refused(self, build: DocumentView[Note]) -> None:
        with pytest.raises(KeyError, match="unknown"):
            await build.page(UNKNOWN, limit=1)
        with pytest.raises(KeyError, match="unknown"):
            await build.as_of(Moment(1)).count(UNKNOWN)

    async def test_a_document_that_no_index_can_place_is_not_stored(
        self, build: DocumentView[Note], feed: Feed
    ) -> None:
        for rank in (2**63, -(2**63) - 1):
            with pytest.raises(ValueError, match="64 bits"):
                await feed.take(("a", Note(rank=rank)))
        assert await build.count() == 0
