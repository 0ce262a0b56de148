"""Document views over random histories: what a plain sort and filter of a fold gives, now and as of any time, on every
adapter."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from eventkernel.adapters.memory_documents import memory_documents
from eventkernel.adapters.memory_views import MemoryView
from eventkernel.adapters.mongodb.documents import MongoDocuments, mongodb_documents
from eventkernel.adapters.mongodb.views import MongoView
from eventkernel.adapters.sqlite.documents import SqliteDocuments, sqlite_documents
from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.events import Partition, Position
from eventkernel.reading.as_of import AsOf, Moment
from eventkernel.reading.documents import DocumentQuestions, DocumentView
from eventkernel.testing.document_view_contract import (
    BY_AUTHOR,
    BY_RANK,
    BY_TAG,
    LOG,
    NOTES,
    OTHER_LOG,
    SLUG,
    TEXT,
    Feed,
    Note,
)
from infra.local import MongodbAddress
from tests.support.mongodb_views import database_of

KEYS = ["a", "B", "é", "😀", "\uff5e"]
AUTHORS = ["", "a", "a b", "a!", "ab", "é", "\uff5e", "😀", "x\x00y"]
TAGS = ["", "a", "a b", "é", "😀"]
RANKS = [None, -(2**63), -1, 0, 1, 255, 256, 2**63 - 1]
WORDS = ["ada", "adam", "lovelace", "love", "李"]
PREFIXES = ["a", "ad", "ada", "adam", "l", "love", "李", "x"]
PLACES = [(LOG, 0), (LOG, 1), (OTHER_LOG, 0)]
COMMON = 1

Step: TypeAlias = tuple[str, Note]
Known: TypeAlias = dict[str, Note]

NOTE = st.builds(
    Note,
    text=st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join),
    author=st.none() | st.sampled_from(AUTHORS),
    tags=st.lists(st.sampled_from(TAGS), max_size=3).map(tuple),
    rank=st.sampled_from(RANKS),
    deleted=st.sampled_from([False, False, False, True]),
)
BATCHES = st.lists(st.lists(st.tuples(st.sampled_from(KEYS), NOTE), min_size=1, max_size=5), max_size=6)


class WhereEveryBeginningIsCommon(SqliteDocuments[Note]):
    documents = NOTES
    many_words = COMMON


class MongoWhereEveryBeginningIsCommon(MongoDocuments[Note]):
    documents = NOTES
    many_words = COMMON


def order_of(value: str | int | None) -> tuple[int, int, list[int]]:
    """None, then numbers, then texts by code points."""
    if value is None:
        return 0, 0, []
    return (1, value, []) if isinstance(value, int) else (2, 0, [ord(character) for character in value])


def living(feed: Feed, happened: Callable[[int, Partition, int], bool]) -> Known:
    """The oracle: the documents after what had happened."""
    known: Known = {}
    for key, states in feed.states.items():
        seen = [s.doc for s in states if happened(s.time_us, Partition(s.log, s.partition), s.offset)]
        if seen and not seen[-1].deleted:
            known[key] = seen[-1]
    return {key: known[key] for key in sorted(known, key=order_of)}


async def agree(asked: DocumentQuestions[Note], known: Known, data: st.DataObject) -> None:
    author, rank = data.draw(st.sampled_from(AUTHORS)), data.draw(st.sampled_from(RANKS))
    limit, descending = data.draw(st.integers(0, 4)), data.draw(st.booleans())
    assert await asked.many([*KEYS, "nobody"]) == known
    assert await asked.count() == len(known)
    written = {key: note for key, note in known.items() if note.author is not None}
    for by, where, having, sort in (
        (BY_AUTHOR, (), written, lambda note: (order_of(note.author), order_of(note.rank))),
        (BY_AUTHOR, (author,), {k: n for k, n in written.items() if n.author == author}, lambda n: order_of(n.rank)),
        (BY_RANK, (), known, lambda note: order_of(note.rank)),
        (BY_RANK, (rank,), {k: n for k, n in known.items() if n.rank == rank}, lambda _: 0),
    ):
        ordered = sorted(having.items(), key=lambda found: (sort(found[1]), order_of(found[0])), reverse=descending)
        expected = [note for _, note in ordered]
        first = await asked.page(by, where=where, limit=limit, descending=descending)
        assert [one.doc for one in first] == expected[:limit]
        if first:
            rest = await asked.page(by, where=where, after=first[-1].place, limit=9, descending=descending)
            assert [one.doc for one in rest] == expected[limit:]
        assert await asked.count(by, where=where) == len(expected)
    tag = data.draw(st.sampled_from(TAGS))
    standing = [
        ((order_of(one), order_of(note.rank), order_of(key)), one, note)
        for key, note in known.items()
        for one in set(note.tags)
    ]
    for where in ((), (tag,)):
        tagged = [one for one in standing if where in ((), (one[1],))]
        expected = [note for _, _, note in sorted(tagged, key=lambda one: one[0], reverse=descending)]
        first = await asked.page(BY_TAG, where=where, limit=limit, descending=descending)
        assert [one.doc for one in first] == expected[:limit]
        if first:
            rest = await asked.page(BY_TAG, where=where, after=first[-1].place, limit=20, descending=descending)
            assert [one.doc for one in rest] == expected[limit:]
        assert await asked.count(BY_TAG, where=where) == len(expected)
    for note in known.values():
        if note.slug is not None:
            assert await asked.one(SLUG, note.slug) == note
    prefixes = data.draw(st.sets(st.sampled_from(PREFIXES), min_size=1, max_size=2))
    found = [
        key
        for key, note in known.items()
        if all(any(word.startswith(prefix) for word in note.text.split()) for prefix in prefixes)
    ]
    assert [one.place for one in await asked.search(TEXT, prefixes, limit=9)] == found
    assert [one.place for one in await asked.search(TEXT, prefixes, after="a", limit=1)] == [
        key for key in found if key > "a"
    ][:1]


async def feed_and_compare(build: DocumentView[Note], batches: Sequence[Sequence[Step]], data: st.DataObject) -> None:
    feed = Feed(build)
    for batch in batches:
        log, partition = PLACES[ord(batch[0][0]) % len(PLACES)]
        steps = [step for step in batch if PLACES[ord(step[0]) % len(PLACES)] == (log, partition)]
        steps = [(key, note if note.deleted else with_slug(key, note)) for key, note in steps]
        await feed.take(*steps, log=log, partition=partition)
    await agree(build, living(feed, lambda *_: True), data)
    states = [state for states in feed.states.values() for state in states]
    moment = data.draw(st.sampled_from([0, *(state.time_us for state in states)])) + data.draw(st.integers(-1, 1))
    ends = {Partition(*place): data.draw(st.integers(0, 9)) for place in PLACES}
    pasts: list[tuple[AsOf, Callable[[int, Partition, int], bool]]] = [
        (Moment(moment), lambda time_us, *_: time_us <= moment),
        (Position(ends), lambda _, place, offset: offset < ends[place]),
    ]
    for then, happened in pasts:
        await agree(build.as_of(then), living(feed, happened), data)


def with_slug(key: str, note: Note) -> Note:
    """No two keys have the same one."""
    return replace(note, slug=f"{key} {note.rank}")


@settings(deadline=None, max_examples=25)
@given(BATCHES, st.data())
async def test_memory_and_sqlite_answer_as_a_plain_fold_does(
    batches: Sequence[Sequence[Step]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        await feed_and_compare(await MemoryView("notes", memory_documents(NOTES)).create(), batches, data)
        builds: list[type[SqliteDocuments[Note]]] = [sqlite_documents(NOTES), WhereEveryBeginningIsCommon]
        for number, build_type in enumerate(builds):
            view = await SqliteView.open(Path(folder) / f"{number}", build_type, shape=1, logs=[LOG, OTHER_LOG])
            await feed_and_compare(await view.create(), batches, data)
            await view.aclose()


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BATCHES, st.data())
@pytest.mark.engines
async def test_mongodb_answers_as_a_plain_fold_does(
    mongodb_server: MongodbAddress, engine_name: str, batches: Sequence[Sequence[Step]], data: st.DataObject
) -> None:
    async with database_of(mongodb_server.url, engine_name) as database:
        builds: list[type[MongoDocuments[Note]]] = [mongodb_documents(NOTES), MongoWhereEveryBeginningIsCommon]
        for number, build_type in enumerate(builds):
            view = await MongoView.open(database, f"notes{number}", build_type, shape=1, logs=[LOG, OTHER_LOG])
            await feed_and_compare(await view.create(), batches, data)
            await view.aclose()
