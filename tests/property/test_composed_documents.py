"""A document of several streams and logs is the same in whatever order the streams come, now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventkernel.adapters.memory_views import MemoryBuild, MemoryView
from eventkernel.errors import CorruptData
from eventkernel.events import DomainEvent, Position, RecordedEvent
from eventkernel.reading.composing import Composition, Streams, by_kind
from eventkernel.reading.projector import Projector, Source
from eventkernel.reading.views import Projection
from eventkernel.retrying import Backoff
from eventkernel.testing.projection_spec import ProjectionSpec
from eventkernel.writing.codec import Codec
from tests.support.scripted_log import ScriptedLog


class Named(DomainEvent, frozen=True, tag="shelf.Named"):
    name: str


class Put(DomainEvent, frozen=True, tag="books.Put"):
    """A book stands on some shelves from now on, and on no others."""

    shelves: tuple[str, ...]


class Read(DomainEvent, frozen=True, tag="books.Read"):
    pass


class Shelf(msgspec.Struct, frozen=True):
    id: str
    name: str


class Book(msgspec.Struct, frozen=True):
    id: str
    shelves: tuple[str, ...]
    read: int = 0


class Row(msgspec.Struct, frozen=True):
    """A shelf with its books: what three kinds of events of two logs make."""

    name: str
    books: tuple[tuple[str, int], ...]


def _evolve_shelf(_doc: Shelf | None, recorded: RecordedEvent) -> Shelf:
    assert isinstance(recorded.event, Named)
    return Shelf(recorded.stream.removeprefix("shelf-"), recorded.event.name)


def _evolve_book(doc: Book | None, recorded: RecordedEvent) -> Book:
    id = recorded.stream.removeprefix("book-")
    if isinstance(recorded.event, Put):
        return Book(id, recorded.event.shelves, 0 if doc is None else doc.read)
    return Book(id, () if doc is None else doc.shelves, 1 if doc is None else doc.read + 1)


def _keys(part: Shelf | Book) -> Sequence[str]:
    return (part.id,) if isinstance(part, Shelf) else part.shelves


def _row(key: str, parts: Mapping[str, Shelf | Book]) -> Row | None:
    shelf = parts.get(f"shelf-{key}")
    if not isinstance(shelf, Shelf):
        return None
    return Row(shelf.name, tuple((part.id, part.read) for part in parts.values() if isinstance(part, Book)))


CODEC = Codec([Named, Put, Read])
KINDS = (Streams("shelves", "shelf-", _evolve_shelf), Streams("books", "book-", _evolve_book))
ROWS: Composition[Shelf | Book, Row] = Composition(_keys, _row)
PROJECTION: Projection[Shelf | Book] = Projection("rows", 1, by_kind(*KINDS))

happened = st.one_of(
    st.tuples(st.just("shelf"), st.integers(0, 2), st.builds(Named, name=st.sampled_from(["north", "south", "east"]))),
    st.tuples(
        st.just("book"),
        st.integers(0, 3),
        st.one_of(st.builds(Read), st.builds(Put, shelves=st.lists(st.sampled_from("012"), max_size=3, unique=True))),
    ),
)
History = Sequence[tuple[str, int, DomainEvent]]


def oracle(history: History) -> dict[str, tuple[str, list[tuple[str, int]]]]:
    """The rows by hand, from the facts as they were written."""
    names: dict[str, str] = {}
    places: dict[str, set[str]] = {}
    times: dict[str, int] = {}
    for kind, number, event in history:
        id = str(number)
        if kind == "shelf":
            names[id] = event.name  # type: ignore[attr-defined]
        else:
            times[id] = times.get(id, 0) + isinstance(event, Read)
            places[id] = set(getattr(event, "shelves", places.get(id, ())))
    return {
        shelf: (names[shelf], [(book, times[book]) for book in sorted(places) if shelf in places[book]])
        for shelf in sorted(names)
    }


def plain(rows: Mapping[str, Row]) -> dict[str, tuple[str, list[tuple[str, int]]]]:
    return {key: (row.name, list(row.books)) for key, row in rows.items()}


@settings(deadline=None, max_examples=60)
@given(st.lists(happened, max_size=25), st.integers(0, 2**32), st.integers(0, 25))
def test_a_composed_document_equals_the_fold_whatever_the_order_between_streams(
    history: History, seed: int, cut: int
) -> None:
    async def check() -> None:
        logs = {"shelf": ScriptedLog("shelves.1", 2, seed, CODEC), "book": ScriptedLog("books.1", 3, seed + 1, CODEC)}
        view = MemoryView[MemoryBuild[Any]]("rows", MemoryBuild[Any])
        sources = [Source(log, CODEC) for log in logs.values()]
        projector = Projector(PROJECTION, sources, view, backoff=Backoff(0, 0), grace=0)
        versions: dict[str, int] = {}
        await projector.start()
        try:
            for number, (kind, id, event) in enumerate(history):
                stream = f"{kind}-{id}"
                versions[stream] = versions.get(stream, 0) + 1
                logs[kind].put(stream, versions[stream], event, id % len(logs[kind].partitions))
                if number == cut:
                    await reached(view, logs)
            await reached(view, logs)
            states = await view.live().load(list(versions))
            parts = {stream: state.doc for stream, state in states.items()}
            assert plain(ROWS.all(parts)) == oracle(history)
            for key in "012":
                row = ROWS.one(key, parts)
                assert row == ROWS.all(parts).get(key)
            assert plain(ROWS.all(dict(reversed(parts.items())))) == oracle(history)
        finally:
            await projector.stop()

    async def reached(view: MemoryView[MemoryBuild[Any]], logs: Mapping[str, ScriptedLog]) -> None:
        assert await view.live().reached(Position.joined([await log.head() for log in logs.values()]), 20)

    asyncio.run(check())


@settings(deadline=None, max_examples=30)
@given(st.lists(happened, max_size=12))
def test_the_spec_replays_what_several_logs_feed(history: History) -> None:
    spec = ProjectionSpec(PROJECTION, CODEC)
    for kind, number, event in history:
        spec.given(f"{kind}-{number}", event, log="shelves" if kind == "shelf" else "books")
    assert plain(spec.composed(ROWS)) == oracle(history)


def test_what_is_of_no_kind_parks() -> None:
    for stream, log in (("door-1", "shelves"), ("shelf-1", "books"), ("book-1", "shelves")):
        with pytest.raises(AssertionError, match="is a stream of no kind"):
            ProjectionSpec(PROJECTION, CODEC).given(stream, Named(name="north"), log=log).then()
    with pytest.raises(AssertionError, match=CorruptData.__name__):
        ProjectionSpec(PROJECTION, CODEC).given("door-1", Named(name="north"), log="shelves").then()


@pytest.mark.parametrize("prefix", ["book-", "book-of-", "b", ""])
def test_streams_that_might_be_of_two_kinds_are_refused_in_whichever_log(prefix: str) -> None:
    for kinds in (
        (KINDS[1], Streams("others", prefix, _evolve_shelf)),
        (Streams("o", prefix, _evolve_shelf), KINDS[1]),
    ):
        with pytest.raises(TypeError, match="none begins with another"):
            by_kind(*kinds)
