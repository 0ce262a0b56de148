"""Snapshots of streams in one SQLite file, which may be deleted at any time."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Final, Self

from eventkernel.adapters.sqlite.connection import open_writer
from eventkernel.adapters.sqlite.failures import failures_of
from eventkernel.adapters.sqlite.file_thread import FileThread
from eventkernel.errors import Unavailable
from eventkernel.writing.snapshots import Mark, Snapshot

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS snapshots (
    log        TEXT NOT NULL,
    stream     TEXT NOT NULL,
    form       INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    command_id TEXT NOT NULL,
    time_us    INTEGER NOT NULL,
    data       BLOB NOT NULL,
    PRIMARY KEY (log, stream)
) STRICT, WITHOUT ROWID
"""
_LOAD: Final = "SELECT form, version, command_id, time_us, data FROM snapshots WHERE log = ? AND stream = ?"
_SAVE: Final = """
INSERT INTO snapshots VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    form = excluded.form, version = excluded.version, command_id = excluded.command_id, time_us = excluded.time_us,
    data = excluded.data
WHERE form != excluded.form OR version < excluded.version
"""


class SqliteSnapshotStore:
    """The port `SnapshotStore`. Made by `open`."""

    def __init__(self, file: FileThread) -> None:
        self._file = file

    @classmethod
    async def open(cls, file: Path) -> Self:
        """Open the file, which is made where it is missing, and made anew where it is damaged.

        Raises:
            Unavailable: it cannot be opened.
        """

        def prepare() -> sqlite3.Connection:
            with failures_of(file):
                connection = open_writer(file)
                connection.execute("PRAGMA synchronous = NORMAL")  # the last ones may be lost, none may be damaged
                connection.execute(_SCHEMA)
                connection.execute(_LOAD, ("", "")).fetchall()
                return connection

        def prepare_anew() -> sqlite3.Connection:
            try:
                return prepare()
            except Unavailable:
                for suffix in ("", "-wal", "-shm"):
                    file.with_name(file.name + suffix).unlink(missing_ok=True)
                return prepare()

        return cls(FileThread(file, await asyncio.to_thread(prepare_anew), "snapshots"))

    async def load(self, log: str, stream: str) -> Snapshot | None:
        row: tuple[int, int, str, int, bytes] | None = await self._file.run(
            lambda connection: connection.execute(_LOAD, (log, stream)).fetchone()
        )
        return None if row is None else Snapshot(row[0], Mark(*row[1:4]), row[4])

    async def save(self, log: str, stream: str, snapshot: Snapshot) -> None:
        mark = snapshot.mark
        row = (log, stream, snapshot.form, mark.version, mark.command_id, mark.time_us, snapshot.data)
        await self._file.run(lambda connection: connection.execute(_SAVE, row).fetchall())

    async def aclose(self) -> None:
        """Finish what is under way, then close the file."""
        await self._file.aclose()
