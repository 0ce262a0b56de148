"""A subgraph's view in SQLite, as the kernel's contract of views wants to have one."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Generic, TypeVar

from eventkernel.adapters.sqlite.build import SqliteViewBuild
from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.testing.view_contract import LOG

BuildT = TypeVar("BuildT", bound=SqliteViewBuild[Any])
Doc = TypeVar("Doc")

_PAGES = 1_000_000


class SqliteUnderTest(ABC, Generic[BuildT, Doc]):
    """Derived classes say which documents the view has."""

    def __init__(self, folder: Path, build_type: type[BuildT], shape: int) -> None:
        self._folder = folder
        self._build_type = build_type
        self._shape = shape
        self._view: SqliteView[BuildT] | None = None

    @abstractmethod
    def stream(self, number: int) -> str: ...

    @abstractmethod
    def doc(self, number: int, version: int) -> Doc: ...

    async def open(self) -> SqliteView[BuildT]:
        await self.aclose()
        self._view = await SqliteView.open(self._folder, self._build_type, shape=self._shape, logs=[LOG])
        return self._view

    async def aclose(self) -> None:
        if self._view is not None:
            await self._view.aclose()

    async def stop_writes(self, after: int = 0) -> None:
        """As a full disk does: the file may not grow any more."""
        self._pragma(f"max_page_count = {self._pragma('page_count')}")

    async def resume_writes(self) -> None:
        self._pragma(f"max_page_count = {_PAGES}")

    def _pragma(self, pragma: str) -> int:
        assert self._view is not None
        connection = self._view.live()._connection
        assert connection is not None
        (value,) = connection.execute(f"PRAGMA {pragma}").fetchone()
        return int(value)


def rows_of_all(connection: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    """What stands in every table of a build but those of the machinery, sorted by the first two columns."""
    found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'kernel%'")
    query = "SELECT * FROM {} ORDER BY 1, 2".format
    return {name: connection.execute(query(name)).fetchall() for (name,) in found}
