"""A run from the filling of its pools to its results."""

from __future__ import annotations

import asyncio
import platform
import random
import secrets
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from time import process_time
from typing import Final

from eventgraph.errors import StartError
from eventgraph.load.client import Client, reach, shown
from eventgraph.load.drive import Arrival, Drive, Lost
from eventgraph.load.figures import Figures
from eventgraph.load.pools import Pools
from eventgraph.load.results import Limits, Results, Settings, curve, generator, line, slices
from eventgraph.load.schedule import Arrivals, Schedule
from eventgraph.load.workload import Workload
from eventgraph.system import System

_FILLING: Final = 8
"""So many requests are under way while pools are filled."""
_ATTEMPTS: Final = 5
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

Watch = Callable[[Drive, Figures], AbstractContextManager[None]]
"""Shows a run while it lasts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is run."""

    system: System
    endpoint: str
    workload: Workload
    schedule: Schedule
    arrivals: Arrivals
    seed: int
    at_most: int
    timeout: float
    token: str | None
    limits: Limits


async def run(plan: Plan, watch: Watch) -> Results:
    """
    Raises:
        StartError: nothing answers at the endpoint, or a pool cannot be filled.
    """
    await reach(plan.endpoint, plan.token, plan.timeout)
    workload = plan.workload
    pools = Pools(workload, _draw(plan, "variables"), f"l{secrets.token_hex(5)}")
    opened = Client.open(plan.endpoint, workload, pools, at_most=plan.at_most, timeout=plan.timeout, token=plan.token)
    async with opened as client:
        await fill(client, pools, workload, plan.timeout)
        figures = Figures(workload.mix, plan.schedule.seconds)
        drive = Drive(client.send, figures, at_most=plan.at_most, timeout=plan.timeout)
        began, cpu = datetime.now(UTC), process_time()
        with _stopping(drive), watch(drive, figures):
            await drive.run(arrivals(plan))
        figures.cpu = process_time() - cpu
    return _results(plan, figures, drive, began)


def arrivals(plan: Plan) -> Iterator[Arrival]:
    """What arrives when: the same for the same seed."""
    names, weights = list(plan.workload.mix), list(plan.workload.mix.values())
    choice = _draw(plan, "operations")
    for at in plan.schedule.moments(plan.arrivals, _draw(plan, "moments")):
        yield Arrival(choice.choices(names, weights)[0], at)


async def fill(client: Client, pools: Pools, workload: Workload, timeout: float) -> None:
    """Ask the operations of pools until these have what they are to have before the load; in the file's order.

    Raises:
        StartError: an operation is refused, or its answers have no value at the path.
    """
    for name, pool in workload.pools.items():
        if pool.operation is None:
            continue
        numbers = iter(range(pool.before))

        async def work(operation: str, numbers: Iterator[int], name: str, before: int) -> None:
            for _ in numbers:
                if pools.size(name) < before:
                    await _ask(client, operation, timeout)

        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(min(_FILLING, pool.before)):
                    tasks.create_task(work(pool.operation, numbers, name, pool.before))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        if pools.size(name) < pool.before:
            raise StartError(
                f"load: pool {name!r}: expected {pool.before:,} values at {pool.path} in so many answers to "
                f"{pool.operation}, found {pools.size(name):,}"
            )


async def _ask(client: Client, operation: str, timeout: float) -> None:
    found = ""
    for attempt in range(_ATTEMPTS):
        await asyncio.sleep(0.1 * attempt)
        try:
            answer = await asyncio.wait_for(client.send(operation), timeout)
        except (TimeoutError, Lost) as error:
            found = str(error) or type(error).__name__
            continue
        if not answer.errors:
            return
        found = ", ".join(answer.errors)
    raise StartError(f"load: {operation}: expected an answer that fills a pool, found {found}, {_ATTEMPTS} times")


def _draw(plan: Plan, what: str) -> random.Random:
    return random.Random(f"{plan.seed} {what}")  # noqa: S311  # no secret: the same seed gives the same run


@contextmanager
def _stopping(drive: Drive) -> Generator[None]:
    """Ctrl-C ends the run, and not the process: what was measured is still told."""
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, drive.stop)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


def _results(plan: Plan, figures: Figures, drive: Drive, began: datetime) -> Results:
    # The last gap belongs to the schedule, although nothing ends it.
    lasted = figures.seconds if drive.stopped else max(plan.schedule.seconds, figures.seconds)
    asking = lasted if drive.stopped else plan.schedule.seconds
    return Results(
        system=plan.system.title,
        version=plan.system.version,
        python=platform.python_version(),
        endpoint=shown(plan.endpoint),
        began=began,
        seconds=round(figures.seconds, 3),
        interrupted=drive.stopped,
        settings=Settings(
            schedule=[str(stage) for stage in plan.schedule.stages],
            arrivals=plan.arrivals,
            mix=plan.workload.mix,
            seed=plan.seed,
            in_flight=plan.at_most,
            timeout=plan.timeout,
        ),
        asked_rate=round(figures.all.arrived / asking, 3),
        answered_rate=round(figures.all.answered / lasted, 3),
        all=line("all", figures.all),
        operations=[line(name, measured) for name, measured in figures.operations.items()],
        slices=slices(figures),
        slice_seconds=figures.width,
        percentiles=curve(figures.all.latency),
        service_percentiles=curve(figures.all.service),
        generator=generator(figures),
        verdicts=plan.limits.verdicts(figures.all),
    )
