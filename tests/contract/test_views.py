"""Every adapter of the read side's ports passes their contracts."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eventkernel.adapters.memory_views import MemoryBuild, MemoryCheckpointStore, MemoryView
from eventkernel.adapters.sqlite.checkpoints import SqliteCheckpointStore
from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.testing.view_contract import CheckpointStoreContract, ViewContract
from tests.support.doors import Door, SqliteDoors


class _Doors:
    def stream(self, number: int) -> str:
        return f"door-{number}"

    def doc(self, number: int, version: int) -> Door:
        return (f"Tür {number}", ("red", "blue")[:version], version)


class MemoryDoorsUnderTest(_Doors):
    def __init__(self) -> None:
        self._view = MemoryView("doors", MemoryBuild[Door])

    async def open(self) -> MemoryView[MemoryBuild[Door]]:
        return self._view

    async def stop_writes(self, after: int = 0) -> None:
        self._view.live().available = False

    async def resume_writes(self) -> None:
        self._view.live().available = True


class TestMemoryView(ViewContract[Door]):
    @pytest.fixture
    def views(self) -> MemoryDoorsUnderTest:
        return MemoryDoorsUnderTest()


def limit_pages(connection: sqlite3.Connection | None, limited: bool) -> None:
    """As a full disk does: the file may not grow any more."""
    assert connection is not None
    (used,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {used if limited else 1_000_000}").fetchone()


class SqliteDoorsUnderTest(_Doors):
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._view: SqliteView[SqliteDoors] | None = None

    async def open(self) -> SqliteView[SqliteDoors]:
        await self.close()
        self._view = await SqliteView.open(self._folder, SqliteDoors, shape=1, logs=["things.0123abcd"])
        return self._view

    async def stop_writes(self, after: int = 0) -> None:
        assert self._view is not None
        limit_pages(self._view.live()._connection, limited=True)

    async def resume_writes(self) -> None:
        assert self._view is not None
        limit_pages(self._view.live()._connection, limited=False)

    async def close(self) -> None:
        if self._view is not None:
            await self._view.aclose()


class TestSqliteView(ViewContract[Door]):
    @pytest.fixture
    async def views(self, tmp_path: Path) -> AsyncIterator[SqliteDoorsUnderTest]:
        views = SqliteDoorsUnderTest(tmp_path / "doors")
        yield views
        await views.close()


class MemoryCheckpointsUnderTest:
    def __init__(self) -> None:
        self._store = MemoryCheckpointStore()

    async def open(self) -> MemoryCheckpointStore:
        return self._store

    async def stop_writes(self) -> None:
        self._store.available = False

    async def resume_writes(self) -> None:
        self._store.available = True


class TestMemoryCheckpointStore(CheckpointStoreContract):
    @pytest.fixture
    def checkpoints(self) -> MemoryCheckpointsUnderTest:
        return MemoryCheckpointsUnderTest()


class SqliteCheckpointsUnderTest:
    def __init__(self, file: Path) -> None:
        self._file = file
        self._store: SqliteCheckpointStore | None = None

    async def open(self) -> SqliteCheckpointStore:
        await self.close()
        self._store = await SqliteCheckpointStore.open(self._file)
        return self._store

    async def stop_writes(self) -> None:
        assert self._store is not None
        limit_pages(self._store._file._connection, limited=True)

    async def resume_writes(self) -> None:
        assert self._store is not None
        limit_pages(self._store._file._connection, limited=False)

    async def close(self) -> None:
        if self._store is not None:
            await self._store.aclose()


class TestSqliteCheckpointStore(CheckpointStoreContract):
    @pytest.fixture
    async def checkpoints(self, tmp_path: Path) -> AsyncIterator[SqliteCheckpointsUnderTest]:
        checkpoints = SqliteCheckpointsUnderTest(tmp_path / "processes.sqlite")
        yield checkpoints
        await checkpoints.close()
