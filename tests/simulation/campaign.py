"""Many histories one after the other, and what they came to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final

from tests.simulation.history import Result, run
from tests.simulation.plan import Mix, Plan, drawn


@dataclass(frozen=True, slots=True)
class Simulation:
    """A world, and what happens in it."""

    drawn: Callable[[int, Mix], Plan]
    run: Callable[[Plan], Result]


ENGINES: Final = Simulation(drawn, run)
"""Replicas on Kafka and MongoDB."""


@dataclass(slots=True)
class Count:
    """What a campaign has come to; `cpu` is in seconds."""

    histories: int = 0
    calls: int = 0
    requests: int = 0
    virtual: float = 0.0
    cpu: float = 0.0

    def __str__(self) -> str:
        a_minute = self.histories / self.cpu * 60 if self.cpu else 0.0
        return (
            f"{self.histories} histories, {self.calls} calls, {self.requests} requests, {self.virtual:.0f} s of "
            f"virtual time in {self.cpu:.1f} s of CPU: {a_minute:.0f} histories a minute"
        )


def failures(
    mix: Mix,
    histories: int,
    first_seed: int,
    count: Count,
    without: Callable[[], AbstractContextManager[object]] = nullcontext,
    simulation: Simulation = ENGINES,
) -> Iterator[Result]:
    """Those of these histories in which an oracle objects."""
    for seed in range(first_seed, first_seed + histories):
        began = time.process_time()
        result = execute(simulation.drawn(seed, mix), without, simulation)
        count.cpu += time.process_time() - began
        count.histories += 1
        count.calls += len(result.calls)
        count.requests += result.requests
        count.virtual += result.seconds
        if result.violations:
            yield result


def missed(
    mix: Mix,
    histories: int,
    first_seed: int,
    count: Count,
    without: Callable[[], AbstractContextManager[object]],
    simulation: Simulation = ENGINES,
) -> Result | None:
    """The first history that goes wrong for want of what is taken out: with it in place no such oracle objects."""
    for failure in failures(mix, histories, first_seed, count, without, simulation):
        intact = {violation.oracle for violation in execute(failure.plan, simulation=simulation).violations}
        if any(violation.oracle not in intact for violation in failure.violations):
            return failure
    return None


def execute(
    plan: Plan,
    without: Callable[[], AbstractContextManager[object]] = nullcontext,
    simulation: Simulation = ENGINES,
) -> Result:
    with without():
        return simulation.run(plan)
