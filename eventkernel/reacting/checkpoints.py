"""The port that keeps how far readers of logs are that have no view of their own to keep it with."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from eventkernel.reading.views import NOTHING_RELEASED, ParkedRecord, Waiting
from eventkernel.writing.store import Checkpoint


class CheckpointStore(Protocol):
    """Checkpoints by reader, and the records that readers have set aside.

    Every method raises `Unavailable` where it cannot be done now.
    """

    async def checkpoint(self, reader: str) -> Checkpoint:
        """Where this reader stands; at the start if it was never heard of."""
        ...

    async def save(
        self,
        reader: str,
        checkpoint: Checkpoint,
        parked: Sequence[ParkedRecord] = (),
        released: Mapping[str, int] = NOTHING_RELEASED,
    ) -> None:
        """Durable, and all or nothing. The checkpoint never goes back; what it does not name stays.

        `released` is as `Fold` has it: of each stream the records up to a version are forgotten, all but those that
        stand in `parked`.
        """
        ...

    async def forget(self, reader: str, log: str) -> None:
        """This reader has read nothing of this log, and set nothing of it aside; durable. To repeat it is harmless."""
        ...

    async def parked(self, reader: str, streams: Collection[str] | None = None) -> Sequence[ParkedRecord]:
        """What this reader has set aside, and marks of what was skipped, grouped by stream, by version within one.

        `streams` restricts it to some streams; None means all. Thousands may be set aside: asking for a few costs
        little.
        """
        ...

    async def waiting_after(self, reader: str, stream: str, most: int) -> Sequence[ParkedRecord]:
        """What waits in streams whose names come after this one, by stream and version: at most so many records. Costs
        no more, however much waits."""
        ...

    async def waiting(self, reader: str) -> Waiting:
        """As `ViewBuild.waiting`, of what is set aside."""
        ...

    async def first_parked(self, reader: str, streams: Collection[str]) -> Sequence[ParkedRecord]:
        """As `ViewBuild.first_parked`."""
        ...
