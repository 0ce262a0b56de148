"""The command `graphrouter`: compose subgraphs, look at each stage of planning, serve a supergraph.

Exit codes: 0 done; 1 the input was read and is refused (it does not compose, cannot be planned, a plan is wrong, a
schema breaks clients); 2 the command line, a file, a subgraph or a port could not be used. Every error is told in one
line per finding, on standard error.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import logging
import math
import socket
import ssl
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Annotated, Any, NoReturn, cast

import typer
from graphql import DocumentNode, GraphQLError, GraphQLSchema, parse, validate

from graphrouter.composition import CompositionError, CompositionResult, SubgraphSdl
from graphrouter.composition import compose as compose_sdls
from graphrouter.composition.watching import texts_as_they_change
from graphrouter.http.connections import ConnectionLimits
from graphrouter.limits import Limits
from graphrouter.options import RouterOptions
from graphrouter.planning.check import check as check_plan
from graphrouter.planning.errors import PlanningError
from graphrouter.planning.planner import QueryPlanner
from graphrouter.router import GraphRouter
from graphrouter.subgraph_sdl import SubgraphUnavailable, fetch_sdl
from graphrouter.supergraph import SupergraphError, read_supergraph
from graphrouter.supergraph.diff import (
    CheckedOperation,
    Weight,
    check_operations,
    client_schema,
    find_changes,
    problems_of,
)
from graphrouter.transport.http import HttpTransport

app = typer.Typer(
    name="graphrouter",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SupergraphOption = Annotated[Path, typer.Option("--supergraph", "-s", help="The supergraph's file.")]
OperationArgument = Annotated[str, typer.Argument(help="The file with the operation, or - for standard input.")]
NameOption = Annotated[str | None, typer.Option("--operation", help="Its name, if the file has several.")]
LabelOption = Annotated[
    list[str] | None, typer.Option("--label", help="A label of @override that is on; may be given again.")
]


def _refuse(message: str, code: int = 1) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"graphrouter {importlib.metadata.version('graphrouter')}")
        raise typer.Exit


@app.callback()
def graphrouter(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """A GraphQL federation router: composes, plans and executes over anybody's subgraphs."""


