"""What a run is summed up to, and how that is shown."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from eventgraph.errors import StartError
from eventgraph.load import charts, live
from eventgraph.load.figures import Figures
from eventgraph.load.histogram import Histogram
from eventgraph.load.page import page
from eventgraph.load.results import Limits, Results, Settings, as_json, curve, generator, line, slices
from eventgraph.load.schedule import planned
from eventgraph.load.summary import tell

EVIL = "<script>alert('&')</script>"


def measured() -> Figures:
    """A hundred requests of a second each, one of them slow and one that was lost; and one that could not start."""
    figures = Figures(["show", EVIL], 10)
    for number in range(100):
        at = number / 10
        figures.arrive("show", at, at + 0.001)
        figures.start(at + 0.001)
        if number == 50:
            figures.lose("show", at + 0.1, EVIL)
        else:
            figures.answer("show", at, at + 0.001, at + (2.0 if number == 99 else 0.02), ())
    figures.arrive(EVIL, 9.95, 9.95)
    figures.not_start(EVIL, 9.95, 12)
    figures.refuse("show", ["NOT_FOUND"])
    figures.seconds, figures.cpu = 12.0, 1.2
    return figures


def results(figures: Figures, limits: Limits = Limits(), *, interrupted: bool = False) -> Results:  # noqa: B008  # frozen
    return Results(
        system=EVIL,
        version="1.2.3",
        python="3.11.9",
        endpoint="http://127.0.0.1:9000/graphql",
        began=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
        seconds=figures.seconds,
        interrupted=interrupted,
        settings=Settings(
            schedule=["10s@10"], arrivals="constant", mix={"show": 9, EVIL: 1}, seed=7, in_flight=20, timeout=30
        ),
        asked_rate=10.1,
        answered_rate=8.25,
        all=line("all", figures.all),
        operations=[line(name, one) for name, one in figures.operations.items()],
        slices=slices(figures),
        slice_seconds=figures.width,
        percentiles=curve(figures.all.latency),
        service_percentiles=curve(figures.all.service),
        generator=generator(figures),
        verdicts=limits.verdicts(figures.all),
    )


def test_json_has_every_figure() -> None:
    told = json.loads(as_json(results(measured(), Limits("1%", "3s"))))
    everything = told["all"]
    assert {name: everything[name] for name in ("arrived", "answered", "lost", "notStarted", "failed")} == {
        "arrived": 101,
        "answered": 99,
        "lost": 1,
        "notStarted": 1,
        "failed": 2,
    }
    assert everything["errors"] == {EVIL: 1, "NOT_STARTED": 1}
    assert everything["refusals"] == {"NOT_FOUND": 1}
    assert everything["latency"]["count"] == 100
    assert (everything["latency"]["p50"], everything["latency"]["max"]) == (pytest.approx(20, rel=0.001), 2050)
    assert [one["asked"] for one in told["slices"][:10]] == [10] * 9 + [11]
    assert told["slices"][5]["failed"] == 1
    assert told["generator"] == {"lag": told["generator"]["lag"], "cpu": 0.1, "bottleneck": []}
    assert [(one["limit"], one["held"]) for one in told["verdicts"]] == [("--max-errors", False), ("--max-p99", True)]


def test_limits_are_numbers_or_shares() -> None:
    figures = measured()
    held = {limit: Limits(limit, None).verdicts(figures.all)[0].held for limit in ("0", "1", "2", "1%", "1.9%", "2%")}
    assert held == {"0": False, "1": False, "2": True, "1%": False, "1.9%": False, "2%": True}
    assert Limits().verdicts(figures.all) == []
    assert not Limits(None, "1.9s").verdicts(figures.all)[0].held
    with pytest.raises(StartError, match="--max-errors"):
        Limits("-1", None)


def test_without_a_latency_no_time_is_kept() -> None:
    assert not Limits(None, "1h").verdicts(Figures([], 1).all)[0].held


def test_a_generator_that_was_too_slow_says_why() -> None:
    figures = Figures(["show"], 10)
    for number in range(100):
        figures.arrive("show", number, number + (0.05 if number % 20 == 0 else 0))
    figures.seconds, figures.cpu = 10.0, 9.5
    assert generator(figures).bottleneck == [
        "it came 50.0 ms late to a hundredth of the requests or more",
        "it used 95% of a processor, and cannot use more than one",
    ]


def test_a_curve_has_few_points_and_both_its_ends() -> None:
    histogram = Histogram()
    for number in range(1, 100_001):
        histogram.add(number / 1000)
    found = curve(histogram)
    assert len(found) <= 250
    assert found[0][0] < 0.0001
    assert list(found[-1]) == [1, 100_000]
    assert list(found) == sorted(found)


class _Reader(HTMLParser):
    """Elements, their attributes and texts, and whether all that were opened were closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in {"meta", "link"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_says_all_of_it_and_needs_nothing_from_elsewhere() -> None:
    html = page(results(measured(), Limits("1%", "3s"), interrupted=True))
    reader = _Reader()
    reader.feed(html)
    assert reader.open == []
    text = re.sub(r"\s+", " ", " ".join(reader.texts))
    for said in (
        "Not kept: --max-errors: expected at most 1%, found 2 of 101 (1.98%)",
        "Kept: --max-p99: expected at most 3s",
        "1 of 101 could not be started in time",
        "The run was stopped before its end.",
        "10s@10",
        "Python 3.11.9",
        "NOT_FOUND 1",
        EVIL,
    ):
        assert said in text
    for title in ("Latency over time", "Rate", "Latency by percentile", "Errors"):
        assert title in text
    assert "<script" not in html
    addresses = [value for _, name, value in reader.attributes if name in {"src", "href", "action", "data"}]
    assert addresses == ["data:,"]
    assert not re.search(r"url\(|@import", html)


def test_the_page_of_a_run_that_measured_nothing_is_a_page() -> None:
    figures = Figures(["show"], 10)
    reader = _Reader()
    reader.feed(page(results(figures)))
    assert reader.open == []


def parsed(chart: charts.Chart) -> ET.Element:
    return ET.fromstring(charts.svg(chart))  # noqa: S314  # our own


@given(
    st.lists(st.tuples(st.floats(0, 1000), st.floats(0, 1e6)), max_size=200).map(sorted),
    st.floats(0.001, 1000),
    st.floats(0, 1e6),
)
def test_a_chart_of_whatever_is_measured_stays_in_its_frame(
    points: list[tuple[float, float]], end: float, most: float
) -> None:
    end = max([end, *(x for x, _ in points)])
    most = max([most, *(y for _, y in points)])
    for up in (charts.linear(most), charts.logarithmic(0.001, most)):
        chart = charts.Chart(EVIL, [charts.Series(EVIL, 1, points)], EVIL, EVIL, charts.timeline(end), up)
        root = parsed(chart)
        for circle in root.iter("circle"):
            assert 0 <= float(circle.attrib["cx"]) <= charts.WIDTH
            assert 0 <= float(circle.attrib["cy"]) <= charts.HEIGHT
        assert len(list(root.iter("circle"))) <= 100


def test_a_point_says_what_it_is() -> None:
    series = charts.Series("p50", 1, [(1, 20), (2, 30)])
    axes = (charts.timeline(10), charts.linear(30))
    root = parsed(charts.Chart("Latency", [series], "second", "ms", *axes, lambda x, y: f"second {x:g}: {y:g} ms"))
    assert [title.text for title in root.iter("title")] == ["p50, second 1: 20 ms", "p50, second 2: 30 ms"]


def test_axes_have_round_numbers() -> None:
    assert [text for _, text in charts.linear(730).ticks] == ["0", "200", "400", "600", "800"]
    assert [text for _, text in charts.timeline(21).ticks] == ["0", "5", "10", "15", "20"]
    assert [text for _, text in charts.logarithmic(3, 2100).ticks] == ["1", "10", "100", "1,000", "10,000"]
    assert [text for _, text in charts.nines(5000).ticks] == ["0%", "90%", "99%", "99.9%", "100%"]
    assert charts.nines(5000).place(0.9) == pytest.approx(0.25)


def shown(terminal: bool, text: object) -> str:
    out = io.StringIO()
    Console(file=out, force_terminal=terminal, width=140, color_system=None).print(text)
    return out.getvalue()


def test_what_is_seen_meanwhile_has_rates_latencies_and_errors() -> None:
    schedule = planned(10, "10s", None, ())
    found = live.moment(schedule, measured(), 8.5)
    assert str(found) == (
        "8 s: 10/s asked, 10/s answered, 0 under way, 0 waiting, p50 20.0 ms, p95 20.0 ms, p99 2000.9 ms, "
        "max 2050.0 ms, 2 failed (<script>alert('&')</script> 1, NOT_STARTED 1)"
    )
    table = shown(True, live.table(found))
    for said in ("asked/s", "answered/s", "under way", "p99 ms", "NOT_STARTED 1"):
        assert said in table
    assert live.moment(schedule, Figures([], 10), 0).answered == 0


def test_names_and_codes_with_brackets_are_shown_as_they_are() -> None:
    found = replace(live.moment(planned(10, "10s", None, ()), Figures([], 10), 0), errors=" ([/b] 1)")
    assert "[/b] 1" in shown(True, live.table(found))
    out = io.StringIO()
    tell(Console(file=out, width=160), results(Figures(["[/b]"], 10)))
    assert "[/b]" in out.getvalue()


def test_what_is_told_at_the_end_names_what_failed() -> None:
    out = io.StringIO()
    tell(Console(file=out, width=160), results(measured(), Limits("1%", "3s"), interrupted=True))
    text = out.getvalue()
    for said in (
        "2 failed",
        "1 could not be started in time",
        f"show: errors {EVIL} 1",
        "show: refused as expected NOT_FOUND 1",
        "--max-errors: expected at most 1%, found 2 of 101 (1.98%): not kept",
        "stopped before its end",
        "the generator: 10% of a processor",
    ):
        assert said in text
