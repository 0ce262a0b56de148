"""The command `graphrouter serve`: its options are keys of the configuration (`configuration/model.py`)."""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_type_hints

import typer
from starlette.types import Receive, Scope, Send

from graphrouter.commands.terminal import named, refuse
from graphrouter.composition import CompositionError
from graphrouter.configuration import Configuration, ConfigurationError, Loaded, load
from graphrouter.configuration.model import Metrics, Server
from graphrouter.configuration.settings import Given
from graphrouter.http.connections import ConnectionLimits
from graphrouter.http.endpoint import ACCESS
from graphrouter.http.hosts import HostCheck, check_hosts, is_loopback
from graphrouter.limits import Limits
from graphrouter.options import RouterOptions
from graphrouter.router import GraphRouter
from graphrouter.server.logs import log_to_stderr, set_access_log
from graphrouter.server.reloading import NotUsable, ReloadingApp, Source
from graphrouter.supergraph import SupergraphError
from graphrouter.telemetry.exposition import Source as MetricsSource
from graphrouter.telemetry.exposition import metrics_app, metrics_route
from graphrouter.telemetry.http import connections
from graphrouter.telemetry.measures import Family
from graphrouter.telemetry.process import ProcessMetrics
from graphrouter.telemetry.router import RouterMetrics, caches
from graphrouter.telemetry.settings import TracingSettings, TracingUnavailable
from graphrouter.telemetry.tracing import Tracing

if TYPE_CHECKING:  # it takes uvicorn, which is not there where only the wheel is
    from graphrouter.server.servers import Servers

_log = logging.getLogger("graphrouter.server")

Several = list[str] | None


def _numbered(text: str) -> tuple[str, float]:
    name, value = named(text)
    try:
        number = float(value)
    except ValueError:
        number = -1
    if not 0 < number < math.inf:
        refuse(f"expected NAME=NUMBER above 0, found {text!r}", 2)
    return name, number


def _path_of_limit(name: str) -> tuple[str, ...]:
    if name == "concurrent_requests":
        return ("server", name)
    if name in {field.name for field in fields(ConnectionLimits)}:
        return ("server", "connections", name)
    if name in {field.name for field in fields(Limits)}:
        return ("limits", name)
    return refuse(f"--limit: expected the name of a limit, found {name!r}", 2)


@dataclass(frozen=True, slots=True)
class Key:
    """The key of the configuration that an option sets."""

    path: str

    def given(self, option: str, value: object) -> Iterable[Given]:
        yield Given(tuple(self.path.split(".")), value, option)


@dataclass(frozen=True, slots=True)
class Each:
    """For an option that may be given again: what each value sets."""

    read: Callable[[str], Given]

    def given(self, _option: str, value: object) -> Iterable[Given]:
        return map(self.read, cast("list[str]", value))


def _url(text: str) -> Given:
    name, url = named(text)
    return Given(("subgraphs", name, "url"), url, "--subgraph")


def _timeout(text: str) -> Given:
    name, seconds = _numbered(text)
    return Given(("subgraphs", name, "timeout_seconds"), seconds, "--subgraph-timeout")


def _limit(text: str) -> Given:
    name, number = _numbered(text)
    return Given(_path_of_limit(name), number, f"--limit {name}")


def _header(name: str) -> Given:
    return Given(("forwarding", "headers", name.lower()), True, "--forward-header")


def _extension(text: str) -> Given:
    name, header = named(text)
    return Given(("forwarding", "extensions", name), header, "--forward-extension")


