"""The differences between answers and the model: all are counted, the first ones are kept to be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kithgraph.load.measure import Part

KEPT: Final = 20


@dataclass(frozen=True, slots=True)
class Difference:
    """One answer that is not what the model says."""

    part: Part
    operation: str
    variables: object
    expected: object
    found: object


class Differences:
    """All of a run."""

    def __init__(self) -> None:
        self.count = 0
        self.kept: list[Difference] = []

    def add(self, difference: Difference) -> None:
        self.count += 1
        if len(self.kept) < KEPT:
            self.kept.append(difference)
