"""Time as a port, so that tests can hold it still; and a clock whose steps are bounded."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final, Protocol

_log: Final = logging.getLogger(__name__)

LARGEST_STEP_SECONDS: Final = 300
"""How far a clock may step, as when it is set: further it is doubted."""
DOUBTED_SECONDS: Final = 600
"""How long a doubted clock has to go on evenly before it is believed."""


class Clock(Protocol):
    def now_us(self) -> int:
        """Microseconds since 1970 UTC."""
        ...


class SystemClock:
    def now_us(self) -> int:
        return time.time_ns() // 1_000


class SteadyClock:
    """Another clock, whose large steps are not believed at once.

    Events are dated by it, and questions about a past are answered by those dates: one wrong hour would stay on the log
    for ever. So a step of more than `LARGEST_STEP_SECONDS`, forwards or back, is doubted: time goes on from before it,
    as the machine has counted since. A clock that is wrong for a moment has no effect. One that goes on evenly for
    `DOUBTED_SECONDS` was set on purpose, and is followed. Both are logged, once each.

    What it cannot notice is a clock that is wrong from the start of the process on.
    """

    def __init__(self, clock: Clock, counted_us: Callable[[], int] | None = None) -> None:
        """`counted_us` counts microseconds whatever the clock is set to, and while the machine sleeps."""
        self._clock = clock
        self._counted_us = counted_us or _machine_us
        self._ahead_us = clock.now_us() - self._counted_us()
        """How far the believed clock is ahead of the count."""
        self._doubted: tuple[int, int] | None = None
        """How far the doubted clock was ahead of the count, and the count, when it was doubted first."""

    def now_us(self) -> int:
        counted = self._counted_us()
        ahead = self._clock.now_us() - counted
        if abs(ahead - self._ahead_us) <= LARGEST_STEP_SECONDS * 1_000_000:
            if self._doubted is not None:
                self._doubted = None
                _log.warning("the clock is right again")
        elif not self._is_believed(ahead, counted):
            return counted + self._ahead_us
        self._ahead_us = ahead
        return counted + ahead

    def _is_believed(self, ahead: int, counted: int) -> bool:
        if self._doubted is None or abs(ahead - self._doubted[0]) > LARGEST_STEP_SECONDS * 1_000_000:
            self._doubted = (ahead, counted)
            step = (ahead - self._ahead_us) / 1_000_000
            _log.error("the clock has stepped by %.0f seconds: events are dated as if it had not", step)
        if counted - self._doubted[1] < DOUBTED_SECONDS * 1_000_000:
            return False
        self._doubted = None
        _log.warning("the clock goes on as it was set: events are dated by it from now on")
        return True


def _machine_us() -> int:
    # CLOCK_BOOTTIME goes on while the machine sleeps (https://man7.org/linux/man-pages/man2/clock_gettime.2.html);
    # where there is none, a machine that slept has a clock that steps.
    boottime: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return (time.monotonic_ns() if boottime is None else time.clock_gettime_ns(boottime)) // 1_000


class ManualClock:
    """Stands still until it is moved."""

    def __init__(self, now_us: int = 1_700_000_000_000_000) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        return self._now_us

    def advance(self, seconds: float) -> None:
        self._now_us += round(seconds * 1_000_000)
