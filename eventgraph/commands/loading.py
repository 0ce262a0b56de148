"""The command `load`: a running system in open loop."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from eventgraph.commands.options import declared
from eventgraph.errors import StartError
from eventgraph.system import ROUTER_PORT, System

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventgraph.load.results import Results
    from eventgraph.load.run import Plan

ENDPOINT: Final = f"http://127.0.0.1:{ROUTER_PORT}/graphql"
IN_FLIGHT: Final = 256
_LONGEST_TIMEOUT: Final = 60
"""Seconds."""
_INTERRUPTED: Final = 130
_KINDS: Final = (".html", ".json")

RateOption = Annotated[float | None, typer.Option(help="Requests a second.", show_default=False)]
DurationOption = Annotated[
    str | None, typer.Option(help="How long, with --rate: 30s, 2m, 1h. [30s]", show_default=False)
]
RampOption = Annotated[
    str | None, typer.Option(help="A rate that changes evenly: '50..800 over 2m'.", show_default=False)
]
StageOption = Annotated[
    list[str] | None,
    typer.Option(help="A stage, one after the other: 30s@100, or 2m@100..500.", show_default=False),
]
ArrivalsOption = Annotated[str, typer.Option(help="constant: evenly. poisson: by chance, as independent clients come.")]
MixOption = Annotated[
    str | None,
    typer.Option(help="Weights in place of the file's: show=90,install=10.", show_default=False),
]
OperationsOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="What is asked (TOML). By default the system's own.", show_default=False),
]
InFlightOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=10_000,
        help=f"How many requests are under way at most; others wait. [{IN_FLIGHT}]",
        show_default=False,
    ),
]
TimeoutOption = Annotated[
    str, typer.Option(help="The time of each request, from its moment in the schedule to its answer.")
]
TokenOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A file with the bearer token to send.", show_default=False)
]
ReportOption = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE", help="Write the results there: .html with charts, or .json.", show_default=False),
]
MaxErrorsOption = Annotated[
    str | None,
    typer.Option(help="Exit code 1 if more requests fail: a number, or a share such as 1%.", show_default=False),
]
MaxP99Option = Annotated[
    str | None,
    typer.Option(help="Exit code 1 if a hundredth of the requests takes longer: 250ms.", show_default=False),
]
SeedOption = Annotated[int, typer.Option(help="What moments, operations and values are drawn from.")]
EndpointOption = Annotated[str, typer.Option(help="Where the API is.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing meanwhile.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the options of an open loop say."""

    rate: float | None
    duration: str | None
    ramp: str | None
    stages: Sequence[str]
    arrivals: str
    mix: str | None
    operations: Path | None
    in_flight: int | None
    timeout: str
    seed: int
    endpoint: str
    token_file: Path | None
    reports: Sequence[Path]
    max_errors: str | None
    max_p99: str | None
    as_json: bool


def load(  # noqa: PLR0913, PLR0917  # a parameter is an option
    ctx: typer.Context,
    rate: RateOption = None,
    duration: DurationOption = None,
    ramp: RampOption = None,
    stage: StageOption = None,
    arrivals: ArrivalsOption = "constant",
    mix: MixOption = None,
    operations: OperationsOption = None,
    in_flight: InFlightOption = None,
    timeout: TimeoutOption = "30s",
    seed: SeedOption = 1,
    endpoint: EndpointOption = ENDPOINT,
    token_file: TokenOption = None,
    report: ReportOption = None,
    max_errors: MaxErrorsOption = None,
    max_p99: MaxP99Option = None,
    as_json: JsonOption = False,
) -> None:
    """Load a running system in open loop: requests arrive by a schedule, whether or not the system keeps up.

    Latencies are counted from the moment of the schedule. Ctrl-C ends the run, and its results are told; exit code 130.

    Example: {command} load --rate 200 --duration 1m --report load.html

    Example: {command} load --stage 30s@50..400 --stage 2m@400 --arrivals poisson --max-errors 1% --max-p99 250ms
    """
    asked = Asked(
        rate=rate,
        duration=duration,
        ramp=ramp,
        stages=stage or (),
        arrivals=arrivals,
        mix=mix,
        operations=operations,
        in_flight=in_flight,
        timeout=timeout,
        seed=seed,
        endpoint=endpoint,
        token_file=token_file,
        reports=report or (),
        max_errors=max_errors,
        max_p99=max_p99,
        as_json=as_json,
    )
    open_loop(declared(ctx), asked)


def open_loop(system: System, asked: Asked) -> None:
    """Run what is asked, and tell what was found.

    Raises:
        StartError: options do not fit together, or nothing answers at the endpoint.
        Exit: 1 where a limit was not kept, 130 where the run was stopped.
    """
    import uvloop
    from rich.console import Console

    from eventgraph.load.live import watching
    from eventgraph.load.results import as_json
    from eventgraph.load.run import run
    from eventgraph.load.summary import tell

    plan = _plan(system, asked)
    for file in asked.reports:
        _writable(file)
    watch = watching(Console(stderr=True), plan.schedule, quiet=asked.as_json)
    results = uvloop.run(run(plan, watch))
    if asked.as_json:
        typer.echo(as_json(results))
    else:
        tell(Console(), results)
    for file in asked.reports:
        _write(file, results)
    if results.interrupted:
        raise typer.Exit(_INTERRUPTED)
    if not results.held:
        raise typer.Exit(1)


def _plan(system: System, asked: Asked) -> Plan:
    from eventgraph.load.results import Limits
    from eventgraph.load.run import Plan
    from eventgraph.load.schedule import Arrivals, planned, seconds
    from eventgraph.load.workload import read

    schedule = planned(asked.rate, asked.duration, asked.ramp, asked.stages)
    if asked.arrivals not in set(Arrivals):
        raise StartError(f"load: --arrivals: expected {' or '.join(Arrivals)}, found {asked.arrivals[:100]!r}")
    timeout = seconds(asked.timeout, "--timeout")
    if timeout > _LONGEST_TIMEOUT:
        raise StartError(f"load: --timeout: expected at most {_LONGEST_TIMEOUT} s, found {asked.timeout[:100]!r}")
    operations = asked.operations or system.workload
    if operations is None:
        raise StartError(f"load: expected --operations, because {system.name} brings no operations of its own")
    return Plan(
        system=system,
        endpoint=asked.endpoint,
        workload=read(operations, asked.mix),
        schedule=schedule,
        arrivals=Arrivals(asked.arrivals),
        seed=asked.seed,
        at_most=asked.in_flight or IN_FLIGHT,
        timeout=timeout,
        token=_token(asked.token_file),
        limits=Limits(asked.max_errors, asked.max_p99),
    )


def _token(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        token = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"{file}: expected a file with a token; {_reason(error)}") from error
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise StartError(f"{file}: expected a token of printable ASCII characters without spaces, found another text")
    return token


def _writable(file: Path) -> None:
    """Known before the load, not after it."""
    if file.suffix not in _KINDS:
        raise StartError(f"load: --report: expected a name that ends with {' or '.join(_KINDS)}, found {str(file)!r}")
    try:
        file.open("a").close()
    except OSError as error:
        raise StartError(f"{file}: expected a file that can be written; {_reason(error)}") from error


def _write(file: Path, results: Results) -> None:
    from eventgraph.load.page import page
    from eventgraph.load.results import as_json

    try:
        file.write_text(page(results) if file.suffix == ".html" else as_json(results))
    except OSError as error:
        raise StartError(f"{file}: the results could not be written; {_reason(error)}") from error
    typer.echo(f"wrote {file}", err=True)


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or type(error).__name__


COMMANDS: Final = {"load": load}
