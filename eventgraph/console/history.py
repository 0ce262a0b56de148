"""The last quarter of an hour of a process, sampled every few seconds: what the status page draws its charts from."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

import msgspec
import structlog

from eventgraph.console.status import PartitionLine, subgraph_line
from eventgraph.serving.served import ServedSubgraph
from eventkernel.errors import KernelError
from graphrouter.telemetry.measures import Family
from graphrouter.telemetry.operations import DURATION, ERRORS

EVERY: Final = 5.0
_KEPT: Final = 180
_LONGEST: Final = 4.0
"""Seconds that one look may take; what is not known by then is a gap in the chart."""

_log = structlog.get_logger()

Counted = Callable[[], Iterable[Family]]


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One look. Rates are per second since the look before; null is what could not be found out."""

    at: float
    """Seconds since 1970 UTC."""
    behind: int | None
    """Records that readers have not dealt with, added up."""
    appends: float | None
    """Records put on the logs."""
    requests: float | None
    """Operations that the router has answered."""
    errors: float | None
    """Operations among them whose answer had an error, once for each code."""


class History:
    """Samples, taken by `run`. `operations` are the router's; without them nobody knows of requests and errors here."""

    def __init__(
        self,
        subgraphs: Sequence[ServedSubgraph],
        operations: Counted | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._subgraphs = subgraphs
        self._operations = operations
        self._clock = clock
        self._samples: deque[Sample] = deque(maxlen=_KEPT)
        self._before: tuple[float, int | None, tuple[float, float] | None] = (clock(), None, None)

    @property
    def samples(self) -> Sequence[Sample]:
        """The oldest first."""
        return tuple(self._samples)

    async def run(self) -> None:
        """Look again and again, until cancelled. A look that fails unexpectedly is a gap; the log has it once, and
        again after one that succeeds."""
        failed = False
        while True:
            try:
                await self.look()
                failed = False
            except Exception as error:  # noqa: BLE001  # the charts are to go on, whatever one look meets
                if not failed:
                    _log.exception("a look for the charts failed", error=str(error)[:200])
                failed = True
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        at = self._clock()
        behind, appended = await asyncio.gather(_within(self._behind()), _within(self._appended()))
        counted = None if self._operations is None else _counted(self._operations())
        before_at, before_appended, before_counted = self._before
        seconds = max(at - before_at, 0.001)
        requests, errors = (
            (None, None)
            if counted is None or before_counted is None
            else (_rate(counted[0], before_counted[0], seconds), _rate(counted[1], before_counted[1], seconds))
        )
        self._samples.append(Sample(at, behind, _rate(appended, before_appended, seconds), requests, errors))
        self._before = (at, appended, counted)

    async def _behind(self) -> int:
        found = 0
        for subgraph in self._subgraphs:
            line = await subgraph_line(subgraph, listed=False)
            lines: list[PartitionLine] = [] if line.view.live is None else [*line.view.live.partitions]
            for process in line.processes:
                lines += process.partitions
            found += sum(one.lag_events or 0 for one in lines)
        return found

    async def _appended(self) -> int:
        return sum([sum((await one.store.head()).values()) for one in self._subgraphs if one.store is not None])


async def _within(asking: Awaitable[int]) -> int | None:
    try:
        async with asyncio.timeout(_LONGEST):
            return await asking
    except (KernelError, TimeoutError):
        return None


def _rate(now: float | None, before: float | None, seconds: float) -> float | None:
    return None if now is None or before is None else round(max(0.0, now - before) / seconds, 3)


def _counted(families: Iterable[Family]) -> tuple[float, float]:
    """Operations, and those with errors."""
    operations = errors = 0.0
    for family in families:
        if family.metric is DURATION:
            operations += sum(sum(one.counts) for one in family.values.values() if not isinstance(one, int | float))
        elif family.metric is ERRORS:
            errors += sum(one for one in family.values.values() if isinstance(one, int | float))
    return operations, errors
