"""A machine's files: real ones, of which it is known what a power cut would leave.

SQLite and the product work on real files in a folder. Each change that they make is an *operation*: a statement that
writes, an fsync, a rename, an unlink. After any of them the machine may die. Then an *image* is made, another folder
with what is left, and the next start works there. So nothing has to be stopped: what the dead process goes on to do, to
the end of the step that it is in, reaches files that nobody reads any more.

A killed process leaves what it has written. A power cut leaves what is durable, and of the rest what chance says:

- a file's content is durable after fsync. SQLite syncs the write-ahead log before COMMIT returns where `synchronous` is
  FULL (https://www.sqlite.org/pragma.html#pragma_synchronous), the database before the log is begun anew, and with the
  first sync of a new log the folder that it is in;
- names in a folder are durable after fsync of the folder, all of them. Those since then are all there or all not, for a
  journaling file system keeps their order.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any, Final
from unittest.mock import patch

_PAGE: Final = 4_096
_WRITES: Final = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE", "CREATE", "ALTER", "DROP", "BEGIN", "COMMIT"})
_FULL: Final = 2
"""The number of `synchronous=FULL`."""
_SHARED_MEMORY: Final = "-shm"
"""What these files hold is made anew by whoever opens the database first."""

really_connect: Final = sqlite3.connect
_really_fsync: Final = os.fsync


class Files:
    """The files that one incarnation of a process works on."""

    def __init__(self, folder: Path, *, followed: bool) -> None:
        """`followed`: it is kept what is durable, for a power cut."""
        self.folder = folder
        self.followed = followed
        self.dead = False
        self.operations = 0
        self.after_operation: Callable[[str], None] | None = None
        """Called after each operation with what it was."""
        self.is_full: Callable[[], bool] = bool
        """Whether the disk has no room for the next write."""
        self._names: dict[Path, Mapping[str, int]] = {}
        self._contents: dict[int, bytes] = {}
        self._open: dict[int, int] = {}
        """A descriptor for each file, so that no other one gets its number."""
        self.settle()

    def done(self, operation: str) -> None:
        if not self.dead:
            self.operations += 1
            if self.after_operation is not None:
                self.after_operation(operation)

    def has(self, path: Path) -> bool:
        return not self.dead and path.is_relative_to(self.folder)

    def close(self) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()

    # What is durable

    def settle(self) -> None:
        """All that is there is durable."""
        for found in (self.folder, *sorted(self.folder.rglob("*"))) if self.followed else ():
            if found.is_dir():
                self.folder_synced(found)
            else:
                self.file_synced(found)

    def file_synced(self, path: Path) -> None:
        if self.followed and not self.dead and path.exists():
            number = path.stat().st_ino
            self._contents[number] = self._content(path, number)

    def folder_synced(self, path: Path) -> None:
        if self.followed and not self.dead:
            self._names[path] = _names_in(path)

    def log_synced(self, database: Path) -> None:
        """SQLite has synced the write-ahead log of a database, and the database where it has moved something there."""
        log = database.with_name(f"{database.name}-wal")
        if self.followed and not self.dead and log.exists() and log.stat().st_ino not in self._contents:
            self.folder_synced(database.parent)
        self.file_synced(log)
        self.file_synced(database)

    def _content(self, path: Path, number: int) -> bytes:
        # The descriptor stays open: closing any one of a file would give back all locks that SQLite has on it.
        if number not in self._open:
            self._open[number] = os.open(path, os.O_RDONLY)
        descriptor = self._open[number]
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)

    # What is left

    def image_after_crash(self, target: Path) -> None:
        """What the process has written."""
        target.mkdir()
        for found in sorted(self.folder.rglob("*")):
            copy = target / found.relative_to(self.folder)
            if found.is_dir():
                copy.mkdir()
            elif not found.name.endswith(_SHARED_MEMORY):
                shutil.copyfile(found, copy)

    def image_after_power_cut(self, target: Path, chance: Random) -> None:
        """What the disk has, and by chance some of what was on its way to it."""
        self._restore(self.folder, target, chance)

    def _restore(self, folder: Path, target: Path, chance: Random) -> None:
        target.mkdir()
        current = _names_in(folder)
        names = current if chance.random() < 0.5 else self._names.get(folder, {})
        for name, number in sorted(names.items()):
            if name.endswith(_SHARED_MEMORY):
                continue
            if (folder / name).is_dir():
                self._restore(folder / name, target / name, chance)
                continue
            durable = self._contents.get(number, b"")
            if current.get(name) == number:
                written = self._content(folder / name, number)
            elif number in self._open:  # under another name by now, or none
                written = os.pread(self._open[number], os.fstat(self._open[number]).st_size, 0)
            else:
                written = durable
            (target / name).write_bytes(_left_of(durable, written, chance))


def _names_in(folder: Path) -> Mapping[str, int]:
    if not folder.is_dir():
        return {}
    return {entry.name: entry.inode() for entry in os.scandir(folder)}


def _left_of(durable: bytes, written: bytes, chance: Random) -> bytes:
    """A file's content: each page that was not synced is the old one or the new one."""
    draw = chance.random()
    if durable == written or draw < 0.4:
        return durable
    if draw < 0.7:
        return written
    if durable == written[: len(durable)]:  # something was appended
        return written[: chance.randrange(len(durable), len(written) + 1)]
    size = max(len(durable), len(written))
    pages = [(durable if chance.random() < 0.5 else written)[start : start + _PAGE] for start in range(0, size, _PAGE)]
    return b"".join(pages)


