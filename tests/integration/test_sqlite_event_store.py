"""The SQLite event store's own matters: its file, its key, group commit, threads, and readers in other processes."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from eventkernel.adapters.sqlite import log_statements as statements
from eventkernel.adapters.sqlite.event_store import SqliteEventStore, SqliteLog
from eventkernel.adapters.sqlite.log_file import FORMAT, claims_key_path
from eventkernel.clock import ManualClock
from eventkernel.errors import CannotOpen, ClaimTaken, ConcurrencyConflict, CorruptData, Unavailable
from eventkernel.events import FENCE, EncodedEvent, Position, Record
from eventkernel.writing.store import Batch, Checkpoint, Commit

LARGE = b'"' + b"x" * 50_000 + b'"'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "doors.sqlite"


async def opened(path: Path, name: str = "doors") -> SqliteEventStore:
    return await SqliteEventStore.open(path, name=name, clock=ManualClock())


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteEventStore]:
    store = await opened(path)
    yield store
    await store.aclose()


async def put(
    store: SqliteEventStore,
    stream: str,
    data: bytes = b"{}",
    *,
    after: int = 0,
    command: str | None = None,
    claims: frozenset[str] | None = None,
) -> Commit:
    return await store.append(
        stream,
        [EncodedEvent("doors.Opened", 1, data)],
        expected_version=after,
        command_id=command if command is not None else f"{stream} {after}",
        fingerprint="f",
        claims=claims,
    )


def damage(path: Path) -> None:
    """Overwrites everything behind the first page."""
    content = path.read_bytes()
    path.write_bytes(content[:4_096] + b"\xa5" * (len(content) - 4_096))


class HeldWriter:
    """Holds the file's write lock, so that whatever is appended meanwhile becomes one group."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_: object) -> None:
        self._connection.execute("ROLLBACK")
        self._connection.close()


# The file


async def test_a_log_begins_with_a_fence_that_knows_its_claims_key(store: SqliteEventStore, path: Path) -> None:
    await put(store, "door-1")
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT offset, type, data FROM records ORDER BY offset").fetchall()
    connection.close()
    assert rows[0][:2] == (0, FENCE)
    assert rows[1][:2] == (1, "doors.Opened")
    key = claims_key_path(path)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_text().strip() not in rows[0][2]
    assert store.log.startswith("doors.")


