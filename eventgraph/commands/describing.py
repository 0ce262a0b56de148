"""The command `schema`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eventgraph.commands.options import declared
from eventgraph.errors import StartError


def schema(
    ctx: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if a file is not up to date.")] = False,
    folder: Annotated[Path, typer.Option(help="Where the files are.")] = Path(),
) -> None:
    """Write what the declaration says: schema.graphql, reference.md and postman.json for clients, supergraph.graphql
    for routers, asyncapi.json for those who read the events.

    Example: {command} schema --check
    """
    from eventgraph.describing.schema_files import stale, write

    system = declared(ctx)
    if not check:
        for path in write(system, folder):
            typer.echo(f"wrote {path}")
    elif outdated := stale(system, folder):
        raise StartError(f"not up to date: {', '.join(map(str, outdated))}; write them with `{system.name} schema`")
