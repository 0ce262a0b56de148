"""The command `schema`: what is generated from the declaration, and whether it keeps what the last release promised."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from eventgraph.commands.options import JsonOption, declared
from eventgraph.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventgraph.evolution.changes import Change
    from eventgraph.evolution.check import Comparison

app: Final = typer.Typer(invoke_without_command=True)
FolderOption = Annotated[Path, typer.Option(help="Where the files are.")]


@app.callback()
def schema(
    ctx: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if a file is not up to date.")] = False,
    folder: FolderOption = Path(),
) -> None:
    """Write what the declaration says: schema.graphql, reference.md and postman.json for clients, supergraph.graphql
    for routers, asyncapi.json for those who read the events.

    Example: {command} schema --check
    """
    if ctx.invoked_subcommand is not None:
        return
    from eventgraph.describing.schema_files import stale, write

    system = declared(ctx)
    if not check:
        for path in write(system, folder):
            typer.echo(f"wrote {path}")
    elif outdated := stale(system, folder):
        raise StartError(f"not up to date: {', '.join(map(str, outdated))}; write them with `{system.name} schema`")


@app.command("check")
def check_release(
    ctx: typer.Context,
    folder: FolderOption = Path(),
    operations: Annotated[
        list[Path] | None,
        typer.Option(
            help="What clients ask, to say who breaks: GraphQL documents, a folder of them, a Postman collection, a "
            "manifest of persisted operations. May be given again."
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also print changes that are safe.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare events, GraphQL schemas and settings with the last release (released.json), and refuse what breaks
    readers or clients. Breaks that are accepted stand in accepted-breaks.toml, with a reason.

    Exit code 1 if something breaks, 2 if nothing can be compared.

    Example: {command} schema check --operations clients/
    """
    from eventgraph.evolution.check import check as compare
    from eventgraph.operating.tables import print_json

    try:
        found = compare(declared(ctx), folder, operations or [])
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if as_json:
        print_json(found)
    else:
        _tell(found, everything)
    if not found.passes:
        raise typer.Exit(1)


@app.command()
def record(ctx: typer.Context, folder: FolderOption = Path()) -> None:
    """Write released.json: what this version promises, for `schema check` to compare the next ones with. Part of a
    release; what a version has promised is not written anew.

    Example: {command} schema record
    """
    from eventgraph.evolution.description import FILE, describe, read_description, text_of

    path, today = folder / FILE, describe(declared(ctx))
    if path.exists():
        try:
            known = read_description(path)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        if known != today and (known.system, known.version) == (today.system, today.version):
            raise StartError(f"{path}: has what {today.version} has promised, which is another thing than today's")
    path.write_text(text_of(today))
    typer.echo(f"wrote {path}")


def _tell(found: Comparison, everything: bool) -> None:
    shown = [one for one in found.changes if everything or one.severity != "safe"]
    for one in shown:
        typer.echo(_line(one))
    for fault in found.wrong:
        typer.echo(f"accepted-breaks.toml: {fault}")
    typer.echo(_total(found.released, found.changes))


def _line(one: Change) -> str:
    who = f"\n  who: {', '.join(one.who)}" if one.who else ""
    accepted = f"\n  accepted: {one.accepted}" if one.accepted is not None else ""
    return f"{one.severity}: {one.path}: {one.kind}: {one.message}{who}{accepted}"


def _total(released: str, changes: Sequence[Change]) -> str:
    count = {
        severity: sum(one.severity == severity for one in changes) for severity in ("breaking", "dangerous", "safe")
    }
    accepted = sum(one.accepted is not None for one in changes)
    return (
        f"Since {released}: {count['breaking']} breaking ({accepted} accepted), {count['dangerous']} dangerous, "
        f"{count['safe']} safe."
    )
