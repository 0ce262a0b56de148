"""Percentiles, against a sorted list."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventgraph.load.histogram import Histogram

LATENCIES = st.lists(st.integers(0, 120_000_000).map(lambda microseconds: microseconds / 1e6), min_size=1, max_size=60)
SHARE = st.floats(0.001, 1)


def counted(latencies: list[float]) -> Histogram:
    histogram = Histogram()
    for latency in latencies:
        histogram.add(latency)
    return histogram


@given(LATENCIES, SHARE)
def test_a_percentile_is_the_latency_of_that_rank_to_a_thousandth_and_never_less(
    latencies: list[float], share: float
) -> None:
    exact = sorted(latencies)[max(1, ceil(share * len(latencies) - 1e-9)) - 1]
    found = counted(latencies).percentile(share)
    assert exact - 1e-9 <= found <= exact * 1.001 + 1e-9


@given(LATENCIES)
def test_most_mean_and_number_are_exact(latencies: list[float]) -> None:
    found = counted(latencies)
    assert found.total == len(latencies)
    assert found.greatest == found.percentile(1) == pytest.approx(max(latencies), abs=1e-9)
    assert found.mean == pytest.approx(sum(latencies) / len(latencies), abs=1e-6)


@given(LATENCIES, LATENCIES)
def test_merging_is_counting_all(some: list[float], others: list[float]) -> None:
    found = counted(some)
    found.merge(counted(others))
    assert found == counted([*some, *others])


@given(LATENCIES)
def test_the_curve_rises_to_the_greatest(latencies: list[float]) -> None:
    steps = list(counted(latencies).steps())
    assert steps == sorted(steps)
    greatest, share = steps[-1]
    assert share == 1
    assert greatest == pytest.approx(max(latencies), abs=1e-9)
    for value, share in steps:
        assert sum(latency <= value + 1e-9 for latency in latencies) == round(share * len(latencies))


def test_without_latencies_all_is_nothing() -> None:
    empty = Histogram()
    assert (empty.percentile(0.99), empty.greatest, empty.mean, list(empty.steps())) == (0, 0, 0, [])


def test_a_clock_that_goes_back_counts_as_nothing() -> None:
    assert counted([-0.5]).percentile(1) == 0


def test_memory_is_bounded_whatever_is_measured() -> None:
    found = counted([number * 0.00061 for number in range(100_000)])
    assert found.total == 100_000
    assert len(found.counts) < 18_000
