"""The port of an object store: what an archive needs of S3, of a folder, or of anything like them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol


class ObjectStore(Protocol):
    """Objects by name, in one place of a store. A name is of ASCII letters, digits and `-_./`; `/` makes a level.

    Every method raises `Unavailable` where the store refuses, is full or does not answer; the message has no secret.
    """

    @property
    def name(self) -> str:
        """What messages call the place."""
        ...

    async def put(self, name: str, content: bytes) -> bool:
        """Write an object that is not there yet: whole and durable when this returns, or not at all.

        False: there is an object of this name, with other content. Of two that write one name at once, one wins.
        """
        ...

    async def get(self, name: str, at_most: int) -> bytes | None:
        """An object's content; None if it is not there.

        Raises:
            CorruptData: it has more bytes than `at_most`; it was not read.
        """
        ...

    def names(self, level: str = "") -> AsyncGenerator[str, None]:
        """The names of all objects, or of those below a level, in any order. Names of objects of others may be
        anything."""
        ...
