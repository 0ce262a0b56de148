"""The port by which an event store tells what it does, for whoever counts it."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Protocol

from eventkernel.writing.store import Commit


class AppendMeter(Protocol):
    """Counts what one store does. Nothing of it waits, and nothing is raised."""

    def appended(self, events: int, seconds: float, error: str) -> None:
        """An append has come to its end: so many events are new on the log, or the name of what was raised."""
        ...

    def grouped(self, commits: int) -> None:
        """So many appends went to the disk, or to the brokers, together. It may be told on another thread."""
        ...


async def metered(meter: AppendMeter, appending: Awaitable[Commit]) -> Commit:
    """What an append comes to, and the meter is told of it."""
    started = time.perf_counter()
    events, error = 0, "CancelledError"
    try:
        commit = await appending
        events, error = (commit.events if commit.records else 0), ""
    except Exception as failure:
        error = type(failure).__name__
        raise
    finally:
        meter.appended(events, time.perf_counter() - started, error)
    return commit
