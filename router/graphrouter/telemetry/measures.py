"""What is measured: a declaration of each metric, and the counts themselves.

To observe is a look-up and an addition, and needs no library. Whoever reads the metrics pays for the rest
(`exposition.py`). Names, units and attributes are OpenTelemetry's: https://opentelemetry.io/docs/specs/semconv/
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Labels: TypeAlias = tuple[str, ...]
"""The values of a metric's labels, in the order of their names. An empty text is no label."""

OTHER: Final = "_OTHER"
"""Stands for every value that is not known. https://opentelemetry.io/docs/specs/semconv/http/http-metrics/"""

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Bounds of durations, as OpenTelemetry advises for HTTP and messaging."""
COUNTS: Final = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 34.0, 55.0, 144.0, 512.0)

_WORDS_OF_UNITS: Final = {"s": "seconds", "By": "bytes", "1": "ratio"}


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as it is declared. `unit` is UCUM's: `s`, `By`, `1`, or what is counted in braces: `{request}`."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    labels: tuple[str, ...]
    meaning: str

    @property
    def exposed_name(self) -> str:
        """The name in Prometheus' format.

        https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/#otlp-metric-points-to-prometheus
        """
        name, word = exposed(self.name), _WORDS_OF_UNITS.get(self.unit, "")
        if word and not name.endswith(f"_{word}"):
            name = f"{name}_{word}"
        return f"{name}_total" if self.kind == "counter" else name


def exposed(name: str) -> str:
    """The name of a metric or a label as Prometheus takes it."""
    return name.replace(".", "_")


class Distribution:
    """How often values up to each bound were seen, those beyond the last one, and their sum."""

    __slots__ = ("counts", "sum")

    def __init__(self, bounds: int) -> None:
        self.counts = [0] * (bounds + 1)
        self.sum = 0.0


@dataclass(frozen=True, slots=True)
class Family:
    """What a metric has come to, by the values of its labels."""

    metric: Metric
    values: Mapping[Labels, float | Distribution]
    bounds: Sequence[float] = ()
    """Of a histogram."""


class Counter:
    """Counts up."""

    __slots__ = ("_metric", "_values")

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        # One without labels is there from the start: what has not happened is told as 0.
        self._values: dict[Labels, float] = {} if metric.labels else {(): 0}

    def add(self, labels: Labels, amount: float = 1) -> None:
        self._values[labels] = self._values.get(labels, 0) + amount

    def family(self) -> Family:
        return Family(self._metric, dict(self._values))


class Histogram:
    """Counts values by their size."""

    __slots__ = ("_bounds", "_metric", "_values")

    def __init__(self, metric: Metric, bounds: Sequence[float] = SECONDS) -> None:
        self._metric = metric
        self._bounds = bounds
        self._values: dict[Labels, Distribution] = {}

    def observe(self, labels: Labels, value: float) -> None:
        found = self._values.get(labels)
        if found is None:
            found = self._values[labels] = Distribution(len(self._bounds))
        found.counts[bisect_left(self._bounds, value)] += 1
        found.sum += value

    def observed(self, labels: Labels, value: float, times: int) -> None:
        """A value was seen so many times."""
        found = self._values.setdefault(labels, Distribution(len(self._bounds)))
        found.counts[bisect_left(self._bounds, value)] += times
        found.sum += value * times

    def family(self) -> Family:
        return Family(self._metric, dict(self._values), self._bounds)


class Known:
    """Bounds how many values a label can have: the first ones that come, and `OTHER` for all beyond."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: set[str] = set()

    def of(self, value: str) -> str:
        if value in self._seen:
            return value
        if len(self._seen) >= self._most or len(value) > 100:
            return OTHER
        self._seen.add(value)
        return value


def looked_up(metric: Metric, values: Iterable[tuple[Labels, float]]) -> Family:
    """A metric that is looked up when somebody asks; values of equal labels are added up."""
    found: dict[Labels, float] = {}
    for labels, value in values:
        found[labels] = found.get(labels, 0) + value
    return Family(metric, found)
