"""What a run has found, summed up: for pages, for people and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from eventgraph.errors import StartError
from eventgraph.load.figures import Figures, Measured
from eventgraph.load.histogram import Histogram
from eventgraph.load.schedule import seconds

LATE: Final = 0.01
"""Seconds: a generator that comes later than this to more than a hundredth of the requests was too slow itself."""
BUSY: Final = 0.9
"""Of one processor."""
_POINTS: Final = 200
"""So many points a curve of percentiles has at most."""


class Result(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Times are in milliseconds where they are latencies, else in seconds; rates are per second."""


class Latency(Result, frozen=True):
    """Percentiles, in milliseconds."""

    count: int
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    p999: float
    max: float


class Line(Result, frozen=True):
    """One operation, or all."""

    operation: str
    arrived: int
    answered: int
    lost: int
    timed_out: int
    not_started: int
    cut_off: int
    failed: int
    latency: Latency
    service: Latency
    """From the sending; of those that were answered."""
    errors: Mapping[str, int]
    refusals: Mapping[str, int]


class SliceLine(Result, frozen=True):
    """A slice of time. Its latencies are of those that arrived in it."""

    second: float
    asked: float
    """Requests a second that arrived in it."""
    started: float
    answered: float
    failed: float
    p50: float
    p95: float
    p99: float
    max: float


class Generator(Result, frozen=True):
    """How the generator itself did."""

    lag: Latency
    """How late it came to each request."""
    cpu: float
    """Share of one processor."""
    bottleneck: Sequence[str]
    """Why its figures are not the system's alone; empty where they are."""


class Verdict(Result, frozen=True):
    """A limit, and whether it was kept."""

    limit: str
    expected: str
    found: str
    held: bool


class Settings(Result, frozen=True):
    """What was asked for."""

    schedule: Sequence[str]
    arrivals: str
    mix: Mapping[str, float]
    seed: int
    in_flight: int
    timeout: float


class Results(Result, frozen=True):
    """Everything."""

    system: str
    version: str
    python: str
    endpoint: str
    began: datetime
    seconds: float
    interrupted: bool
    settings: Settings
    asked_rate: float
    answered_rate: float
    all: Line
    operations: Sequence[Line]
    slices: Sequence[SliceLine]
    slice_seconds: float
    percentiles: Sequence[tuple[float, float]]
    """Share of all, and the milliseconds that it does not exceed: the curve of HdrHistogram."""
    service_percentiles: Sequence[tuple[float, float]]
    generator: Generator
    verdicts: Sequence[Verdict]

    @property
    def held(self) -> bool:
        """Whether all limits were kept."""
        return all(verdict.held for verdict in self.verdicts)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run must keep to: a number or a share of requests that fail, and a time for a hundredth of all."""

    errors: str | None = None
    """As 5 or 1%."""
    p99: str | None = None
    """As 250ms."""

    def __post_init__(self) -> None:
        """
        Raises:
            StartError: one is neither.
        """
        self.most_errors(0)
        if self.p99 is not None:
            seconds(self.p99, "--max-p99")

    def most_errors(self, arrived: int) -> float:
        """Of so many requests."""
        text = self.errors or "0"
        share = text.endswith("%")
        try:
            value = float(text.removesuffix("%"))
        except ValueError:
            value = -1.0
        if not (0 <= value <= 100 if share else 0 <= value < float("inf")):
            raise StartError(f"load: --max-errors: expected a number or a share, such as 5 or 1%, found {text[:100]!r}")
        return arrived * value / 100 if share else value

    def verdicts(self, measured: Measured) -> Sequence[Verdict]:
        found: list[Verdict] = []
        if self.errors is not None:
            held = measured.failed <= self.most_errors(measured.arrived)
            share = measured.failed / measured.arrived if measured.arrived else 0.0
            failed = f"{measured.failed:,} of {measured.arrived:,} ({share:.2%})"
            found.append(Verdict(limit="--max-errors", expected=f"at most {self.errors}", found=failed, held=held))
        if self.p99 is not None:
            p99 = measured.latency.percentile(0.99)
            held = measured.latency.total > 0 and p99 <= seconds(self.p99, "--max-p99")
            told = f"{1000 * p99:,.1f} ms" if measured.latency.total else "no latency"
            found.append(Verdict(limit="--max-p99", expected=f"at most {self.p99}", found=told, held=held))
        return found


def latency(histogram: Histogram) -> Latency:
    shares = (0.5, 0.9, 0.95, 0.99, 0.999, 1.0)
    p50, p90, p95, p99, p999, most = (_milliseconds(histogram.percentile(share)) for share in shares)
    mean = _milliseconds(histogram.mean)
    return Latency(count=histogram.total, mean=mean, p50=p50, p90=p90, p95=p95, p99=p99, p999=p999, max=most)


def line(operation: str, measured: Measured) -> Line:
    return Line(
        operation=operation,
        arrived=measured.arrived,
        answered=measured.answered,
        lost=measured.lost,
        timed_out=measured.timed_out,
        not_started=measured.not_started,
        cut_off=measured.cut_off,
        failed=measured.failed,
        latency=latency(measured.latency),
        service=latency(measured.service),
        errors=dict(sorted(measured.errors.items())),
        refusals=dict(sorted(measured.refusals.items())),
    )


def slices(figures: Figures) -> Sequence[SliceLine]:
    width = figures.width
    made: list[SliceLine] = []
    for number, one in enumerate(figures.slices):
        found = latency(one.latency)
        made.append(
            SliceLine(
                second=number * width,
                asked=one.arrived / width,
                started=one.started / width,
                answered=one.answered / width,
                failed=one.failed / width,
                p50=found.p50,
                p95=found.p95,
                p99=found.p99,
                max=found.max,
            )
        )
    return made


def generator(figures: Figures) -> Generator:
    lag, cpu = latency(figures.lag), figures.cpu / figures.seconds if figures.seconds else 0.0
    reasons: list[str] = []
    if lag.p99 > 1000 * LATE:
        reasons.append(f"it came {lag.p99:.1f} ms late to a hundredth of the requests or more")
    if cpu > BUSY:
        reasons.append(f"it used {cpu:.0%} of a processor, and cannot use more than one")
    return Generator(lag=lag, cpu=round(cpu, 3), bottleneck=reasons)


def curve(histogram: Histogram) -> Sequence[tuple[float, float]]:
    """Share and milliseconds, at shares that come nearer to 1 in ever smaller steps: as many for each half of what is
    left."""
    steps = [(share, _milliseconds(value)) for value, share in histogram.steps()]
    if len(steps) <= _POINTS:
        return steps
    kept = [steps[0]]
    for share, value in steps[1:-1]:
        # The distance to 1 has become smaller by a twentieth at least.
        if 1 - share <= (1 - kept[-1][0]) * 0.95:
            kept.append((share, value))
    return [*kept, steps[-1]]


def as_json(results: Results) -> str:
    return msgspec.json.format(msgspec.json.encode(results), indent=2).decode()


def _milliseconds(value: float) -> float:
    return round(1000 * value, 3)
