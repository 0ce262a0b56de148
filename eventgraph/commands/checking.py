"""The commands that look after views: `rebuild`, `doctor`, `what-if`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from eventgraph.commands.options import DataOption, DistributedOption, JsonOption, complete_view, declared
from eventgraph.operating.installation import chosen
from eventgraph.system import System

if TYPE_CHECKING:
    from eventgraph.operating.findings import Finding


def rebuild(
    ctx: typer.Context,
    view: Annotated[
        list[str] | None,
        typer.Argument(help="Views, such as {view}. Default: all.", show_default=False, autocompletion=complete_view),
    ] = None,
    data: DataOption = Path("data"),
    distributed: DistributedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fill views again from the logs. Meanwhile queries read the old build, until the new one is complete.

    Uses the running system, or opens the folder if none runs. Ctrl-C ends the rebuild and changes nothing.

    Example: {command} rebuild

    Example: {command} rebuild {view} --data /some/folder
    """
    from eventgraph.operating.rebuilding import rebuild as run
    from eventgraph.operating.tables import print_json, print_table

    rebuilt = run(chosen(declared(ctx), data, distributed), view or [])
    if as_json:
        print_json(rebuilt)
    else:
        rows = [(one.view, one.build, f"{one.records:,}", f"{one.seconds:.2f}") for one in rebuilt]
        print_table(("view", "build", "records", "seconds"), rows, none="no views")


def doctor(
    ctx: typer.Context,
    data: DataOption = Path("data"),
    distributed: DistributedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with a system, why it matters and what to do. Only reads.

    Exit code 1 if something is wrong; notices do not count.

    Example: {command} doctor --data /some/folder
    """
    from eventgraph.operating.tables import print_json

    found = _findings(declared(ctx), data, distributed)
    if as_json:
        print_json(found)
    else:
        for one in found:
            typer.echo(f"{one.severity}: {one.where}: {one.what}\n  why: {one.why}\n  do:  {one.do}")
        if not found:
            typer.echo("Nothing is wrong.")
    if any(one.severity == "error" for one in found):
        raise typer.Exit(1)


def _findings(system: System, data: Path, distributed: bool) -> Sequence[Finding]:
    if not distributed:
        from eventgraph.operating.doctor import examine

        return asyncio.run(examine(system, data))
    from eventgraph.operating.engines_doctor import examine as examine_engines
    from eventgraph.operating.engines_installation import EnginesInstallation

    return asyncio.run(examine_engines(system, EnginesInstallation.from_environment(system).settings))


def what_if(
    ctx: typer.Context,
    view: Annotated[
        list[str] | None,
        typer.Option("--view", help="Only this view; may be given again.", autocompletion=complete_view),
    ] = None,
    values: Annotated[
        bool, typer.Option("--values", help="Also print the values of the fields, which may be personal.")
    ] = False,
    data: DataOption = Path("data"),
    distributed: DistributedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fold the whole log with this working tree's projections and show what would differ from the live views.

    Only reads; works while the system runs. Exit code 1 if something would differ.

    Example: {command} what-if --view {view}
    """
    from eventgraph.operating.tables import print_json
    from eventgraph.operating.what_if import tell
    from eventgraph.operating.what_if import what_if as compare

    found = asyncio.run(compare(chosen(declared(ctx), data, distributed), view or [], values=values))
    if as_json:
        print_json(found)
    else:
        tell(found)
    if not all(one.same for one in found):
        raise typer.Exit(1)


COMMANDS: Final[Mapping[str, Callable[..., None]]] = {"rebuild": rebuild, "doctor": doctor, "what-if": what_if}
