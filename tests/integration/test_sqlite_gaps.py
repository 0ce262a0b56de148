"""A data folder's log with a missing version: its stream is refused by name, all others go on, and health says so."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.clock import ManualClock
from eventkernel.errors import NotFound, StreamWaits
from eventkernel.events import STREAM_RESUMED
from eventkernel.testing.event_store_contract import put


async def test_a_stream_with_a_gap_is_refused_and_the_others_are_not(tmp_path: Path) -> None:
    path = tmp_path / "doors.sqlite"
    async with await SqliteEventStore.open(path, name="doors", clock=ManualClock()) as store:
        for version in range(4):
            await put(store, "door-1", "a", after=version)
        await put(store, "door-2", "a")
        assert not (await store.writing()).waiting
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM records WHERE stream = 'door-1' AND version = 3")
    async with await SqliteEventStore.open(path, name="doors", clock=ManualClock()) as store:
        with pytest.raises(StreamWaits, match="door-1 waits behind a gap: it ends at version 2, and version 4 came"):
            await store.read_stream("door-1")
        with pytest.raises(StreamWaits):
            await store.read_stream("door-1", after=1)
        assert [record.version for record in await store.read_stream("door-1", up_to=2)] == [1, 2]
        assert (await put(store, "door-2", "b", after=1)).version == 2
        assert [line for line in (await store.writing()).waiting if "door-1" in line]
        with pytest.raises(StreamWaits):
            await store.resume("door-1", "it is damaged")


async def test_a_stream_can_be_told_to_go_on_where_nothing_is_wrong(tmp_path: Path) -> None:
    async with await SqliteEventStore.open(tmp_path / "doors.sqlite", name="doors", clock=ManualClock()) as store:
        await put(store, "door-1", "a")
        assert (await store.resume("door-1", "a view waits")).version == 2
        assert [record.type for record in await store.read_stream("door-1", after=1)] == [STREAM_RESUMED]
        assert (await put(store, "door-1", "b", after=2)).version == 3
        with pytest.raises(NotFound):
            await store.resume("door-2", "no such stream")