def serve(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="The configuration's file, in YAML.", show_default=False)
    ] = None,
    supergraph: Annotated[
        Path | None,
        typer.Option("--supergraph", "-s", help="The supergraph's file; without one, the subgraphs are composed."),
        Key("supergraph"),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Check configuration and supergraph, and stop; nothing is asked or served.")
    ] = False,
    host: Annotated[
        str | None, typer.Option(help="The address to listen on. Default: 127.0.0.1."), Key("server.host")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="The port; 0 takes any free one. Default: 4000."),
        Key("server.port"),
    ] = None,
    allow_anonymous: Annotated[
        bool | None,
        typer.Option(
            "--allow-anonymous", help="Serve at another address than loopback without authentication. Default: no."
        ),
        Key("server.allow_anonymous"),
    ] = None,
    subgraph: Annotated[
        Several, typer.Option(help="NAME=URL: where a subgraph is, instead of where the supergraph says."), Each(_url)
    ] = None,
    introspection: Annotated[
        bool | None,
        typer.Option("--introspection/--no-introspection", help="Answer __schema and __type. Default: yes."),
        Key("operations.introspection"),
    ] = None,
    playground: Annotated[
        bool | None,
        typer.Option("--playground/--no-playground", help="Serve GraphiQL at /. Default: yes."),
        Key("server.playground"),
    ] = None,
    query_plans: Annotated[
        bool | None,
        typer.Option(
            "--query-plans/--no-query-plans", help="Return the plan of a request that asks for it. Default: yes."
        ),
        Key("operations.query_plans"),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(help="Seconds that a request to a subgraph may take. Default: 30."),
        Key("all_subgraphs.timeout_seconds"),
    ] = None,
    subgraph_timeout: Annotated[
        Several, typer.Option(help="NAME=SECONDS: the same for one subgraph."), Each(_timeout)
    ] = None,
    subgraph_ca: Annotated[
        Path | None,
        typer.Option(help="A PEM file of certificate authorities to trust for subgraphs, beside the system's."),
        Key("all_subgraphs.tls.ca"),
    ] = None,
    limit: Annotated[
        Several, typer.Option(help="NAME=NUMBER: a limit of the README, such as depth=20."), Each(_limit)
    ] = None,
    allow_host: Annotated[
        Several, typer.Option(help="A host name to answer to, or *.NAME; may be given again."), Key("server.hosts")
    ] = None,
    cors_origin: Annotated[
        Several,
        typer.Option(help="An origin whose pages may read answers, or *; may be given again."),
        Key("server.cors_origins"),
    ] = None,
    forward_header: Annotated[
        Several,
        typer.Option(help="A request header to forward to subgraphs as well; may be given again."),
        Each(_header),
    ] = None,
    forward_extension: Annotated[
        Several,
        typer.Option(help="NAME=HEADER: an entry of extensions to forward to subgraphs as a header."),
        Each(_extension),
    ] = None,
    join_queries: Annotated[
        bool | None,
        typer.Option(
            "--join-queries/--no-join-queries",
            help="Send equal queries to a subgraph that are in flight at the same time once. Default: yes.",
        ),
        Key("operations.join_equal_queries"),
    ] = None,
    join_requests: Annotated[
        bool | None,
        typer.Option(
            "--join-requests/--no-join-requests",
            help="Execute equal queries of clients that are in flight at the same time once. Default: no.",
        ),
        Key("operations.join_equal_requests"),
    ] = None,
    drain: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds between SIGTERM and the end in which clients can go elsewhere. Default: 0."),
        Key("server.drain_seconds"),
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option(parser=str.lower, metavar="<str>", help="debug, info, warning or error. Default: info."),
        Key("server.log_level"),
    ] = None,
) -> None:
    """Serve a supergraph, or subgraphs that are composed: /graphql, /health/live, /health/ready, the playground at /.

    Every option is a key of the configuration, which has more of them: an option wins over the environment
    (GRAPHROUTER_SERVER__PORT is the key server.port), which wins over the file (--config, or GRAPHROUTER_CONFIG).
    """
    reader = _Reader(config, tuple(_given(locals())))
    with ExitStack() as stack:
        try:
            source = reader.first(None if check else stack)
        except (ConfigurationError, TracingUnavailable) as error:
            refuse(str(error), 2)
        except NotUsable as error:
            refuse(str(error), 1 if isinstance(error.__cause__, SupergraphError) else 2)
        if check:
            typer.echo("the configuration is right")
            return
        _run(reader, source)