@app.command()
def serve(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    supergraph: SupergraphOption,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port; 0 takes any free one.")] = 4000,
    subgraph: Annotated[
        list[str] | None, typer.Option(help="NAME=URL: the URL of a subgraph, instead of the one in the file.")
    ] = None,
    introspection: Annotated[bool, typer.Option(help="Answer __schema and __type.")] = True,
    playground: Annotated[bool, typer.Option(help="Serve GraphiQL at /.")] = True,
    query_plans: Annotated[bool, typer.Option(help="Return the plan of a request that asks for it.")] = True,
    timeout: Annotated[float, typer.Option(help="Seconds that one request to a subgraph may take.")] = 30.0,
    subgraph_timeout: Annotated[list[str] | None, typer.Option(help="NAME=SECONDS: the same for one subgraph.")] = None,
    subgraph_ca: Annotated[
        Path | None,
        typer.Option(help="A PEM file of certificate authorities to trust for subgraphs, beside the system's."),
    ] = None,
    limit: Annotated[
        list[str] | None, typer.Option(help="NAME=NUMBER: a limit that the README lists, such as depth=20.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A host name to answer to, or *.NAME; may be given again.")
    ] = None,
    cors_origin: Annotated[
        list[str] | None, typer.Option(help="An origin whose pages may read answers, or *; may be given again.")
    ] = None,
    forward_header: Annotated[
        list[str] | None, typer.Option(help="A request header to forward to subgraphs as well; may be given again.")
    ] = None,
    forward_extension: Annotated[
        list[str] | None, typer.Option(help="NAME=HEADER: an entry of extensions to forward to subgraphs as a header.")
    ] = None,
    join_queries: Annotated[
        bool, typer.Option(help="Send equal queries to a subgraph that are in flight at the same time once.")
    ] = True,
    join_requests: Annotated[
        bool, typer.Option(help="Execute equal queries of clients that are in flight at the same time once.")
    ] = False,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Serve a supergraph: /graphql, /health/live, /health/ready, and the playground at /."""
    import uvicorn  # noqa: PLC0415 - the other commands need no server

    from graphrouter.http.connection import HttpServer  # noqa: PLC0415
    from graphrouter.http.files import allow_many_files  # noqa: PLC0415
    from graphrouter.server.collector import set_collector_for_serving  # noqa: PLC0415

    if log_level.lower() not in {"debug", "info", "warning", "error"}:
        _refuse(f"--log-level: expected debug, info, warning or error, found {log_level!r}", 2)
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if not 0 < timeout < math.inf:
        _refuse(f"--timeout: expected a number above 0, found {timeout}", 2)
    limits, connections, own = Limits(), ConnectionLimits(), RouterOptions().concurrent_requests
    for name, number in map(_numbered, limit or []):
        if name == "concurrent_requests":
            own = _like(own, name, number)
        elif name in _names_of(ConnectionLimits):
            connections = replace(connections, **{name: _like(getattr(connections, name), name, number)})
        elif name in _names_of(Limits):
            limits = replace(limits, **{name: _like(getattr(limits, name), name, number)})
        else:
            _refuse(f"--limit: expected the name of a limit, found {name!r}", 2)
    defaults = RouterOptions()
    options = RouterOptions(
        limits=limits,
        concurrent_requests=own,
        hosts=tuple(allow_host or ()),
        cors_origins=tuple(cors_origin or ()),
        introspection=introspection,
        playground=playground,
        expose_query_plan=query_plans,
        subgraph_seconds=timeout,
        subgraph_timeouts=dict(map(_numbered, subgraph_timeout or [])),
        subgraph_tls=_trusting(subgraph_ca) if subgraph_ca else None,
        forwarded_headers=defaults.forwarded_headers | {name.lower() for name in forward_header or ()},
        forwarded_extensions={**defaults.forwarded_extensions, **dict(map(_named, forward_extension or []))},
        join_equal_queries=join_queries,
        join_equal_requests=join_requests,
    )
    try:
        router = GraphRouter.from_supergraph(_read(supergraph), dict(map(_named, subgraph or [])), options)
        served = router.app()
        for name in options.subgraph_timeouts:
            if name not in router.planner.supergraph.subgraphs:
                _refuse(f"--subgraph-timeout: the supergraph has no subgraph {name!r}", 2)
    except SupergraphError as error:
        _refuse(f"{supergraph}: {error.code}: {error}")
    except ValueError as error:
        _refuse(str(error), 2)
    listener = _listen(host, port)
    typer.echo(f"http://{host}:{listener.getsockname()[1]}/graphql", err=True)
    # uvicorn takes whatever makes a protocol; its types want a class.
    http = cast("Any", HttpServer(connections))
    config = uvicorn.Config(served, http=http, ws="none", log_config=None, access_log=False, server_header=False)
    allow_many_files()
    set_collector_for_serving()
    uvicorn.Server(config).run(sockets=[listener])


@app.command()
def compose(
    subgraphs: Annotated[list[str], typer.Argument(help="NAME=FILE or NAME=URL, one for each subgraph.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write there, not to standard output.")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Compose again whenever a file changes, until Ctrl-C.")
    ] = False,
) -> None:
    """Compose subgraphs into a supergraph. Hints go to standard error."""
    named = [_named(text) for text in subgraphs]
    if watch:
        _compose_again_and_again(named, output)
        return
    try:
        result = compose_sdls([_subgraph_sdl(name, source) for name, source in named])
    except CompositionError as error:
        _refuse("\n".join(str(diagnostic) for diagnostic in error.errors))
    _write(result, output)


def _compose_again_and_again(named: list[tuple[str, str]], output: Path | None) -> None:
    """Compose again at each change; errors are printed, and the last supergraph stays."""
    if output is None:
        _refuse("--watch: expected a file to write to, --output FILE", 2)
    files = [Path(source) for _, source in named if not _is_url(source)]
    if not files:
        _refuse("--watch: expected a subgraph that is a file, NAME=FILE, found URLs only", 2)
    try:
        for _ in texts_as_they_change(files):
            try:
                _write(compose_sdls([_subgraph_sdl(name, source) for name, source in named]), output)
                typer.echo(f"composed {output}", err=True)
            except CompositionError as error:
                typer.echo("\n".join(str(diagnostic) for diagnostic in error.errors), err=True)
            except typer.Exit:
                continue  # a subgraph could not be read, which has been told
    except KeyboardInterrupt:
        return  # Ctrl-C is how it ends, whatever it interrupts
    except ModuleNotFoundError:
        _refuse("--watch: expected watchfiles to be installed: pip install 'graphrouter[watch]'", 2)


def _write(result: CompositionResult, output: Path | None) -> None:
    for hint in result.hints:
        typer.echo(f"hint: {hint}", err=True)
    if output is None:
        _print(result.supergraph_sdl)
        return
    try:
        if output.exists() and not output.is_file():  # a device or a pipe is written to, never replaced
            output.write_text(result.supergraph_sdl, encoding="utf-8")
        else:
            _replace(output.resolve(), result.supergraph_sdl)
    except OSError as error:
        _refuse(f"cannot write {output}: {error.strerror}", 2)


def _replace(file: Path, text: str) -> None:
    """Writes the file in one step, so that no reader, such as a watching server, sees half of it."""
    new = file.with_name(f".{file.name}.new")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="The schema before: a supergraph, or any schema.")],
    new: Annotated[Path, typer.Argument(help="The schema after.")],
    operations: Annotated[
        list[Path] | None,
        typer.Option(help="Recorded operations: a .graphql file, or a folder with such files; may be given again."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List what changed for clients: breaking, dangerous, safe; and which recorded operations break.

    Exit code 1: there is a breaking change; with --operations: one of them breaks.
    """
    before, after = _client_schema(old), _client_schema(new)
    changes = find_changes(before, after)
    checked: list[CheckedOperation] = []
    for file in _operation_files(operations or []):
        try:
            checked += check_operations(before, after, {str(file): _read(file)})
        except GraphQLError as error:
            _refuse(f"{file}: {error.message}", 2)
    broken = any(operation.breaks for operation in checked)
    if as_json:
        found = [{**asdict(operation), "breaks": operation.breaks} for operation in checked]
        typer.echo(json.dumps({"changes": [asdict(change) for change in changes], "operations": found}, indent=2))
    else:
        for change in changes:
            typer.echo(f"{change.weight}: {change.kind}: {change.description}")
        for line in problems_of(checked):
            typer.echo(line)
        if operations:
            typer.echo(f"{sum(operation.breaks for operation in checked)} of {len(checked)} operations break")
    if broken if operations else any(change.weight == Weight.BREAKING for change in changes):
        raise typer.Exit(1)


def _client_schema(file: Path) -> GraphQLSchema:
    try:
        return client_schema(_read(file))
    except SupergraphError as error:
        _refuse(f"{file}: {error.code}: {error}", 2)


def _operation_files(paths: list[Path]) -> list[Path]:
    """The files, and those in the folders, at any depth, by name."""
    found: list[Path] = []
    for path in paths:
        inside = sorted([*path.rglob("*.graphql"), *path.rglob("*.gql")]) if path.is_dir() else [path]
        if not inside:
            _refuse(f"{path}: expected files *.graphql or *.gql in it, found none", 2)
        found += inside
    return found


@app.command()
def normalize(operation: OperationArgument, supergraph: SupergraphOption, name: NameOption = None) -> None:
    """Print the operation as the planner sees it."""
    _print(_stage("normalize", operation, _planner(supergraph), name))


@app.command()
def graph(supergraph: SupergraphOption) -> None:
    """Print the query graph: what each subgraph can answer, and the moves from one to another."""
    _print(str(_planner(supergraph).query_graph))


@app.command()
def paths(
    operation: OperationArgument, supergraph: SupergraphOption, name: NameOption = None, label: LabelOption = None
) -> None:
    """Print the paths to each leaf of the operation, with their costs."""
    _print(_stage("paths", operation, _planner(supergraph, label), name))


@app.command()
def plan(
    operation: OperationArgument, supergraph: SupergraphOption, name: NameOption = None, label: LabelOption = None
) -> None:
    """Print the plan: the requests, what each of them waits for, and what it sends."""
    _print(_stage("plan", operation, _planner(supergraph, label), name))


@app.command()
def check(
    operation: OperationArgument, supergraph: SupergraphOption, name: NameOption = None, label: LabelOption = None
) -> None:
    """Plan the operation and check the plan: documents fit their subgraphs, and no requested field is missing."""
    planner = _planner(supergraph, label)
    document = _document(operation, planner)
    try:
        found = check_plan(planner.plan(document, name), document, planner.supergraph, name)
    except PlanningError as error:
        _refuse(f"{error.code}: {error}")
    if found:
        _refuse("\n".join(found))
    typer.echo("the plan is right")


def _print(text: str) -> None:
    """What ends its lines itself, and what does not."""
    typer.echo(text, nl=not text.endswith("\n"))


def _stage(stage: str, operation: str, planner: QueryPlanner, name: str | None) -> str:
    try:
        return planner.explain(_document(operation, planner), name)[stage]
    except PlanningError as error:
        _refuse(f"{error.code}: {error}")


def _planner(file: Path, labels: list[str] | None = None) -> QueryPlanner:
    """The planner while these labels, and no others, are on."""
    try:
        planner = QueryPlanner(read_supergraph(_read(file)))
    except SupergraphError as error:
        _refuse(f"{file}: {error.code}: {error}")
    known = planner.supergraph.labels
    for label in labels or ():
        if label not in known:
            there = ", ".join(known) or "no label at all"
            _refuse(f"--label: expected a label of @override in {file} ({there}), found {label!r}", 2)
    return planner.under(frozenset(labels or ()))


def _document(source: str, planner: QueryPlanner) -> DocumentNode:
    try:
        document = parse(sys.stdin.read() if source == "-" else _read(Path(source)))
    except GraphQLError as error:
        _refuse(f"{source}: {error.message}")
    errors = validate(planner.supergraph.api_schema, document)
    if errors:
        _refuse("\n".join(f"{source}: {error.message}" for error in errors))
    return document


def _named(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        _refuse(f"expected NAME=…, found {text!r}", 2)
    return name, value


def _numbered(text: str) -> tuple[str, float]:
    name, value = _named(text)
    try:
        number = float(value)
    except ValueError:
        number = -1
    if not 0 < number < math.inf:
        _refuse(f"expected NAME=NUMBER above 0, found {text!r}", 2)
    return name, number


def _names_of(limits: type[Limits | ConnectionLimits]) -> frozenset[str]:
    return frozenset(field.name for field in fields(limits))


def _like(default: float, name: str, number: float) -> Any:
    """The number, whole where the limit's default is."""
    if not isinstance(default, int):
        return number
    if not number.is_integer():
        _refuse(f"--limit: expected a whole number for {name}, found {number}", 2)
    return int(number)


def _trusting(file: Path) -> ssl.SSLContext:
    """What the system trusts, and these authorities."""
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=file)
    except ssl.SSLError:
        _refuse(f"--subgraph-ca: expected certificates in PEM, found none that can be read in {file}", 2)
    except OSError as error:
        _refuse(f"cannot read {file}: {error.strerror}", 2)
    return context


def _subgraph_sdl(name: str, source: str) -> SubgraphSdl:
    if not _is_url(source):
        return SubgraphSdl(name=name, url="", sdl=_read(Path(source)))
    try:
        return SubgraphSdl(name=name, url=source, sdl=asyncio.run(_ask_sdl(name, source)))
    except SubgraphUnavailable as error:
        _refuse(str(error), 2)
    except ValueError as error:
        _refuse(f"subgraph {name}: {error}", 2)


def _is_url(source: str) -> bool:
    return source.startswith(("http://", "https://"))


async def _ask_sdl(name: str, url: str) -> str:
    transport = HttpTransport(url)
    try:
        return await fetch_sdl(name, transport, 10)
    finally:
        await transport.aclose()


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        _refuse(f"cannot read {file}: {reason}", 2)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        _refuse(f"cannot listen on {host} port {port}: {error.strerror}", 2)


def main() -> None:
    """The entry point of the command."""
    app()
