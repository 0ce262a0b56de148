"""How far something long is: a bar on standard error where somebody watches."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

Advance = Callable[[int, int], None]
"""Called with what is done and the total."""


@contextmanager
def progress_bar(title: str, *, quiet: bool = False) -> Generator[Advance]:
    """A bar for as long as the block lasts; none where standard error is no terminal."""
    # A server that knows of bars, and shows none, does not wait for them to load.
    from rich.console import Console  # noqa: PLC0415  # most commands show no bar
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415  # most commands show no bar

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield _silent
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,} of {task.total:,}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=0)

        def advance(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield advance


def _silent(done: int, total: int) -> None:
    pass
