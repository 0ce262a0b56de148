"""The commands `backup …`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eventgraph.commands.options import DataOption, JsonOption, a_folder, declared

if TYPE_CHECKING:
    from eventgraph.operating.backup_manifest import BackupManifest

app = typer.Typer(
    help="Copies of a data folder, each of one moment: create, verify, restore. For engines: `{command} archive`.",
    no_args_is_help=True,
)

BackupArgument = Annotated[Path, typer.Argument(help="The back-up.", parser=a_folder, metavar="BACKUP")]


@app.command()
def create(
    ctx: typer.Context,
    backup: Annotated[
        Path, typer.Argument(help="A new folder, in one that exists.", parser=a_folder, metavar="BACKUP")
    ],
    data: DataOption = Path("data"),
) -> None:
    """Copy the data folder to a new folder, which is there when all of it is. Works while the system runs.

    All files are of one moment. It has the claims keys, too: keep it as secret as the data folder.

    Example: {command} backup create /mnt/backups/$(date -u +%Y-%m-%dT%H%M%SZ) --data /some/folder
    """
    from eventgraph.operating import backup as backups

    _tell(backups.create(declared(ctx), data, backup))


@app.command()
def verify(
    backup: BackupArgument,
    expect: Annotated[
        str | None,
        typer.Option(metavar="SHA256", help="The digest that `backup create` has printed: it must be that back-up."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Read a whole back-up: every file and every record is what was written. Needs no system.

    Exit code 1 if something is wrong; notices do not count.

    Example: {command} backup verify /mnt/backups/monday
    """
    from eventgraph.operating import backup as backups
    from eventgraph.operating.tables import print_json

    faults, manifest = backups.verify(backup, expect)
    if as_json:
        print_json(faults)
    else:
        for fault in faults:
            typer.echo(f"{fault.severity}: {fault.what}")
        _tell(manifest)
    if any(fault.severity == "error" for fault in faults):
        raise typer.Exit(1)


@app.command()
def restore(
    ctx: typer.Context,
    backup: BackupArgument,
    data: Annotated[
        Path, typer.Option(help="The folder to fill: missing or empty.", parser=a_folder, metavar="FOLDER")
    ],
) -> None:
    """Make the same system from a back-up, in a new data folder. The first start makes the views from the logs.

    Example: {command} backup restore /mnt/backups/monday --data /another/folder
    """
    from eventgraph.operating import backup as backups

    _tell(backups.restore(declared(ctx), backup, data))


def _tell(manifest: BackupManifest) -> None:
    from eventgraph.operating.backup_manifest import digest_of

    for log in manifest.logs.values():
        typer.echo(f"{log.id}: {log.end - 1:,} records")
    size = sum(file.bytes for file in manifest.files.values())
    typer.echo(f"{size:,} bytes, of {manifest.made}, SHA-256 {digest_of(manifest)}")
