"""Deadlines of a process manager's events: what is done where nothing has happened until then.

A deadline is stored before its event counts as reacted to, beside what is set aside, under a reader's name of its own:
the record, and as its reason the time when it is due. It is forgotten when its reaction is done. So a crash repeats
that, as it may repeat any reaction, and loses none.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Generic, TypeVar

from eventkernel.cancelling import finished
from eventkernel.events import Record, RecordedEvent
from eventkernel.reacting.checkpoints import CheckpointStore
from eventkernel.reacting.reaction import Reaction
from eventkernel.reading.membership import Assignment
from eventkernel.reading.views import ParkedRecord
from eventkernel.writing.store import Checkpoint

Read = TypeVar("Read")

_READ_AT_ONCE: Final = 500
_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True)
class Deadlines(Generic[Read]):
    """`until` gives the moment (aware) when the deadline of an event is over, None for one without; `react` is called
    then, as a reaction to that event. Its commands find out from their streams whether there is still something to do.
    """

    until: Callable[[RecordedEvent], datetime | None]
    react: Reaction[Read]
    look: float = 1.0
    """How often it is looked for what is due, in seconds: no reaction comes later than that, and none before its time.
    """


class PendingDeadlines:
    """The deadlines that are still to come, of one process manager."""

    def __init__(self, name: str, checkpoints: CheckpointStore) -> None:
        self._reader = f"{name}/deadlines"
        self._checkpoints = checkpoints
        self._records: dict[tuple[str, int], tuple[int, Record]] = {}
        self._queue: list[tuple[int, str, int]] = []
        """Ordered by time. What is not in `_records` with the same time is out of date."""
        self._called: dict[tuple[str, int], int] = {}
        """When those were due that have been given out and are not over."""
        self._read_to = ""
        """The last stream of which the stored deadlines were read again."""

    async def read(self, assignment: Assignment) -> None:
        """Read the stored deadlines of these partitions, whichever process stored them."""
        self._learn(await self._checkpoints.parked(self._reader), assignment)

    async def read_some(self, assignment: Assignment) -> None:
        """As `read`, the next ones of very many: another process may have stored some that it was still busy with when
        its partition was assigned to this one."""
        entries = list(await self._checkpoints.waiting_after(self._reader, self._read_to, _READ_AT_ONCE))
        whole = len(entries) < _READ_AT_ONCE
        self._read_to = "" if whole else entries[-1].record.stream
        if not whole:  # it may have more
            entries += await self._checkpoints.parked(self._reader, [self._read_to])
        self._learn(entries, assignment)

    def _learn(self, entries: Iterable[ParkedRecord], assignment: Assignment) -> None:
        for entry in entries:
            if assignment.has(entry.partition) and not entry.skipped:
                self._add(entry.record, due_us(entry))

    async def forget(self, log: str) -> None:
        """Those of a log that has another history now, durably."""
        await self._checkpoints.forget(self._reader, log)

    async def set(self, record: Record, until: datetime) -> None:
        """Durably."""
        due = (until - _EPOCH) // _MICROSECOND
        await self._store(record, str(due))
        self._add(record, due)

    def due(self, now_us: int) -> list[Record]:
        """The records whose time has come, each once."""
        found: list[Record] = []
        while self._queue and self._queue[0][0] <= now_us:
            due, stream, version = heapq.heappop(self._queue)
            if not self._out_of_date(due, stream, version):
                self._called[stream, version] = due
                found.append(self._records[stream, version][1])
        return found

    @property
    def count(self) -> int:
        """How many are to come, or due and not over."""
        return len(self._records)

    def overdue_us(self, now_us: int) -> int:
        """For how long the oldest one has been due; 0 where none is."""
        while self._queue and self._out_of_date(*self._queue[0]):
            heapq.heappop(self._queue)
        oldest = [*self._called.values(), *(due for due, _, _ in self._queue[:1])]
        return max(0, now_us - min(oldest, default=now_us))

    def _out_of_date(self, due: int, stream: str, version: int) -> bool:
        known = self._records.get((stream, version))
        return known is None or known[0] != due

    async def over(self, record: Record) -> None:
        """The reaction is done."""
        await self._forget(record, [])
        self._drop(record)

    async def failed(self, record: Record, reason: str, again_us: int) -> None:
        """It is to be tried again then; the reason is kept meanwhile."""
        await self._store(record, f"{again_us} {reason}")
        self._add(record, again_us)

    async def failing(self, streams: Sequence[str] | None = None) -> list[ParkedRecord]:
        """Those that have failed, of these streams or of all, each with the reason."""
        return [
            ParkedRecord(entry.record, reason)
            for entry in await self._checkpoints.parked(self._reader, streams)
            if not entry.skipped and (reason := (entry.reason or "").partition(" ")[2])
        ]

    async def of(self, record: Record) -> ParkedRecord | None:
        """As it is stored: when it is due (`due_us`), or the mark of one that was skipped."""
        stored = await self._checkpoints.parked(self._reader, [record.stream])
        return next((entry for entry in stored if entry.record.version == record.version), None)

    async def skip(self, record: Record, reason: str) -> None:
        """Nothing is done any more; a mark with the reason stays."""
        await self._forget(record, [ParkedRecord(record, reason, skipped=True)])
        self._drop(record)

    def _drop(self, record: Record) -> None:
        self._records.pop((record.stream, record.version), None)
        self._called.pop((record.stream, record.version), None)

    def _add(self, record: Record, due: int) -> None:
        known = self._records.get((record.stream, record.version))
        if known is None or known[0] != due:
            self._records[record.stream, record.version] = due, record
            self._called.pop((record.stream, record.version), None)
            heapq.heappush(self._queue, (due, record.stream, record.version))

    async def _store(self, record: Record, reason: str) -> None:
        entry = ParkedRecord(record, reason)
        await finished(partial(self._checkpoints.save, self._reader, Checkpoint(), [entry]))

    async def _forget(self, record: Record, marks: Sequence[ParkedRecord]) -> None:
        """All of the stream's others stay."""
        stored = await self._checkpoints.parked(self._reader, [record.stream])
        kept = [*(entry for entry in stored if entry.record.version < record.version), *marks]
        released = {record.stream: record.version}
        await finished(partial(self._checkpoints.save, self._reader, Checkpoint(), kept, released))


def due_us(entry: ParkedRecord) -> int:
    """When a stored deadline is due, in microseconds since 1970."""
    return int((entry.reason or "0").partition(" ")[0])
