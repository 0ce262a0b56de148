"""A folder as an object store: an object is a file, and is on the disk when it has its name."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Final

from eventkernel.adapters.durable_files import sync_folder
from eventkernel.errors import CorruptData, Unavailable

_DRAFT: Final = ".draft-"
_PRIVATE: Final = 0o700


class FolderStore:
    """The port `ObjectStore`. The folder is made with its first object, for its owner's eyes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    @property
    def name(self) -> str:
        return f"the folder {self._folder}"

    async def put(self, name: str, content: bytes) -> bool:
        return await asyncio.to_thread(self._put, name, content)

    async def get(self, name: str, at_most: int) -> bytes | None:
        return await asyncio.to_thread(self._get, name, at_most)

    async def names(self, level: str = "") -> AsyncGenerator[str, None]:
        for name in await asyncio.to_thread(self._names, level):
            yield name

    def _put(self, name: str, content: bytes) -> bool:
        path = self._folder / name
        draft = path.with_name(f"{_DRAFT}{secrets.token_hex(8)}")
        try:
            self._make(path.parent)
            try:
                with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 -- the mode
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                # A link, because it fails where the name is taken; renaming would replace the object.
                os.link(draft, path)
            finally:
                draft.unlink(missing_ok=True)
            sync_folder(path.parent)
        except FileExistsError:
            found = self._get(name, len(content)) if path.stat().st_size == len(content) else None
            return found == content
        except OSError as error:
            raise Unavailable(f"{self.name} cannot be written: {error.strerror}") from error
        return True

    def _get(self, name: str, at_most: int) -> bytes | None:
        try:
            with (self._folder / name).open("rb") as file:
                content = file.read(at_most + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(f"{self.name}: {name} cannot be read: {error.strerror}") from error
        if len(content) > at_most:
            raise CorruptData(f"{name}: expected at most {at_most} bytes, found more")
        return content

    def _names(self, level: str) -> list[str]:
        found: list[str] = []

        def fail(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError):
                raise error

        try:
            for folder, _, files in os.walk(self._folder / level, onerror=fail):
                place = Path(folder).relative_to(self._folder)
                found += [(place / file).as_posix() for file in files if not file.startswith(_DRAFT)]
        except OSError as error:
            raise Unavailable(f"{self.name} cannot be read: {error.strerror}") from error
        return found

    def _make(self, folder: Path) -> None:
        """The levels of a name, whose entries are on the disk before anything is in them."""
        if folder.is_dir():
            return
        self._make(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir(mode=_PRIVATE)
        with suppress(PermissionError):  # one that is only gone through cannot be opened, and was there before
            sync_folder(folder.parent)
