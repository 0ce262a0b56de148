"""The port by which an event store tells what it does, for whoever counts it."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Protocol

from eventkernel.writing.store import Commit


class AppendMeter(Protocol):
    """Counts what one store does. Nothing of it waits, and nothing is raised."""

    def appended(self, commit: Commit | None, seconds: float, error: str) -> None:
        """An append has come to its end: with this commit, whose records are new on the log, or with None and the name
        of what was raised."""
        ...

    def grouped(self, commits: int) -> None:
        """So many appends went to the disk, or to the brokers, together. It may be told on another thread."""
        ...


async def metered(meter: AppendMeter, appending: Awaitable[Commit]) -> Commit:
    """What an append comes to, and the meter is told of it."""
    started = time.perf_counter()
    try:
        commit = await appending
    except BaseException as failure:
        meter.appended(None, time.perf_counter() - started, type(failure).__name__)
        raise
    meter.appended(commit, time.perf_counter() - started, "")
    return commit
