"""An event loop in virtual time, on which any callback that is ready may run next.

asyncio promises no order between tasks that one may rely on, so the loop draws the next one. Time stands still while
something is ready, and then jumps to the next timer: an hour of waiting costs nothing. Given the same seed, and code
that asks nothing else for time or chance, a run is the same each time.

A *process* is a flag in the context of tasks. One that is frozen takes no step any more: its callbacks are held. That
is a pause when it is thawed later, and a crash when it never is: the code is not told, no `finally` runs, whatever it
had in memory is of no effect. What was on its way to a server arrives nonetheless (`network.py`).
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from random import Random
from typing import Any, Final, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

MOST_STEPS: Final = 3_000_000
"""A run that takes more is taken for one that never ends."""


class Stuck(Exception):
    """Nothing is ready and no timer is set, or there is no end to it."""


class Process:
    """One incarnation of a simulated process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.frozen = False
        self.crashed = False
        self.held: list[_Handle] = []

    def __repr__(self) -> str:
        return self.name


class _Handle:
    """A callback that is to run, and the process whose step it is. asyncio's own handle looks for more than is asked
    of it here, and half a history is handles."""

    __slots__ = ("args", "callback", "dropped", "process", "run")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: contextvars.Context | None
    ) -> None:
        if context is None:
            context = contextvars.copy_context()
        self.callback = callback
        self.args = args
        self.run: Callable[..., object] = context.run
        self.process: Process | None = context.get(PROCESS)
        self.dropped = False

    def cancel(self) -> None:
        self.dropped = True

    def cancelled(self) -> bool:
        return self.dropped


class _Timer(_Handle):
    __slots__ = ("_when",)

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context | None,
    ) -> None:
        super().__init__(callback, args, context)
        self._when = when

    def when(self) -> float:
        return self._when


PROCESS: Final = contextvars.ContextVar[Process | None]("process", default=None)


class _Future(asyncio.Future[Any]):
    """A future that has the same place in a set each time, which an address does not give."""

    number = 0

    def __hash__(self) -> int:
        return self.number


class _Task(asyncio.Task[T]):
    """The same for a task: a group of tasks cancels its set of them in turn."""

    def __init__(self, coro: Any, loop: SimulatedLoop, name: str | None, context: contextvars.Context | None) -> None:
        self.number = loop.next_number()
        super().__init__(coro, loop=loop, name=name, context=context)

    def __hash__(self) -> int:
        return self.number


class SimulatedLoop(asyncio.AbstractEventLoop):
    def __init__(self, chance: Random, *, in_order: bool = False) -> None:
        """`in_order`: first come, first served, as asyncio's own loop has it."""
        self._chance = chance.random
        self._in_order = in_order
        self._now = 0.0
        self._ready: list[_Handle] = []
        self._timers: list[tuple[float, int, _Timer]] = []
        self._count = itertools.count()
        self.next_number: Callable[[], int] = self._count.__next__
        self._running = False
        self._closed = False
        self.steps = 0
        self.unhandled: list[dict[str, Any]] = []
        """What nobody caught: contexts as asyncio's exception handlers get them."""

    # Time and turns

    def time(self) -> float:
        return self._now

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = _Handle(callback, args, context)
        self._ready.append(handle)
        return handle  # type: ignore[return-value]

    call_soon_threadsafe = call_soon

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        timer = _Timer(when, callback, args, context)
        heapq.heappush(self._timers, (when, next(self._count), timer))
        return timer  # type: ignore[return-value]

    def freeze(self, process: Process) -> None:
        process.frozen = True

    def thaw(self, process: Process) -> None:
        process.frozen = False
        self._ready.extend(process.held)
        process.held.clear()

    def _run_until(self, done: Callable[[], bool]) -> None:
        """Run one ready callback after the other."""
        ready, chance = self._ready, self._chance
        while not done():
            self.steps += 1
            if not ready:
                self._advance()
                continue
            if self._in_order:
                handle = ready.pop(0)
            else:
                at = int(chance() * len(ready))
                handle = ready[at]
                ready[at] = ready[-1]
                ready.pop()
            if handle.dropped:
                continue
            process = handle.process
            if process is not None and process.frozen:
                process.held.append(handle)
                continue
            try:
                handle.run(handle.callback, *handle.args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 -- as asyncio's loop has it
                self.unhandled.append({"message": "a callback failed", "exception": error})
            if self.steps > MOST_STEPS:
                raise Stuck(f"{MOST_STEPS} steps, and no end")

    def _advance(self) -> None:
        timers = self._timers
        while timers and timers[0][2].dropped:
            heapq.heappop(timers)
        if not timers:
            raise Stuck("nothing is ready, and no timer is set")
        now = self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= now:
            timer = heapq.heappop(timers)[2]
            if not timer.dropped:
                self._ready.append(timer)

    # Running

    def run_until_complete(self, future: Generator[Any, None, T] | Awaitable[T]) -> T:
        main = asyncio.ensure_future(_awaitable(future), loop=self)
        self._enter()
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(finalizer=self._end_generator)
        try:
            self._run_until(main.done)
        finally:
            sys.set_asyncgen_hooks(*hooks)
            self._leave()
        return main.result()

    def _enter(self) -> None:
        self._running = True
        asyncio._set_running_loop(self)

    def _leave(self) -> None:
        asyncio._set_running_loop(None)
        self._running = False

    def _end_generator(self, generator: AsyncGenerator[Any, Any]) -> None:
        if not self._closed:
            self.create_task(generator.aclose())

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return self._closed

    def stop(self) -> None:
        raise NotImplementedError("a simulated loop runs until something is complete")

    def close(self) -> None:
        self._closed = True
        self._ready.clear()
        self._timers.clear()

    async def shutdown_asyncgens(self) -> None:
        """Generators are ended when nobody holds them any more."""

    async def shutdown_default_executor(self) -> None:
        """There is none."""

    # What asyncio makes on a loop

    def create_future(self) -> asyncio.Future[Any]:
        future = _Future(loop=self)
        future.number = self.next_number()
        return future

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[T]:
        return _Task(coro, self, name, context)

    def run_in_executor(self, executor: object, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """What a thread would do is done in one step, some time later."""
        future: asyncio.Future[T] = self.create_future()

        def run() -> None:
            if future.done():
                return
            try:
                future.set_result(func(*args))
            except Exception as error:  # noqa: BLE001 -- it belongs to whoever awaits it
                future.set_exception(error)

        self.call_soon(run)
        return future

    def get_debug(self) -> bool:
        return False

    def set_debug(self, enabled: bool) -> None:
        """There is nothing more to be seen."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.unhandled.append(context)

    def get_exception_handler(self) -> None:
        return None

    def set_exception_handler(self, handler: object) -> None:
        """Whatever is unhandled is kept."""

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.unhandled.append(context)


def _awaitable(future: Generator[Any, None, T] | Awaitable[T]) -> Awaitable[T]:
    assert isinstance(future, Awaitable)
    return future


def simulated_loop(chance: Random, *, in_order: bool = False) -> SimulatedLoop:
    """A new loop."""
    # It has no sockets, signals and processes, and so looks like an abstract class to mypy.
    made: Callable[..., Any] = SimulatedLoop
    loop: SimulatedLoop = made(chance, in_order=in_order)
    return loop