@pytest.mark.parametrize("umask", [0, 0o022, 0o027, 0o077])
async def test_a_claims_key_is_for_its_owners_eyes_whatever_the_umask_lets_through(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        store = await opened(tmp_path / "log.sqlite")
    finally:
        os.umask(before)
    await store.aclose()
    assert stat.S_IMODE(claims_key_path(tmp_path / "log.sqlite").stat().st_mode) == 0o600


async def test_the_clear_text_of_a_claim_is_nowhere_in_the_folder(store: SqliteEventStore, path: Path) -> None:
    await put(store, "door-1", claims=frozenset({"username:adalovelace"}))
    assert await store.find_claim("username:adalovelace") is not None
    assert not any(b"adalovelace" in file.read_bytes() for file in path.parent.iterdir())


async def test_two_logs_have_different_ids_and_seal_differently(tmp_path: Path) -> None:
    logs: list[str] = []
    seals: list[str] = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        store = await opened(tmp_path / folder / "doors.sqlite")
        await put(store, "door-1", claims=frozenset({"key:1"}))
        logs.append(store.log)
        seals += (await store.read_stream("door-1"))[0].claims_taken
        await store.aclose()
    assert len(set(logs)) == len(set(seals)) == 2


async def test_every_connection_of_a_store_has_the_settings_of_all(store: SqliteEventStore) -> None:
    connections = [*store._connections, store._writer]
    for connection in connections:
        settings = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
        assert settings == ["wal", 2]


async def test_a_missing_claims_key_is_named_and_not_replaced(path: Path) -> None:
    await (await opened(path)).aclose()
    claims_key_path(path).unlink()
    with pytest.raises(CannotOpen, match=r"doors\.sqlite\.claims-key: the claims key of this log is missing"):
        await opened(path)
    assert not claims_key_path(path).exists()


async def test_the_claims_key_of_another_log_is_refused(tmp_path: Path, path: Path) -> None:
    await (await opened(path)).aclose()
    other = tmp_path / "other.sqlite"
    await (await opened(other, "other")).aclose()
    claims_key_path(other).rename(claims_key_path(path))
    with pytest.raises(CannotOpen, match="the claims key of another log"):
        await opened(path)


@pytest.mark.parametrize("text", ["", "no key", "ff" * 31, "ff" * 33])
async def test_a_damaged_claims_key_is_refused_without_being_shown(path: Path, text: str) -> None:
    await (await opened(path)).aclose()
    claims_key_path(path).write_text(text)
    with pytest.raises(CannotOpen, match="64 hexadecimal digits, found something else"):
        await opened(path)


async def test_a_key_that_was_drawn_before_a_crash_is_used_for_the_log(path: Path) -> None:
    await (await opened(path)).aclose()
    key = claims_key_path(path).read_text()
    await asyncio.to_thread(path.unlink)
    await (await opened(path)).aclose()
    assert claims_key_path(path).read_text() == key


@pytest.mark.parametrize("pragma", [f"PRAGMA user_version = {FORMAT + 1}", "UPDATE log SET envelope = 2"])
async def test_a_log_of_a_newer_release_is_refused(path: Path, pragma: str) -> None:
    await (await opened(path)).aclose()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(pragma)
    connection.close()
    for opening in (opened(path), SqliteLog.open_read_only(path)):
        with pytest.raises(CannotOpen, match="of a newer release"):
            await opening


async def test_another_database_or_another_log_is_refused(path: Path, tmp_path: Path) -> None:
    await (await opened(path)).aclose()
    with pytest.raises(CannotOpen, match=r"expected the log 'windows', found 'doors\."):
        await opened(path, "windows")
    other = tmp_path / "other.sqlite"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    for opening in (opened(other), SqliteLog.open_read_only(other)):
        with pytest.raises(CannotOpen, match="expected an event log, found another database"):
            await opening


async def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="nowhere"):
        await opened(tmp_path / "nowhere" / "doors.sqlite")


# Group commit


async def test_what_waits_together_is_one_group_with_an_outcome_for_each(store: SqliteEventStore, path: Path) -> None:
    """Within it, later appends see the ones before, and refused ones leave nothing."""
    with HeldWriter(path):
        appends = [
            asyncio.ensure_future(append)
            for append in (
                put(store, "door-1", command="a", claims=frozenset({"key:1"})),
                put(store, "door-1", after=1, command="b"),
                put(store, "door-1", after=1, command="c"),
                put(store, "door-2", command="d", claims=frozenset({"key:1"})),
                put(store, "door-1", after=2, command="e", claims=frozenset()),
                put(store, "door-2", command="f", claims=frozenset({"key:1"})),
                put(store, "door-9", command="a"),
            )
        ]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*appends, return_exceptions=True)
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [Commit, Commit, ConcurrencyConflict, ClaimTaken, Commit, Commit, Commit]
    assert outcomes[6] == outcomes[0]
    records = await whole_log(store)
    assert [record.command_id for record in records] == ["a", "b", "e", "f"]
    assert [record.offset for record in records] == [1, 2, 3, 4]


async def test_a_claim_that_is_taken_and_given_up_in_one_group_is_free(store: SqliteEventStore, path: Path) -> None:
    with HeldWriter(path):
        group = [
            asyncio.ensure_future(put(store, "door-1", after=after, claims=claims))
            for after, claims in enumerate([frozenset({"key:1"}), frozenset[str]()])
        ]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await asyncio.gather(*group)
    assert await store.find_claim("key:1") is None
    assert (await put(store, "door-2", claims=frozenset({"key:1"}))).version == 1


