"""The snapshot stores in memory, in SQLite and in MongoDB pass the contract, and may be lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eventkernel.adapters.memory_snapshots import MemorySnapshotStore
from eventkernel.adapters.mongodb.connection import MongoConnection, MongoSettings
from eventkernel.adapters.mongodb.snapshots import MongoSnapshotStore
from eventkernel.adapters.sqlite.snapshots import SqliteSnapshotStore
from eventkernel.testing.snapshot_contract import SnapshotStoreContract, snapshot
from eventkernel.writing.snapshots import SnapshotStore
from infra.local import MongodbAddress


class TestMemorySnapshotStore(SnapshotStoreContract):
    @pytest.fixture
    def store(self) -> SnapshotStore:
        return MemorySnapshotStore()


class TestSqliteSnapshotStore(SnapshotStoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SnapshotStore]:
        store = await SqliteSnapshotStore.open(tmp_path / "snapshots.sqlite")
        yield store
        await store.aclose()


@pytest.mark.engines
class TestMongoSnapshotStore(SnapshotStoreContract):
    @pytest.fixture
    async def store(self, mongodb_server: MongodbAddress, engine_name: str) -> AsyncIterator[SnapshotStore]:
        async with MongoConnection(MongoSettings(mongodb_server.url)) as connection:
            yield MongoSnapshotStore(connection.database(engine_name))


async def test_snapshots_outlive_their_process(tmp_path: Path) -> None:
    for version in (1, 2):
        store = await SqliteSnapshotStore.open(tmp_path / "snapshots.sqlite")
        if version == 2:
            assert await store.load("users.1", "user-1") == snapshot(1)
        await store.save("users.1", "user-1", snapshot(version))
        await store.aclose()


async def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "snapshots.sqlite"
    file.write_bytes(b"this is no database" * 1_000)
    store = await SqliteSnapshotStore.open(file)
    await store.save("users.1", "user-1", snapshot(1))
    assert await store.load("users.1", "user-1") == snapshot(1)
    await store.aclose()
