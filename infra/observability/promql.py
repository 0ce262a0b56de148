"""The few forms of queries that the dashboards have; the legend of a series is what the query is grouped by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from infra.observability.panels import Query

_EVERY: Final = "[$__rate_interval]"


def rate(series: str, *by: str) -> Query:
    """How much a counter grows in a second."""
    return Query(_rate(series, *by), _legend(by))


def total(series: str, *by: str) -> Query:
    """The sum over all processes."""
    return Query(f"sum by ({', '.join(by)}) ({series})", _legend(by))


def latest(series: str, *by: str) -> Query:
    """What replicas tell of the same thing: the largest value."""
    return Query(f"max by ({', '.join(by)}) ({series})", _legend(by))


def each(series: str, *by: str, more: str = "") -> Query:
    """As each process tells it."""
    return Query(series, f"{_legend(by)} {more}".strip())


def share(part: str, whole: str, *by: str) -> Query:
    """How fast one counter grows, for each that another one does."""
    return Query(f"{_rate(part, *by)} / {_rate(whole, *by)}", _legend(by))


def quantile(part: float, histogram: str, selector: str, *by: str) -> Query:
    """Of a histogram, by its name."""
    promql = f"histogram_quantile({part}, {_rate(f'{histogram}_bucket{{{selector}}}', *by, 'le')})"
    return Query(promql, _legend(by))


def quantiles(histogram: str, selector: str, *by: str) -> Sequence[Query]:
    """Median, p95 and p99."""
    found = {part: quantile(part, histogram, selector, *by) for part in (0.5, 0.95, 0.99)}
    return [Query(query.promql, f"{query.legend} p{part * 100:.0f}") for part, query in found.items()]


def _rate(series: str, *by: str) -> str:
    return f"sum by ({', '.join(by)}) (rate({series}{_EVERY}))"


def _legend(by: Sequence[str]) -> str:
    return " ".join(f"{{{{{label}}}}}" for label in by)
