"""Charts as SVG, without a script: their colours are the page's, and what a point says stands in its `<title>`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from math import ceil, floor, log10
from typing import Final

WIDTH: Final = 400
HEIGHT: Final = 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 20, 12, 36
_TICKS: Final = 5
_MARKED: Final = 60
"""Points that can be pointed at, of each curve."""


@dataclass(frozen=True, slots=True)
class Series:
    """A curve: its name, the number of its colour in the page, and its points from left to right."""

    name: str
    colour: int
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Axis:
    """From a value to a place between 0 and 1, and the values that are written on it."""

    place: Callable[[float], float]
    ticks: Sequence[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Chart:
    """Curves over two axes; `x` and `y` say what they are, `said` what a point is."""

    title: str
    series: Sequence[Series]
    x: str
    y: str
    across: Axis
    up: Axis
    said: Callable[[float, float], str] = field(default=lambda x, y: f"{x:g}: {y:g}")


def svg(chart: Chart) -> str:
    """The chart as one element, with its legend before it."""
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(chart.title)}: {escape(chart.y)}">',
    ]
    for value, text in chart.up.ticks:
        y = _down(chart.up.place(value))
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{escape(text)}</text>')
    for value, text in chart.across.ticks:
        x = _along(chart.across.place(value))
        parts.append(f'<path class="grid" d="M{x:.1f} {_TOP}V{HEIGHT - _BOTTOM}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 20}" text-anchor="middle">{escape(text)}</text>')
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(f'<text class="axis" x="{middle:g}" y="{HEIGHT - 5}" text-anchor="middle">{escape(chart.x)}</text>')
    parts += [_curve(chart, series) for series in chart.series]
    parts.append("</svg>")
    return "".join(parts)


def linear(most: float) -> Axis:
    """From 0 to the first round number that is not below `most`."""
    step = _round_up(max(most, 1e-9) / (_TICKS - 1))
    count = max(1, ceil(most / step - 1e-9))
    end = step * count
    return Axis(lambda value: value / end, [(step * n, f"{step * n:,.10g}") for n in range(count + 1)])


def timeline(end: float) -> Axis:
    """From 0 to `end`, with round numbers on the way."""
    step = _round_up(max(end, 1e-9) / _TICKS)
    return Axis(lambda value: value / end, [(step * n, f"{step * n:,.10g}") for n in range(int(end / step + 1e-9) + 1)])


def logarithmic(least: float, most: float) -> Axis:
    """From one power of ten to another, with what is between."""
    low = floor(log10(max(least, 1e-3)) + 1e-9)
    high = max(low + 1, ceil(log10(max(most, 1e-3)) - 1e-9))
    ticks = [(10.0**power, f"{10.0**power:,.10g}") for power in range(low, high + 1)]

    def place(value: float) -> float:
        return (log10(max(value, 10.0**low)) - low) / (high - low)

    return Axis(place, ticks)


def nines(total: int) -> Axis:
    """Shares of so many, stretched towards 1: 90 %, 99 %, 99.9 % and so on are equally far apart."""
    powers = max(1, ceil(log10(max(total, 10)) - 1e-9))

    def place(share: float) -> float:
        return min(1.0, -log10(max(1 - share, 10.0**-powers)) / powers)

    written = [(1 - 10.0**-power, f"{100 * (1 - 10.0**-power):.10g}%") for power in range(powers)]
    return Axis(place, [*written, (1.0, "100%")])


def _curve(chart: Chart, series: Series) -> str:
    places = [(_along(chart.across.place(x)), _down(chart.up.place(y)), chart.said(x, y)) for x, y in series.points]
    if not places:
        return ""
    line = "L".join(f"{x:.1f} {y:.1f}" for x, y, _ in places)
    every = ceil(len(places) / _MARKED)
    marks = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{escape(series.name)}, {escape(said)}</title></circle>'
        for x, y, said in places[::every]
    )
    alone = " alone" if len(places) == 1 else ""
    return f'<g class="series c{series.colour}{alone}"><path d="M{line}"/>{marks}</g>'


def _along(share: float) -> float:
    return _LEFT + share * (WIDTH - _LEFT - _RIGHT)


def _down(share: float) -> float:
    return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)


def _round_up(value: float) -> float:
    """1, 2 or 5 times a power of ten."""
    power = 10.0 ** floor(log10(value))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= value * (1 - 1e-9))
