"""One build of a view as one SQLite file: the machinery around the tables and queries that a subgraph brings.

A subgraph's adapter derives from `SqliteViewBuild`, declares its tables and what writes them, loads documents, and
asks its questions through `read`:

    class Doors(SqliteViewBuild[Door]):
        schema = "CREATE TABLE door (stream TEXT PRIMARY KEY, …) STRICT, WITHOUT ROWID;"
        writes = {"door": "INSERT OR REPLACE INTO door VALUES (?, …)"}

        def load_documents(self, connection, streams): ...

        def rows_of(self, change):
            yield "door", (change.stream, …)

        async def open_doors(self) -> list[str]:
            return await self.read(lambda connection: [name for (name,) in connection.execute("SELECT name …")])

Here are the threads (one that writes, a few that read; what is asked in one turn of the event loop shares a snapshot,
which is taken after it was asked), the transaction that holds documents, parked records and checkpoint, and the waiting
for a position. Tables whose names begin with `kernel_` belong to the machinery.

A build that is filled anew is nobody's yet, and is thrown away if the process dies: until it has caught up with its
logs (a small batch says so) or goes live, its indexes are missing, with all rows that follow from others, and its
transactions are neither logged ahead nor synced. `finish` makes up for all of it at once, and in the order of the keys.

The file carries the identity of what filled it: the projection's shape, the tables' definition, the logs. A file with
another identity is not this build, and the view fills a new one.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sqlite3
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import ClassVar, Final, Generic, TypeAlias, TypeVar, cast

from eventkernel.adapters.sqlite.batcher import Batcher
from eventkernel.adapters.sqlite.connection import CACHE_KIB, log_ahead, open_reader, open_writer
from eventkernel.adapters.sqlite.failures import failures_of
from eventkernel.adapters.sqlite.progress import PROGRESS_SCHEMA, WAITING_INDEX, Progress, bring_up_to_date
from eventkernel.errors import CorruptData, Unavailable
from eventkernel.events import Partition, Position
from eventkernel.reading.arrivals import Arrivals
from eventkernel.reading.changes import Rows, StoredVersions, rows_by_write, unseen
from eventkernel.reading.folding import further
from eventkernel.reading.live import build_identity
from eventkernel.reading.views import BuildRetired, Change, Doc, Fold, ParkedRecord, State, Waiting, waiting_streams
from eventkernel.writing.store import Checkpoint

T = TypeVar("T")
_Query: TypeAlias = Callable[[sqlite3.Connection], object]

_CACHE_KIB_FOR_FILLING: Final = 65_536
"""Keys come in any order, and each page that has no room in the cache is read and written again."""
_CAUGHT_UP: Final = 200
"""A save of fewer documents is one at the logs' end."""
_LARGEST_BATCH: Final = 8
"""Queries that one thread answers in a row: what follows a slow one waits for it, and other threads may be free."""
_PATIENCE_SECONDS: Final = 60.0
"""After so long an answer is `Unavailable`: the longest time that a request may have."""
_FORMAT: Final = 1
"""Raised whenever the machinery's own tables change: every build is then filled anew."""

_IDENTITY_SCHEMA: Final = "CREATE TABLE IF NOT EXISTS kernel_build (identity TEXT NOT NULL) STRICT;"
_SUFFIXES: Final = ("-wal", "-shm", "")
"""What a build's files end in. The database is removed last: while it is there, the others are found."""


