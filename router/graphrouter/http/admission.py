"""How many requests are executed at the same time: a fixed number, or as many as keep the event loop busy.

With more requests than the loop can take, a fixed number of them share it, and each takes that many times as long. Then
fewer at the same time give as many answers a second, each of them sooner. So the number goes down while the loop is
never idle, and up again where it is and somebody was turned away. What waits for a subgraph does not keep the loop
busy: it does not count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

LEAST: Final = 16
"""A queue of so many is there at times at four fifths of the capacity, too (M/D/1: 1 in 1,000)."""
_BEAT_SECONDS: Final = 0.01
_BEATS: Final = 20
_BUSY: Final = 0.95
"""The share of beats that are late on a loop that is never idle: at four fifths of the capacity a fifth are not."""
_LATE_SECONDS: Final = 0.002
"""A timer of an idle event loop comes later than it should by less than this."""
_LESS: Final = 0.9
_MORE: Final = 1.125


class Clock(Protocol):
    """An event loop, as far as it is asked for time."""

    def time(self) -> float: ...
    def call_at(self, when: float, callback: Callable[[], None], /) -> object: ...


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

    def __init__(self, most: int, clock: Clock | None = None) -> None:
        super().__init__(most)
        self._clock = clock
        """None: the event loop that runs when the first request comes."""
        self._limit = most
        self._peak = 0
        self._turned_away = False
        self._beats = 0
        self._late = 0
        self._beating = False

    @property
    def limit(self) -> int:
        return self._limit

    def enter(self) -> bool:
        if not super().enter():
            self._turned_away = True
            return False
        self._peak = max(self._peak, self.running)
        if not self._beating:
            self._beating = True
            self._schedule(self._clock or asyncio.get_running_loop())
        return True

    def _schedule(self, clock: Clock) -> None:
        self._clock = clock
        due = clock.time() + _BEAT_SECONDS
        clock.call_at(due, partial(self._beat, due))

    def _beat(self, due: float) -> None:
        clock = self._clock or asyncio.get_running_loop()
        self._count(clock.time() - due)
        self._beating = self.running > 0
        if self._beating:
            self._schedule(clock)

    def _count(self, lateness: float) -> None:
        missed = int(lateness / _BEAT_SECONDS)
        self._beats += 1 + missed
        self._late += missed + (lateness > _LATE_SECONDS)
        if self._beats < _BEATS:
            return
        if self._late >= _BUSY * self._beats:
            self._limit = max(min(LEAST, self.most), int(_LESS * min(self._limit, self._peak)))
        elif self._turned_away:
            self._limit = min(self.most, int(_MORE * self._limit) + 1)
        self._beats, self._late, self._peak, self._turned_away = 0, 0, self.running, False
