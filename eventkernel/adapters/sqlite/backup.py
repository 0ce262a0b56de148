"""Copies of several files as they were at one moment, also beside their writers (https://www.sqlite.org/backup.html).

While a reading transaction begins on each file, all of them are locked against writers, which wait for it as for one
another: a moment. Whatever is copied afterwards is what those transactions see, however long it takes. So an
effect in one file is never without its cause in another one, in whichever direction the files refer to one another.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eventkernel.adapters.sqlite.connection import open_copy, open_reader, open_writer
from eventkernel.adapters.sqlite.failures import failures_of

_PAGES: Final = 2_560
"""Copied before `advance` is told: 10 MiB of pages of the usual size."""


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
        Unavailable: a file cannot be opened, or a writer holds it for longer than the others wait.
        CorruptData: one is damaged.
    """
    with ExitStack() as stack:
        # The writers are closed last: who closes a file last takes the `-wal` in, which a reader cannot.
        writers = [stack.enter_context(closing(open_writer(path))) for path in paths]
        readers = [stack.enter_context(closing(open_reader(path))) for path in paths]
        for path, writer in zip(paths, writers, strict=True):
            with failures_of(path):
                writer.execute("BEGIN IMMEDIATE")
        snapshots = [_snapshot(path, reader) for path, reader in zip(paths, readers, strict=True)]
        for path, writer in zip(paths, writers, strict=True):
            with failures_of(path):
                writer.execute("ROLLBACK")
        yield snapshots


def _snapshot(path: Path, reader: sqlite3.Connection) -> Snapshot:
    with failures_of(path):
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # the transaction begins with its first query
        (size,) = reader.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()
        return Snapshot(path, reader, int(size))
