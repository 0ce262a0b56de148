"""Views in SQLite: durable, consistent, filled before they are read, and gone without a trace when they are dropped."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import pytest

from eventkernel.adapters.sqlite.connection import open_reader
from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.clock import SystemClock
from eventkernel.errors import Unavailable
from eventkernel.events import DomainEvent
from eventkernel.reading.changes import Rows
from eventkernel.reading.projector import Projector, Source
from eventkernel.reading.views import Change, Fold, ParkedRecord, Waiting
from eventkernel.retrying import Backoff
from eventkernel.testing.view_contract import LOG, record, state, upto
from eventkernel.writing.store import Commit
from infra.patience import seconds
from tests.support.doors import CODEC, DOORS, Door, Hung, Opened, Painted, SqliteDoors

ROOT = Path(__file__).parents[2]
AT_ONCE = Backoff(first=0, most=0)
OAK = Hung(name="oak")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteEventStore]:
    store = await SqliteEventStore.open(tmp_path / "doors.sqlite", name="doors", clock=SystemClock())
    yield store
    await store.aclose()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "views" / "doors"


async def open_view(
    folder: Path, logs: Sequence[str] = (LOG,), shape: int = 1, kind: type[SqliteDoors] = SqliteDoors
) -> SqliteView[SqliteDoors]:
    return await SqliteView.open(folder, kind, shape=shape, logs=logs)


async def live_build(view: SqliteView[SqliteDoors], *changes: Change[Door]) -> SqliteDoors:
    build = await view.create()
    await build.save(Fold(changes, upto(len(changes))))
    await view.switch(build.name)
    return build


def hung(stream: str) -> Change[Door]:
    return Change(stream, (state(1, ("oak", (), 0)),))


async def put(store: SqliteEventStore, stream: str, *events: DomainEvent, after: int = 0) -> Commit:
    return await store.append(
        stream,
        [CODEC.encode(event, stream) for event in events],
        expected_version=after,
        command_id=f"{stream} {after}",
        fingerprint="a print",
    )


def builds(folder: Path) -> list[str]:
    return sorted({path.name.partition(".")[0] for path in folder.iterdir() if path.name.startswith("b-")})


async def test_every_connection_of_a_build_is_durable(folder: Path) -> None:
    view = await open_view(folder)
    build = await live_build(view, hung("a"))

    def settings(connection: sqlite3.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "query_only")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert await build.read(settings) == ["wal", 2, 1, 1]
    assert await build._on_writer(settings) == ["wal", 2, 1, 0]
    await view.aclose()


@pytest.mark.parametrize("ends", ["switch", "small batch"])
async def test_a_build_is_complete_and_durable_once_it_has_caught_up_or_goes_live(folder: Path, ends: str) -> None:
    def made(connection: sqlite3.Connection) -> list[object]:
        indexes = connection.execute("SELECT name FROM sqlite_schema WHERE name = 'door_by_name'").fetchall()
        return [
            len(indexes),
            *(connection.execute(f"PRAGMA {n}").fetchone()[0] for n in ("journal_mode", "synchronous")),
        ]

    view = await open_view(folder, kind=OtherTables)
    build = await view.create()
    await build.save(Fold([hung(f"door-{number}") for number in range(300)], upto(300)))
    assert await build._on_writer(made) == [0, "memory", 0]
    if ends == "switch":
        await view.switch(build.name)
    else:
        await build.save(Fold([hung("door-300")], upto(301)))
    assert await build._on_writer(made) == [1, "wal", 2]
    assert len(await build.doors()) in {300, 301}
    await view.aclose()


async def test_all_statements_of_a_read_see_the_same_snapshot(folder: Path) -> None:
    view = await open_view(folder)
    build = await live_build(view, hung("a"))
    looked, go_on = threading.Event(), threading.Event()

    def look_twice(connection: sqlite3.Connection) -> list[int]:
        counts = [connection.execute("SELECT count(*) FROM door").fetchone()[0]]
        looked.set()
        assert go_on.wait(10)
        return [*counts, connection.execute("SELECT count(*) FROM door").fetchone()[0]]

    reading = asyncio.create_task(build.read(look_twice))
    await asyncio.to_thread(looked.wait, 10)
    await build.save(Fold([hung("b")], upto(2)))
    go_on.set()
    assert await reading == [1, 1]
    assert len(await build.doors()) == 2
    await view.aclose()


async def test_reads_wait_for_no_save(folder: Path) -> None:
    writing, go_on = threading.Event(), threading.Event()

    def hold() -> int:
        writing.set()
        assert go_on.wait(10)
        return 0

    class SlowDoors(SqliteDoors):
        """Holds a save after its first write."""

        writes: ClassVar = {**SqliteDoors.writes, "held": "UPDATE door SET opened = opened + hold() WHERE stream = ?"}

        def rows_of(self, change: Change[Door]) -> Rows[Sequence[object]]:
            yield from super().rows_of(change)
            yield "held", (change.stream,)

    view = await open_view(folder, kind=SlowDoors)
    build = await view.create()
    await build._on_writer(lambda connection: connection.create_function("hold", 0, hold))
    go_on.set()
    await build.save(Fold([hung("a")], upto(1)))
    await view.switch(build.name)
    writing.clear()
    go_on.clear()
    saving = asyncio.create_task(build.save(Fold([hung("b")], upto(2))))
    await asyncio.to_thread(writing.wait, 10)
    assert list(await build.doors()) == ["a"]
    go_on.set()
    await saving
    assert list(await build.doors()) == ["a", "b"]
    await view.aclose()


async def test_a_save_of_what_was_folded_onto_loaded_documents_reads_none_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = await open_view(folder)
    build = await live_build(view, hung("a"))
    loaded = await build.load(["a", "b"])
    monkeypatch.setattr(SqliteDoors, "load_documents", None)
    opened: Change[Door] = Change("a", (state(2, ("oak", (), 1)),), loaded["a"])
    await build.save(Fold([opened, hung("b")], upto(3)))
    monkeypatch.undo()
    assert await build.doors() == {"a": (2, ("oak", (), 1)), "b": (1, ("oak", (), 0))}
    await view.aclose()


async def test_a_query_that_is_wrong_says_so_and_spoils_nothing(folder: Path) -> None:
    view = await open_view(folder)
    build = await live_build(view, hung("a"))
    for _ in range(10):
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await build.read(lambda connection: connection.execute("SELECT * FROM window").fetchall())
    assert list(await build.doors()) == ["a"]
    await view.aclose()


async def test_whoever_reads_a_build_that_is_dropped_may_finish(folder: Path) -> None:
    view = await open_view(folder)
    build = await live_build(view, hung("a"))
    await live_build(view, hung("b"))
    looking, go_on = threading.Event(), threading.Event()

    def look(connection: sqlite3.Connection) -> str:
        looking.set()
        assert go_on.wait(10)
        name: str = connection.execute("SELECT stream FROM door").fetchone()[0]
        return name

    reading = asyncio.create_task(build.read(look))
    await asyncio.to_thread(looking.wait, 10)
    dropping = asyncio.create_task(view.drop(build.name))
    await asyncio.sleep(0)
    go_on.set()
    assert await reading == "a"
    await dropping
    assert builds(folder) == [view.live().name]
    with pytest.raises(Unavailable):
        await build.doors()
    await view.aclose()


async def test_what_an_interrupted_rebuild_left_behind_is_removed(folder: Path) -> None:
    view = await open_view(folder)
    live = await live_build(view, hung("a"))
    half = await view.create()
    await half.save(Fold([hung("b")], upto(2)))
    (folder / "live.draft").write_text("b-half")
    assert builds(folder) == sorted([live.name, half.name])
    await view.aclose()
    view = await open_view(folder)
    assert view.live().name == live.name
    assert builds(folder) == [live.name]
    await view.aclose()


class OtherTables(SqliteDoors):
    indexes = "CREATE INDEX IF NOT EXISTS door_by_name ON door (name);"


@pytest.mark.parametrize("what", ["shape", "logs", "tables", "damaged", "missing", "no pointer", "empty"])
async def test_a_build_that_is_not_what_is_asked_for_is_not_used(folder: Path, what: str) -> None:
    view = await open_view(folder)
    build = await live_build(view, hung("a"))
    await view.aclose()
    file = folder / f"{build.name}.sqlite"
    if what == "damaged":
        file.write_bytes(b"This is no database. " * 1_000)
    elif what == "empty":
        file.write_bytes(b"")
    elif what == "missing":
        file.unlink()
    elif what == "no pointer":
        (folder / "live").unlink()
    view = await open_view(
        folder,
        logs=["other.1"] if what == "logs" else [LOG],
        shape=2 if what == "shape" else 1,
        kind=OtherTables if what == "tables" else SqliteDoors,
    )
    with pytest.raises(Unavailable, match="being built"):
        view.live()
    assert builds(folder) == []
    await view.aclose()


async def test_a_view_of_another_shape_is_filled_again_before_it_is_read(store: SqliteEventStore, folder: Path) -> None:
    names: list[str] = []
    for number, shape in enumerate((1, 2, 2), 1):
        await put(store, f"door-{number}", OAK)
        view = await open_view(folder, [store.log], shape)
        projector = Projector(DOORS, [Source(store, CODEC)], view, backoff=AT_ONCE, grace=0)
        await projector.start()
        if number == 2:
            assert len(await view.live().doors()) == 2, "filled before it went live"
        assert await view.live().reached(await store.head(), 10)
        assert len(await view.live().doors()) == number
        names.append(view.live().name)
        await projector.stop()
        await view.aclose()
    assert names[0] != names[1] == names[2]
    assert builds(folder) == [names[2]]


async def test_an_empty_logs_end_is_reached_though_only_a_fence_stands_there(
    store: SqliteEventStore, folder: Path
) -> None:
    view = await open_view(folder, [store.log])
    projector = Projector(DOORS, [Source(store, CODEC)], view, backoff=AT_ONCE)
    await projector.start()
    assert await view.live().reached(await store.head(), 10)
    await projector.stop()
    await view.aclose()


async def test_a_full_disk_is_shown_and_over_when_there_is_room_again(store: SqliteEventStore, folder: Path) -> None:
    view = await open_view(folder, [store.log])
    projector = Projector(DOORS, [Source(store, CODEC)], view, backoff=AT_ONCE)
    await projector.start()
    build = view.live()

    def pages(connection: sqlite3.Connection) -> None:
        (used,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {used}").fetchone()

    await build._on_writer(pages)
    for number in range(40):
        await put(store, f"door-{number}", OAK, *[Painted(colour="x" * 200)] * 3)
    async with asyncio.timeout(seconds(10)):
        while not (status := (await projector.status()).live) or not status.troubles:  # noqa: ASYNC110  # no event says so
            await asyncio.sleep(0)
    assert "database or disk is full" in status.troubles[0].error
    assert status.parked == ()
    await build._on_writer(lambda connection: connection.execute("PRAGMA max_page_count = 1000000").fetchone())
    assert await build.reached(await store.head(), 10)
    assert {version for version, _ in (await build.doors()).values()} == {4}
    await projector.stop()
    await view.aclose()


async def test_during_a_rebuild_readers_see_all_or_the_same_as_before(store: SqliteEventStore, folder: Path) -> None:
    for number in range(300):
        await put(store, f"door-{number}", OAK, Opened())
    view = await open_view(folder, [store.log])
    projector = Projector(DOORS, [Source(store, CODEC)], view, backoff=AT_ONCE, grace=0)
    await projector.start()
    assert len(await view.live().doors()) == 300
    rebuilding = asyncio.create_task(projector.rebuild())
    while not rebuilding.done():
        assert len(await view.live().doors()) == 300
    assert await rebuilding == view.live().name
    assert len(await view.live().doors()) == 300
    await projector.stop()
    await view.aclose()


async def test_a_view_past_the_logs_end_is_filled_anew_and_kept_aside_whole(tmp_path: Path, folder: Path) -> None:
    store = await SqliteEventStore.open(tmp_path / "doors.sqlite", name="doors", clock=SystemClock())
    view = await open_view(folder, [store.log])
    build = await view.create()
    lost: Change[Door] = Change("door-1", (state(1, ("lost", (), 1)),))
    await view.switch(build.name)
    await build.save(Fold([lost], upto(1_000, log=store.log)))
    projector = Projector(DOORS, [Source(store, CODEC)], view, backoff=AT_ONCE, grace=0)
    await projector.start()
    async with asyncio.timeout(seconds(10)):
        while view.live().name == build.name:  # noqa: ASYNC110  # no event says so
            await asyncio.sleep(0)
    assert await view.live().load(["door-1"]) == {}
    await projector.stop()
    await view.aclose()
    await store.aclose()
    kept = folder / "aside" / f"{build.name}.sqlite"
    assert kept.with_suffix(".txt").read_text() == f"{store.log}/0: the log ends at 1, and its reader is at 1000\n"
    found = SqliteDoors(kept, 1)
    with open_reader(kept) as connection:
        assert set(found.load_documents(connection, ["door-1"])) == {"door-1"}
    again = await open_view(folder, [store.log])
    assert kept.exists(), "what is kept for people is no left-over"
    await again.aclose()


async def test_what_waits_is_counted_in_an_index_also_in_a_build_of_an_earlier_release(folder: Path) -> None:
    view = await open_view(folder)
    build = await live_build(view)
    await build.save(Fold([], upto(1), [ParkedRecord(record("one", 1), "why")]))
    await view.aclose()
    with closing(sqlite3.connect(folder / f"{build.name}.sqlite")) as connection:
        connection.execute("DROP INDEX kernel_waiting")
    view = await open_view(folder)
    build = view.live()

    def steps(connection: sqlite3.Connection) -> list[str]:
        asked: list[str] = []
        connection.set_trace_callback(asked.append)
        assert build._progress.waiting(connection) == Waiting(1, 1)
        connection.set_trace_callback(None)
        (question,) = asked
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {question}")]

    found = await build._on_writer(steps)
    assert [step for step in found if "COVERING INDEX kernel_waiting" in step], found
    await view.aclose()


async def test_who_only_looks_does_not_wait_for_the_one_who_writes(folder: Path) -> None:
    view = await open_view(folder)
    build = await view.create()
    await view.switch(build.name)
    await build.save(Fold([Change("door-1", (state(1, ("oak", (), 1)),))], upto(2)))
    released = threading.Event()
    build._writer.submit(released.wait)
    try:
        async with asyncio.timeout(seconds(30)):
            assert set(await build.peek(["door-1"])) == {"door-1"}
    finally:
        released.set()
    await view.aclose()


def killed_after(lines: int, folder: Path) -> list[tuple[str, int]]:
    """The streams and versions that a process had shown when it was killed."""
    command = [sys.executable, "-m", "tests.support.projecting_child", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        shown = [line.split() for _, line in zip(range(lines), child.stdout, strict=False)]
        child.send_signal(signal.SIGKILL)
    assert len(shown) == lines
    return [(stream, int(version)) for stream, version in shown]


async def test_a_killed_process_leaves_a_view_that_equals_a_fold_of_its_log(
    tmp_path: Path, folder: Path, full_campaign: bool
) -> None:
    folder = tmp_path / "doors"
    for round_ in range(20 if full_campaign else 3):
        shown = await asyncio.to_thread(killed_after, 30 + 7 * round_, tmp_path)
        store = await SqliteEventStore.open(tmp_path / "doors.sqlite", name="doors", clock=SystemClock())
        view = await open_view(folder, [store.log])
        before = await view.live().doors()
        for stream, shown_version in shown:
            assert before[stream][0] >= shown_version, "what was shown once is shown"
        checkpoint = (await view.live().checkpoint()).position
        assert (await store.head()).covers(checkpoint)
        projector = Projector(DOORS, [Source(store, CODEC)], view, backoff=AT_ONCE, grace=0)
        await projector.start()
        assert await view.live().reached(await store.head(), 10)
        doors = await view.live().doors()
        assert await view.live().parked() == []
        for stream, (version, (_, colours, opened)) in doors.items():
            records = await store.read_stream(stream)
            assert version == len(records)
            assert len(colours) == sum(record.type == "doors.Painted" for record in records)
            assert opened == sum(record.type == "doors.Opened" for record in records)
            assert await view.live().history(stream) == list(range(1, version + 1))
        await projector.stop()
        await view.aclose()
        await store.aclose()
