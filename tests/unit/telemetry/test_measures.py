"""What is counted, and how it is written: read back by the parsers of Prometheus' client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric as Read
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from graphrouter.telemetry.exposition import written
from graphrouter.telemetry.measures import OTHER, Counter, Family, Histogram, Known, Metric, looked_up
from tests.support.metrics_page import DECLARED, PAGE, text

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
SIZES = Metric("a.size", "histogram", "By", ("kind",), "Sizes.")
CALLS = Metric("a.calls", "counter", "{call}", ("kind", "who"), "Calls.")
TIME = Metric("a.time", "counter", "s", (), "Time.")
SHARE = Metric("a.share", "gauge", "1", (), "Share.")


def read(accept: str, *families: Family) -> dict[str, Read]:
    body, content_type = written(families, accept)
    parse: Callable[[str], Iterable[Read]] = read_openmetrics if "openmetrics" in content_type else read_text
    return {family.name: family for family in parse(body.decode())}


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
@given(values=st.lists(st.floats(0, 100), max_size=30))
def test_a_bucket_has_every_value_up_to_its_bound(accept: str, values: Sequence[float]) -> None:
    bounds = (0.0, 1.0, 10.0)
    histogram = Histogram(SIZES, bounds)
    histogram.observe(("x",), 1.0)
    for value in values:
        histogram.observe(("x",), value)
    found = read(accept, histogram.family())["a_size_bytes"]
    seen = [1.0, *values]
    buckets = {one.labels["le"]: one.value for one in found.samples if one.name.endswith("_bucket")}
    assert buckets == {str(bound): sum(value <= bound for value in seen) for bound in bounds} | {"+Inf": len(seen)}
    rest = {one.name: one.value for one in found.samples if "le" not in one.labels}
    assert rest["a_size_bytes_count"] == len(seen)
    assert rest["a_size_bytes_sum"] == pytest.approx(sum(seen))


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_labels_are_written_so_that_they_are_read_as_they_were(accept: str) -> None:
    counter = Counter(CALLS)
    odd = 'a "quoted" \\ back\nslash é'
    counter.add((odd, "x"))
    counter.add((odd, "x"), 2)
    counter.add(("", "y"))
    found = read(accept, counter.family())["a_calls"]
    assert [(one.labels, one.value) for one in found.samples if one.name == "a_calls_total"] == [
        ({"kind": odd, "who": "x"}, 3),
        ({"kind": "", "who": "y"}, 1),
    ]


def test_names_have_their_units_as_opentelemetry_writes_them_for_prometheus() -> None:
    names = [metric.exposed_name for metric in (SIZES, CALLS, TIME, SHARE)]
    assert names == ["a_size_bytes", "a_calls_total", "a_time_seconds_total", "a_share_ratio"]
    assert Metric("a.seconds", "gauge", "s", (), "").exposed_name == "a_seconds"


def test_what_has_no_labels_and_has_not_happened_is_told_as_0() -> None:
    assert [one.value for one in read("", Counter(TIME).family())["a_time_seconds"].samples] == [0]
    assert read("", Counter(CALLS).family())["a_calls"].samples == []


def test_families_of_one_metric_are_written_together() -> None:
    families = [
        looked_up(CALLS, [(("a", "1"), 1)]),
        looked_up(SHARE, [((), 0.5)]),
        looked_up(CALLS, [(("b", "1"), 2), (("b", "1"), 3)]),
    ]
    body, _ = written(families, "")
    assert body.decode().count("# TYPE a_calls_total counter") == 1
    assert [one.value for one in read("", *families)["a_calls"].samples] == [1, 5]


def test_a_label_has_a_bounded_number_of_values() -> None:
    known = Known(2)
    assert [known.of(value) for value in ("a", "b", "c", "a", "b", "d")] == ["a", "b", OTHER, "a", "b", OTHER]
    assert Known(2).of("x" * 101) == OTHER


def test_every_declared_metric_has_a_name_of_its_own_and_can_be_written() -> None:
    declared = [metric for _, metrics in DECLARED for metric in metrics]
    names = [metric.exposed_name for metric in declared]
    assert len(set(names)) == len(names)
    for metric in declared:
        assert metric.meaning.endswith(".")
        labels = tuple("x" for _ in metric.labels)
        if metric.kind == "histogram":
            histogram = Histogram(metric)
            histogram.observe(labels, 0.1)
            family = histogram.family()
        else:
            family = looked_up(metric, [(labels, 1)])
        for accept in ("", OPENMETRICS):
            assert len(read(accept, family)) == 1


def test_the_page_says_what_is_declared() -> None:
    assert PAGE.read_text(encoding="utf-8") == text(), "write it anew: make generate"
