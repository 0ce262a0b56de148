"""What is measured during a run: by operation, by slice of time, and of the generator itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from math import ceil
from typing import Final

from eventgraph.load.histogram import Histogram

TIMEOUT: Final = "TIMEOUT"
"""Sent, and not answered in time."""
NOT_STARTED: Final = "NOT_STARTED"
"""Never sent: as many as are allowed were under way until its time was over."""
_SLICES: Final = 240
"""A run has at most so many, and some for what is answered after its end."""


@dataclass(slots=True)
class Measured:
    """One operation, or all. Every request that arrived is in exactly one of answered, lost, timed out, not started
    and cut off."""

    arrived: int = 0
    answered: int = 0
    """With GraphQL's form, whatever it says."""
    lost: int = 0
    """Without one: a refused or broken connection, HTML from a proxy."""
    timed_out: int = 0
    not_started: int = 0
    cut_off: int = 0
    """Waiting or under way when the run was stopped."""
    failed: int = 0
    """Lost, timed out, not started, or answered with an error that is not expected."""
    errors: Counter[str] = field(default_factory=Counter[str])
    """By code, of those that failed."""
    refusals: Counter[str] = field(default_factory=Counter[str])
    """By code, those that are expected."""
    latency: Histogram = field(default_factory=Histogram)
    """From the moment of the schedule, of all that were answered or waited until their time was over."""
    service: Histogram = field(default_factory=Histogram)
    """From the sending, of those that were answered: what a generator says that forgets those who wait."""


@dataclass(slots=True)
class Slice:
    """A slice of time. Its latencies are of those that arrived in it."""

    arrived: int = 0
    started: int = 0
    answered: int = 0
    failed: int = 0
    latency: Histogram = field(default_factory=Histogram)


class Figures:
    """Everything about a run of so many seconds; moments are seconds since its beginning."""

    def __init__(self, operations: Collection[str], seconds: float) -> None:
        self.all = Measured()
        self.operations = {name: Measured() for name in operations}
        self.width = float(max(1, ceil(seconds / _SLICES)))
        """Seconds of a slice."""
        self.slices: list[Slice] = []
        self.lag = Histogram()
        """How late the generator came to each request itself."""
        self.in_flight = 0
        self.waiting = 0
        self.seconds = 0.0
        """How long the run took, with its last answers."""
        self.cpu = 0.0
        """Seconds of the generator's processor."""

    def slice(self, moment: float) -> Slice:
        number = int(moment / self.width)
        while len(self.slices) <= number:
            self.slices.append(Slice())
        return self.slices[number]

    def arrive(self, operation: str, at: float, now: float) -> None:
        self.lag.add(now - at)
        self.slice(at).arrived += 1
        for one in self._of(operation):
            one.arrived += 1

    def start(self, now: float) -> None:
        self.slice(now).started += 1

    def answer(self, operation: str, at: float, started: float, now: float, codes: Collection[str]) -> None:
        """An answer; `codes` are those of its errors that are not expected."""
        self.slice(now).answered += 1
        self._waited(operation, at, now)
        for one in self._of(operation):
            one.answered += 1
            one.service.add(now - started)
        if codes:
            self._fail(operation, now, codes)

    def refuse(self, operation: str, codes: Collection[str]) -> None:
        """Errors of an answer that are expected."""
        for one in self._of(operation):
            one.refusals.update(codes)

    def lose(self, operation: str, now: float, code: str) -> None:
        for one in self._of(operation):
            one.lost += 1
        self._fail(operation, now, [code])

    def time_out(self, operation: str, at: float, now: float) -> None:
        for one in self._of(operation):
            one.timed_out += 1
        self._waited(operation, at, now)
        self._fail(operation, now, [TIMEOUT])

    def not_start(self, operation: str, at: float, now: float) -> None:
        for one in self._of(operation):
            one.not_started += 1
        self._waited(operation, at, now)
        self._fail(operation, now, [NOT_STARTED])

    def cut_off(self, operation: str) -> None:
        for one in self._of(operation):
            one.cut_off += 1

    def _of(self, operation: str) -> tuple[Measured, Measured]:
        return self.all, self.operations[operation]

    def _waited(self, operation: str, at: float, now: float) -> None:
        self.slice(at).latency.add(now - at)
        for one in self._of(operation):
            one.latency.add(now - at)

    def _fail(self, operation: str, now: float, codes: Collection[str]) -> None:
        self.slice(now).failed += 1
        for one in self._of(operation):
            one.failed += 1
            one.errors.update(codes)
