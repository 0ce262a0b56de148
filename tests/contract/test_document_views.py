"""What every adapter of `DocumentView` answers alike; and what is SQLite's own."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from msgspec import Struct

from eventkernel.adapters.memory_documents import MemoryDocuments, memory_documents
from eventkernel.adapters.memory_views import MemoryView
from eventkernel.adapters.mongodb.connection import Database
from eventkernel.adapters.mongodb.documents import MongoDocuments, mongodb_documents
from eventkernel.adapters.mongodb.views import MongoView
from eventkernel.adapters.sqlite.document_questions import Statements
from eventkernel.adapters.sqlite.documents import SqliteDocuments, sqlite_documents
from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.events import Partition, Position
from eventkernel.reading.as_of import AsOf, Moment
from eventkernel.reading.documents import Documents, DocumentView
from eventkernel.testing.document_view_contract import LOG, NOTES, OTHER_LOG, DocumentViewContract, Feed, Note
from eventkernel.testing.view_contract import ViewContract
from infra.local import MongodbAddress
from tests.support.mongodb_views import DRIVERS, MongoUnderTest, Writes, database_of
from tests.support.views import SqliteUnderTest, rows_of_all

LOGS = (LOG, OTHER_LOG)


class Renamed(Struct):
    """A document with another field."""

    other: str


def words_of_text(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT word, key FROM word_text ORDER BY 1, 2").fetchall()


class TestMemoryDocuments(DocumentViewContract):
    @pytest.fixture
    async def build(self) -> DocumentView[Note]:
        view = MemoryView("notes", memory_documents(NOTES))
        return await view.create()


class TestSqliteDocuments(DocumentViewContract):
    @pytest.fixture
    async def build(self, tmp_path: Path) -> AsyncIterator[SqliteDocuments[Note]]:
        view = await SqliteView.open(tmp_path / "notes", sqlite_documents(NOTES), shape=1, logs=LOGS)
        build = await view.create()
        await view.switch(build.name)
        yield build
        await view.aclose()

    async def test_a_build_that_is_filled_in_bulk_has_the_rows_of_one_that_follows(
        self, build: SqliteDocuments[Note], feed: Feed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("eventkernel.adapters.sqlite.build._CAUGHT_UP", 0)
        view = await SqliteView.open(tmp_path / "bulk", sqlite_documents(NOTES), shape=1, logs=LOGS)
        bulk = await view.create()
        for feeding in (feed, Feed(bulk)):
            one = Note(text="ada byron", author="ada", rank=1, slug="one", tags=("a", "b"))
            await feeding.take(("a", one), ("b", Note(text="Émile ada", rank=2)), ("a", Note(text="ada king")))
            await feeding.take(("a", Note(text="ada byron")), ("c", one), ("b", Note(text="Émile", deleted=True)))
        assert await bulk.read(words_of_text) == []
        await bulk.finish()
        assert [word for word, _ in await bulk.read(words_of_text)] == ["ada", "ada", "byron", "byron"]
        assert await bulk.read(rows_of_all) == await build.read(rows_of_all)
        assert await bulk.flaws() == await build.flaws() == []
        await view.aclose()

    async def test_builds_of_another_declaration_are_not_taken_for_these(self, tmp_path: Path) -> None:
        fewer = Documents[Note](Note, indexes=NOTES.indexes[:-1])
        other = Documents[Renamed](Renamed, indexes=())
        declared = (NOTES, fewer, Documents[Note](Note), other)
        for make in (sqlite_documents, mongodb_documents):
            assert len({make(each).identity(1, LOGS) for each in declared}) == len(declared)

    @pytest.mark.parametrize("then", [None, Moment(5), Position({Partition(LOG, 0): 5, Partition(OTHER_LOG, 1): 7})])
    @pytest.mark.parametrize(
        ("question", "places"),
        [
            (lambda texts: texts.many(), "(key=?)"),
            (lambda texts: texts.page_by_key(descending=True), "(key<?)"),
            (lambda texts: texts.page("in_author", descending=False), "(in_author>? AND in_author<?)"),
            (lambda texts: texts.page("in_author", descending=True), "(in_author>? AND in_author<?)"),
            (lambda texts: texts.page_of_many("tag", descending=True), "(place>? AND place<?)"),
            (lambda texts: texts.count_of_many("tag"), "(place>? AND place<?)"),
            (lambda texts: texts.count("in_rank"), "(in_rank>? AND in_rank<?)"),
            (lambda texts: texts.latest("in_slug"), "(in_slug=?)"),
            (lambda texts: texts.search_by_key("has_text", 2), "(key>?)"),
            (lambda texts: texts.search_by_word("text", "has_text", 2), "(word>? AND word<?)"),
            (lambda texts: texts.count_words("text"), "(word>? AND word<?)"),
        ],
    )
    async def test_every_question_goes_by_an_index(
        self, build: SqliteDocuments[Note], then: AsOf | None, question: Callable[[Statements], str], places: str
    ) -> None:
        text = question(Statements(then))

        def plan(connection: sqlite3.Connection) -> list[str]:
            parameters = dict.fromkeys(re.findall(r":(\w+)", text), "[]")
            return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", parameters)]

        steps = await build.read(plan)
        assert sum(step.endswith(places) for step in steps) >= (1 if then is None else 2), steps
        assert [step for step in steps if re.match(r"SCAN (doc|past|word|place|standing)", step)] == []


class TestSqliteDocumentsWhereEveryBeginningIsCommon(TestSqliteDocuments):
    @pytest.fixture(autouse=True)
    def common(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(SqliteDocuments, "many_words", 1)


@pytest.fixture(params=DRIVERS)
async def database(
    mongodb_server: MongodbAddress, engine_name: str, request: pytest.FixtureRequest
) -> AsyncIterator[Database]:
    async with database_of(mongodb_server.url, engine_name, request.param) as database:
        yield database


class TestMongoDocuments(DocumentViewContract):
    @pytest.fixture
    async def build(self, database: Database) -> AsyncIterator[MongoDocuments[Note]]:
        view = await MongoView.open(database, "notes", mongodb_documents(NOTES), shape=1, logs=LOGS)
        build = await view.create()
        await view.switch(build.name)
        yield build
        await view.aclose()


class TestMongoDocumentsWhereEveryBeginningIsCommon(TestMongoDocuments):
    @pytest.fixture(autouse=True)
    def common(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(MongoDocuments, "many_words", 1)


class _NotesUnderTest:
    """Documents for the contract that every view fulfils."""

    def stream(self, number: int) -> str:
        return NOTES.stream_of(str(number))

    def doc(self, number: int, version: int) -> Note:
        return Note(
            text=f"Jörg {version}", author="Müller", rank=number, slug=f"jörg{number}", tags=("a", f"{version}")
        )


class MemoryNotes(_NotesUnderTest):
    def __init__(self) -> None:
        self._view = MemoryView("notes", memory_documents(NOTES))

    async def open(self) -> MemoryView[MemoryDocuments[Note]]:
        return self._view

    async def stop_writes(self, after: int = 0) -> None:
        self._view.live().available = False

    async def resume_writes(self) -> None:
        self._view.live().available = True


class TestMemoryDocumentsAsAView(ViewContract[Note]):
    @pytest.fixture
    def views(self) -> MemoryNotes:
        return MemoryNotes()


class SqliteNotes(_NotesUnderTest, SqliteUnderTest[SqliteDocuments[Note], Note]): ...


class TestSqliteDocumentsAsAView(ViewContract[Note]):
    @pytest.fixture
    async def views(self, tmp_path: Path) -> AsyncIterator[SqliteNotes]:
        views = SqliteNotes(tmp_path / "notes", sqlite_documents(NOTES), 1)
        yield views
        await views.aclose()


class MongoNotes(_NotesUnderTest, MongoUnderTest[MongoDocuments[Note]]): ...


class TestMongoDocumentsAsAView(ViewContract[Note]):
    @pytest.fixture
    async def views(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MongoNotes]:
        views = MongoNotes(database, mongodb_documents(NOTES), 1, Writes(monkeypatch, database))
        yield views
        await views.aclose()
