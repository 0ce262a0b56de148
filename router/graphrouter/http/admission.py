"""How many requests are executed at the same time: a fixed number, or as many as keep the event loop busy.

With more requests than the loop can take, a fixed number of them share it, and each takes that many times as long. Then
fewer at the same time give as many answers a second, each of them sooner. So the number goes down while the loop is
never idle, and up again where it is and somebody was turned away. What waits for a subgraph does not keep the loop
busy: it does not count.
"""

from __future__ import annotations

import asyncio
from typing import Final

LEAST: Final = 16
"""A queue of so many is there at times at four fifths of the capacity, too (M/D/1: 1 in 1,000)."""
_BEAT_SECONDS: Final = 0.01
_BEATS: Final = 20
_BUSY: Final = 19
"""So many of the beats have to be late: at four fifths of the capacity a fifth of them are not."""
_LATE_SECONDS: Final = 0.002
"""A timer of an idle event loop comes later than it should by less than this."""
_LESS: Final = 0.9
_MORE: Final = 1.125


class Admission:
    """Admits a fixed number of requests at the same time."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.running = 0

    @property
    def limit(self) -> int:
        return self.most

    def enter(self) -> bool:
        """Whether one more may be executed; then it is to be told `leave`."""
        if self.running >= self.limit:
            return False
        self.running += 1
        return True

    def leave(self) -> None:
        self.running -= 1


class AdaptiveAdmission(Admission):
    """Admits as many as keep the event loop busy, between `LEAST` and `most`.

    While requests are executed a timer beats. How late it comes says how long the loop was busy with other things.
    """

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self._limit = most
        self._peak = 0
        self._turned_away = False
        self._beats = 0
        self._late = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def limit(self) -> int:
        return self._limit

    def enter(self) -> bool:
        if not super().enter():
            self._turned_away = True
            return False
        self._peak = max(self._peak, self.running)
        if self._timer is None:
            self._schedule()
        return True

    def beat(self, lateness: float) -> None:
        """A beat of the timer, so many seconds late."""
        self._beats += 1
        self._late += lateness > _LATE_SECONDS
        if self._beats < _BEATS:
            return
        if self._late >= _BUSY:
            self._limit = max(min(LEAST, self.most), int(_LESS * min(self._limit, self._peak)))
        elif self._turned_away:
            self._limit = min(self.most, int(_MORE * self._limit) + 1)
        self._beats, self._late, self._peak, self._turned_away = 0, 0, self.running, False

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + _BEAT_SECONDS
        self._timer = loop.call_at(due, self._on_timer, due)

    def _on_timer(self, due: float) -> None:
        self._timer = None
        self.beat(asyncio.get_running_loop().time() - due)
        if self.running:
            self._schedule()
