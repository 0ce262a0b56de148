"""What is known of a log and of a view at the moment of COMMIT, and where COMMIT itself fails."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest

from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.clock import ManualClock
from eventkernel.errors import Unavailable
from eventkernel.events import Position
from eventkernel.reading.views import Change, Fold
from eventkernel.testing.event_store_contract import everything, put
from eventkernel.testing.view_contract import LOG, state, upto
from eventkernel.writing.store import Checkpoint
from tests.support.doors import Door, SqliteDoors


class AtCommit:
    """A connection that calls something in the place of COMMIT, or right after it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.instead: Callable[[], object] | None = None
        self.after: Callable[[], object] | None = None

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        if statement != "COMMIT":
            return self._connection.execute(statement, parameters)
        if self.instead is not None:
            self.instead()
        done = self._connection.execute(statement)
        if self.after is not None:
            self.after()
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def full_disk() -> None:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    raise error


async def test_where_commit_fails_the_logs_end_is_where_it_was_and_nobody_is_given_anything(tmp_path: Path) -> None:
    store = await SqliteEventStore.open(tmp_path / "doors.sqlite", name="doors", clock=ManualClock())
    await put(store, "door-1", "a", command="c1")
    before = await store.head()
    ends: list[int] = []
    connection = AtCommit(store._commits._connection)
    store._commits._connection = cast("sqlite3.Connection", connection)  # it stands in for one

    def fails() -> None:
        ends.append(store._commits.end)
        full_disk()

    connection.instead = fails
    async with aclosing(store.subscribe(Checkpoint(before))) as batches:
        waiting = asyncio.ensure_future(anext(batches))
        outcomes = await asyncio.gather(
            *(put(store, f"door-{n}", "b", command=f"lost {n}") for n in range(2, 5)), return_exceptions=True
        )
        assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
        assert [Position.of(store.log, 0, end) for end in ends] == [before] * len(ends)
        assert await store.head() == before
        assert not waiting.done()
        connection.instead = None
        commit = await put(store, "door-2", "c", command="c2")
        assert [record.command_id for record in (await waiting).records] == ["c2"]
    assert await store.head() == commit.position
    assert [record.command_id for record in await everything(store)] == ["c1", "c2"]
    await store.aclose()


async def built(tmp_path: Path) -> tuple[SqliteView[SqliteDoors], SqliteDoors, AtCommit]:
    """A live build with one document, at 10."""
    view = await SqliteView.open(tmp_path / "doors", SqliteDoors, shape=1, logs=[LOG])
    build = await view.create()
    await view.switch(build.name)
    await build.save(Fold([change(1)], upto(10, digest="ten")))
    assert build._connection is not None
    connection = AtCommit(build._connection)
    build._connection = cast("sqlite3.Connection", connection)  # it stands in for one
    return view, build, connection


def change(number: int) -> Change[Door]:
    return Change(f"door-{number}", (state(1, (f"door {number}", (), 0)),))


async def test_who_sees_new_documents_is_told_a_checkpoint_that_covers_them(tmp_path: Path) -> None:
    view, build, connection = await built(tmp_path)
    known: list[Checkpoint] = []

    def committed() -> None:
        with sqlite3.connect(tmp_path / "doors" / f"{build.name}.sqlite") as other:
            ((seen,),) = other.execute("SELECT count(*) FROM door")
        assert seen == 2, "the new document can be read from here on"
        known.append(build._checkpoint)

    connection.after = committed
    await build.save(Fold([change(2)], upto(20, digest="twenty")))
    assert known == [upto(20, digest="twenty")]
    await view.aclose()


async def test_where_commit_fails_the_checkpoint_is_what_it_was(tmp_path: Path) -> None:
    view, build, connection = await built(tmp_path)
    connection.instead = full_disk
    with pytest.raises(Unavailable):
        await build.save(Fold([change(2)], upto(20, digest="twenty")))
    assert await build.checkpoint() == upto(10, digest="ten")
    assert not await build.reached(Position.of(LOG, 0, 11), 0)
    assert list(await build.load(["door-1", "door-2"])) == ["door-1"]
    connection.instead = None
    await build.save(Fold([change(2)], upto(20, digest="twenty")))
    assert await build.reached(Position.of(LOG, 0, 20), 0)
    await view.aclose()
