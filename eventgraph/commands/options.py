"""Options that several commands have, and what a shell completes them with.

A command is told of its system by the context (`declared`). `{SETTINGS}` in a text is what the system's settings begin
with (`cli.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from eventgraph.system import System


def declared(ctx: typer.Context) -> System:
    """The system that a command is for."""
    found: object = ctx.obj
    if not isinstance(found, System):
        raise TypeError(f"expected a command of a system, found one of {found!r}")
    return found


def a_folder(text: str | Path) -> Path:
    """Not the present folder for an empty text: that is a shell variable that nobody has set. A default is no text."""
    if isinstance(text, str) and not text.strip():
        raise typer.BadParameter("expected a folder, found an empty text")
    return Path(text)


DataOption = Annotated[
    Path, typer.Option(envvar="{SETTINGS}DATA", help="The data folder.", parser=a_folder, metavar="FOLDER")
]
DistributedOption = Annotated[
    bool,
    typer.Option(
        "--distributed",
        envvar="{SETTINGS}DISTRIBUTED",
        help="Instead of a data folder: the engines that the environment names ({SETTINGS}KAFKA_BOOTSTRAP, …).",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def complete_view(ctx: typer.Context, incomplete: str) -> list[str]:
    return _beginning(declared(ctx).names, incomplete)


def complete_log(ctx: typer.Context, incomplete: str) -> list[str]:
    return _beginning(declared(ctx).logs, incomplete)


def complete_part(ctx: typer.Context, incomplete: str) -> list[str]:
    return _beginning(list(declared(ctx).ports), incomplete)


def one_view(ctx: typer.Context, value: str) -> str:
    """The name of a subgraph, checked."""
    return _one_of(declared(ctx).names, value)


def one_part(ctx: typer.Context, value: str) -> str:
    """The name of a subgraph or of the router, checked."""
    return _one_of(list(declared(ctx).ports), value)


def _beginning(names: Sequence[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _one_of(names: Sequence[str], value: str) -> str:
    if value not in names:
        raise typer.BadParameter(f"{value!r} is not one of {', '.join(map(repr, names))}.")
    return value
