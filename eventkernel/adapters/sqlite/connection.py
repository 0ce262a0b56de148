"""The one place that opens SQLite connections, and what holds on every one of them.

- Write-ahead logging: readers never wait for the writer, nor it for them (https://www.sqlite.org/wal.html).
- `synchronous=FULL`: COMMIT returns after the fsync of what it wrote, and whoever is told of it may rely on it.
- Transactions begin and end where the code says so, never by themselves.

A connection may wander between threads, and must be used by one at a time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from eventkernel.adapters.sqlite.failures import failures_of
from eventkernel.errors import Unavailable

BUSY_TIMEOUT_MS: Final = 5_000
"""How long a statement waits for another process's lock before it fails."""

_CACHED_STATEMENTS: Final = 256
CACHE_KIB: Final = 16_384


def open_writer(path: Path) -> sqlite3.Connection:
    """The connection that writes a file, which is made where it is missing (its folder is not).

    Raises:
        Unavailable: the file cannot be opened or is no database.
    """
    connection = _open(path, "rwc")
    try:
        log_ahead(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def open_copy(path: Path) -> sqlite3.Connection:
    """The connection that fills a new file with another one's pages: without write-ahead logging, which would write
    all of them twice.

    Raises:
        Unavailable: the file cannot be opened.
    """
    return _open(path, "rwc")


def log_ahead(connection: sqlite3.Connection, path: Path) -> None:
    """Let a connection write durably from now on, beside readers.

    Raises:
        Unavailable: the file cannot be written now, is no database, or its file system cannot do it.
    """
    try:
        connection.execute("PRAGMA synchronous = FULL")
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    except sqlite3.Error as error:
        raise Unavailable(f"{path}: {error}") from error
    if mode != "wal":
        raise Unavailable(f"{path}: its file system cannot do write-ahead logging (journal mode {mode!r})")


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads an existing file, also beside a writer in another process.

    Raises:
        Unavailable: the file is missing, cannot be opened or is no database.
    """
    connection = _open(path, "ro")
    connection.execute("PRAGMA query_only = ON")
    return connection


@contextmanager
def reading(path: Path) -> Generator[sqlite3.Connection]:
    """A connection as `open_reader` gives it, for one look at a file.

    Raises:
        Unavailable, CorruptData: the file cannot be read.
    """
    connection = open_reader(path)
    try:
        with failures_of(path):
            yield connection
    finally:
        connection.close()


def _open(path: Path, mode: str) -> sqlite3.Connection:
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_CACHED_STATEMENTS,
        )
        for setting in (
            f"busy_timeout = {BUSY_TIMEOUT_MS}",
            "synchronous = FULL",
            "foreign_keys = ON",
            "trusted_schema = OFF",
            f"cache_size = -{CACHE_KIB}",
            "temp_store = MEMORY",
        ):
            connection.execute(f"PRAGMA {setting}")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except (sqlite3.Error, UnicodeDecodeError) as error:  # its message may quote what is damaged, and be no UTF-8
        if connection is not None:
            connection.close()
        raise Unavailable(f"{path}: {error}") from error
    return connection
