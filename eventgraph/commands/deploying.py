"""The command `helm-values`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eventgraph.commands.options import declared
from eventgraph.errors import StartError


def helm_values(
    ctx: typer.Context,
    check: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Print nothing; fail if this file is not up to date.")
    ] = None,
) -> None:
    """Print what the Helm chart has to know of the system: names, logs, the engine of each view.

    Example: {command} helm-values > values-of-{command}.yaml
    """
    from eventgraph.describing.helm_values import helm_values as text_of

    system = declared(ctx)
    text = text_of(system)
    if check is None:
        typer.echo(text, nl=False)
    elif not check.exists() or check.read_text() != text:
        raise StartError(f"not up to date: {check}; write it with `{system.name} helm-values > {check}`")
