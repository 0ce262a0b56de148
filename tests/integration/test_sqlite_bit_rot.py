"""What a damaged log's file still says: every record that is read as intact is the one that was written."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from eventkernel.adapters.sqlite.event_store import SqliteEventStore, SqliteLog
from eventkernel.adapters.sqlite.log_copy import LogExport
from eventkernel.adapters.sqlite.log_file import claims_key_path, read_log
from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.clock import ManualClock, SystemClock
from eventkernel.errors import CorruptData, KernelError
from eventkernel.events import Record
from eventkernel.reading.projector import Projector, Source
from eventkernel.retrying import Backoff
from tests.support.doors import CODEC, DOORS, Hung, Painted, SqliteDoors

TEXTS = ("type", "stream", "command_id", "fingerprint", "claims_taken", "actor", "data")
NUMBERS = ("time_us", "version", "first_version", "commit_size", "generation", "schema_version", "checksum")
DOOR = 5
"""The door of which a record is damaged, the second one."""
OFFSET = 2 * DOOR + 2


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "doors.sqlite"


async def filled(path: Path, doors: int = 20) -> list[Record]:
    """A log with two events of each door; gives its records."""
    store = await SqliteEventStore.open(path, name="doors", clock=ManualClock())
    for number in range(doors):
        stream = f"door-{number}"
        await store.append(
            stream,
            [CODEC.encode(Hung(name="Tür"), stream), CODEC.encode(Painted(colour="blue"), stream)],
            expected_version=0,
            command_id=f"c{number}",
            fingerprint="f",
            claims=frozenset({f"claim {number}"}),
        )
    await store.aclose()
    return scanned(path)


def scanned(path: Path) -> list[Record]:
    connection = sqlite3.connect(path)
    try:
        return list(read_log(path).scan_with_fences(connection, 0, 10_000))
    finally:
        connection.close()


def damage(path: Path, column: str, value: object) -> None:
    """As the disk would: without SQLite's checks, and without another checksum."""
    connection = sqlite3.connect(path, isolation_level=None)
    for index in ("records_by_version", "records_by_command"):
        connection.execute(f"DROP INDEX {index}")
    changed = "?" if isinstance(value, int) else "CAST(? AS TEXT)"
    connection.execute(f"UPDATE records SET {column} = {changed} WHERE offset = ?", (value, OFFSET))  # noqa: S608  # names of columns
    connection.close()


@pytest.mark.parametrize("column", TEXTS)
@pytest.mark.parametrize("value", ["another", b"\xff\xfe", "", 7])
async def test_a_changed_text_is_noticed_and_no_other_record_is_suspected(
    path: Path, column: str, value: object
) -> None:
    written = await filled(path)
    damage(path, column, value)
    read = scanned(path)
    assert [record for record in read if record.offset != OFFSET] == [r for r in written if r.offset != OFFSET]
    assert [record.offset for record in read if not record.intact] == [OFFSET]


@pytest.mark.parametrize("column", NUMBERS)
@pytest.mark.parametrize("value", [77, -1, "no number"])
async def test_a_changed_number_is_noticed(path: Path, column: str, value: object) -> None:
    written = await filled(path)
    damage(path, column, value)
    read = scanned(path)
    assert len(read) == len(written)
    assert [record.offset for record in read if not record.intact] == [OFFSET]


