"""The newest records of some logs, page by page back to the oldest, without reading a log from its start.

A log gives its records forwards only. So a piece before the end is read at a time, and turned round; the pieces of all
partitions are merged by the records' times, the newest first, and in a partition in its order. A filter may fit nothing
for a long while: a page looks through a bounded number of records, and says where the next one goes on.

The times in a partition come from several processes' clocks, and do not always grow. What is asked for until a moment
is therefore looked for from one piece behind the place where that moment seems to be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from eventgraph.console.event_filter import Wanted, microseconds
from eventkernel.events import Partition, Position, Record
from eventkernel.writing.store import Checkpoint, LogReader

PAGE: Final = 50
_PIECE: Final = 250
"""Records of a partition that are read at once."""
_LOOKED_THROUGH: Final = 20_000
"""Records that a page looks through at most."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """Records, the newest first. `before` is where the next page begins; empty: there is none."""

    records: Sequence[Record]
    before: Position
    looked_through: int


@dataclass(slots=True)
class _Tail:
    """The unread rest of one partition."""

    partition: Partition
    end: int
    """Everything from there on is dealt with."""
    records: list[Record] = field(default_factory=list[Record])
    """Read and not yet given, the newest one last."""

    @property
    def rest(self) -> int:
        """Where the next page has to begin."""
        return self.records[-1].offset + 1 if self.records else self.end


async def newest(
    logs: Sequence[LogReader],
    wanted: Wanted,
    before: Position | None = None,
    *,
    most: int = PAGE,
    look_through: int = _LOOKED_THROUGH,
) -> EventPage:
    """The newest records before a position (None: before the end) that are wanted.

    Raises what reading the logs raises.
    """
    ends = await asyncio.gather(*(_ends(log, wanted, before) for log in logs))
    tails = {log.log: [_Tail(*end) for end in found.items()] for log, found in zip(logs, ends, strict=True)}
    every = [tail for found in tails.values() for tail in found]
    looked, found = 0, list[Record]()
    while len(found) < most:
        if any(not tail.records and tail.end for tail in every):
            if looked >= look_through:
                break
            looked += sum(await asyncio.gather(*(_fill(log, tails[log.log], wanted) for log in logs)))
            continue
        latest = max((tail for tail in every if tail.records), key=lambda tail: tail.records[-1].time_us, default=None)
        if latest is None:
            break
        found.append(latest.records.pop())
    return EventPage(found, Position({tail.partition: tail.rest for tail in every if tail.rest}), looked)


async def _ends(log: LogReader, wanted: Wanted, before: Position | None) -> Mapping[Partition, int]:
    head = await log.head()
    ends = {partition: min(end, end if before is None else before.get(partition, 0)) for partition, end in head.items()}
    if wanted.until is None:
        return ends
    return await _until(log, ends, microseconds(wanted.until))


async def _until(log: LogReader, ends: Mapping[Partition, int], time_us: int) -> Mapping[Partition, int]:
    """By bisection: one piece behind the first record of this time or later."""
    low = dict.fromkeys(ends, 0)
    high = dict(ends)
    while any(low[one] < high[one] for one in ends):
        middle = {one: (low[one] + high[one] + 1) // 2 for one in ends if low[one] < high[one]}
        records = await log.records_before({one.number: offset for one, offset in middle.items()})
        for one, offset in middle.items():
            record = records.get(one.number)
            if record is None or record.time_us < time_us:
                low[one] = offset
            else:
                high[one] = offset - 1
    return {one: min(end, low[one] + _PIECE) for one, end in ends.items()}


async def _fill(log: LogReader, tails: Sequence[_Tail], wanted: Wanted) -> int:
    """Read the next piece of those tails of a log that have nothing left; how many records were read."""
    empty = {tail.partition: tail for tail in tails if not tail.records and tail.end}
    if not empty:
        return 0
    starts = {one: max(0, tail.end - _PIECE) for one, tail in empty.items()}
    pieces: dict[Partition, dict[int, Record]] = {one: {} for one in empty}
    position = Position(starts)
    goal = Position({one: tail.end for one, tail in empty.items()})
    numbers = frozenset(one.number for one in empty)
    async with aclosing(log.subscribe(Checkpoint(position), numbers)) as batches:
        async for batch in batches:
            partition = Partition(batch.log, batch.partition)
            if partition in empty:
                piece = range(starts[partition], empty[partition].end)
                # A log may repeat records.
                pieces[partition].update({one.offset: one for one in batch.records if one.offset in piece})
                position = position.join(Position.of(batch.log, batch.partition, batch.next_offset))
            if position.covers(goal):
                break
    for one, tail in empty.items():
        records = [record for _, record in sorted(pieces[one].items())]
        tail.records = [record for record in records if wanted.has(record)]
        tail.end = starts[one]
        since = wanted.since
        if since is not None and records and all(record.time_us < microseconds(since) for record in records):
            tail.end = 0
    return sum(map(len, pieces.values()))
