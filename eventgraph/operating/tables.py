"""What a command found, for a person as a table or for a program as JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.table import Table


def print_json(found: object) -> None:
    """One JSON document on standard output."""
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    sys.stdout.flush()


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, none: str) -> None:
    """A table on standard output as wide as what is in it needs; one line where it has no rows."""
    console = Console(soft_wrap=not sys.stdout.isatty(), width=None if sys.stdout.isatty() else 10_000)
    if not rows:
        console.print(none, markup=False)
        return
    table = Table(box=None, pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*map(_plain, row))
    console.print(table)


def _plain(text: str) -> str:
    """As it is: brackets are no markup."""
    return text.replace("[", "\\[")
