"""The chain of an archive's manifests: its end, for who adds to it, and all of it, for who reads."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Self

from eventkernel.archiving.layout import (
    LARGEST_DIGEST,
    LARGEST_MANIFEST,
    MANIFESTS,
    Manifest,
    digest,
    digest_name,
    from_bytes,
    manifest_name,
    number_of,
    to_bytes,
)
from eventkernel.archiving.objects import ObjectStore
from eventkernel.errors import CorruptData, Unavailable


@dataclass(slots=True)
class Chain:
    """An archive's chain, to be made longer."""

    store: ObjectStore
    last: Manifest | None = None
    digest: str = ""
    """Of the last manifest."""

    @classmethod
    async def open(cls, store: ObjectStore) -> Self:
        """
        Raises:
            CorruptData: a manifest is missing, or the last one is not what was written.
            Unavailable: the store cannot be read.
        """
        length = await _length(store)
        if length == 0:
            return cls(store)
        last, found = await read_manifest(store, length - 1)
        if await store.get(digest_name(length - 1), LARGEST_DIGEST) is None:  # it was broken off before
            await _put_digest(store, length - 1, found)
        return cls(store, last, found)

    @property
    def next_number(self) -> int:
        return self.last.number + 1 if self.last else 0

    async def add(self, manifest: Manifest) -> Manifest:
        """
        Raises:
            Unavailable: the store cannot be written, or another archiver has written a manifest of this number.
        """
        content = to_bytes(manifest)
        if not await self.store.put(manifest.name, content):
            raise Unavailable(
                f"{self.store.name}: another archiver has written {manifest.name} meanwhile; "
                "nothing is lost, the next run goes on from there"
            )
        self.last, self.digest = manifest, digest(content)
        await _put_digest(self.store, manifest.number, self.digest)
        return manifest


def _line(found: str) -> bytes:
    return f"{found}\n".encode()


async def _put_digest(store: ObjectStore, number: int, found: str) -> None:
    if not await store.put(digest_name(number), _line(found)):
        raise CorruptData(f"{manifest_name(number)}: its SHA-256 is {found}, and {digest_name(number)} has another one")


async def numbers(store: ObjectStore) -> tuple[Sequence[int], Sequence[int]]:
    """The numbers of the manifests and of the digests that are there, in order."""
    found = [of async for name in store.names(MANIFESTS) if (of := number_of(name))]
    return (
        sorted(number for number, kind in found if kind == "json"),
        sorted(number for number, kind in found if kind == "sha256"),
    )


async def _length(store: ObjectStore) -> int:
    manifests, digests = await numbers(store)
    length = max((*manifests, *digests), default=-1) + 1
    if len(manifests) != length:
        missing = min(set(range(length)) - set(manifests))
        raise CorruptData(f"{store.name}: {manifest_name(missing)} is missing")
    return length


async def read_manifest(store: ObjectStore, number: int) -> tuple[Manifest, str]:
    """A manifest, and its digest, compared with the one beside it where that is there.

    Raises:
        CorruptData: it is missing, or not what was written; the message names the object.
    """
    content = await store.get(manifest_name(number), LARGEST_MANIFEST)
    if content is None:
        raise CorruptData(f"{manifest_name(number)}: the object is missing")
    found = digest(content)
    written = await store.get(digest_name(number), LARGEST_DIGEST)
    if written is not None and written != _line(found):
        raise CorruptData(f"{manifest_name(number)}: its SHA-256 is {found}, and {digest_name(number)} has another one")
    return from_bytes(content, number), found


async def manifests(store: ObjectStore) -> AsyncGenerator[Manifest, None]:
    """The chain from its first manifest to its last, each compared with the one before.

    Raises:
        CorruptData: one is missing, changed or swapped; the message names the object.
        Unavailable: the store cannot be read.
    """
    previous = ""
    for number in range(await _length(store)):
        manifest, found = await read_manifest(store, number)
        if manifest.previous != previous:
            raise CorruptData(f"{manifest.name}: it does not follow the manifest before it")
        previous = found
        yield manifest