async def test_whatever_byte_has_changed_nothing_is_read_that_was_not_written(
    path: Path, tmp_path: Path, full_campaign: bool
) -> None:
    """One bit or one byte anywhere in the file: what is read is what was written, or is known to be damaged."""
    written = {record.offset: record for record in await filled(path, 60)}
    whole = bytearray(path.read_bytes())  # noqa: ASYNC240  # nothing else runs here
    damaged, outcomes = tmp_path / "damaged.sqlite", {"intact": 0, "noticed": 0, "refused": 0}
    shutil.copy(claims_key_path(path), claims_key_path(damaged))
    draw = random.Random(11)
    for _ in range(3_000 if full_campaign else 300):
        content = bytearray(whole)
        place = draw.randrange(len(content))
        content[place] ^= draw.choice([1 << draw.randrange(8), 0xFF])
        damaged.write_bytes(content)  # the same
        try:
            read = scanned(damaged)
        except (KernelError, sqlite3.DatabaseError):
            outcomes["refused"] += 1
            continue
        assert all(written.get(record.offset) == record for record in read if record.intact)
        outcomes["noticed" if any(not record.intact for record in read) else "intact"] += 1
    assert all(outcomes.values()), outcomes


async def test_a_damaged_stream_is_refused_by_name_and_all_others_go_on(path: Path, tmp_path: Path) -> None:
    await filled(path)
    damage(path, "data", '{"colour":"blux"}')
    store = await SqliteEventStore.open(path, name="doors", clock=SystemClock())
    with pytest.raises(CorruptData, match=f"version 2 of the stream 'door-{DOOR}' is damaged"):
        [CODEC.recorded(record) for record in await store.read_stream(f"door-{DOOR}")]
    assert len([CODEC.recorded(record) for record in await store.read_stream("door-1")]) == 2
    view = await SqliteView.open(tmp_path / "view", SqliteDoors, shape=1, logs=[store.log])
    projector = Projector(DOORS, [Source(store, CODEC)], view, backoff=Backoff(first=0, most=0))
    await projector.start()
    build = view.live()
    assert await build.reached(await store.head(), 10)
    (parked,) = await build.parked()
    assert (parked.record.stream, parked.record.version) == (f"door-{DOOR}", 2)
    assert "is damaged" in (parked.reason or "")
    loaded = await build.load([f"door-{number}" for number in range(20)])
    assert {state.version for stream, state in loaded.items() if stream != f"door-{DOOR}"} == {2}
    assert len(loaded) == 20
    await projector.stop()
    await view.aclose()
    await store.aclose()


async def test_a_damaged_record_is_not_exported_as_if_it_were_whole(path: Path) -> None:
    await filled(path)
    damage(path, "data", "{}")
    with LogExport(path) as export, pytest.raises(CorruptData, match=f"offset {OFFSET}: version 2"):
        list(export.batches())


async def test_a_log_of_release_0_1_0_is_read_and_written_and_its_new_records_have_checksums(path: Path) -> None:
    written = await filled(path)
    connection = sqlite3.connect(path, isolation_level=None)
    for column in ("checksum", "tags"):
        connection.execute(f"ALTER TABLE records DROP COLUMN {column}")
    connection.execute("DROP TABLE tags")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    assert scanned(path) == written
    async with await SqliteLog.open_read_only(path) as log:
        assert len(await log.read_stream("door-1")) == 2, "also before anybody has brought it up to date"
    store = await SqliteEventStore.open(path, name="doors", clock=ManualClock())
    await store.append("door-x", [CODEC.encode(Hung(name="x"), "door-x")], expected_version=0, command_id="x",
                       fingerprint="f")  # fmt: skip
    await store.aclose()
    again = await SqliteEventStore.open(path, name="doors", clock=ManualClock())
    await again.aclose()
    read = scanned(path)
    assert read[:-1] == written
    connection = sqlite3.connect(path)
    sums = [value for (value,) in connection.execute("SELECT checksum FROM records ORDER BY offset")]
    connection.close()
    assert sums[:-1] == [None] * len(written)
    assert sums[-1] is not None
    assert all(record.intact for record in read)


async def test_a_text_that_is_none_is_noticed_where_there_is_no_checksum(path: Path) -> None:
    await filled(path)
    damage(path, "actor", b"\xff\xfe")
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE records SET checksum = NULL")
    connection.close()
    assert [record.offset for record in scanned(path) if not record.intact] == [OFFSET]
