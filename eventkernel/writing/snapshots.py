"""The port of snapshots: what a long stream had become at some version, so that it need not be read from its start.

A snapshot is a shortcut, never a truth. It carries the record that it stands behind, and is used only where the log
still has that record; it carries the version of the state's own form, and is discarded where that is another one. It
may be dropped at any time, and the answers stay what they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from eventkernel.events import Record


class Mark(msgspec.Struct, frozen=True):
    """What identifies a stream's record in every history of its log."""

    version: int
    command_id: str
    time_us: int

    @classmethod
    def of(cls, record: Record) -> Mark:
        return cls(record.version, record.command_id, record.time_us)


class Snapshot(msgspec.Struct, frozen=True):
    """A stream's state after the record that `mark` identifies, in the form number `form`."""

    form: int
    mark: Mark
    data: bytes


class SnapshotStore(Protocol):
    """One snapshot a stream, of any number of logs."""

    async def load(self, log: str, stream: str) -> Snapshot | None:
        """
        Raises:
            Unavailable: it cannot be read now.
        """
        ...

    async def save(self, log: str, stream: str, snapshot: Snapshot) -> None:
        """Replace the stream's snapshot, unless that one is further on and of the same form.

        Raises:
            Unavailable: it cannot be written now.
        """
        ...


@dataclass(frozen=True)
class Snapshots:
    """How an aggregate's snapshots are kept: where, in which form, and what they consist of.

    `state` and `answer` are types that msgspec knows how to encode. `form` changes whenever what the events mean to
    one of them does; a type that has other fields is another form by itself.
    """

    store: SnapshotStore
    form: int
    state: Any  # a type, such as `Book | None`
    answer: Any = None
    every: int = 1_000
    """So many events lie between two snapshots of a stream, and before its first."""
