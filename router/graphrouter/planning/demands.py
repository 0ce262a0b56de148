"""What the walk hands to the choice: for each thing that must be fetched, the ways in which it can be."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TypeAlias

from graphrouter.planning.errors import PlanningError
from graphrouter.planning.steps import Step


@dataclass(frozen=True, slots=True)
class Leaf:
    """One of these paths has to be in the plan; the cheapest comes first."""

    alternatives: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The demands of one of these options have to be met."""

    options: tuple[Demands, ...]


Demands: TypeAlias = "tuple[Leaf | AnyOf, ...]"


def demands_text(demands: Demands, depth: int = 0) -> str:
    """One line per way, the ways of one demand together."""
    lines: list[str] = []
    indent = "  " * depth
    for demand in demands:
        if isinstance(demand, Leaf):
            lines += [
                f"{indent}{'or ' if n else '- '}{step} ({step.total})" for n, step in enumerate(demand.alternatives)
            ]
        else:
            for n, option in enumerate(demand.options):
                lines += [f"{indent}{'or' if n else '-'} all of", demands_text(option, depth + 1).rstrip("\n")]
    return "\n".join(lines) + "\n"


class Budget:
    """An upper bound on the work and the time of one planning."""

    def __init__(self, max_work: int, max_seconds: float) -> None:
        self._left = max_work
        self._max_work = max_work
        self._max_seconds = max_seconds
        self._deadline = time.monotonic() + max_seconds

    def spend(self) -> None:
        """Account for one unit of work; PlanningError when there is none left."""
        self._left -= 1
        if self._left < 0:
            raise PlanningError("PLANNING_LIMIT", f"Planning needs more than {self._max_work} steps of work.")
        if self._left % 256 == 0 and time.monotonic() > self._deadline:
            raise PlanningError("PLANNING_LIMIT", f"Planning takes more than {self._max_seconds} seconds.")
