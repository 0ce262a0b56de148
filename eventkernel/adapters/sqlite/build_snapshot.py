"""A build of a view as it is at one moment, read beside the process that goes on filling it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Self

from eventkernel.adapters.sqlite.build import SqliteViewBuild
from eventkernel.adapters.sqlite.connection import open_reader
from eventkernel.adapters.sqlite.failures import failures_of
from eventkernel.adapters.sqlite.progress import Progress
from eventkernel.errors import CannotOpen
from eventkernel.events import Position
from eventkernel.reading.views import Doc, ParkedRecord, State
from eventkernel.writing.store import Checkpoint


class BuildSnapshot(Generic[Doc]):
    """Everything that it is asked it answers from one read transaction, which lasts until it is closed.

    With `any_tables` only the machinery's own have to be this release's.

    Raises:
        CannotOpen: the file has other tables than builds of this type.
        Unavailable, CorruptData: it cannot be read.
    """

    def __init__(self, file: Path, build_type: type[SqliteViewBuild[Doc]], *, any_tables: bool = False) -> None:
        self._file = file
        self._build = build_type(file, 1)  # for its way of loading; its own threads and connections never begin
        self._connection = open_reader(file)
        try:
            with failures_of(file):
                self._connection.execute("BEGIN")
                found = self._connection.execute("SELECT identity FROM kernel_build").fetchone()
                _check_tables(file, found, build_type.identity(0, ()), any_tables)
                progress = Progress("view")
                self._checkpoint = progress.checkpoint(self._connection)
                self.waiting: Sequence[ParkedRecord] = progress.parked(self._connection)
        except BaseException:
            self._connection.close()
            raise

    @property
    def position(self) -> Position:
        return self._checkpoint.position

    def check_loading(self) -> None:
        """
        Raises:
            CannotOpen: its tables have not what loading documents takes.
        """
        try:
            self._build.load_documents(self._connection, [])
        except sqlite3.OperationalError:
            raise _other_tables(self._file) from None

    async def checkpoint(self) -> Checkpoint:
        return self._checkpoint

    async def shown(self) -> Checkpoint:
        return self._checkpoint

    async def parked(self, streams: Collection[str] | None = None) -> Sequence[ParkedRecord]:
        return [entry for entry in self.waiting if streams is None or entry.record.stream in streams]

    async def peek(self, streams: Sequence[str]) -> Mapping[str, State[Doc]]:
        """The latest state of each of these streams that is stored."""
        with failures_of(self._file):
            return self._build.load_documents(self._connection, streams)

    def remarks(self) -> Sequence[str]:
        """As `ViewBuild.remarks`."""
        with failures_of(self._file):
            return self._build.remarks_of(self._connection)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _check_tables(file: Path, found: tuple[str] | None, expected: str, any_tables: bool) -> None:
    if found is None or _tables(found[0], any_tables) != _tables(expected, any_tables):
        raise _other_tables(file)


def _other_tables(file: Path) -> CannotOpen:
    return CannotOpen(f"{file.name}: its tables are not this release's, and it is filled again by a start")


def _tables(identity: str, any_tables: bool) -> tuple[Any, ...]:
    """What of a build's identity says which tables it has."""
    found = json.loads(identity)
    return (found["format"],) if any_tables else (found["format"], found["schema"])
