"""The contract of `SnapshotStore` as tests: an adapter passes it by deriving a class with a fixture `store`."""

from __future__ import annotations

import pytest

from eventkernel.writing.snapshots import Mark, Snapshot, SnapshotStore


def snapshot(version: int, *, form: int = 1, data: bytes = b"state") -> Snapshot:
    return Snapshot(form, Mark(version, f"command {version}", 1_000 + version), data)


class SnapshotStoreContract:
    """Give it a fixture `store`."""

    @pytest.fixture
    def store(self) -> SnapshotStore:
        raise NotImplementedError("an adapter's suite says how its store is opened")

    async def test_a_stream_has_no_snapshot_at_first(self, store: SnapshotStore) -> None:
        assert await store.load("doors.1", "door-1") is None

    async def test_a_snapshot_is_given_back_as_it_was(self, store: SnapshotStore) -> None:
        kept = snapshot(7, data=bytes(range(256)))
        await store.save("doors.1", "door-1", kept)
        assert await store.load("doors.1", "door-1") == kept

    async def test_streams_and_logs_know_nothing_of_one_another(self, store: SnapshotStore) -> None:
        await store.save("doors.1", "door-1", snapshot(1))
        await store.save("doors.1", "door-2", snapshot(2))
        await store.save("doors.2", "door-1", snapshot(3))
        found = [await store.load(*at) for at in (("doors.1", "door-1"), ("doors.1", "door-2"), ("doors.2", "door-1"))]
        assert found == [snapshot(1), snapshot(2), snapshot(3)]

    async def test_a_snapshot_gives_way_to_one_that_is_further_on(self, store: SnapshotStore) -> None:
        for version in (5, 9, 7):
            await store.save("doors.1", "door-1", snapshot(version))
        assert await store.load("doors.1", "door-1") == snapshot(9)

    async def test_a_snapshot_gives_way_to_one_of_another_form(self, store: SnapshotStore) -> None:
        await store.save("doors.1", "door-1", snapshot(9, form=1))
        await store.save("doors.1", "door-1", snapshot(3, form=2))
        assert await store.load("doors.1", "door-1") == snapshot(3, form=2)
