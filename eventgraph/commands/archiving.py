"""The commands `archive …`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eventgraph.commands.options import DataOption, DistributedOption, JsonOption, a_folder, declared
from eventgraph.errors import StartError
from eventgraph.operating.installation import chosen
from eventgraph.system import System

if TYPE_CHECKING:
    from eventkernel.archiving.layout import Manifest
    from eventkernel.archiving.objects import ObjectStore

app = typer.Typer(
    help="Copies of the logs in object storage or a folder: run, verify, restore, and the keys that are kept apart.",
    no_args_is_help=True,
)

ArchiveOption = Annotated[
    str | None,
    typer.Option(
        metavar="PLACE",
        help="A folder, or s3://BUCKET/PREFIX; its keys are settings ({SETTINGS}ARCHIVE_S3_…). [{SETTINGS}ARCHIVE]",
        show_default=False,
    ),
]


@app.command()
def run(
    ctx: typer.Context,
    archive: ArchiveOption = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is new until Ctrl-C.")] = False,
    every: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="With --follow: how often; each time makes new files.")
    ] = 60.0,
    data: DataOption = Path("data"),
    distributed: DistributedOption = False,
) -> None:
    """Archive what the logs have that the archive has not. Works while the system runs.

    The claims keys are never in an archive: `{command} archive keys` writes them to a file, to be kept elsewhere.

    Example: {command} archive run --archive /mnt/archive --data /some/folder

    Example: {command} archive run --archive s3://bucket/some/place --follow
    """
    from eventgraph.operating import archive as archiving

    system = declared(ctx)
    store, installation = _store(system, archive), chosen(system, data, distributed)
    if not follow:
        _tell(archiving.run(installation, store))
        return
    with suppress(KeyboardInterrupt, asyncio.CancelledError):
        archiving.follow(
            installation, store, every, _tell, lambda trouble: typer.echo(f"{system.name}: {trouble}", err=True)
        )


@app.command()
def verify(
    ctx: typer.Context,
    archive: ArchiveOption = None,
    expect: Annotated[
        str | None,
        typer.Option(metavar="SHA256", help="A digest that `archive run` has printed: the archive must still have it."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Read a whole archive and name every object that is missing, cut, changed or swapped. Needs no key, and no system.

    Exit code 1 if something is wrong; notices do not count.

    Example: {command} archive verify --archive s3://bucket/some/place
    """
    from eventgraph.operating import archive as archiving
    from eventgraph.operating.tables import print_json

    faults, last = archiving.verify(_store(declared(ctx), archive), expect)
    if as_json:
        print_json(faults)
    else:
        for fault in faults:
            typer.echo(f"{fault.severity}: {fault.what}")
        if last is None:
            typer.echo("There is no archive.")
        else:
            _tell(last)
    if last is None or any(fault.severity == "error" for fault in faults):
        raise typer.Exit(1)


@app.command()
def keys(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where the keys of the claims go: a new file, to be kept secret.")],
    data: DataOption = Path("data"),
    distributed: DistributedOption = False,
) -> None:
    """Write the claims keys of the logs to a file for `{command} archive restore`. Once is enough: they never change.

    Keep it apart from the archive: who has both can find out which names are taken.

    Example: {command} archive keys claims.keys --data /some/folder
    """
    from eventgraph.operating.archive import write_keys

    for log in write_keys(chosen(declared(ctx), data, distributed), file):
        typer.echo(f"{log}: its claims key is in {file}")


@app.command()
def restore(
    ctx: typer.Context,
    claims_keys: Annotated[
        Path, typer.Option("--keys", help="The keys that `{command} archive keys` or `{command} claims-keys` wrote.")
    ],
    archive: ArchiveOption = None,
    data: Annotated[
        Path | None, typer.Option(help="The folder to fill: missing or empty.", parser=a_folder, metavar="FOLDER")
    ] = None,
    distributed: DistributedOption = False,
    until: Annotated[
        str | None, typer.Option(metavar="MOMENT", help="As the last run had it that was finished until this moment.")
    ] = None,
) -> None:
    """Make the same system from an archive, in a new data folder: same entities, idempotency keys, claims.

    With --distributed it is made on empty topics instead, as `{command} migrate` does, with new log ids.

    A moment is written as 2026-01-31T12:00:00Z, with its offset from UTC, or as 2026-01-31.

    Example: {command} archive restore --archive s3://bucket/some/place --keys claims.keys --data /another/folder
    """
    from eventgraph.console.event_filter import parse_moment
    from eventgraph.operating import archive as archiving

    if (data is None) != distributed:
        raise StartError("archive restore: expected either --data FOLDER or --distributed")
    system = declared(ctx)
    store, at_most = _store(system, archive), None if until is None else parse_moment(until)
    if data is not None:
        restored: Mapping[str, int] = archiving.restore(system, store, claims_keys, data, at_most)
    else:
        from eventgraph.operating.engines_installation import EnginesInstallation

        settings = EnginesInstallation.from_environment(system).settings
        restored = archiving.restore_to_engines(system, store, claims_keys, settings, at_most)
    for log, records in restored.items():
        typer.echo(f"{log}: {records:,} records")


def _store(system: System, archive: str | None) -> ObjectStore:
    from eventgraph.operating.archive import store_of
    from eventgraph.running.settings import ArchiveSettings, loaded

    return store_of(loaded(system, ArchiveSettings, archive=archive))


def _tell(manifest: Manifest) -> None:
    from eventkernel.archiving.layout import digest, to_bytes

    for log, archive in manifest.logs.items():
        typer.echo(f"{log}: {archive.records:,} records")
    if not manifest.closed:
        typer.echo("The last run was broken off: `archive restore` takes what the runs before it had finished.")
    typer.echo(f"manifest {manifest.number}, SHA-256 {digest(to_bytes(manifest))}")
