"""The command `kith`.

What a command runs is imported inside of it, because `kith --version` and completion should not wait for servers and
schemas to load.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eventgraph import __version__
from eventgraph.errors import StartError
from eventgraph.operating import parked_command
from eventgraph.operating.installation import chosen
from eventgraph.operating.options import (
    DataOption,
    DistributedOption,
    JsonOption,
    a_folder,
    complete_log,
    complete_view,
)
from kithgraph.load import command as load_command

if TYPE_CHECKING:
    from eventgraph.operating.findings import Finding


class Kept(StrEnum):
    """The subgraphs."""

    USERS = "users"
    FRIENDS = "friends"
    RECOMMENDATIONS = "recommendations"


class Served(StrEnum):
    """What a process of the distributed mode can be."""

    ROUTER = "router"
    USERS = "users"
    FRIENDS = "friends"
    RECOMMENDATIONS = "recommendations"


AllowHostsOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Host names to answer to, separated by commas. [addresses and localhost on loopback, else any]",
        show_default=False,
    ),
]
CorsOriginsOption = Annotated[
    str | None,
    typer.Option(
        metavar="ORIGINS",
        help="Origins whose pages may read the router's answers, separated by commas. [none]",
        show_default=False,
    ),
]

app = typer.Typer(
    name="kith",
    help="A social network as one federated GraphQL API.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kith {__version__}")
        raise typer.Exit


@app.callback()
def kith(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """A social network as one federated GraphQL API."""


@app.command()
def up(
    host: Annotated[str | None, typer.Option(help="The address to listen on. [127.0.0.1]", show_default=False)] = None,
    port: Annotated[
        int | None, typer.Option(help="The router's port; 0 takes any free one. [9000]", show_default=False)
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="The folder that keeps everything. [./data]", show_default=False, parser=a_folder, metavar="FOLDER"
        ),
    ] = None,
    http: Annotated[
        bool | None,
        typer.Option("--http", help="Put each subgraph on a port of its own, after the router's.", show_default=False),
    ] = None,
    allow_hosts: AllowHostsOption = None,
    cors_origins: CorsOriginsOption = None,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error. [warning]", show_default=False)
    ] = None,
) -> None:
    """Start router and subgraphs in this process, on one data folder, until Ctrl-C.

    Every option can also be set in the environment: KITH_HOST, KITH_PORT, KITH_DATA, KITH_HTTP, KITH_ALLOW_HOSTS,
    KITH_CORS_ORIGINS, KITH_LOG_LEVEL.

    Example: kith up --port 9100 --data /some/folder
    """
    import uvloop  # noqa: PLC0415

    from eventgraph.running.embedded import run  # noqa: PLC0415
    from eventgraph.running.settings import load  # noqa: PLC0415

    settings = load(
        host=host,
        port=port,
        data=data,
        http=http,
        allow_hosts=allow_hosts,
        cors_origins=cors_origins,
        log_level=log_level,
    )
    uvloop.run(run(settings, announce=typer.echo))


@app.command()
def serve(
    what: Annotated[Served, typer.Argument(help="Which part this process serves.")],
    host: Annotated[str | None, typer.Option(help="The address to listen on. [127.0.0.1]", show_default=False)] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help="0 takes any free one. [router 9000, users 9001, friends 9002, recommendations 9003]",
            show_default=False,
        ),
    ] = None,
    project: Annotated[
        bool,
        typer.Option(
            envvar="KITH_PROJECT",
            help="Also keep a share of the subgraph's view; otherwise `kith project` processes keep it.",
        ),
    ] = True,
    allow_hosts: AllowHostsOption = None,
    cors_origins: CorsOriginsOption = None,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error. [warning]", show_default=False)
    ] = None,
) -> None:
    """Serve one subgraph, or the router, of the distributed mode until Ctrl-C. Several of each share the load.

    The environment says where Kafka, MongoDB and Neo4j are: docs/distributed.md lists the settings.

    Example: kith serve users --port 9001

    Example: kith serve router --host 0.0.0.0
    """
    import uvloop  # noqa: PLC0415

    from eventgraph.running import distributed  # noqa: PLC0415
    from eventgraph.running.settings import EngineSettings, ServeSettings, SubgraphUrls, loaded  # noqa: PLC0415

    settings = loaded(
        ServeSettings,
        host=host,
        port=port,
        allow_hosts=allow_hosts,
        cors_origins=cors_origins,
        log_level=log_level,
    )
    if what is Served.ROUTER:
        uvloop.run(distributed.serve_router(settings, loaded(SubgraphUrls), typer.echo))
    else:
        engines = loaded(EngineSettings)
        uvloop.run(distributed.serve_subgraph(what.value, settings, engines, typer.echo, project=project))


@app.command()
def project(
    view: Annotated[Kept, typer.Argument(help="The subgraph whose view this process keeps.")],
    host: Annotated[str | None, typer.Option(help="The address to listen on. [127.0.0.1]", show_default=False)] = None,
    port: Annotated[
        int | None, typer.Option(help="For its health and status; 0 takes any free one. [0]", show_default=False)
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error. [warning]", show_default=False)
    ] = None,
) -> None:
    """Keep a share of a view of the distributed mode up to date, and do nothing else, until Ctrl-C.

    Start as many as the load needs, up to the number of partitions; the partitions move when one comes or goes.

    Example: kith project users
    """
    import uvloop  # noqa: PLC0415

    from eventgraph.running import distributed  # noqa: PLC0415
    from eventgraph.running.settings import EngineSettings, ServeSettings, loaded  # noqa: PLC0415

    settings = loaded(ServeSettings, host=host, port=port, log_level=log_level)
    uvloop.run(distributed.keep_view(view.value, settings, loaded(EngineSettings), typer.echo))


@app.command("claims-keys")
def claims_keys() -> None:
    """Print new claims keys for the distributed mode: secrets, drawn once before the first start and kept for ever.

    Example: kith claims-keys > claims.keys && chmod 600 claims.keys
    """
    from eventgraph.running.claims_keys import drawn  # noqa: PLC0415

    typer.echo(drawn(), nl=False)


@app.command()
def events(
    data: DataOption = Path("data"),
    log: Annotated[
        list[str] | None, typer.Option(help="Only this log; may be given again.", autocompletion=complete_log)
    ] = None,
    stream: Annotated[list[str] | None, typer.Option(help="Only this stream; may be given again.")] = None,
    event_type: Annotated[
        list[str] | None, typer.Option("--type", help="Only this type, such as users.UserCreated; may be given again.")
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="MOMENT", help="Only from this moment on.")] = None,
    until: Annotated[str | None, typer.Option(metavar="MOMENT", help="Only before this moment.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow the log until Ctrl-C.")] = False,
    distributed: DistributedOption = False,
) -> None:
    """Print the event log: one CloudEvents JSON object a line, oldest first. Works while the system runs.

    A moment is written as 2026-01-31T12:00:00Z, with its offset from UTC, or as 2026-01-31.

    Example: kith events --type users.UserCreated --since 2026-01-31

    Example: kith events --data /some/folder --log users --follow
    """
    from eventgraph.operating.event_log import Wanted, parse_moment, print_events  # noqa: PLC0415

    wanted = Wanted(
        frozenset(stream or ()),
        frozenset(event_type or ()),
        None if since is None else parse_moment(since),
        None if until is None else parse_moment(until),
    )
    with suppress(KeyboardInterrupt):
        asyncio.run(print_events(chosen(data, distributed), log, sys.stdout.buffer, wanted, follow=follow))


@app.command()
def export(
    file: Annotated[str, typer.Argument(help="Where the log goes: a new file, or - for standard output.")],
    keys: Annotated[Path, typer.Option(help="Where the keys of the claims go: a new file, to be kept secret.")],
    data: DataOption = Path("data"),
    distributed: DistributedOption = False,
) -> None:
    """Write the whole log as CloudEvents JSON lines, for `kith import`. Works while the system runs.

    Example: kith export monday.jsonl --keys monday.keys --data /some/folder

    Example: kith export - --keys monday.keys | zstd > monday.jsonl.zst
    """
    from eventgraph.operating.log_export import export as write  # noqa: PLC0415

    write(chosen(data, distributed), file, keys)


@app.command("import")
def import_(
    file: Annotated[str, typer.Argument(help="The file that `kith export` wrote, or - for standard input.")],
    keys: Annotated[Path, typer.Option(help="The keys that `kith export` wrote.")],
    data: Annotated[
        Path | None,
        typer.Option(help="The folder to fill: missing or empty.", parser=a_folder, metavar="FOLDER"),
    ] = None,
    distributed: DistributedOption = False,
) -> None:
    """Make the same system from an export, in a new data folder: same users, bookmarks, idempotency keys, usernames.

    With --distributed it is made on empty topics instead, as `kith migrate` does.

    Example: kith import monday.jsonl --keys monday.keys --data /another/folder
    """
    from eventgraph.operating.log_import import import_ as read  # noqa: PLC0415

    if (data is None) != distributed:
        raise StartError("import: expected either --data FOLDER or --distributed")
    if data is not None:
        imported: Mapping[str, int] = read(file, keys, data)
    else:
        from eventgraph.operating.engines_installation import EnginesInstallation  # noqa: PLC0415
        from eventgraph.operating.migration import import_to_engines  # noqa: PLC0415

        imported = import_to_engines(file, keys, EnginesInstallation.from_environment().settings)
    for log, records in imported.items():
        typer.echo(f"{log}: {records:,} records")


@app.command()
def migrate(data: DataOption = Path("data")) -> None:
    """Copy the data folder of a stopped system to Kafka: the same system, distributed. The folder stays as it is.

    Topics and databases must be empty; the environment says where they are (docs/distributed.md). The claims keys are
    written to the file that KITH_CLAIMS_KEYS_FILE names. The first start there fills the views.

    Example: kith migrate --data ./data
    """
    from eventgraph.operating.engines_installation import EnginesInstallation  # noqa: PLC0415
    from eventgraph.operating.migration import migrate as copy  # noqa: PLC0415

    for log, records in copy(data, EnginesInstallation.from_environment().settings).items():
        typer.echo(f"{log}: {records:,} records")


@app.command()
def rebuild(
    view: Annotated[
        list[str] | None,
        typer.Argument(help="Views, such as users. [all]", show_default=False, autocompletion=complete_view),
    ] = None,
    data: DataOption = Path("data"),
    distributed: DistributedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fill views again from the logs. Meanwhile queries read the old build, until the new one is complete.

    Uses the running system, or opens the folder if none runs. Ctrl-C ends the rebuild and changes nothing.

    Example: kith rebuild

    Example: kith rebuild users friends --data /some/folder
    """
    from eventgraph.operating.rebuilding import rebuild as run  # noqa: PLC0415
    from eventgraph.operating.tables import print_json, print_table  # noqa: PLC0415

    rebuilt = run(chosen(data, distributed), view or [])
    if as_json:
        print_json(rebuilt)
    else:
        rows = [(one.view, one.build, f"{one.records:,}", f"{one.seconds:.2f}") for one in rebuilt]
        print_table(("view", "build", "records", "seconds"), rows, none="no views")


