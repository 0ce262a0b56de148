"""The commands that start something: `up`, `serve`, `project`, `console`, and the keys that they need, `claims-keys`.

What a command runs is imported inside of it, because the version and completion should not wait for servers and schemas
to load. `{command}` and the other words in braces are the system's (`cli.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from eventgraph.commands.options import a_folder, complete_part, complete_view, declared, one_part, one_view
from eventgraph.loading import loading

AllowHostsOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Host names to answer to, separated by commas. Default: addresses and localhost on loopback, else any.",
        show_default=False,
    ),
]
CorsOriginsOption = Annotated[
    str | None,
    typer.Option(
        metavar="ORIGINS",
        help="Origins whose pages may read the router's answers, separated by commas. Default: none.",
        show_default=False,
    ),
]


RouterConfigOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The router's configuration, in YAML; it may change while it runs. Default: none.",
        show_default=False,
    ),
]


def up(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    ctx: typer.Context,
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
    router_config: RouterConfigOption = None,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error. Default: warning.", show_default=False)
    ] = None,
) -> None:
    """Start router and subgraphs in this process, on one data folder, until Ctrl-C.

    Every option can also be set in the environment: {SETTINGS}HOST, {SETTINGS}PORT, {SETTINGS}DATA, {SETTINGS}HTTP,
    {SETTINGS}ALLOW_HOSTS, {SETTINGS}CORS_ORIGINS, {SETTINGS}ROUTER_CONFIG, {SETTINGS}LOG_LEVEL.

    Example: {command} up --port 9100 --data /some/folder
    """
    with loading():
        import uvloop

        from eventgraph.running.embedded import run
        from eventgraph.running.settings import load

    system = declared(ctx)
    settings = load(
        system,
        host=host,
        port=port,
        data=data,
        http=http,
        allow_hosts=allow_hosts,
        cors_origins=cors_origins,
        router_config=router_config,
        log_level=log_level,
    )
    uvloop.run(run(system, settings, announce=typer.echo))


def serve(  # noqa: PLR0913, PLR0917 - see above
    ctx: typer.Context,
    what: Annotated[
        str,
        typer.Argument(
            help="Which part this process serves.", metavar="{parts}", callback=one_part, autocompletion=complete_part
        ),
    ],
    host: Annotated[str | None, typer.Option(help="The address to listen on. [127.0.0.1]", show_default=False)] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help="0 takes any free one. [{ports}]",
            show_default=False,
        ),
    ] = None,
    project: Annotated[
        bool,
        typer.Option(
            envvar="{SETTINGS}PROJECT",
            help="Also keep a share of the subgraph's view; otherwise `{command} project` processes keep it.",
        ),
    ] = True,
    allow_hosts: AllowHostsOption = None,
    cors_origins: CorsOriginsOption = None,
    router_config: RouterConfigOption = None,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error. Default: warning.", show_default=False)
    ] = None,
) -> None:
    """Serve one subgraph, or the router, of the distributed mode until Ctrl-C. Several of each share the load.

    The environment says where Kafka, MongoDB and Neo4j are: docs/distributed.md lists the settings.

    Example: {command} serve {view} --port 9001

    Example: {command} serve router --host 0.0.0.0
    """
    with loading():
        import uvloop

        from eventgraph.running.settings import ServeSettings, engine_settings, loaded, subgraph_urls

    system = declared(ctx)
    if router_config is not None and what != "router":
        raise typer.BadParameter("it is for the router", param_hint="--router-config")
    settings = loaded(
        system,
        ServeSettings,
        host=host,
        port=port,
        allow_hosts=allow_hosts,
        cors_origins=cors_origins,
        router_config=router_config,
        log_level=log_level,
    )
    if what == "router":
        with loading():
            from eventgraph.running.router_process import serve_router

        uvloop.run(serve_router(system, settings, subgraph_urls(system), typer.echo))
    else:
        with loading():
            from eventgraph.running.distributed import Part, serve_part
            from eventgraph.running.engines import Work

        part = Part(system, what, Work.ALL if project else Work.ANSWERS)
        uvloop.run(serve_part(part, settings, engine_settings(system), typer.echo))


def project(
    ctx: typer.Context,
    view: Annotated[
        str,
        typer.Argument(
            help="The subgraph whose view this process keeps.",
            metavar="{views}",
            callback=one_view,
            autocompletion=complete_view,
        ),
    ],
    host: Annotated[str | None, typer.Option(help="The address to listen on. [127.0.0.1]", show_default=False)] = None,
    port: Annotated[
        int | None, typer.Option(help="For its health and status; 0 takes any free one. [0]", show_default=False)
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error. Default: warning.", show_default=False)
    ] = None,
) -> None:
    """Keep a share of a view of the distributed mode up to date, and do nothing else, until Ctrl-C.

    Start as many as the load needs, up to the number of partitions; the partitions move when one comes or goes.

    Example: {command} project {view}
    """
    with loading():
        import uvloop

        from eventgraph.running.distributed import Part, serve_part
        from eventgraph.running.engines import Work
        from eventgraph.running.settings import ServeSettings, engine_settings, loaded

    system = declared(ctx)
    settings = loaded(system, ServeSettings, host=host, port=port, log_level=log_level)
    uvloop.run(serve_part(Part(system, view, Work.KEEPING), settings, engine_settings(system), typer.echo))


def console(
    ctx: typer.Context,
    host: Annotated[str | None, typer.Option(help="The address to listen on. [127.0.0.1]", show_default=False)] = None,
    port: Annotated[
        int | None,
        typer.Option(help="0 takes any free one. [the first one after the subgraphs' ports]", show_default=False),
    ] = None,
    router_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where a browser finds the router, for the playground. [http://127.0.0.1:9000/]",
            show_default=False,
        ),
    ] = None,
    allow_hosts: AllowHostsOption = None,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error. [warning]", show_default=False)
    ] = None,
) -> None:
    """Serve the console of the distributed mode until Ctrl-C: status, events, what waits, rebuilds, in a browser.

    `{command} up` has it at its own port. It needs what the operators' commands need: the engines' settings and the
    claims keys.

    Example: {command} console --port 9010
    """
    import uvloop

    from eventgraph.running.console_process import serve_console
    from eventgraph.running.settings import ConsoleProcessSettings, engine_settings, loaded

    system = declared(ctx)
    settings = loaded(
        system,
        ConsoleProcessSettings,
        host=host,
        port=port,
        router_url=router_url,
        allow_hosts=allow_hosts,
        log_level=log_level,
    )
    uvloop.run(serve_console(system, settings, engine_settings(system), typer.echo))


def claims_keys(ctx: typer.Context) -> None:
    """Print new claims keys for the distributed mode: secrets, drawn once before the first start and kept for ever.

    Example: {command} claims-keys > claims.keys && chmod 600 claims.keys
    """
    from eventgraph.running.claims_keys import drawn

    typer.echo(drawn(declared(ctx)), nl=False)


COMMANDS: Final[Mapping[str, Callable[..., None]]] = {
    "up": up,
    "serve": serve,
    "project": project,
    "console": console,
    "claims-keys": claims_keys,
}
