"""Threads as steps of the simulated loop: what is handed to one is done in one piece, some time later.

The product's threads are those of a `Batcher`, which take whatever has come meanwhile, and executors of one thread,
which keep the order. How long each takes to begin is the disk's doing.
"""

from __future__ import annotations

import asyncio
import queue
from collections import deque
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from random import Random
from types import SimpleNamespace
from typing import Any, Final, TypeVar, TypeVarTuple
from unittest.mock import patch

from tests.simulation.loop import SimulatedLoop

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_LEAST_SECONDS: Final = 0.0002
_MOST_SECONDS: Final = 0.003
_SLOW: Final = 0.3
"""How many pieces of work a slow disk is slow with."""


class DiskLoop(SimulatedLoop):
    """A loop whose threads wait for a disk."""

    disk_chance: Random
    slowest: float = 0.0
    """The disk is slow now: some work takes up to so many seconds."""

    def disk_delay(self) -> float:
        draw = self.disk_chance.random
        if self.slowest and draw() < _SLOW:
            return draw() * self.slowest
        return _LEAST_SECONDS + draw() * (_MOST_SECONDS - _LEAST_SECONDS)

    def run_in_executor(self, executor: object, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self.create_future()

        def run() -> None:
            if future.done():
                return
            try:
                future.set_result(func(*args))
            except Exception as error:  # noqa: BLE001 -- it belongs to whoever awaits it
                future.set_exception(error)

        if isinstance(executor, _OneThread):
            executor.jobs.append(run)
            self.call_later(self.disk_delay(), executor.run_next)
        else:
            self.call_later(self.disk_delay(), run)
        return future


def disk_loop(chance: Random, disk_chance: Random, *, in_order: bool) -> DiskLoop:
    made: Callable[..., Any] = DiskLoop
    loop: DiskLoop = made(chance, in_order=in_order)
    loop.disk_chance = disk_chance
    return loop


class _OneThread:
    """In the place of an executor with one thread."""

    def __init__(self, *_: object) -> None:
        self.jobs: deque[Callable[[], None]] = deque()

    def run_next(self) -> None:
        if self.jobs:
            self.jobs.popleft()()

    def shutdown(self) -> None:
        while self.jobs:
            self.run_next()


class _Asleep(Exception):
    """There is nothing to be done: a thread would wait."""


class _Queue:
    """In the place of `queue.SimpleQueue`: what is put there wakes a thread."""

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self.threads: list[_Thread] = []

    def put(self, item: Any) -> None:
        self._items.append(item)
        for thread in self.threads:
            if thread.wake():
                return

    def get(self, *, block: bool) -> Any:
        if self._items:
            return self._items.popleft()
        raise _Asleep if block else queue.Empty


class _Thread:
    """In the place of a thread of a `Batcher`."""

    def __init__(self, *, target: Any, **_: object) -> None:
        self._run: Callable[[], None] = target
        self._queue: _Queue = target.__self__._queue
        self._awake = False

    def start(self) -> None:
        self._queue.threads.append(self)

    def wake(self) -> bool:
        """False where it is at work."""
        if self._awake:
            return False
        self._awake = True
        loop = asyncio.get_running_loop()
        assert isinstance(loop, DiskLoop)
        loop.call_later(loop.disk_delay(), self._work)
        return True

    def _work(self) -> None:
        self._awake = False
        try:
            self._run()
        except _Asleep:
            return


@contextmanager
def simulated_threads() -> Generator[None]:
    sqlite = "eventkernel.adapters.sqlite"
    with ExitStack() as stack:
        stack.enter_context(patch(f"{sqlite}.batcher.threading", SimpleNamespace(Thread=_Thread)))
        stack.enter_context(patch(f"{sqlite}.batcher.queue", SimpleNamespace(SimpleQueue=_Queue, Empty=queue.Empty)))
        for module in ("build", "file_thread"):
            stack.enter_context(patch(f"{sqlite}.{module}.ThreadPoolExecutor", _OneThread))
        yield
