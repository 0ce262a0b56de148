"""A view in SQLite: a folder with one file per build, and a pointer to the live one.

    views/books/
        live                   the live build's name, replaced by one atomic rename
        b-3f9a2c41.sqlite      a build (with SQLite's -wal and -shm beside it)
        aside/                 builds from another history of a log, and why: for people, never read again

A rebuild writes another file, so it locks nobody; switching is the rename, dropping is an unlink. Only one process may
have the folder open. What an interrupted rebuild has left behind is removed when the folder is opened.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from eventkernel.adapters.durable_files import sync_folder, write_durably
from eventkernel.adapters.sqlite.build import SqliteViewBuild, remove_build
from eventkernel.errors import InvalidInput, Unavailable
from eventkernel.reading.live import LiveBuild

__all__ = ["SqliteView", "SqliteViewBuild"]

BuildT = TypeVar("BuildT", bound=SqliteViewBuild[Any])  # any document: the view only opens and closes builds

_POINTER: Final = "live"
ASIDE: Final = "aside"
_READERS: Final = 4


class SqliteView(LiveBuild[BuildT]):
    """Made by `open`."""

    def __init__(self, folder: Path, build_type: type[BuildT], identity: str, readers: int) -> None:
        super().__init__(folder.name)
        self._folder = folder
        self._build_type = build_type
        self._identity = identity
        self._readers = readers
        self._builds: dict[str, BuildT] = {}

    @classmethod
    async def open(
        cls, folder: Path, build_type: type[BuildT], *, shape: int, logs: Iterable[str], readers: int = _READERS
    ) -> Self:
        """Open a view's folder (made where it is missing; its name is the view's).

        `shape` is the projection's, `logs` the ids of the logs that it reads. Where the live build was filled with
        another shape, other logs or other tables, or is damaged, there is no live build until a new one is filled:
        `Projector.run` does that first.

        Raises:
            Unavailable: the folder or the live build cannot be opened.
        """
        view = cls(folder, build_type, build_type.identity(shape, logs), readers)
        live = await asyncio.to_thread(view._tidy)
        if live is not None:
            view._go_live(await view._open(live))
        return view

    def _tidy(self) -> str | None:
        """The name of the live build if that can be used; removes all other files."""
        pointer = self._folder / _POINTER
        try:
            _make_folder(self._folder)
            name = pointer.read_text().strip() if pointer.exists() else None
            if name is not None and not self._build_type.is_usable(self._file(name), self._identity):
                name = None
            for file in self._folder.glob("*.sqlite"):
                if file.stem != name:
                    remove_build(file)
        except OSError as error:
            raise Unavailable(f"the view's folder {self._folder}: {error.strerror}") from error
        return name

    async def create(self) -> BuildT:
        return await self._open(f"b-{secrets.token_hex(4)}")

    async def switch(self, build: str) -> None:
        new = self._find(build)
        if new is self._live:
            return
        await new.finish()
        await asyncio.to_thread(self._point_to, build)
        self._go_live(new)

    async def keep_aside(self, build: str, why: str) -> None:
        kept = self._find(build)
        await kept.settle()
        try:
            await asyncio.to_thread(self._keep_aside, build, why)
        except OSError as error:
            raise Unavailable(f"the view's folder {self._folder}: {error.strerror}") from error

    def _keep_aside(self, build: str, why: str) -> None:
        aside = self._folder / ASIDE
        _make_folder(aside)
        with suppress(FileExistsError):
            os.link(self._file(build), aside / f"{build}.sqlite")
        write_durably(aside / f"{build}.txt", f"{why}\n")

    async def drop(self, build: str) -> None:
        dropped = self._find(build)
        if dropped is self._live:
            raise InvalidInput(f"the build {build} of the view {self.name} is live: only others can be dropped")
        await dropped.aclose()
        try:
            await asyncio.to_thread(dropped.unlink)
        except OSError as error:
            raise Unavailable(f"the build {build} of the view {self.name}: {error.strerror}") from error
        self._builds.pop(build, None)

    async def aclose(self) -> None:
        """Close every build; saves and reads that are under way are finished."""
        await asyncio.gather(*(build.aclose() for build in self._builds.values()))

    async def _open(self, name: str) -> BuildT:
        build = self._build_type(self._file(name), self._readers)
        await build.open(self._identity)
        self._builds[name] = build
        return build

    def _point_to(self, build: str) -> None:
        """Durable, and all or nothing: the new pointer is on the disk before it takes the old one's name."""
        try:
            write_durably(self._folder / _POINTER, f"{build}\n")
        except OSError as error:
            raise Unavailable(f"the view's folder {self._folder}: {error.strerror}") from error

    def _file(self, build: str) -> Path:
        return self._folder / f"{build}.sqlite"

    def _find(self, build: str) -> BuildT:
        try:
            return self._builds[build]
        except KeyError:
            raise InvalidInput(f"the view {self.name} has no build {build!r}") from None


def _make_folder(path: Path) -> None:
    """A folder whose name is on the disk."""
    if not path.exists():
        path.mkdir(parents=True, exist_ok=True)
        sync_folder(path.parent)
