"""Figures of a run: latencies by operation, errors by code, attempts that had no answer, seconds by phase."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from math import ceil


class Part(StrEnum):
    """Why a request was sent."""

    LOAD = "load"
    AT_ONCE = "checks at once"
    SETTLED = "checks when settled"


@dataclass(slots=True)
class Operations:
    """What was measured of one operation in one part of the run. Latencies are in seconds, of attempts with answer."""

    latencies: array[float] = field(default_factory=lambda: array("d"))
    codes: Counter[str] = field(default_factory=Counter[str])
    """Errors in final answers, by code."""

    @property
    def answers(self) -> int:
        return len(self.latencies)

    def percentiles(self, *shares: float) -> list[float]:
        """The least latency that so large a share of all do not exceed (nearest rank); 0 without answers."""
        ordered = sorted(self.latencies)
        return [ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else 0.0 for share in shares]


@dataclass(frozen=True, slots=True)
class PhaseTime:
    """How long a phase took, and how many requests were answered in it."""

    title: str
    requests: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds if self.seconds else 0.0


@dataclass(slots=True)
class Figures:
    """Everything that was measured in a run."""

    operations: dict[tuple[Part, str], Operations] = field(default_factory=dict[tuple[Part, str], Operations])
    retries: Counter[str] = field(default_factory=Counter[str])
    """Attempts that were made again, by what went wrong."""
    phases: list[PhaseTime] = field(default_factory=list[PhaseTime])

    def of(self, part: Part, operation: str) -> Operations:
        found = self.operations.get((part, operation))
        if found is None:
            found = self.operations[part, operation] = Operations()
        return found

    def requests(self, part: Part | None = None) -> int:
        """How many requests were answered, in all or in one part."""
        return sum(found.answers for (of, _), found in self.operations.items() if part in (None, of))