@app.command()
def doctor(
    data: DataOption = Path("data"), distributed: DistributedOption = False, as_json: JsonOption = False
) -> None:
    """Say what is wrong with a system, why it matters and what to do. Only reads.

    Exit code 1 if something is wrong; notices do not count.

    Example: kith doctor --data /some/folder
    """
    from eventgraph.operating.tables import print_json  # noqa: PLC0415

    found = _findings(data, distributed)
    if as_json:
        print_json(found)
    else:
        for one in found:
            typer.echo(f"{one.severity}: {one.where}: {one.what}\n  why: {one.why}\n  do:  {one.do}")
        if not found:
            typer.echo("Nothing is wrong.")
    if any(one.severity == "error" for one in found):
        raise typer.Exit(1)


def _findings(data: Path, distributed: bool) -> Sequence[Finding]:
    if not distributed:
        from eventgraph.operating.doctor import examine  # noqa: PLC0415

        return list(examine(data))
    from eventgraph.operating.engines_doctor import examine as examine_engines  # noqa: PLC0415
    from eventgraph.operating.engines_installation import EnginesInstallation  # noqa: PLC0415

    return asyncio.run(examine_engines(EnginesInstallation.from_environment().settings))


@app.command("what-if")
def what_if(
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

    Example: kith what-if --view users
    """
    from eventgraph.operating.tables import print_json  # noqa: PLC0415
    from eventgraph.operating.what_if import tell  # noqa: PLC0415
    from eventgraph.operating.what_if import what_if as compare  # noqa: PLC0415

    found = asyncio.run(compare(chosen(data, distributed), view or [], values=values))
    if as_json:
        print_json(found)
    else:
        tell(found)
    if not all(one.same for one in found):
        raise typer.Exit(1)


app.add_typer(parked_command.app, name="parked")


@app.command()
def schema(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if a file is not up to date.")] = False,
    folder: Annotated[Path, typer.Option(help="Where the files are.")] = Path(),
) -> None:
    """Write schema.graphql (what clients see), supergraph.graphql (what routers read) and asyncapi.json (the events).

    Example: kith schema --check
    """
    from eventgraph.describing.schema_files import stale, write  # noqa: PLC0415

    if not check:
        for path in write(folder):
            typer.echo(f"wrote {path}")
    elif outdated := stale(folder):
        raise StartError(f"not up to date: {', '.join(map(str, outdated))}; write them with `kith schema`")


app.command()(load_command.load)


_DRIVERS = frozenset({"aiokafka", "motor", "pymongo", "neo4j"})
"""The extra `distributed`, which an embedded system does without."""


def main() -> None:
    """The entry point: an error that the user can fix is one line on standard error and exit code 1."""
    try:
        app()
    except StartError as error:
        sys.stderr.write(f"kith: {error}\n")
        sys.exit(1)
    except ModuleNotFoundError as error:
        if error.name not in _DRIVERS:
            raise
        sys.stderr.write(
            f"kith: the distributed mode needs {error.name}, which is not installed: install kithgraph[distributed], "
            "or in a checkout run `make run-distributed`\n"
        )
        sys.exit(1)
    except BrokenPipeError:
        # The reader of the output has closed it (`kith events | head`): nothing more can be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
