"""Making a failure small: leaving out faults and operations as long as the same oracle still objects.

A plan with something left out goes another way from there on. So each smaller plan gets a few draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from tests.simulation.history import Result, run
from tests.simulation.plan import Plan

_DRAWS: Final = 4
_MOST_RUNS: Final = 400


def shrunk(failure: Result, execute: Callable[[Plan], Result] = run) -> Result:
    """The smallest failure of the same oracle that is found in bounded time."""
    oracle = failure.violations[0].oracle
    runs = 0
    smaller = True
    while smaller and runs < _MOST_RUNS:
        smaller = False
        for candidate in _smaller(failure.plan):
            for draw in range(_DRAWS):
                runs += 1
                result = execute(replace(candidate, again=draw))
                if any(violation.oracle == oracle for violation in result.violations):
                    failure, smaller = result, True
                    break
            if smaller or runs >= _MOST_RUNS:
                break
    return failure


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Plans with less in them, those with much less first."""
    for number, ops in enumerate(plan.clients):
        if ops and len(plan.clients) > 1:
            yield replace(plan, clients=[[] if at == number else other for at, other in enumerate(plan.clients)])
    for number in range(len(plan.faults)):
        yield replace(plan, faults=[*plan.faults[:number], *plan.faults[number + 1 :]])
    for system, count in plan.replicas.items():
        if count > 1:
            yield replace(plan, replicas={**plan.replicas, system: count - 1})
    for number, ops in enumerate(plan.clients):
        for at in reversed(range(len(ops))):
            fewer = [*ops[:at], *ops[at + 1 :]]
            yield replace(plan, clients=[fewer if other == number else each for other, each in enumerate(plan.clients)])
    if not plan.in_order:
        yield replace(plan, in_order=True)


def story(result: Result) -> str:
    """What happened, a line for each thing, and which oracle objects."""
    plan = result.plan
    systems = ", ".join(f"{count} × {system}" for system, count in plan.replicas.items())
    faults = ", ".join(fault.kind for fault in plan.faults) or "none"
    lines = [f"seed {plan.seed}, draw {plan.again}: {systems}; faults: {faults}"]
    lines += [f"{at:10.3f} s  {text}" for at, text in result.story]
    return "\n".join([*lines, *(f"VIOLATED  {violation}" for violation in result.violations)])