async def test_a_full_disk_fails_the_whole_group_and_leaves_nothing_of_it(store: SqliteEventStore, path: Path) -> None:
    before = await put(store, "door-0")
    (pages,) = store._writer.execute("PRAGMA page_count").fetchone()
    store._writer.execute(f"PRAGMA max_page_count = {pages + 20}").fetchone()
    with HeldWriter(path):
        group = [asyncio.ensure_future(put(store, f"door-{n}", LARGE)) for n in range(1, 6)]
        group.append(asyncio.ensure_future(put(store, "door-0", command="refused")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*group, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 6
    assert "database or disk is full" in str(outcomes[0])
    assert await store.head() == before.position
    assert [record.stream for record in await whole_log(store)] == ["door-0"]

    store._writer.execute(f"PRAGMA max_page_count = {2**30}").fetchone()
    commits = await asyncio.gather(*(put(store, f"door-{n}", LARGE) for n in range(1, 6)))
    assert [commit.version for commit in commits] == [1] * 5
    assert len(await whole_log(store)) == 6


async def test_a_file_that_somebody_else_locks_is_unavailable_in_bounded_time(
    store: SqliteEventStore, path: Path
) -> None:
    store._writer.execute("PRAGMA busy_timeout = 10")
    with HeldWriter(path), pytest.raises(Unavailable, match="locked"):
        await put(store, "door-1")
    assert (await put(store, "door-1")).version == 1


async def test_an_append_whose_caller_has_gone_is_finished_all_the_same(store: SqliteEventStore, path: Path) -> None:
    with HeldWriter(path):
        append = asyncio.ensure_future(put(store, "door-1"))
        await asyncio.sleep(0)
        append.cancel()
        with pytest.raises(asyncio.CancelledError):
            await append
    await put(store, "door-2")
    assert [record.stream for record in await whole_log(store)] == ["door-1", "door-2"]


async def test_one_append_that_breaks_the_code_takes_no_other_with_it(store: SqliteEventStore, path: Path) -> None:
    with HeldWriter(path):
        group = [asyncio.ensure_future(put(store, f"door-{n}", b"\xff" if n == 2 else b"{}")) for n in range(4)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*group, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Commit, Commit, UnicodeDecodeError, Commit]
    assert len(await whole_log(store)) == 3


async def test_closing_answers_whatever_was_asked_before_and_refuses_what_comes_after(path: Path) -> None:
    store = await opened(path)
    appends = [asyncio.ensure_future(put(store, f"door-{n}")) for n in range(50)]
    await asyncio.sleep(0)
    await store.aclose()
    assert [commit.version for commit in await asyncio.gather(*appends)] == [1] * 50
    for late in (put(store, "door-1"), store.read_stream("door-1"), store.find_command("x")):
        with pytest.raises(Unavailable, match="is closed"):
            await late
    assert not [thread for thread in threading.enumerate() if store.log in thread.name]
    assert not path.with_name(path.name + "-wal").exists()


# Reading


async def whole_log(store: SqliteLog) -> Sequence[Record]:
    head = await store.head()
    records: list[Record] = []
    async with aclosing(store.subscribe(Checkpoint())) as batches:
        async for batch in batches:
            records += batch.records
            if Position.of(batch.log, batch.partition, batch.next_offset) == head:
                return records
    raise AssertionError("a subscription does not end by itself")


async def test_a_log_longer_than_a_batch_comes_in_several(store: SqliteEventStore) -> None:
    for start in range(0, 2_500, 500):
        await store.append(
            "door-1",
            [EncodedEvent("doors.Opened", 1, b"%d" % number) for number in range(start, start + 500)],
            expected_version=start,
            command_id=str(start),
            fingerprint="f",
        )
    sizes: list[int] = []
    async with aclosing(store.subscribe(Checkpoint())) as batches:
        async for batch in batches:
            sizes.append(len(batch.records))
            if batch.next_offset == 2_501:
                break
    assert sum(sizes) == 2_500
    assert max(sizes) == 1_000
    assert [int(record.data) for record in await store.read_stream("door-1")] == list(range(2_500))


async def test_a_log_can_be_read_beside_its_writer_and_followed(store: SqliteEventStore, path: Path) -> None:
    await put(store, "door-1")
    async with await SqliteLog.open_read_only(path) as reader:
        assert reader.log == store.log
        assert await reader.head() == await store.head()
        assert await reader.find_command("door-1 0") == await store.find_command("door-1 0")
        async with aclosing(reader.subscribe(Checkpoint(await reader.head()))) as batches:
            following = asyncio.ensure_future(anext(batches))
            await put(store, "door-2")
            batch: Batch = await following
        assert [record.stream for record in batch.records] == ["door-2"]
        assert list(await reader.read_stream("door-2")) == list(batch.records)


async def test_a_log_can_be_read_when_nobody_writes_it(path: Path) -> None:
    store = await opened(path)
    await put(store, "door-1")
    await store.aclose()
    async with await SqliteLog.open_read_only(path) as reader:
        assert len(await whole_log(reader)) == 1
    with pytest.raises(Unavailable, match="nowhere"):
        await SqliteLog.open_read_only(path.with_name("nowhere.sqlite"))


async def test_look_ups_use_indexes(store: SqliteEventStore) -> None:
    for statement, parameters in (
        (statements._STREAM, ("door-1", 0, 3)),
        (statements._COMMAND, ("c",)),
        (statements._HOLDER, ("x",)),
        (statements._SCAN, (0, 9)),
        (statements._LEDGER, ("[]", "[]", "[]", "[]")),
    ):
        plan = [row[3] for row in store._writer.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
        scanned = [step for step in plan if step.startswith("SCAN") and "VIRTUAL TABLE" not in step]
        assert all(step in {"SCAN CONSTANT ROW", "SCAN (subquery-1)"} or "json_each" in step for step in scanned), plan


async def test_a_damaged_file_is_an_error_and_never_an_empty_answer(path: Path) -> None:
    store = await opened(path)
    for number in range(50):
        await put(store, f"door-{number}", LARGE)
    await store.aclose()
    damage(path)
    with pytest.raises(CorruptData, match=r"doors\.sqlite: .*malformed"):
        await opened(path)


async def test_the_end_of_a_stream_is_read_without_its_beginning(store: SqliteEventStore) -> None:
    """Counted in steps of SQLite's machine."""
    steps: dict[str, int] = {}
    for stream, length in (("short", 10), ("long", 1_000)):
        await asyncio.gather(*(put(store, stream, after=version) for version in range(length)))
    for stream, length in (("short", 10), ("long", 1_000)):
        steps[stream] = 0

        def count(stream: str = stream) -> int:
            steps[stream] += 1
            return 0

        store._connections[0].set_progress_handler(count, 1)
        assert [record.version for record in await store.read_stream(stream, length + 50, length - 1)] == [length]
    assert steps["long"] < 2 * steps["short"], steps


class Meter:
    """What a store has told."""

    def __init__(self) -> None:
        self.appends: list[tuple[int, str]] = []
        self.groups: list[int] = []

    def appended(self, commit: Commit | None, seconds: float, error: str) -> None:
        assert seconds >= 0
        self.appends.append((len(commit.records) if commit else 0, error))

    def grouped(self, commits: int) -> None:
        self.groups.append(commits)


async def test_a_meter_is_told_of_every_append_and_of_every_group(path: Path) -> None:
    meter = Meter()
    async with aclosing(await SqliteEventStore.open(path, name="doors", clock=ManualClock(), meter=meter)) as store:
        await asyncio.gather(*(put(store, f"door-{number}") for number in range(10)))
        await put(store, "door-0")  # the same command again
        with pytest.raises(ConcurrencyConflict):
            await put(store, "door-0", command="another")
    assert meter.appends == [(1, "")] * 10 + [(0, ""), (0, "ConcurrencyConflict")]
    assert meter.groups == [10, 1, 1]
