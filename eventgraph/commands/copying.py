"""The commands that read whole logs: `events`, `export`, `import`, `migrate`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import typer

from eventgraph.commands.options import DataOption, DistributedOption, a_folder, complete_log, declared
from eventgraph.errors import StartError
from eventgraph.operating.installation import chosen


def events(  # noqa: PLR0913, PLR0917  # one for each option
    ctx: typer.Context,
    data: DataOption = Path("data"),
    log: Annotated[
        list[str] | None, typer.Option(help="Only this log; may be given again.", autocompletion=complete_log)
    ] = None,
    stream: Annotated[list[str] | None, typer.Option(help="Only this stream; may be given again.")] = None,
    event_type: Annotated[
        list[str] | None, typer.Option("--type", help="Only this type, such as {type}; may be given again.")
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="MOMENT", help="Only from this moment on.")] = None,
    until: Annotated[str | None, typer.Option(metavar="MOMENT", help="Only before this moment.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow the log until Ctrl-C.")] = False,
    distributed: DistributedOption = False,
) -> None:
    """Print the event log: one CloudEvents JSON object a line, oldest first. Works while the system runs.

    A moment is written as 2026-01-31T12:00:00Z, with its offset from UTC, or as 2026-01-31.

    Example: {command} events --type {type} --since 2026-01-31

    Example: {command} events --data /some/folder --log {log} --follow
    """
    from eventgraph.console.event_filter import Wanted, parse_moment
    from eventgraph.operating.event_log import print_events

    wanted = Wanted(
        frozenset(stream or ()),
        frozenset(event_type or ()),
        None if since is None else parse_moment(since),
        None if until is None else parse_moment(until),
    )
    with suppress(KeyboardInterrupt):
        asyncio.run(
            print_events(chosen(declared(ctx), data, distributed), log, sys.stdout.buffer, wanted, follow=follow)
        )


def export(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(help="Where the log goes: a new file, or - for standard output.")],
    keys: Annotated[Path, typer.Option(help="Where the keys of the claims go: a new file, to be kept secret.")],
    data: DataOption = Path("data"),
    distributed: DistributedOption = False,
) -> None:
    """Write the whole log as CloudEvents JSON lines, for `{command} import`. Works while the system runs.

    Example: {command} export monday.jsonl --keys monday.keys --data /some/folder

    Example: {command} export - --keys monday.keys | zstd > monday.jsonl.zst
    """
    from eventgraph.operating.log_export import export as write

    write(chosen(declared(ctx), data, distributed), file, keys)


def import_(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(help="The file that `{command} export` wrote, or - for standard input.")],
    keys: Annotated[Path, typer.Option(help="The keys that `{command} export` wrote.")],
    data: Annotated[
        Path | None,
        typer.Option(help="The folder to fill: missing or empty.", parser=a_folder, metavar="FOLDER"),
    ] = None,
    distributed: DistributedOption = False,
) -> None:
    """Make the same system from an export, in a new data folder: same data, bookmarks, idempotency keys, claims.

    With --distributed it is made on empty topics instead, as `{command} migrate` does.

    Example: {command} import monday.jsonl --keys monday.keys --data /another/folder
    """
    from eventgraph.operating.log_import import import_ as read

    system = declared(ctx)
    if (data is None) != distributed:
        raise StartError("import: expected either --data FOLDER or --distributed")
    if data is not None:
        imported: Mapping[str, int] = read(system, file, keys, data)
    else:
        from eventgraph.operating.engines_installation import EnginesInstallation
        from eventgraph.operating.migration import import_to_engines

        imported = import_to_engines(system, file, keys, EnginesInstallation.from_environment(system).settings)
    for log, records in imported.items():
        typer.echo(f"{log}: {records:,} records")


def migrate(ctx: typer.Context, data: DataOption = Path("data")) -> None:
    """Copy the data folder of a stopped system to Kafka: the same system, distributed. The folder stays as it is.

    Topics and databases must be empty; the environment says where they are (docs/distributed.md). The claims keys are
    written to the file that {SETTINGS}CLAIMS_KEYS_FILE names. The first start there fills the views.

    Example: {command} migrate --data ./data
    """
    from eventgraph.operating.engines_installation import EnginesInstallation
    from eventgraph.operating.migration import migrate as copy

    system = declared(ctx)
    for log, records in copy(system, data, EnginesInstallation.from_environment(system).settings).items():
        typer.echo(f"{log}: {records:,} records")


COMMANDS: Final[Mapping[str, Callable[..., None]]] = {
    "events": events,
    "export": export,
    "import": import_,
    "migrate": migrate,
}
