"""What every adapter of `DocumentView` answers alike; and what is SQLite's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eventkernel.adapters.memory_documents import MemoryDocuments, memory_documents
from eventkernel.adapters.memory_views import MemoryView
from eventkernel.adapters.mongodb.connection import Database
from eventkernel.adapters.mongodb.documents import MongoDocuments, mongodb_documents
from eventkernel.adapters.mongodb.views import MongoView
from eventkernel.adapters.sqlite.documents import SqliteDocuments, sqlite_documents
from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.reading.documents import DocumentView
from eventkernel.testing.document_view_contract import LOG, NOTES, OTHER_LOG, DocumentViewContract, Note
from eventkernel.testing.view_contract import ViewContract
from infra.local import MongodbAddress
from tests.support.mongodb_views import DRIVERS, MongoUnderTest, Writes, database_of
from tests.support.views import SqliteUnderTest

LOGS = (LOG, OTHER_LOG)


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

    async def stop_writes(self) -> None:
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
