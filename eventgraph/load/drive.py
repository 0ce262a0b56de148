"""The open loop: each request is started at its moment, or as soon after it as one more may be under way.

So many at most are under way. The others wait in the order in which they arrived, and their waiting is part of their
latency. A request that has not been answered when its time is over is given up, sent or not, and counted as what it
is. So a run ends at the latest that time after its last request, and what waits is bounded by rate and time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Final

from eventgraph.load.figures import Figures

GRACE: Final = 2.0
"""Seconds that those under way have when a run is stopped."""


class Lost(Exception):
    """A request had no answer; the text is a code for why."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The codes of an answer's errors: those that are expected, and those that are not."""

    refusals: Sequence[str] = ()
    errors: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request of an operation, and the second after the beginning at which it is to be sent."""

    operation: str
    at: float


Send = Callable[[str], Awaitable[Answered]]
"""Sends an operation and waits for the answer. Raises `Lost`."""


class Drive:
    """One run. `at_most` are under way at a time; each has `timeout` seconds from its moment to its answer."""

    def __init__(
        self,
        send: Send,
        figures: Figures,
        *,
        at_most: int,
        timeout: float,
        clock: Callable[[], float] = perf_counter,
        grace: float = GRACE,
    ) -> None:
        self._send = send
        self._figures = figures
        self._timeout = timeout
        self._clock = clock
        self._grace = grace
        self._begun = 0.0
        self._waiting: deque[Arrival] = deque()
        self._under_way: set[asyncio.Task[None]] = set()
        self._at_most = at_most
        self._free = at_most
        self._tasks: asyncio.TaskGroup
        self._pause: asyncio.Future[None] | None = None
        self.stopped = False

    async def run(self, arrivals: Iterable[Arrival]) -> None:
        """Start all, and wait for what comes of them."""
        self._begun = self._clock()
        async with asyncio.TaskGroup() as self._tasks:
            for arrival in arrivals:
                await self._until(arrival.at)
                if self.stopped:
                    break
                self._figures.arrive(arrival.operation, arrival.at, self.elapsed)
                self._waiting.append(arrival)
                self._start_waiting()
        self._figures.seconds = self.elapsed

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._begun

    def stop(self) -> None:
        """No request is started any more; those under way have a moment, or none when this is called again."""
        if self.stopped:
            self._cut()
            return
        self.stopped = True
        while self._waiting:
            self._figures.cut_off(self._waiting.popleft().operation)
        self._figures.waiting = 0
        if self._pause is not None and not self._pause.done():
            self._pause.set_result(None)
        asyncio.get_running_loop().call_later(self._grace, self._cut)

    def _cut(self) -> None:
        for task in self._under_way:
            task.cancel()

    async def _until(self, at: float) -> None:
        """Wait for a moment, but not when the run is stopped; let others run in any case."""
        delay = at - self.elapsed
        if delay <= 0:
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        pause = self._pause = loop.create_future()
        timer = loop.call_later(delay, _end, pause)
        try:
            await pause
        finally:
            timer.cancel()

    def _start_waiting(self) -> None:
        while self._waiting and not self.stopped:
            now, first = self.elapsed, self._waiting[0]
            if now - first.at >= self._timeout:
                self._waiting.popleft()
                self._figures.not_start(first.operation, first.at, now)
            elif self._free:
                self._waiting.popleft()
                self._figures.start(now)
                self._free -= 1
                task = self._tasks.create_task(self._one(first, now))
                self._under_way.add(task)
                task.add_done_callback(partial(self._over, first.operation))
            else:
                break
        self._figures.waiting = len(self._waiting)
        self._figures.in_flight = self._at_most - self._free

    async def _one(self, arrival: Arrival, started: float) -> None:
        figures, operation = self._figures, arrival.operation
        try:
            async with asyncio.timeout(arrival.at + self._timeout - started):
                answer = await self._send(operation)
        except TimeoutError:
            figures.time_out(operation, arrival.at, self.elapsed)
        except Lost as lost:
            figures.lose(operation, self.elapsed, str(lost))
        else:
            figures.answer(operation, arrival.at, started, self.elapsed, answer.errors)
            figures.refuse(operation, answer.refusals)
        self._free += 1
        # Here and not when the task is over: a group takes no more tasks once its last one is.
        self._start_waiting()

    def _over(self, operation: str, task: asyncio.Task[None]) -> None:
        # Here and not in the task: one that is cancelled before its first step does nothing itself.
        self._under_way.discard(task)
        if task.cancelled():
            self._figures.cut_off(operation)


def _end(pause: asyncio.Future[None]) -> None:
    if not pause.done():
        pause.set_result(None)
