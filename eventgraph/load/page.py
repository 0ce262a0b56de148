"""What a run has found as one HTML file, which needs nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Final

from eventgraph.load.charts import Chart, Series, linear, logarithmic, nines, svg, timeline
from eventgraph.load.results import Line, Results
from eventgraph.load.summary import codes, ends

_TEMPLATE: Final = Template((Path(__file__).parent / "page.html").read_text())


def page(results: Results) -> str:
    """The page."""
    everything = results.all
    return _TEMPLATE.substitute(
        title=escape(f"Load on {results.system} {results.version}"),
        subtitle=escape(f"{results.endpoint}, {results.began:%Y-%m-%d %H:%M:%S} UTC, {results.seconds:.1f} s"),
        figures="".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in _figures(results)),
        notes="\n      ".join(_notes(results)),
        charts="\n".join(_figure(chart, about) for chart, about in _charts(results)),
        operations=_operations([*results.operations, everything]),
        errors=_errors(results),
        settings=_settings(results),
    )


def _figures(results: Results) -> Iterable[tuple[str, str]]:
    everything = results.all
    yield "requests", f"{everything.arrived:,}"
    yield "asked", f"{results.asked_rate:,.1f}/s"
    yield "answered", f"{results.answered_rate:,.1f}/s"
    yield "failed", f"{everything.failed:,}"
    yield "p50", f"{everything.latency.p50:,.1f} ms"
    yield "p95", f"{everything.latency.p95:,.1f} ms"
    yield "p99", f"{everything.latency.p99:,.1f} ms"
    yield "max", f"{everything.latency.max:,.1f} ms"


def _notes(results: Results) -> Iterable[str]:
    for verdict in results.verdicts:
        text = f"{verdict.limit}: expected {verdict.expected}, found {verdict.found}"
        yield _note("good", f"Kept: {text}") if verdict.held else _note("bad", f"Not kept: {text}")
    for what, count in ends(results.all).items():
        if count:
            yield _note("warn", f"{count:,} of {results.all.arrived:,} {what}")
    for reason in results.generator.bottleneck:
        yield _note("warn", f"The generator was too slow itself: {reason}. The latencies have that in them.")
    if results.interrupted:
        yield _note("warn", "The run was stopped before its end.")


def _note(kind: str, text: str) -> str:
    return f'<p class="note {kind}">{escape(text)}</p>'


def _charts(results: Results) -> Iterable[tuple[Chart, str]]:
    asked = [one for one in results.slices if one.asked]
    end = (results.slices[-1].second if results.slices else 0.0) + results.slice_seconds
    across = timeline(end or 1.0)
    most = max((one.max for one in asked), default=1.0)
    least = min((one.p50 for one in asked), default=1.0)
    percentiles = [
        Series(name, colour, [(one.second, getattr(one, name)) for one in asked])
        for colour, name in enumerate(("p50", "p95", "p99", "max"), 1)
    ]
    yield (
        Chart("Latency over time", percentiles, "second of arrival", "ms", across, logarithmic(least, most), _at_ms),
        "ms, of the requests that arrived then",
    )
    rates = [
        Series(name, colour, [(one.second, getattr(one, name)) for one in results.slices])
        for colour, name in ((1, "asked"), (2, "started"), (3, "answered"))
    ]
    fastest = max((max(one.asked, one.started, one.answered) for one in results.slices), default=1.0)
    yield (
        Chart("Rate", rates, "second", "requests a second", across, linear(fastest), _at_rate),
        "requests a second: asked by the schedule, started, answered",
    )
    shares = [*results.percentiles, *results.service_percentiles]
    curves = [
        Series("from the schedule", 1, results.percentiles),
        Series("from the sending", 3, results.service_percentiles),
    ]
    values = [value for _, value in shares] or [1.0]
    scale = logarithmic(min(values), max(values))
    yield (
        Chart(
            "Latency by percentile",
            curves,
            "share of requests",
            "ms",
            nines(results.all.latency.count),
            scale,
            lambda share, value: f"{100 * share:.6g}%: {value:,.3f} ms",
        ),
        "ms that this share of the requests do not exceed; the gap is what was waited before the sending",
    )
    failed = [Series("failed", 4, [(one.second, one.failed) for one in results.slices])]
    worst = max((one.failed for one in results.slices), default=0.0)
    yield (
        Chart("Errors", failed, "second", "failed requests a second", across, linear(max(worst, 1.0)), _at_rate),
        "failed requests a second",
    )


def _at_ms(x: float, y: float) -> str:
    return f"second {x:g}: {y:,.3f} ms"


def _at_rate(x: float, y: float) -> str:
    return f"second {x:g}: {y:,.1f}/s"


def _figure(chart: Chart, about: str) -> str:
    legend = "".join(f'<li class="c{series.colour}"><span>{escape(series.name)}</span></li>' for series in chart.series)
    caption = f'<h3>{escape(chart.title)}</h3><p>{escape(about)}</p><ul class="legend">{legend}</ul>'
    return f"<figure><figcaption>{caption}</figcaption>{svg(chart)}</figure>"


def _operations(lines: Sequence[Line]) -> str:
    titles = ("operation", "arrived", "answered", "failed", "mean", "p50", "p90", "p95", "p99", "p99.9", "max")
    rows: list[str] = []
    for line in lines:
        one = line.latency
        cells = [escape(line.operation), *(f"{number:,}" for number in (line.arrived, line.answered, line.failed))]
        times = (one.mean, one.p50, one.p90, one.p95, one.p99, one.p999, one.max)
        cells += [f"{value:,.1f}" for value in times]
        kind = ' class="all"' if line is lines[-1] else ""
        rows.append(f"<tr{kind}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{title}</th>" for title in titles)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _errors(results: Results) -> str:
    rows = [
        (line.operation, codes(line.errors) or "none", codes(line.refusals) or "none") for line in results.operations
    ]
    body = "".join("<tr>" + "".join(f'<td class="text">{escape(cell)}</td>' for cell in row) + "</tr>" for row in rows)
    head = "".join(f'<th class="text">{title}</th>' for title in ("operation", "errors", "expected refusals"))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _settings(results: Results) -> str:
    settings, generator = results.settings, results.generator
    rows = {
        "schedule": ", then ".join(settings.schedule),
        "arrivals": settings.arrivals,
        "mix": ", ".join(f"{name} {weight:g}" for name, weight in settings.mix.items()),
        "seed": str(settings.seed),
        "under way at most": f"{settings.in_flight:,}",
        "time of each request": f"{settings.timeout:g} s",
        "generator": f"{generator.cpu:.0%} of a processor; late by {generator.lag.p50:,.1f} ms (p50), "
        f"{generator.lag.p99:,.1f} ms (p99)",
        "versions": f"{results.system} {results.version}, Python {results.python}",
    }
    body = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows.items())
    return f'<table class="settings"><tbody>{body}</tbody></table>'
