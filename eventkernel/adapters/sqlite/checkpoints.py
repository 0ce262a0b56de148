"""Checkpoints of readers without a view of their own (process managers), in one SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Self

from eventkernel.adapters.sqlite.connection import open_writer
from eventkernel.adapters.sqlite.failures import failures_of
from eventkernel.adapters.sqlite.file_thread import FileThread
from eventkernel.adapters.sqlite.progress import PROGRESS_SCHEMA, Progress, bring_up_to_date
from eventkernel.reading.views import NOTHING_RELEASED, ParkedRecord, Waiting
from eventkernel.writing.store import Checkpoint


class SqliteCheckpointStore:
    """The port `CheckpointStore` of `eventkernel/reacting/checkpoints.py`. Made by `open`."""

    def __init__(self, file: FileThread) -> None:
        self._file = file

    @classmethod
    async def open(cls, file: Path) -> Self:
        """Open the file, which is made where it is missing.

        Raises:
            Unavailable: it cannot be opened.
        """

        def prepare() -> sqlite3.Connection:
            with failures_of(file):
                connection = open_writer(file)
                connection.executescript(f"BEGIN; {PROGRESS_SCHEMA} COMMIT;")
                bring_up_to_date(connection)
                return connection

        return cls(FileThread(file, await asyncio.to_thread(prepare), "checkpoints"))

    async def checkpoint(self, reader: str) -> Checkpoint:
        return await self._file.run(Progress(reader).checkpoint)

    async def save(
        self,
        reader: str,
        checkpoint: Checkpoint,
        parked: Sequence[ParkedRecord] = (),
        released: Mapping[str, int] = NOTHING_RELEASED,
    ) -> None:
        progress = Progress(reader)

        def write(connection: sqlite3.Connection) -> None:
            progress.release(connection, released)
            progress.park(connection, parked)
            progress.move(connection, checkpoint)

        await self._write(write)

    async def forget(self, reader: str, log: str) -> None:
        await self._write(lambda connection: Progress(reader).forget(connection, log))

    async def parked(self, reader: str, streams: Collection[str] | None = None) -> Sequence[ParkedRecord]:
        return await self._file.run(lambda connection: Progress(reader).parked(connection, streams))

    async def waiting_after(self, reader: str, stream: str, most: int) -> Sequence[ParkedRecord]:
        return await self._file.run(lambda connection: Progress(reader).waiting_after(connection, stream, most))

    async def waiting(self, reader: str) -> Waiting:
        return await self._file.run(Progress(reader).waiting)

    async def first_parked(self, reader: str, streams: Collection[str]) -> Sequence[ParkedRecord]:
        return await self._file.run(lambda connection: Progress(reader).first_parked(connection, streams))

    async def aclose(self) -> None:
        """Finish what is under way, then close the file."""
        await self._file.aclose()

    async def _write(self, work: Callable[[sqlite3.Connection], None]) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            try:
                work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk has ended it already
                    connection.execute("ROLLBACK")
                raise

        await self._file.run(write)
