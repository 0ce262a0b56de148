"""Snapshots in memory: forgotten at the end of the process; for tests and experiments."""

from __future__ import annotations

from eventkernel.errors import Unavailable
from eventkernel.writing.snapshots import Snapshot


class MemorySnapshotStore:
    """The port `SnapshotStore`. `available` set to False makes every call fail with `Unavailable`."""

    def __init__(self) -> None:
        self.snapshots: dict[tuple[str, str], Snapshot] = {}
        self.available = True

    async def load(self, log: str, stream: str) -> Snapshot | None:
        self._check()
        return self.snapshots.get((log, stream))

    async def save(self, log: str, stream: str, snapshot: Snapshot) -> None:
        self._check()
        before = self.snapshots.get((log, stream))
        if before is None or before.form != snapshot.form or before.mark.version < snapshot.mark.version:
            self.snapshots[log, stream] = snapshot

    def _check(self) -> None:
        if not self.available:
            raise Unavailable("the snapshots are set to be unavailable")