class SqliteViewBuild(ABC, Generic[Doc]):
    """Made and opened by `SqliteView`; derived classes keep this constructor."""

    schema: ClassVar[str]
    """The SQL that makes the build's tables, in an empty file."""
    indexes: ClassVar[str] = ""
    """The SQL that makes, `IF NOT EXISTS`, the indexes that loading and writing documents do not need."""
    derived: ClassVar[str] = ""
    """The SQL that makes the rows which `rows_of` leaves out while the build is `filling`, out of those that are there.
    Nobody asks a build for them before it is finished."""
    writes: ClassVar[Mapping[str, str]]
    """The SQL that writes a row, by name; each runs once a batch (`executemany`), in this order, in one transaction."""

    def __init__(self, file: Path, readers: int) -> None:
        self._file = file
        self._progress = Progress("view")
        self._checkpoint = Checkpoint()
        self._parked: dict[str, Partition] = {}
        """The streams that wait; touched on the loop's thread alone."""
        self._arrivals = Arrivals(Position(), self.name)
        self._stored = StoredVersions()
        self._closed = False
        self._unfinished = False
        self.filling = False
        """Rows that `derived` makes are not to be written now. Read and set on the writer's thread."""
        self._connection: sqlite3.Connection | None = None
        self._idle: deque[sqlite3.Connection] = deque()
        self._writer = ThreadPoolExecutor(1, f"write {self.name}")
        self._readers = Batcher[_Query, object](
            f"read {self.name}",
            self._answers,
            patience=_PATIENCE_SECONDS,
            largest_batch=_LARGEST_BATCH,
            threads=readers,
        )

    # What a derived class brings

    @abstractmethod
    def load_documents(self, connection: sqlite3.Connection, streams: Sequence[str]) -> Mapping[str, State[Doc]]:
        """The latest state of each of these streams that is stored, tombstones too. Runs on the writer's thread.

        There may be thousands of streams: `… WHERE stream IN (SELECT value FROM json_each(?))` takes them as one
        parameter (`json_list(streams)`).
        """

    @abstractmethod
    def rows_of(self, change: Change[Doc]) -> Rows[Sequence[object]]:
        """The rows that a stream's new states are written by, each with the name of its statement in `writes`.

        The states are newer than what is stored, which is `change.before`. Runs on the writer's thread.
        """

    def remarks_of(self, connection: sqlite3.Connection) -> Sequence[str]:
        """As `ViewBuild.remarks`. Runs on a reader's thread, or on a snapshot of the file."""
        del connection
        return ()

    # What queries use

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query on a reader's thread; all its statements see the same snapshot. It must not keep a cursor.

        Raises:
            Unavailable: SQLite cannot answer now, or the build was dropped.
        """
        if self._closed:
            raise Unavailable(f"the build {self.name} is closed")
        return cast("T", await self._readers.ask(query))  # the batcher answers a query with what it returns

    def _answers(self, queries: Sequence[_Query]) -> Sequence[object]:
        with failures_of(self._file):
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = open_reader(self._file)
            try:
                connection.execute("BEGIN")
                try:
                    return [self._answer(connection, query) for query in queries]
                finally:
                    connection.execute("ROLLBACK")  # nothing was written
            finally:
                self._idle.append(connection)

    def _answer(self, connection: sqlite3.Connection, query: _Query) -> object:
        try:
            with failures_of(self._file):
                return query(connection)
        except Exception as error:  # noqa: BLE001 -- whatever it is belongs to who asked, not to the others of the batch
            return error

    # The port `ViewBuild`

    @property
    def name(self) -> str:
        return self._file.stem

    async def shown(self) -> Checkpoint:
        return await self.checkpoint()  # documents and checkpoint are one transaction

    async def checkpoint(self) -> Checkpoint:
        return self._checkpoint

    async def load(self, streams: Sequence[str]) -> Mapping[str, State[Doc]]:
        states = await self._on_writer(lambda connection: self.load_documents(connection, streams))
        # Only this build's one writer changes a stored version, so what is known now needs no look before a save.
        self._stored.loaded(streams, states)
        return states

    async def peek(self, streams: Sequence[str]) -> Mapping[str, State[Doc]]:
        return await self.read(lambda connection: self.load_documents(connection, streams))

    async def flaws(self) -> Sequence[str]:
        if self._unfinished:
            return []
        return await self.read(self._flaws)

    def _flaws(self, connection: sqlite3.Connection) -> Sequence[str]:
        found = _schema_of(connection)
        return [f"{name} is missing or another one" for name, made in self._made().items() if found.get(name) != made]

    @classmethod
    @cache
    def _made(cls) -> Mapping[str, str]:
        """The tables and indexes of a finished build, by name, with the SQL that SQLite keeps of them."""
        connection = sqlite3.connect(":memory:")
        try:
            connection.executescript(f"{PROGRESS_SCHEMA} {cls.schema}; {cls.indexes}")
            bring_up_to_date(connection)
            found = _schema_of(connection)
            return {name: sql for name, sql in found.items() if name == WAITING_INDEX or not name.startswith("kernel_")}
        finally:
            connection.close()

    async def save(self, fold: Fold[Doc]) -> None:
        self._arrivals.check()
        loop = asyncio.get_running_loop()

        def write(connection: sqlite3.Connection) -> None:
            changes, waiting = self._save(connection, fold)
            # From here and not after the `await` below: a caller who is cancelled changes nothing about the commit.
            loop.call_soon_threadsafe(self._saved, changes, waiting)
            if self._unfinished and len(fold.changes) < _CAUGHT_UP:
                self._finish(connection)

        await self._on_writer(write)

    async def parked(self, streams: Collection[str] | None = None) -> Sequence[ParkedRecord]:
        return await self._on_writer(lambda connection: self._progress.parked(connection, streams))

    async def waiting(self) -> Waiting:
        return await self._on_writer(self._progress.waiting)

    async def first_parked(self, streams: Collection[str]) -> Sequence[ParkedRecord]:
        return await self._on_writer(lambda connection: self._progress.first_parked(connection, streams))

    async def remarks(self) -> Sequence[str]:
        return await self.read(self.remarks_of)

    async def parked_streams(self, streams: Collection[str] | None = None) -> Mapping[str, Partition]:
        if streams is None:
            return dict(self._parked)
        return {stream: self._parked[stream] for stream in streams if stream in self._parked}

    async def reached(self, position: Position, timeout: float) -> bool:
        return await self._arrivals.reached(position, timeout)

    # The writer's thread

    async def _on_writer(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise BuildRetired(self.name)

        def run() -> T:
            with failures_of(self._file):
                if self._connection is None:
                    self._connection = open_writer(self._file)
                return work(self._connection)

        return await asyncio.get_running_loop().run_in_executor(self._writer, run)

    def _save(
        self, connection: sqlite3.Connection, fold: Fold[Doc]
    ) -> tuple[Sequence[Change[Doc]], Mapping[str, Partition | None]]:
        """Gives the changes that were stored, and where each stream waits that the fold parks or releases."""
        before = self._checkpoint
        connection.execute("BEGIN IMMEDIATE")
        try:
            changes = self._unseen(connection, fold.changes)
            for name, rows in rows_by_write(self.writes, changes, self.rows_of).items():
                if rows:
                    connection.executemany(self.writes[name], rows)
            if fold.released:
                self._progress.release(connection, fold.released)
            if fold.parked:
                self._progress.park(connection, fold.parked)
            self._progress.move(connection, fold.checkpoint)
            waiting = self._waiting_after(connection, fold)
            # Before the commit: who reads the new documents and asks then how far they are must not be told less.
            self._checkpoint = further(before, fold.checkpoint)
            connection.execute("COMMIT")
        except BaseException:
            self._checkpoint = before
            if connection.in_transaction:  # a full disk has ended it already
                connection.execute("ROLLBACK")
            raise
        return changes, waiting

    def _waiting_after(self, connection: sqlite3.Connection, fold: Fold[Doc]) -> Mapping[str, Partition | None]:
        """Where each stream waits that the fold has to do with, when it is written; None: it does not."""
        touched = fold.released.keys() | {entry.record.stream for entry in fold.parked}
        if not touched:
            return {}
        firsts = waiting_streams(self._progress.first_parked(connection, touched))
        return {stream: firsts.get(stream) for stream in touched}

    def _unseen(self, connection: sqlite3.Connection, changes: Sequence[Change[Doc]]) -> list[Change[Doc]]:
        """The changes without the states that are stored already."""
        unsure = self._stored.unsure(changes)
        return unseen(changes, unsure, self.load_documents(connection, unsure) if unsure else {})

    def _saved(self, changes: Sequence[Change[Doc]], waiting: Mapping[str, Partition | None]) -> None:
        self._stored.saved(changes)
        for stream, partition in waiting.items():  # before the checkpoint is told of: who waits for it asks for them
            if partition is None:
                self._parked.pop(stream, None)
            else:
                self._parked[stream] = partition
        self._arrivals.moved(self._checkpoint.position)

    # For `SqliteView`

    @classmethod
    def identity(cls, shape: int, logs: Iterable[str]) -> str:
        """What a file must carry to be a build of this class, filled by a projection of this shape from these logs."""
        schema = hashlib.sha256((cls.schema + cls.indexes).encode()).hexdigest()
        return build_identity(_FORMAT, shape, logs, schema=schema)

    @classmethod
    def is_usable(cls, file: Path, identity: str) -> bool:
        """Whether the file is a build of that identity. One that is damaged or missing is not: it can be refilled."""
        try:
            with failures_of(file):
                connection = open_reader(file)
                try:
                    return connection.execute("SELECT identity FROM kernel_build").fetchall() == [(identity,)]
                finally:
                    connection.close()
        except (Unavailable, CorruptData, sqlite3.Error):
            return False

    async def open(self, identity: str) -> None:
        """Make the tables where they are missing, and learn how far the build is."""

        def prepare(connection: sqlite3.Connection) -> tuple[Checkpoint, list[ParkedRecord]]:
            if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'kernel_build'").fetchone():
                self._unfinished = self.filling = True
                connection.execute("PRAGMA journal_mode = MEMORY")
                connection.execute("PRAGMA synchronous = OFF")
                connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB_FOR_FILLING}")
                connection.executescript(f"BEGIN; {_IDENTITY_SCHEMA} {PROGRESS_SCHEMA} {self.schema}; COMMIT;")
                connection.execute("INSERT INTO kernel_build VALUES (?)", (identity,))
            bring_up_to_date(connection)
            return self._progress.checkpoint(connection), self._progress.parked(connection)

        self._checkpoint, parked = await self._on_writer(prepare)
        self._parked = waiting_streams(parked)
        self._arrivals.moved(self._checkpoint.position)

    async def finish(self) -> None:
        """Make the build complete and durable, if it is not; before it goes live.

        Raises:
            Unavailable: the disk is full, or somebody reads the build for too long.
        """
        if self._unfinished:
            await self._on_writer(self._finish)

    def _finish(self, connection: sqlite3.Connection) -> None:
        if self.filling:
            connection.execute("BEGIN IMMEDIATE")
            try:
                for statement in self.derived.split(";"):
                    connection.execute(statement)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk has ended it already
                    connection.execute("ROLLBACK")
                raise
            self.filling = False
        connection.executescript(self.indexes)
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        log_ahead(connection, self._file)
        with self._file.open("rb") as file:
            os.fsync(file.fileno())
        self._unfinished = False

    async def settle(self) -> None:
        """Everything that was saved is in the file itself, and not beside it."""
        await self._on_writer(lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())

    def retire(self) -> None:
        """Another build is live: saves and waiting callers fail with that, reads go on."""
        self._arrivals.retire()

    async def aclose(self) -> None:
        """Finish the reads and the save that are under way, then close the file."""
        if self._closed:
            return
        self._closed = True
        self._arrivals.retire()
        await self._readers.aclose()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.shutdown()
        while self._idle:
            self._idle.pop().close()
        if self._connection is not None:
            self._connection.close()

    def unlink(self) -> None:
        """Take the room back; the build is closed."""
        remove_build(self._file)


def _schema_of(connection: sqlite3.Connection) -> Mapping[str, str]:
    return dict(connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall())


def remove_build(file: Path) -> None:
    """Delete a build's file and what SQLite keeps beside it."""
    for suffix in _SUFFIXES:
        file.with_name(file.name + suffix).unlink(missing_ok=True)


def json_list(streams: Sequence[str]) -> str:
    """Many strings as one parameter: `… IN (SELECT value FROM json_each(?))`."""
    return json.dumps(streams)
