"""When requests arrive: stages of constant or rising rates, evenly or as of independent clients.

--rate 200 --duration 30s         one stage
--ramp "50..800 over 2m"          one stage with a rate that changes evenly
--stage 30s@100 --stage 2m@100..500
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt
from typing import Final

from eventgraph.errors import StartError

MOST_PER_SECOND: Final = 10_000.0
LONGEST: Final = 24 * 3600.0
"""Seconds of a whole run."""
_SHOWN: Final = 100
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_NUMBER: Final = r"\d+(?:\.\d+)?"
_DURATION: Final = re.compile(rf"({_NUMBER})(ms|s|m|h)")
_RATES: Final = re.compile(rf"({_NUMBER})(?:\.\.({_NUMBER}))?")


class Arrivals(StrEnum):
    """How far apart requests are."""

    CONSTANT = "constant"
    """Evenly."""
    POISSON = "poisson"
    """By chance, as independent clients come: the gaps are distributed exponentially."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A time with a rate, in requests a second, that changes evenly from its first moment to its last."""

    seconds: float
    begins: float
    ends: float

    @property
    def requests(self) -> float:
        """How many arrive, on average."""
        return self.seconds * (self.begins + self.ends) / 2

    def rate(self, second: float) -> float:
        return self.begins + (self.ends - self.begins) * second / self.seconds

    def when(self, requests: float) -> float:
        """The second at which so many have arrived: the root of `begins·t + (ends - begins)·t² / (2·seconds)`."""
        if requests <= 0:
            return 0.0
        slope = (self.ends - self.begins) / self.seconds
        inside = max(0.0, self.begins**2 + 2 * slope * requests)
        return min(self.seconds, 2 * requests / (self.begins + sqrt(inside)))

    def __str__(self) -> str:
        rates = f"{self.begins:g}" if self.begins == self.ends else f"{self.begins:g}..{self.ends:g}"
        return f"{self.seconds:g}s@{rates}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Stages, one after the other."""

    stages: Sequence[Stage]

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    @property
    def requests(self) -> float:
        return sum(stage.requests for stage in self.stages)

    def rate(self, second: float) -> float:
        """Requests a second that are asked for at a moment; 0 after the end."""
        for stage in self.stages:
            if second < stage.seconds:
                return stage.rate(second)
            second -= stage.seconds
        return 0.0

    def moments(self, arrivals: Arrivals, draw: random.Random) -> Iterator[float]:
        """The seconds after the beginning at which requests arrive, in their order."""
        arrived = 0.0 if arrivals is Arrivals.CONSTANT else draw.expovariate(1.0)
        begin, before = 0.0, 0.0
        for stage in self.stages:
            # Sums of floats end a little beside a whole number: what would be the first of the next second is not here.
            until = before + stage.requests - 1e-9
            while arrived < until:
                yield begin + stage.when(arrived - before)
                arrived += 1.0 if arrivals is Arrivals.CONSTANT else draw.expovariate(1.0)
            begin, before = begin + stage.seconds, before + stage.requests


def planned(rate: float | None, duration: str | None, ramp: str | None, stages: Sequence[str]) -> Schedule:
    """The schedule that the options of a command say.

    Raises:
        StartError: they do not go together, or one says nothing that can be run.
    """
    given = [
        name for name, value in (("--rate", rate is not None), ("--ramp", ramp), ("--stage", bool(stages))) if value
    ]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise StartError(f"load: expected one of --rate, --ramp and --stage, found {found}")
    if duration is not None and rate is None:
        raise StartError(f"load: --duration goes with --rate; {given[0]} says itself how long, found --duration too")
    if rate is not None:
        made = [_checked(seconds(duration or "30s", "--duration"), rate, rate, "--rate")]
    elif ramp is not None:
        rates, over, time = ramp.partition(" over ")
        if not over:
            raise _wrong("--ramp", "such as '50..800 over 2m'", ramp)
        made = [_stage(seconds(time.strip(), "--ramp"), rates.strip(), "--ramp")]
    else:
        made = [_read_stage(stage) for stage in stages]
    schedule = Schedule(made)
    if schedule.seconds > LONGEST:
        raise StartError(f"load: expected at most 24h in all, found {schedule.seconds / 3600:g}h")
    return schedule


def seconds(text: str, option: str) -> float:
    """
    Raises:
        StartError: it is no duration, or none at all.
    """
    found = _DURATION.fullmatch(text)
    value = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if value <= 0:
        raise _wrong(option, "a time with its unit, such as 500ms, 30s, 2m or 1h", text)
    return value


def _read_stage(text: str) -> Stage:
    time, at, rates = text.partition("@")
    if not at:
        raise _wrong("--stage", "such as 30s@100 or 2m@100..500", text)
    return _stage(seconds(time.strip(), "--stage"), rates.strip(), "--stage")


def _stage(length: float, rates: str, option: str) -> Stage:
    found = _RATES.fullmatch(rates)
    if found is None:
        raise _wrong(option, "requests a second, such as 200 or 50..800", rates)
    return _checked(length, float(found[1]), float(found[2] or found[1]), option)


def _checked(length: float, begins: float, ends: float, option: str) -> Stage:
    if not (0 <= begins <= MOST_PER_SECOND and 0 <= ends <= MOST_PER_SECOND and begins + ends > 0):
        raise _wrong(option, f"a rate above 0 and up to {MOST_PER_SECOND:g} a second", f"{begins:g}..{ends:g}")
    return Stage(length, begins, ends)


def _wrong(option: str, expected: str, found: str) -> StartError:
    return StartError(f"load: {option}: expected {expected}, found {found[:_SHOWN]!r}")
