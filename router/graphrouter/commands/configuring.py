"""The commands `graphrouter config …`: the published forms of the configuration's model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from graphrouter.commands.terminal import refuse
from graphrouter.configuration import reference

app = typer.Typer(name="config", no_args_is_help=True, help="What can be configured, for editors and for people.")

OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Write there, not to standard output.")]
CheckOption = Annotated[
    Path | None, typer.Option("--check", help="Compare with this file: exit code 1 where it differs.")
]


@app.command()
def schema(output: OutputOption = None, check: CheckOption = None) -> None:
    """Print the JSON Schema of the configuration's file."""
    _publish(reference.schema_text, output, check)


@app.command(name="reference")
def page(output: OutputOption = None, check: CheckOption = None) -> None:
    """Print the page that lists every setting."""
    _publish(reference.page, output, check)


def _publish(made: Callable[[], str], output: Path | None, check: Path | None) -> None:
    text = made()
    try:
        if check is not None:
            if not check.exists() or check.read_text(encoding="utf-8") != text:
                refuse(f"{check} is not as the model has it now: write it again with --output")
        elif output is None:
            typer.echo(text, nl=False)
        else:
            output.write_text(text, encoding="utf-8")
    except OSError as error:
        refuse(f"cannot use {check or output}: {error.strerror}", 2)
