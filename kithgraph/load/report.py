"""What a run tells at its end: tables for a person, or one JSON object; and the progress bar on the way."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from kithgraph.load.differences import Differences
from kithgraph.load.measure import Figures, Operations, Part
from kithgraph.load.run import Outcome, Watcher

_SHARES: Final = (0.5, 0.95, 0.99, 1.0)
_TITLES: Final = ("p50", "p95", "p99", "max")
_LONGEST: Final = 600
"""Characters of what was expected or found that are shown of one difference."""


class _Silent:
    def begin(self, title: str, total: int) -> None:
        pass

    def step(self) -> None:
        pass


class _Bar:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def begin(self, title: str, total: int) -> None:
        self._task = self._progress.add_task(title, total=total)

    def step(self) -> None:
        if self._task is not None:
            self._progress.advance(self._task)


@contextmanager
def watching(console: Console, *, quiet: bool) -> Generator[Watcher]:
    """A progress bar per phase; none where nobody watches."""
    if quiet or not console.is_terminal:
        yield _Silent()
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield _Bar(progress)


def tell(console: Console, outcome: Outcome, endpoint: str) -> None:
    """Everything, for a person."""
    figures, differences = outcome.figures, outcome.differences
    console.print(_latencies(figures))
    console.print(_phases(figures))
    for what, count in sorted(figures.retries.items()):
        console.print(f"sent again after {what}: {count}", markup=False)
    for number, difference in enumerate(differences.kept, 1):
        console.print(f"\n[bold red]difference {number}[/] {difference.part}: {difference.operation}")
        for title, value in (
            ("variables", difference.variables),
            ("expected", difference.expected),
            ("found", difference.found),
        ):
            console.print(f"  {title:9} {_short(value)}", markup=False, soft_wrap=True)
    load, checks = figures.requests(Part.LOAD), figures.requests() - figures.requests(Part.LOAD)
    console.print(f"\n{outcome.network.title} at {endpoint}: {load:,} requests, {checks:,} to check", markup=False)
    if differences.count:
        console.print(f"[bold red]{differences.count:,} differences from the model[/]{_left_off(differences)}")
    else:
        console.print("[bold green]every answer is what the model says[/]")


def as_json(outcome: Outcome, endpoint: str) -> str:
    """Everything, for a program; latencies in milliseconds."""
    figures, differences = outcome.figures, outcome.differences
    return msgspec.json.encode(
        {
            "network": outcome.network.title,
            "endpoint": endpoint,
            "requests": {part.value: figures.requests(part) for part in Part},
            "operations": [
                {
                    "part": part.value,
                    "operation": operation,
                    "answers": measured.answers,
                    "milliseconds": dict(zip(_TITLES, _milliseconds(measured), strict=True)),
                    "errors": measured.codes,
                }
                for (part, operation), measured in figures.operations.items()
            ],
            "phases": [
                {
                    "phase": phase.title,
                    "requests": phase.requests,
                    "seconds": round(phase.seconds, 3),
                    "requestsPerSecond": round(phase.per_second, 1),
                }
                for phase in figures.phases
            ],
            "sentAgain": figures.retries,
            "differences": differences.count,
            "firstDifferences": differences.kept,
        }
    ).decode()


def _latencies(figures: Figures) -> Table:
    table = Table(title="Latencies in milliseconds", title_justify="left")
    table.add_column("operation")
    for title in ("answers", *_TITLES):
        table.add_column(title, justify="right")
    table.add_column("errors")
    for part in Part:
        rows = [(name, measured) for (of, name), measured in figures.operations.items() if of is part]
        if rows:
            table.add_section()
            table.add_row(f"[bold]{part}[/]", f"[bold]{figures.requests(part):,}[/]")
        for name, measured in rows:
            table.add_row(
                name,
                f"{measured.answers:,}",
                *(f"{latency:.1f}" for latency in _milliseconds(measured)),
                ", ".join(f"{code} {count:,}" for code, count in sorted(measured.codes.items())),
            )
    return table


def _phases(figures: Figures) -> Table:
    table = Table(title="Phases, with the requests that check", title_justify="left")
    table.add_column("phase")
    for title in ("requests", "seconds", "requests/s"):
        table.add_column(title, justify="right")
    for phase in figures.phases:
        table.add_row(phase.title, f"{phase.requests:,}", f"{phase.seconds:.2f}", f"{phase.per_second:,.0f}")
    return table


def _milliseconds(measured: Operations) -> list[float]:
    return [round(1000 * latency, 3) for latency in measured.percentiles(*_SHARES)]


def _short(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"


def _left_off(differences: Differences) -> str:
    left = differences.count - len(differences.kept)
    return f", {left:,} of them not shown" if left else ""
