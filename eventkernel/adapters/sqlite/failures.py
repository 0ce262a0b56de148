"""What an error of SQLite means to the kernel."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from eventkernel.errors import CorruptData, Unavailable

_FOR_NOW: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PROTOCOL,
    }
)
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


@contextmanager
def failures_of(file: Path) -> Generator[None]:
    """Turns what may pass (a full disk, a lock) into `Unavailable` and a damaged file into `CorruptData`.

    Everything else is a defect in the statement or a value that SQLite cannot hold, and goes through as it is.
    """
    try:
        yield
    except sqlite3.Error as error:
        # The extended code's low byte is the primary one (https://www.sqlite.org/rescode.html#pve).
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _FOR_NOW:
            raise Unavailable(f"{file.name}: {error}") from error
        if code in _DAMAGED:
            raise CorruptData(f"{file.name}: {error}") from error
        raise