def _given(values: Mapping[str, object]) -> Iterable[Given]:
    """What the options of the command line set, by the keys that stand beside them in `serve`."""
    for name, annotation in get_type_hints(serve, include_extras=True).items():
        for key in getattr(annotation, "__metadata__", ()):
            if isinstance(key, Key | Each) and values[name] is not None:
                yield from key.given(f"--{name.replace('_', '-')}", values[name])


class _Reader:
    """Reads what the router is made from, at the start and again for each reload."""

    def __init__(self, config: Path | None, given: tuple[Given, ...]) -> None:
        self._config = config
        self._given = given
        self.metrics = Metrics()
        """Where the server was started to tell what is counted."""
        self.counted: RouterMetrics | None = None
        """What all routers count in that are made here."""
        self.tracing: Tracing | None = None
        """What gives their requests places in traces."""
        self.server = self.latest = Server()
        """What the server was started with, and what was read last."""
        self.bounds: Callable[[ConnectionLimits], None] = lambda _: None
        self.app: ReloadingApp | None = None
        """What serves, as soon as there is something."""

    def first(self, stack: ExitStack | None) -> Source:
        """As `read`, at the start: what it says of the server is what the server is started with. What records spans is
        left with `stack`; without one nothing is recorded.

        Raises:
            TracingUnavailable: spans are to be exported, and cannot be.
        """
        found = load(self._config, self._given).configuration
        self.metrics = found.metrics
        if found.tracing.enabled:
            settings = TracingSettings.read(endpoint=found.tracing.endpoint, ratio=found.tracing.ratio)
            if stack is not None:
                recorder = stack.enter_context(settings.recording("graphrouter", version("graphrouter")))
                self.tracing = settings.tracing(recorder, trusts_parents=found.tracing.trust_clients)
        self.counted = RouterMetrics() if self.metrics.enabled else None
        source = self.read()
        self.server = self.latest
        return source

    def read(self) -> Source:
        """
        Raises:
            ConfigurationError: the configuration is refused.
            NotUsable: what it names cannot be used.
        """
        loaded = load(self._config, self._given)
        configuration = loaded.configuration
        try:
            self._check_exposure(configuration)
            options = replace(configuration.options(), metrics=self.counted, tracing=self.tracing)
            check_hosts(options.hosts)
            make = _composed(configuration, options) if configuration.supergraph is None else _made(loaded, options)
        except ValueError as error:
            raise NotUsable(str(error), loaded.files) from error
        self.latest = configuration.server
        return Source(
            options,
            make,
            loaded.files,
            poll_seconds=configuration.composition.poll_seconds if configuration.supergraph is None else 0,
            prepared=configuration.reload.prepared_operations,
            prepared_seconds=configuration.reload.prepared_seconds,
            applied=lambda: self.apply(configuration.server),
        )

    def _check_exposure(self, configuration: Configuration) -> None:
        """Refuses to let everybody ask who reaches another host than loopback, unless that is said."""
        if configuration.authentication is not None or configuration.server.allow_anonymous:
            return
        for host in (configuration.server.host, self.server.host):
            if not is_loopback(host):
                expected = "expected authentication, or server.allow_anonymous (--allow-anonymous) to let everybody ask"
                raise ValueError(f"host {host}: {expected} who reaches it, found neither")

    def apply(self, server: Server) -> None:
        """Sets what is not the router's: the log, and the bounds of new connections."""
        logging.getLogger().setLevel(server.log_level.upper())
        set_access_log(ACCESS, server.access_log)
        self.bounds(server.connections)
        for key in ("host", "port"):
            if getattr(server, key) != getattr(self.server, key):
                _log.warning("server.%s is read at the start only: it stays %s", key, getattr(self.server, key))


def _composed(configuration: Configuration, options: RouterOptions) -> Callable[[], Awaitable[GraphRouter]]:
    urls = configuration.urls()
    missing = sorted(set(configuration.subgraphs) - set(urls))
    if missing:
        expected = "expected a URL, because no supergraph says where it is"
        raise NotUsable(f"subgraphs.{missing[0]}.url: {expected}, found none")
    if not urls:
        raise NotUsable("expected a supergraph (--supergraph FILE) or subgraphs (--subgraph NAME=URL), found neither")

    async def make() -> GraphRouter:
        try:
            return await GraphRouter.compose(urls, options)
        except CompositionError as error:
            raise NotUsable("\n".join(str(diagnostic) for diagnostic in error.errors)) from error

    return make