class _Connection(sqlite3.Connection):
    """A connection that tells of what it does to which file."""

    files: Files | None = None
    file: Path

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        return self._done(sql, lambda: super(_Connection, self).execute(sql, parameters))

    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
        return self._done(sql, lambda: super(_Connection, self).executemany(sql, parameters))

    def executescript(self, sql_script: str, /) -> sqlite3.Cursor:
        return self._done(sql_script, lambda: super(_Connection, self).executescript(sql_script))

    def close(self) -> None:
        super().close()
        if self.files is not None and not self.files.dead:
            log = self.file.with_name(f"{self.file.name}-wal")
            if not log.exists():  # this was the last one, and has moved the log into the database
                self.files.file_synced(self.file)
            self.files.done(f"close {self.file.name}")

    def _done(self, sql: str, run: Callable[[], sqlite3.Cursor]) -> sqlite3.Cursor:
        files = self.files
        word = sql.lstrip()[:6].rstrip().upper()
        writes = word in _WRITES or (word == "PRAGMA" and ("wal_checkpoint" in sql or "WAL" in sql))
        if files is None or files.dead or not writes:
            return run()
        if files.is_full():
            if self.in_transaction:
                super().execute("ROLLBACK")  # as SQLite does (https://www.sqlite.org/lang_transaction.html)
            raise _no_room()
        cursor = run()
        if files.followed and not self.in_transaction and word != "BEGIN":
            self._written(files)
        files.done(f"{word} {self.file.name}")
        return cursor

    def _written(self, files: Files) -> None:
        """A transaction has ended."""
        (synchronous,) = super().execute("PRAGMA synchronous").fetchone()
        (mode,) = super().execute("PRAGMA journal_mode").fetchone()
        if synchronous >= _FULL and mode == "wal":
            files.log_synced(self.file)
        elif synchronous and mode != "wal":
            files.file_synced(self.file)


def _no_room() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    error.sqlite_errorname = "SQLITE_FULL"
    return error


@contextmanager
def simulated_disk(files_of: Callable[[Path], Files | None]) -> Generator[None]:
    """What Python does to files that `files_of` knows is told to them, for as long as the block lasts."""

    def connect(database: Any, *args: Any, **kwargs: Any) -> sqlite3.Connection:
        file = Path(str(database).removeprefix("file://").partition("?")[0])
        files = files_of(file)
        if files is None:
            plain: sqlite3.Connection = really_connect(database, *args, **kwargs)
            return plain
        connection = really_connect(database, *args, factory=_Connection, **kwargs)
        assert isinstance(connection, _Connection)
        connection.files, connection.file = files, file
        return connection

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        files = files_of(path)
        if files is None:
            _really_fsync(descriptor)
            return
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            files.folder_synced(path)
        elif files.is_full():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        else:
            files.file_synced(path)
        files.done(f"fsync {path.name}")

    def told(name: str) -> Callable[..., Any]:
        really = getattr(Path, name)

        def run(path: Path, *args: Any, **kwargs: Any) -> Any:
            result = really(path, *args, **kwargs)
            files = files_of(path)
            if files is not None:
                files.done(f"{name} {path.name}")
            return result

        return run

    with ExitStack() as stack:
        stack.enter_context(patch.object(sqlite3, "connect", connect))
        stack.enter_context(patch.object(os, "fsync", fsync))
        for name in ("replace", "rename", "unlink"):
            stack.enter_context(patch.object(Path, name, told(name)))
        yield
