"""Options that several commands have, and what a shell completes them with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eventgraph.running.data_folder import LOG_NAMES, VIEW_NAMES


def a_folder(text: str | Path) -> Path:
    """Not the present folder for an empty text: that is a shell variable that nobody has set. A default is no text."""
    if isinstance(text, str) and not text.strip():
        raise typer.BadParameter("expected a folder, found an empty text")
    return Path(text)


DataOption = Annotated[
    Path, typer.Option(envvar="KITH_DATA", help="The data folder.", parser=a_folder, metavar="FOLDER")
]
DistributedOption = Annotated[
    bool,
    typer.Option(
        "--distributed",
        envvar="KITH_DISTRIBUTED",
        help="Instead of a data folder: the engines that the environment names (KITH_KAFKA_BOOTSTRAP, …).",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def complete_view(incomplete: str) -> list[str]:
    return [name for name in VIEW_NAMES if name.startswith(incomplete)]


def complete_log(incomplete: str) -> list[str]:
    return [name for name in LOG_NAMES if name.startswith(incomplete)]
