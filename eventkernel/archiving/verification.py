"""Whether an archive still is what was written: every object is read, and every fault names one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from eventkernel.archiving.chain import numbers, read_manifest
from eventkernel.archiving.layout import (
    LARGEST_SEGMENT,
    MANIFESTS,
    SEGMENTS,
    Manifest,
    Segment,
    digest_name,
    manifest_name,
    number_of,
    records_of,
)
from eventkernel.archiving.objects import ObjectStore
from eventkernel.errors import CorruptData


class Fault(msgspec.Struct, frozen=True):
    """Something that is not as it was written. A `notice` is no damage: a run that was broken off leaves such things.

    `what` begins with the object's name.
    """

    severity: Literal["error", "notice"]
    what: str


@dataclass(slots=True)
class Verification:
    """One look at a whole archive.

    Args:
        advance: is told how many manifests of how many were looked at.
        expected: the digest of a manifest that was kept elsewhere: the archive must have it. A chain whose end was
            taken away together with its digests is whole by itself.
    """

    store: ObjectStore
    advance: Callable[[int, int], None] = lambda _done, _total: None
    expected: str | None = None
    last: Manifest | None = None
    """The archive's last manifest, when `faults` has ended."""
    _known: set[str] = field(default_factory=set[str])
    _ends: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])

    async def faults(self) -> AsyncGenerator[Fault, None]:
        """
        Raises:
            Unavailable: the store cannot be read.
        """
        manifests, digests = await numbers(self.store)
        length = max((*manifests, *digests), default=-1) + 1
        previous: str | None = ""
        missed = self.expected
        for number in range(length):
            self._known |= {manifest_name(number), digest_name(number)}
            if number not in set(digests):
                if number == length - 1:
                    yield Fault("notice", f"{digest_name(number)}: the object is missing; the next run writes it")
                else:
                    yield Fault("error", f"{digest_name(number)}: the object is missing")
            try:
                manifest, found = await read_manifest(self.store, number)
            except CorruptData as error:
                yield Fault("error", str(error))
                previous = None
                continue
            if previous is not None and manifest.previous != previous:
                yield Fault("error", f"{manifest.name}: it does not follow the manifest before it")
            async for fault in self._faults_in(manifest, follows=previous is not None):
                yield fault
            previous, self.last = found, manifest
            missed = None if found == missed else missed
            self.advance(number + 1, length)
        if missed is not None:
            yield Fault("error", f"{MANIFESTS}/: no manifest has the SHA-256 {missed[:64]}: the archive was cut")
        async for name in self.store.names():
            if name not in self._known:
                yield Fault("notice", f"{name[:200]}: {_unknown(name)}")

    async def _faults_in(self, manifest: Manifest, *, follows: bool) -> AsyncGenerator[Fault, None]:
        if not follows:  # what the manifest that is missing has named is not known
            self._ends.clear()
        for segment in manifest.segments:
            self._known.add(segment.name)
            expected = self._ends.get((segment.log, segment.partition), 0 if follows else segment.first)
            if segment.first != expected:
                yield Fault("error", f"{segment.name}: expected a segment from the offset {expected} on")
            self._ends[segment.log, segment.partition] = segment.next
            if (fault := await self._fault_of(segment)) is not None:
                yield Fault("error", fault)
        for log, archive in manifest.logs.items():
            for number, reached in archive.reached.items():
                end = self._ends.setdefault((log, number), 0 if follows else reached.next)
                if end != reached.next:
                    what = f"{log}/{number} ends at {reached.next}, and its segments end at {end}"
                    yield Fault("error", f"{manifest.name}: {what}")

    async def _fault_of(self, segment: Segment) -> str | None:
        try:
            content = await self.store.get(segment.name, LARGEST_SEGMENT)
            for _ in records_of(segment, content):
                pass
        except CorruptData as error:
            return str(error)
        return None


def _unknown(name: str) -> str:
    if name.startswith(f"{SEGMENTS}/"):
        return "no manifest names it: the run that wrote it was broken off, or has not ended yet"
    return "it is no object of this archive" if number_of(name) is None else "it was written meanwhile"
