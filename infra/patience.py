"""How long to wait for something on this machine, at this moment: limits that scale with it.

    async with asyncio.timeout(seconds(10)):
        ...

A limit says how long something takes at most on a quiet machine of the usual speed, and is there so that what hangs is
noticed. No result depends on it. On a slower machine, or one with other things to do, everything takes longer, and so
does the limit.
"""

from __future__ import annotations

import os
import time

_USUAL_SECONDS = 0.012
"""What `_work` takes on a quiet machine of the usual speed."""
_MOST = 40.0
_BELIEVED_SECONDS = 20.0

_measured: tuple[float, float] | None = None
"""The factor, and when it was measured."""


def seconds(limit: float) -> float:
    """This many seconds of a quiet machine of the usual speed."""
    return limit * factor()


def factor() -> float:
    """How much longer than usual everything takes: at least 1."""
    global _measured  # noqa: PLW0603  # measured once for all
    now = time.monotonic()
    if _measured is None or now - _measured[1] > _BELIEVED_SECONDS:
        _measured = (_measure(), now)
    return _measured[0]


def _measure() -> float:
    began = time.thread_time()
    _work()
    speed = (time.thread_time() - began) / _USUAL_SECONDS
    crowd = os.getloadavg()[0] / (os.cpu_count() or 1)
    return min(_MOST, max(1.0, speed) * max(1.0, crowd))


def _work() -> None:
    total = 0
    for number in range(200_000):
        total += number % 7
