"""What a run has found, for a person at a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventgraph.load.results import Latency, Line, Results

_LONG: Final = 1000


def tell(console: Console, results: Results) -> None:
    """Everything but the curves."""
    console.print(_operations(results))
    everything = results.all
    said = [
        f"{results.system} {results.version} at {results.endpoint}: {everything.arrived:,} requests in "
        f"{results.seconds:.1f} s, {results.asked_rate:,.1f} a second asked, {results.answered_rate:,.1f} answered",
        *(f"{count:,} {what}" for what, count in ends(everything).items() if count),
        *(f"{line.operation}: errors {codes(line.errors)}" for line in results.operations if line.errors),
        *(
            f"{line.operation}: refused as expected {codes(line.refusals)}"
            for line in results.operations
            if line.refusals
        ),
        f"from the sending, without what was waited before: {told(everything.service)}",
        f"the generator: {results.generator.cpu:.0%} of a processor, late by {told(results.generator.lag)}",
    ]
    for text in said:
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    for reason in results.generator.bottleneck:
        console.print(f"[bold yellow]the generator was too slow itself:[/] {reason}", highlight=False, soft_wrap=True)
    if results.interrupted:
        console.print("[bold yellow]stopped before its end[/]", highlight=False)
    for verdict in results.verdicts:
        kept = "[green]kept[/]" if verdict.held else "[bold red]not kept[/]"
        text = f"{verdict.limit}: expected {verdict.expected}, found {verdict.found}: {kept}"
        console.print(text, highlight=False, soft_wrap=True)


def ends(line: Line) -> Mapping[str, int]:
    """What became of the requests that were not answered as expected; with those that were not answered at all."""
    return {
        "failed": line.failed,
        "not answered in time": line.timed_out,
        "could not be started in time": line.not_started,
        "had no answer of GraphQL's form": line.lost,
        "under way or waiting when the run was stopped": line.cut_off,
    }


def told(latency: Latency) -> str:
    """Four figures in one line."""
    return f"p50 {latency.p50:,.1f} ms, p95 {latency.p95:,.1f} ms, p99 {latency.p99:,.1f} ms, max {latency.max:,.1f} ms"


def milliseconds(value: float) -> str:
    """With a tenth, where that says something."""
    return f"{value:.1f}" if value < _LONG else f"{value:,.0f}"


def codes(found: Mapping[str, int]) -> str:
    return ", ".join(f"{code} {count:,}" for code, count in found.items())


def _operations(results: Results) -> Table:
    table = Table(title="Latency from the moment of the schedule, in milliseconds", title_justify="left")
    table.add_column("operation", no_wrap=True)
    for title in ("arrived", "failed", "p50", "p95", "p99", "p99.9", "max"):
        table.add_column(title, justify="right")
    for line in (*results.operations, results.all):
        one = line.latency
        table.add_row(
            Text(line.operation),
            f"{line.arrived:,}",
            f"{line.failed:,}",
            *(milliseconds(value) for value in (one.p50, one.p95, one.p99, one.p999, one.max)),
            end_section=line is results.operations[-1],
        )
    return table
