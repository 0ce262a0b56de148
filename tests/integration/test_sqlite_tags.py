"""Tags in a log's file: an older file gets them, a copy has them, and what is damaged is seen."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.adapters.sqlite.log_check import damage_of_log, flaws_of_log
from eventkernel.adapters.sqlite.log_copy import LogExport, LogImport
from eventkernel.adapters.sqlite.log_file import claims_key_path, read_key
from eventkernel.clock import ManualClock
from eventkernel.errors import AppendConditionFailed, CorruptData
from eventkernel.testing.boundary_contract import append, places, read, tagged
from eventkernel.testing.event_store_contract import put
from eventkernel.writing.boundary import AppendCondition, Query
from eventkernel.writing.envelope import from_json, to_json

HOUSE = Query.of("house")


async def opened(path: Path) -> SqliteEventStore:
    return await SqliteEventStore.open(path, name="doors", clock=ManualClock())


async def filled(path: Path) -> None:
    store = await opened(path)
    await append(store, "door-1", tagged("house", "room"), tagged())
    await append(store, "door-2", tagged("house"))
    await store.aclose()


def change(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(statement)
    connection.close()


async def test_a_log_without_tags_gets_them(tmp_path: Path) -> None:
    path = tmp_path / "doors.sqlite"
    store = await opened(path)
    await put(store, "door-1", "a")
    await store.aclose()
    for statement in ("ALTER TABLE records DROP COLUMN tags", "DROP TABLE tags", "PRAGMA user_version = 2"):
        change(path, statement)
    assert [*flaws_of_log(path), *damage_of_log(path)] == []
    store = await opened(path)
    assert (await read(store, HOUSE))[0] == []
    await append(store, "door-1", tagged("house"), condition=AppendCondition(HOUSE))
    assert places((await read(store, HOUSE))[0]) == [("door-1", 2)]
    await store.aclose()
    assert [*flaws_of_log(path), *damage_of_log(path)] == []


async def test_a_copy_has_the_tags_and_conditions_mean_the_same_in_it(tmp_path: Path) -> None:
    path, other = tmp_path / "doors.sqlite", tmp_path / "copy.sqlite"
    await filled(path)
    store = await opened(path)
    before, condition = await read(store, HOUSE)
    await store.aclose()
    with LogExport(path) as export:
        copy = LogImport(other, export.log, read_key(claims_key_path(path)))
        for batch in export.batches():
            for record in batch:
                copy.add(from_json(to_json(record), partition=record.partition, offset=record.offset))
        copy.flush()
        copy.close()
    assert list(flaws_of_log(other)) == []
    store = await opened(other)
    assert await read(store, HOUSE) == (before, condition)
    await append(store, "door-3", tagged("house"), condition=condition)
    with pytest.raises(AppendConditionFailed):
        await append(store, "door-4", tagged("house"), condition=condition)
    await store.aclose()


@pytest.mark.parametrize(
    ("statement", "missing", "more"),
    [
        ("DELETE FROM tags WHERE offset = 3", 1, 0),
        ("INSERT INTO tags SELECT tag, time_us, 2 FROM tags WHERE offset = 3", 0, 1),
        ("UPDATE tags SET time_us = 7 WHERE offset = 3", 1, 1),
    ],
)
async def test_a_table_of_tags_that_is_not_what_the_records_say_is_a_flaw(
    tmp_path: Path, statement: str, missing: int, more: int
) -> None:
    path = tmp_path / "doors.sqlite"
    await filled(path)
    assert list(flaws_of_log(path)) == []
    change(path, statement)
    (flaw,) = flaws_of_log(path)
    assert flaw.endswith(f"{missing} are missing, {more} too many")


async def test_a_tag_that_was_damaged_is_damage_of_its_record(tmp_path: Path) -> None:
    path = tmp_path / "doors.sqlite"
    await filled(path)
    change(path, "UPDATE records SET tags = 'x' || substr(tags, 2) WHERE offset = 3")
    assert len(list(damage_of_log(path))) == 1


async def test_a_record_that_is_lost_is_not_left_out_of_what_a_decision_reads(tmp_path: Path) -> None:
    path = tmp_path / "doors.sqlite"
    await filled(path)
    change(path, "DELETE FROM records WHERE offset = 1")
    store = await opened(path)
    with pytest.raises(CorruptData, match="offset 1"):
        await read(store, HOUSE)
    await store.aclose()
