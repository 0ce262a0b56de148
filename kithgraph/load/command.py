"""The command `kith load`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from eventgraph.errors import StartError

if TYPE_CHECKING:
    import random

    from kithgraph.load.network import Network

ENDPOINT: Final = "http://127.0.0.1:9000/graphql"


class Preset(StrEnum):
    """The networks with a name."""

    SMALL = "small"
    SERIAL = "serial"
    PARALLEL = "parallel"


def load(
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
    seed: Annotated[int, typer.Option(help="What the network is drawn from.")] = 1,
    endpoint: Annotated[str, typer.Option(help="Where the API is.")] = ENDPOINT,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and no progress bar.")] = False,
) -> None:
    """Load a running system, and compare every answer with a model of the network.

    Other data may be in the system: the people that this makes up only befriend one another. They stay there.
    Exit code 1 where an answer is not what the model says.

    Example: {command} load parallel

    Example: {command} load --people 10000 --friends-per-person 20 --requests 5000 --seed 7
    """
    # Imported here, because the version and completion should not wait for them to load.
    import random  # noqa: PLC0415

    import uvloop  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    from kithgraph.load import report  # noqa: PLC0415
    from kithgraph.load.client import reach  # noqa: PLC0415
    from kithgraph.load.run import run  # noqa: PLC0415

    draw = random.Random(seed)  # noqa: S311  # no secret: the same seed gives the same network
    sizes = {"people": people, "friends_per_person": friends_per_person, "requests": requests}
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
