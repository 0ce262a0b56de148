"""Copies of several files as they were at one moment, also beside their writers (https://www.sqlite.org/backup.html).

While a reading transaction begins on each file, all of them are locked against writers, which wait for it as for one
another: a moment. Whatever is copied afterwards is what those transactions see, however long it takes. So an
effect in one file is never without its cause in another one, in whichever direction the files refer to one another.

Whoever has to wait for one file lets go of the others soon, and waits for longer than SQLite's writers do between two
looks at a lock (100 ms). So a slow disk behind one file keeps nobody from writing the others.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from eventkernel.adapters.sqlite.connection import open_copy, open_reader, open_writer
from eventkernel.adapters.sqlite.failures import failures_of
from eventkernel.errors import Unavailable

_PAGES: Final = 2_560
"""Copied before `advance` is told: 10 MiB of pages of the usual size."""

PATIENCE: Final = 60.0
"""Seconds until all files must have been locked at once."""
_HELD: Final = 0.2
"""Seconds that some are locked while another one is waited for."""
_LET_GO: Final = 0.3
"""Seconds for their writers then."""
_LOOK: Final = 0.0005
"""Seconds between two looks at a lock; that of a busy writer is free for less at a time."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A file as it was at the moment."""

    path: Path
    connection: sqlite3.Connection
    size: int
    """Bytes."""

    def copy_to(self, target: Path, advance: Callable[[int], None] = lambda _done: None) -> None:
        """Write it to a new file that needs no other one beside it; `advance` is told how many bytes are done.

        Raises:
            Unavailable, CorruptData: one of the files cannot be read or written.
        """

        def copied(_status: int, remaining: int, total: int) -> None:
            advance(self.size * (total - remaining) // max(1, total))

        with closing(open_copy(target)) as copy, failures_of(target):
            self.connection.backup(copy, pages=_PAGES, progress=copied)
            # A reader of the copy then writes nothing beside it: a back-up may lie where nothing can be written.
            copy.execute("PRAGMA journal_mode = DELETE")


@contextmanager
def at_one_moment(paths: Sequence[Path]) -> Generator[Sequence[Snapshot]]:
    """Existing files as they are now, for as long as the block lasts. What is written meanwhile stays in their `-wal`.

    Raises:
        Unavailable: a file cannot be opened, or its writers left no moment in which all could be locked.
        CorruptData: one is damaged.
    """
    with ExitStack() as stack:
        # The writers are closed last: who closes a file last takes the `-wal` in, which a reader cannot.
        writers = [stack.enter_context(closing(open_writer(path))) for path in paths]
        readers = [stack.enter_context(closing(open_reader(path))) for path in paths]
        _lock(paths, writers)
        snapshots = [_snapshot(path, reader) for path, reader in zip(paths, readers, strict=True)]
        _let_go(paths, writers)
        yield snapshots


def _lock(paths: Sequence[Path], writers: Sequence[sqlite3.Connection]) -> None:
    give_up, since, held = monotonic() + PATIENCE, 0.0, 0
    for writer in writers:
        writer.execute("PRAGMA busy_timeout = 0")
    while held < len(writers):
        if _locked(paths[held], writers[held]):
            if not held:
                since = monotonic()
            held += 1
            continue
        now = monotonic()
        if now >= give_up:
            raise Unavailable(f"{paths[held].name}: its writers left no moment of {PATIENCE:g} s to lock all files")
        if held and now >= since + _HELD:
            _let_go(paths[:held], writers[:held])
            held = 0
            sleep(_LET_GO)
        else:
            sleep(_LOOK)


def _locked(path: Path, writer: sqlite3.Connection) -> bool:
    with failures_of(path):
        try:
            writer.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            return False
        return True


def _let_go(paths: Sequence[Path], writers: Sequence[sqlite3.Connection]) -> None:
    for path, writer in zip(paths, writers, strict=True):
        with failures_of(path):
            writer.execute("ROLLBACK")


def _snapshot(path: Path, reader: sqlite3.Connection) -> Snapshot:
    with failures_of(path):
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # the transaction begins with its first query
        (size,) = reader.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()
        return Snapshot(path, reader, int(size))
