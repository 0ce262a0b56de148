"""Every event store passes the one contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eventkernel.adapters.memory import MemoryEventStore
from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.clock import ManualClock
from eventkernel.testing.boundary_contract import BoundaryContract
from eventkernel.testing.event_store_contract import EventStoreContract, LogUnderTest
from eventkernel.writing.store import EventStore


class MemoryLog:
    """Memory does not outlive its store, so opening it again gives the same one."""

    def __init__(self, partitions: int) -> None:
        self.clock = ManualClock()
        self._store = MemoryEventStore("doors", self.clock, partitions)

    async def open(self) -> EventStore:
        return self._store

    async def stop_writes(self) -> None:
        self._store.available = False

    async def resume_writes(self) -> None:
        self._store.available = True


class SqliteLogFile:
    def __init__(self, path: Path) -> None:
        self.clock = ManualClock()
        self._path = path
        self._store: SqliteEventStore | None = None

    async def open(self) -> EventStore:
        await self.aclose()
        self._store = await SqliteEventStore.open(self._path, name="doors", clock=self.clock)
        return self._store

    async def aclose(self) -> None:
        if self._store is not None:
            await self._store.aclose()

    async def stop_writes(self) -> None:
        """As a full disk: SQLite reports the same error (https://www.sqlite.org/pragma.html#pragma_max_page_count)."""
        self._most_pages(0)

    async def resume_writes(self) -> None:
        self._most_pages(2**30)

    def _most_pages(self, count: int) -> None:
        assert self._store is not None
        # A limit below the present size means the present size.
        self._store._writer.execute(f"PRAGMA max_page_count = {max(count, 1)}").fetchone()


class TestMemoryEventStore(EventStoreContract, BoundaryContract):
    @pytest.fixture(params=[1, 3], ids=["one partition", "three partitions"])
    def log(self, request: pytest.FixtureRequest) -> LogUnderTest:
        return MemoryLog(request.param)


class TestSqliteEventStore(EventStoreContract, BoundaryContract):
    @pytest.fixture
    async def log(self, tmp_path: Path) -> AsyncIterator[LogUnderTest]:
        log = SqliteLogFile(tmp_path / "doors.sqlite")
        yield log
        await log.aclose()
