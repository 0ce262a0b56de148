"""The command `kith load`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from eventgraph.commands.loading import (
    ENDPOINT,
    ArrivalsOption,
    Asked,
    DurationOption,
    EndpointOption,
    InFlightOption,
    JsonOption,
    MaxErrorsOption,
    MaxP99Option,
    MixOption,
    OperationsOption,
    RampOption,
    RateOption,
    ReportOption,
    StageOption,
    TimeoutOption,
    TokenOption,
    open_loop,
)
from eventgraph.commands.options import declared
from eventgraph.errors import StartError

if TYPE_CHECKING:
    import random

    from kithgraph.load.network import Network

_TIMEOUT: Final = "30s"


class Preset(StrEnum):
    """The networks with a name."""

    SMALL = "small"
    SERIAL = "serial"
    PARALLEL = "parallel"


def load(  # noqa: PLR0913, PLR0917  # a parameter is an option
    ctx: typer.Context,
    preset: Annotated[
        Preset | None,
        typer.Argument(
            help="small: 6 people by hand. serial: 15 people, 300 friendships, one request at a time. parallel: 600 "
            "people, 2,099 friendships, 2,702 requests. Without one: the sizes that the options give.",
            show_default=False,
        ),
    ] = None,
    people: Annotated[
        int | None, typer.Option(min=2, max=1_000_000, help="How many people. [100]", show_default=False)
    ] = None,
    friends_per_person: Annotated[
        int | None,
        typer.Option(
            min=1, max=1000, help="How many friends each has on average, with a heavy tail. [10]", show_default=False
        ),
    ] = None,
    requests: Annotated[
        int | None,
        typer.Option(
            min=0, help="How many requests of all kinds follow when the network is there. [1000]", show_default=False
        ),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="How many requests are under way at a time. [32]", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="What the network, or the open loop, is drawn from.")] = 1,
    endpoint: EndpointOption = ENDPOINT,
    rate: RateOption = None,
    duration: DurationOption = None,
    ramp: RampOption = None,
    stage: StageOption = None,
    arrivals: ArrivalsOption = "constant",
    mix: MixOption = None,
    operations: OperationsOption = None,
    in_flight: InFlightOption = None,
    timeout: TimeoutOption = _TIMEOUT,
    token_file: TokenOption = None,
    report: ReportOption = None,
    max_errors: MaxErrorsOption = None,
    max_p99: MaxP99Option = None,
    as_json: JsonOption = False,
) -> None:
    """Load a running system, and compare every answer with a model of the network; or load it in open loop.

    Other data may be in the system: the people that this makes up only befriend one another. They stay there.
    Exit code 1 where an answer is not what the model says.

    With --rate, --ramp or --stage in open loop: requests arrive by a schedule, whether or not the system keeps up, and
    latencies are counted from its moments. Nothing is compared. Exit code 1 where --max-errors or --max-p99 is not
    kept, 130 after Ctrl-C.

    Example: {command} load parallel

    Example: {command} load --people 10000 --friends-per-person 20 --requests 5000 --seed 7

    Example: {command} load --stage 30s@50..400 --stage 2m@400 --report load.html
    """
    sizes = {"people": people, "friends_per_person": friends_per_person, "requests": requests}
    only_open = {
        "duration": duration,
        "mix": mix,
        "operations": operations,
        "in_flight": in_flight,
        "token_file": token_file,
        "report": report,
        "max_errors": max_errors,
        "max_p99": max_p99,
        "arrivals": None if arrivals == "constant" else arrivals,
        "timeout": None if timeout == _TIMEOUT else timeout,
    }
    if rate is None and not ramp and not stage:
        _refuse(only_open, "load: expected --rate, --ramp or --stage with")
        _closed_loop(preset, sizes, concurrency, seed, endpoint, as_json=as_json)
        return
    _refuse({"preset": preset, **sizes, "concurrency": concurrency}, "load: expected no --rate, --ramp or --stage with")
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


def _refuse(given: Mapping[str, object], expected: str) -> None:
    """Options of one way to load do not go with those of the other."""
    found = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]
    if found:
        raise StartError(f"{expected} {', '.join(found).replace('--preset', 'a preset')}")


def _closed_loop(
    preset: Preset | None,
    sizes: Mapping[str, int | None],
    concurrency: int | None,
    seed: int,
    endpoint: str,
    *,
    as_json: bool,
) -> None:
    # Imported here, because the version and completion should not wait for them to load.
    import random  # noqa: PLC0415

    import uvloop  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    from kithgraph.load import report  # noqa: PLC0415
    from kithgraph.load.client import reach  # noqa: PLC0415
    from kithgraph.load.run import run  # noqa: PLC0415

    draw = random.Random(seed)  # noqa: S311  # no secret: the same seed gives the same network
    network = _network(preset, draw, {name: value for name, value in sizes.items() if value is not None}, concurrency)
    console = Console()
    uvloop.run(reach(endpoint))
    with report.watching(Console(stderr=True), quiet=as_json) as watcher:
        outcome = uvloop.run(run(network, endpoint, draw=draw, watcher=watcher))
    if as_json:
        typer.echo(report.as_json(outcome, endpoint))
    else:
        report.tell(console, outcome, endpoint)
    if outcome.differences.count:
        raise typer.Exit(1)


def _network(preset: Preset | None, draw: random.Random, sizes: dict[str, int], concurrency: int | None) -> Network:
    from kithgraph.load import network  # noqa: PLC0415

    if preset is not None and sizes:
        given = ", ".join(f"--{name.replace('_', '-')}" for name in sizes)
        raise StartError(f"load {preset}: expected no sizes, because the preset has its own, found {given}")
    match preset:
        case None:
            return network.free(
                draw,
                people=sizes.get("people", 100),
                friends_per_person=sizes.get("friends_per_person", 10),
                requests=sizes.get("requests", 1000),
                concurrency=concurrency or network.CONCURRENCY,
            )
        case Preset.PARALLEL:
            return network.parallel(draw, concurrency or network.CONCURRENCY)
        case Preset.SMALL | Preset.SERIAL if concurrency not in {None, 1}:
            raise StartError(f"load {preset}: expected one request at a time, found --concurrency {concurrency}")
        case Preset.SMALL:
            return network.small(draw)
        case Preset.SERIAL:
            return network.serial(draw)
