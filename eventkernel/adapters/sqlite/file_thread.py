"""A connection to one file on a thread of its own, for stores that are asked rarely."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from eventkernel.adapters.sqlite.failures import failures_of
from eventkernel.errors import Unavailable

T = TypeVar("T")


class FileThread:
    """Runs work with the connection, one piece after the other, off the event loop."""

    def __init__(self, file: Path, connection: sqlite3.Connection, name: str) -> None:
        """`name` is the thread's."""
        self._file = file
        self._connection = connection
        self._thread = ThreadPoolExecutor(1, name)
        self._closed = False

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` gives.

        Raises:
            Unavailable: the file is closed, or SQLite cannot do it now.
        """
        if self._closed:
            raise Unavailable(f"{self._file.name} is closed")

        def run() -> T:
            with failures_of(self._file):
                return work(self._connection)

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)

    async def aclose(self) -> None:
        """Finish what is under way, then close the file."""
        self._closed = True
        await asyncio.to_thread(self._thread.shutdown)
        self._connection.close()
