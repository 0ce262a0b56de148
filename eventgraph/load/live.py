"""What is seen of a run while it lasts: a table in a terminal, else a line now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from eventgraph.load.drive import Drive
from eventgraph.load.figures import Figures
from eventgraph.load.run import Watch
from eventgraph.load.schedule import Schedule

_TABLE_EVERY: Final = 1.0
_LINE_EVERY: Final = 5.0
_CODES: Final = 5


@dataclass(frozen=True, slots=True)
class Moment:
    """How a run is doing. Rates are requests a second, latencies milliseconds, of all so far."""

    second: float
    asked: float
    answered: float
    """In the last slice of time that is over."""
    in_flight: int
    waiting: int
    p50: float
    p95: float
    p99: float
    max: float
    failed: int
    errors: str

    def __str__(self) -> str:
        return (
            f"{self.second:.0f} s: {self.asked:,.0f}/s asked, {self.answered:,.0f}/s answered, {self.in_flight:,} "
            f"under way, {self.waiting:,} waiting, p50 {self.p50:.1f} ms, p95 {self.p95:.1f} ms, p99 {self.p99:.1f} "
            f"ms, max {self.max:.1f} ms, {self.failed:,} failed{self.errors}"
        )


def moment(schedule: Schedule, figures: Figures, second: float) -> Moment:
    """How a run is doing so many seconds after its beginning."""
    over = int(second / figures.width) - 1
    answered = figures.slices[over].answered / figures.width if 0 <= over < len(figures.slices) else 0.0
    latency = figures.all.latency
    p50, p95, p99 = (1000 * latency.percentile(share) for share in (0.5, 0.95, 0.99))
    codes = ", ".join(f"{code} {number:,}" for code, number in figures.all.errors.most_common(_CODES))
    return Moment(
        second=second,
        asked=schedule.rate(second),
        answered=answered,
        in_flight=figures.in_flight,
        waiting=figures.waiting,
        p50=p50,
        p95=p95,
        p99=p99,
        max=1000 * latency.greatest,
        failed=figures.all.failed,
        errors=f" ({codes})" if codes else "",
    )


def watching(console: Console, schedule: Schedule, *, quiet: bool) -> Watch:
    """Shows a run on a console."""

    @contextmanager
    def watch(drive: Drive, figures: Figures) -> Generator[None]:
        def now() -> Moment:
            return moment(schedule, figures, drive.elapsed)

        if quiet:
            yield
        elif console.is_terminal:
            with Live(console=console, auto_refresh=False, transient=True) as live, _beside(_draw(live, now)):
                yield
        else:
            with _beside(_tell(console, now)):
                yield

    return watch


async def _draw(live: Live, now: Callable[[], Moment]) -> None:
    while True:
        live.update(table(now()), refresh=True)
        await asyncio.sleep(_TABLE_EVERY)


async def _tell(console: Console, now: Callable[[], Moment]) -> None:
    while True:
        await asyncio.sleep(_LINE_EVERY)
        console.print(str(now()), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _beside(shown: Coroutine[None, None, None]) -> Generator[None]:
    task = asyncio.get_running_loop().create_task(shown)
    try:
        yield
    finally:
        task.cancel()


def table(found: Moment) -> Table:
    """A moment, for a terminal."""
    made = Table(title=f"{found.second:.0f} s", title_justify="left")
    cells = {
        "asked/s": f"{found.asked:,.0f}",
        "answered/s": f"{found.answered:,.0f}",
        "under way": f"{found.in_flight:,}",
        "waiting": f"{found.waiting:,}",
        "p50 ms": f"{found.p50:,.1f}",
        "p95 ms": f"{found.p95:,.1f}",
        "p99 ms": f"{found.p99:,.1f}",
        "max ms": f"{found.max:,.1f}",
        "failed": f"{found.failed:,}{found.errors}",
    }
    for title in cells:
        made.add_column(title, justify="right")
    made.add_row(*map(Text, cells.values()))  # codes are the server's: a bracket in them is no markup
    return made
