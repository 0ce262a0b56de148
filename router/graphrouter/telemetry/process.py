"""What a process tells of itself and of its runtime: memory, time, garbage collector, event loop."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from graphrouter.telemetry.measures import Family, Histogram, Metric, looked_up

MEMORY: Final = Metric("process.memory.usage", "gauge", "By", (), "Resident memory (Linux only).")
CPU: Final = Metric("process.cpu.time", "counter", "s", ("cpu.mode",), "Time on processors, by mode.")
UPTIME: Final = Metric("process.uptime", "gauge", "s", (), "Time since the metrics of the process were set up.")
FILES: Final = Metric(
    "process.open_file_descriptor.count", "gauge", "{file_descriptor}", (), "Open files and sockets (Linux only)."
)
COLLECTIONS: Final = Metric(
    "cpython.gc.collections", "counter", "{collection}", ("cpython.gc.generation",), "Runs of the garbage collector."
)
COLLECTED: Final = Metric(
    "cpython.gc.collected_objects",
    "counter",
    "{object}",
    ("cpython.gc.generation",),
    "Objects that the garbage collector has freed.",
)
LOOP_DELAY: Final = Metric(
    "asyncio.eventloop.delay",
    "histogram",
    "s",
    (),
    "How late the event loop is: a timer measures it every half second, from the first reading of the metrics on.",
)

METRICS: Final = (MEMORY, CPU, UPTIME, FILES, COLLECTIONS, COLLECTED, LOOP_DELAY)

_BEAT_SECONDS: Final = 0.5
_DELAYS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class ProcessMetrics:
    """Of the process that makes it. `families` is called on the event loop whose delay is measured."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._delay = Histogram(LOOP_DELAY, _DELAYS)
        self._beating: asyncio.TimerHandle | None = None

    def families(self) -> Iterable[Family]:
        if self._beating is None:
            self._beat(None)
        used = os.times()
        if (resident := _resident_bytes()) is not None:
            yield looked_up(MEMORY, [((), resident)])
        yield looked_up(CPU, [(("user",), used.user), (("system",), used.system)])
        yield looked_up(UPTIME, [((), time.monotonic() - self._began)])
        if (files := _open_files()) is not None:
            yield looked_up(FILES, [((), files)])
        runs = list(enumerate(gc.get_stats()))
        yield looked_up(COLLECTIONS, [((str(number),), one["collections"]) for number, one in runs])
        yield looked_up(COLLECTED, [((str(number),), one["collected"]) for number, one in runs])
        yield self._delay.family()

    def _beat(self, due: float | None) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if due is not None:
            self._delay.observe((), max(0.0, now - due))
        self._beating = loop.call_at(now + _BEAT_SECONDS, self._beat, now + _BEAT_SECONDS)


def _resident_bytes() -> int | None:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _open_files() -> int | None:
    try:
        return sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1  # without the one that lists them
    except OSError:
        return None
