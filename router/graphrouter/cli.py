"""The command `graphrouter`: compose subgraphs, look at each stage of planning, serve a supergraph.

Exit codes: 0 done; 1 the input was read and is refused (it does not compose, cannot be planned, a plan is wrong, a
schema breaks clients); 2 the command line, a file, a subgraph or a port could not be used. Every error is told in one
line per finding, on standard error.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from graphql import DocumentNode, GraphQLError, GraphQLSchema, parse, validate

from graphrouter.commands import configuring
from graphrouter.commands.serving import serve
from graphrouter.commands.terminal import named, read_text, refuse
from graphrouter.composition import CompositionError, CompositionResult, SubgraphSdl
from graphrouter.composition import compose as compose_sdls
from graphrouter.composition.watching import texts_as_they_change
from graphrouter.planning.check import check as check_plan
from graphrouter.planning.errors import PlanningError
from graphrouter.planning.planner import QueryPlanner
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


app.command()(serve)
app.add_typer(configuring.app)


@app.command()
def compose(
    subgraphs: Annotated[list[str], typer.Argument(help="NAME=FILE or NAME=URL, one for each subgraph.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write there, not to standard output.")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Compose again whenever a file changes, until Ctrl-C.")
    ] = False,
) -> None:
    """Compose subgraphs into a supergraph. Hints go to standard error."""
    sources = [named(text) for text in subgraphs]
    if watch:
        _compose_again_and_again(sources, output)
        return
    try:
        result = compose_sdls([_subgraph_sdl(name, source) for name, source in sources])
    except CompositionError as error:
        refuse("\n".join(str(diagnostic) for diagnostic in error.errors))
    _write(result, output)


def _compose_again_and_again(sources: list[tuple[str, str]], output: Path | None) -> None:
    """Compose again at each change; errors are printed, and the last supergraph stays."""
    if output is None:
        refuse("--watch: expected a file to write to, --output FILE", 2)
    files = [Path(source) for _, source in sources if not _is_url(source)]
    if not files:
        refuse("--watch: expected a subgraph that is a file, NAME=FILE, found URLs only", 2)
    try:
        for _ in texts_as_they_change(files):
            try:
                _write(compose_sdls([_subgraph_sdl(name, source) for name, source in sources]), output)
                typer.echo(f"composed {output}", err=True)
            except CompositionError as error:
                typer.echo("\n".join(str(diagnostic) for diagnostic in error.errors), err=True)
            except typer.Exit:
                continue  # a subgraph could not be read, which has been told
    except KeyboardInterrupt:
        return  # Ctrl-C is how it ends, whatever it interrupts
    except ModuleNotFoundError:
        refuse("--watch: expected watchfiles to be installed: pip install 'graphrouter[watch]'", 2)


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
        refuse(f"cannot write {output}: {error.strerror}", 2)


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
            checked += check_operations(before, after, {str(file): read_text(file)})
        except GraphQLError as error:
            refuse(f"{file}: {error.message}", 2)
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
        return client_schema(read_text(file))
    except SupergraphError as error:
        refuse(f"{file}: {error.code}: {error}", 2)


def _operation_files(paths: list[Path]) -> list[Path]:
    """The files, and those in the folders, at any depth, by name."""
    found: list[Path] = []
    for path in paths:
        inside = sorted([*path.rglob("*.graphql"), *path.rglob("*.gql")]) if path.is_dir() else [path]
        if not inside:
            refuse(f"{path}: expected files *.graphql or *.gql in it, found none", 2)
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
        refuse(f"{error.code}: {error}")
    if found:
        refuse("\n".join(found))
    typer.echo("the plan is right")


def _print(text: str) -> None:
    """What ends its lines itself, and what does not."""
    typer.echo(text, nl=not text.endswith("\n"))


def _stage(stage: str, operation: str, planner: QueryPlanner, name: str | None) -> str:
    try:
        return planner.explain(_document(operation, planner), name)[stage]
    except PlanningError as error:
        refuse(f"{error.code}: {error}")


def _planner(file: Path, labels: list[str] | None = None) -> QueryPlanner:
    """The planner while these labels, and no others, are on."""
    try:
        planner = QueryPlanner(read_supergraph(read_text(file)))
    except SupergraphError as error:
        refuse(f"{file}: {error.code}: {error}")
    known = planner.supergraph.labels
    for label in labels or ():
        if label not in known:
            there = ", ".join(known) or "no label at all"
            refuse(f"--label: expected a label of @override in {file} ({there}), found {label!r}", 2)
    return planner.under(frozenset(labels or ()))


def _document(source: str, planner: QueryPlanner) -> DocumentNode:
    try:
        document = parse(sys.stdin.read() if source == "-" else read_text(Path(source)))
    except GraphQLError as error:
        refuse(f"{source}: {error.message}")
    errors = validate(planner.supergraph.api_schema, document)
    if errors:
        refuse("\n".join(f"{source}: {error.message}" for error in errors))
    return document


def _subgraph_sdl(name: str, source: str) -> SubgraphSdl:
    if not _is_url(source):
        return SubgraphSdl(name=name, url="", sdl=read_text(Path(source)))
    try:
        return SubgraphSdl(name=name, url=source, sdl=asyncio.run(_ask_sdl(name, source)))
    except SubgraphUnavailable as error:
        refuse(str(error), 2)
    except ValueError as error:
        refuse(f"subgraph {name}: {error}", 2)


def _is_url(source: str) -> bool:
    return source.startswith(("http://", "https://"))


async def _ask_sdl(name: str, url: str) -> str:
    transport = HttpTransport(url)
    try:
        return await fetch_sdl(name, transport, 10)
    finally:
        await transport.aclose()


def main() -> None:
    """The entry point of the command."""
    app()
