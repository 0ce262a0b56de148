"""When a view has shown what: the moments of its saves, in bounded memory.

For each partition there is a list of how far the view was, and when. The first entry past an offset tells when the
record there was shown. A full list is thinned: of its older half every second entry goes. What was shown by a save
whose entry is gone is told by the next one, and then the answer is "no later than".

Nothing of it is stored. A process that begins to follow a view knows of all that the view has by then no more than
that it was shown before.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from eventkernel.events import Partition, Position
from eventkernel.reading.views import Change

_MOST: Final = 8_192
"""Entries of one partition: 17 bytes each."""
_MOST_LATE: Final = 10_000
"""Records that were shown after they had been parked, and whose moments are kept."""


class Shown(NamedTuple):
    """When a record was shown, in microseconds since 1970 UTC; not exact: no later than then."""

    time_us: int
    exact: bool


class ShownTimes:
    """The moments of one view's saves, as one process knows them."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._partitions: dict[Partition, _Saves] = {}
        self._late: OrderedDict[tuple[Partition, int], int] = OrderedDict()

    def found(self, position: Position, time_us: int) -> None:
        """The view has been found at a position: whoever brought it there did so before now."""
        self._reached(position, time_us, exact=False)

    def saved(self, position: Position, time_us: int) -> None:
        """The view has reached a position by a save that has ended now."""
        self._reached(position, time_us, exact=True)

    def saved_late(self, changes: Iterable[Change[Any]], time_us: int) -> None:
        """What was parked has been applied by a save that has ended now."""
        for change in changes:
            for state in change.states:
                self._late[Partition(state.log, state.partition), state.offset] = time_us
        while len(self._late) > _MOST_LATE:
            self._late.popitem(last=False)

    def of(self, partition: Partition, offset: int) -> Shown | None:
        """When the record at this offset was shown, if it was not parked; None: not yet, as far as is known here."""
        late = self._late.get((partition, offset))
        if late is not None:
            return Shown(late, exact=True)
        saves = self._partitions.get(partition)
        return None if saves is None else saves.past(offset)

    def _reached(self, position: Position, time_us: int, *, exact: bool) -> None:
        for partition, end in position.offsets.items():
            saves = self._partitions.get(partition)
            if saves is None:
                saves = self._partitions[partition] = _Saves()
            saves.add(end, time_us, exact, self._most)


class _Saves:
    """How far one partition was, and when; ends ascend."""

    __slots__ = ("_ends", "_exact", "_times")

    def __init__(self) -> None:
        self._ends, self._times, self._exact = array("q"), array("q"), bytearray()

    def add(self, end: int, time_us: int, exact: bool, most: int) -> None:
        if self._ends and end <= self._ends[-1]:
            return
        self._ends.append(end)
        self._times.append(time_us)
        self._exact.append(exact)
        if len(self._ends) > most:
            self._thin()

    def past(self, offset: int) -> Shown | None:
        at = bisect_right(self._ends, offset)
        return Shown(self._times[at], bool(self._exact[at])) if at < len(self._ends) else None

    def _thin(self) -> None:
        half = len(self._ends) // 4 * 2
        self._ends = self._ends[1:half:2] + self._ends[half:]
        self._times = self._times[1:half:2] + self._times[half:]
        self._exact = bytearray(half // 2) + self._exact[half:]
