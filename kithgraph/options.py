"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataOption = Annotated[Path, typer.Option(envvar="KITH_DATA", help="The data folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