def _made(loaded: Loaded, options: RouterOptions) -> Callable[[], Awaitable[GraphRouter]]:
    configuration, file = loaded.configuration, cast("Path", loaded.configuration.supergraph)
    try:
        router = GraphRouter.from_supergraph(file.read_text(encoding="utf-8"), configuration.urls(), options)
    except SupergraphError as error:
        raise NotUsable(f"{file.name}: {error.code}: {error}", loaded.files) from error
    except OSError as error:
        raise NotUsable(f"cannot read {file.name}: {error.strerror}", loaded.files) from error
    except UnicodeDecodeError as error:
        raise NotUsable(f"cannot read {file.name}: it is not UTF-8 text", loaded.files) from error
    for name in configuration.subgraphs:
        if name not in router.supergraph.subgraphs:
            place = loaded.place_of(("subgraphs", name))
            raise NotUsable(f"{place}: the supergraph has no subgraph {name!r}", loaded.files)

    async def make() -> GraphRouter:
        return router

    return make


def _run(reader: _Reader, source: Source) -> None:
    import uvicorn

    server = reader.server
    if source.options.authentication is None and not is_loopback(server.host):
        typer.echo(f"Nobody has to prove who they are: everybody who reaches {server.host} may ask.", err=True)
    listener = _listen(server.host, server.port)
    for_metrics = None
    if reader.counted is not None and reader.metrics.port is not None:
        for_metrics = _listen(reader.metrics.host, reader.metrics.port)
    log_to_stderr(server.log_level, server.log_format, server.access_log)
    typer.echo(f"http://{server.host}:{listener.getsockname()[1]}/graphql", err=True)
    with asyncio.Runner(loop_factory=uvicorn.Config("", log_config=None).get_loop_factory()) as runner:
        runner.run(_serve(reader, source, listener, for_metrics))


async def _serve(reader: _Reader, source: Source, listener: socket.socket, for_metrics: socket.socket | None) -> None:
    """Serves until a signal says stop."""
    from graphrouter.server.servers import ANY_HOST, Endpoint, NotStarted, Servers

    servers = Servers(reader.server.drain_seconds)
    servers.stop_on_signals()
    sources: Sequence[MetricsSource] = () if reader.counted is None else _metrics_of(reader, reader.counted, servers)
    routes = [metrics_route(*sources)] if sources and for_metrics is None else []
    app = reader.app = ReloadingApp(source, reader.read, routes=routes, signals=hasattr(signal, "SIGHUP"))
    endpoints = [Endpoint(app, listener, ANY_HOST, limits=reader.server.connections)]
    if for_metrics is not None:
        alone = metrics_app(*sources)

        async def checked(scope: Scope, receive: Receive, send: Send) -> None:
            await HostCheck(alone, reader.latest.hosts)(scope, receive, send)

        endpoints.append(Endpoint(checked, for_metrics, ANY_HOST))
    try:
        await servers.start(endpoints)
        reader.bounds = servers.connections[0].set_limits
        await servers.until_stopped()
    except NotStarted as error:
        refuse(str(error), 1)
    finally:
        await servers.shut_down()
    if servers.interrupted:
        raise typer.Exit(128 + signal.SIGINT)  # as shells tell that a command was interrupted


def _metrics_of(reader: _Reader, counted: RouterMetrics, servers: Servers) -> Sequence[MetricsSource]:
    def statistics() -> Mapping[str, object]:
        return {} if reader.app is None else reader.app.statistics()

    def configuration() -> Iterable[Family]:
        return () if reader.app is None else reader.app.families()

    return (
        ProcessMetrics().families,
        counted.families,
        caches(statistics),
        configuration,
        connections(lambda: servers.connections),
    )


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        refuse(f"cannot listen on {host} port {port}: {error.strerror}", 2)
