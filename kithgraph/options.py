"""Options that several commands have, and what a shell completes them with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kithgraph.data_folder import LOG_NAMES, VIEW_NAMES

DataOption = Annotated[Path, typer.Option(envvar="KITH_DATA", help="The data folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def complete_view(incomplete: str) -> list[str]:
    return [name for name in VIEW_NAMES if name.startswith(incomplete)]


def complete_log(incomplete: str) -> list[str]:
    return [name for name in LOG_NAMES if name.startswith(incomplete)]
