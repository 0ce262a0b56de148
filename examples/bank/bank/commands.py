"""The bank's own operator's commands: `audit`; `transfers` and `drive` for those that hang."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from eventgraph.commands.options import DataOption, DistributedOption, JsonOption, declared
from eventgraph.operating.installation import Installation, chosen

if TYPE_CHECKING:
    from bank.audit import Audited

_LISTED: Final = """query ($first: Int!) { transfers(onItsWay: true, first: $first) { edges { node {
  id state amount changedAt source { id } target { id } } } pageInfo { hasNextPage } } }"""


def audit(
    ctx: typer.Context,
    data: DataOption = Path("data"),
    distributed: DistributedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check that no money was made or lost, and that accounts and transfers say the same. Exit code 1 if not.

    Reads the logs, also while the system runs, up to a position where each event's cause is before it.

    Example: {command} audit --json
    """
    from eventgraph.operating.tables import print_json, print_table

    found = asyncio.run(_audited(chosen(declared(ctx), data, distributed)))
    if as_json:
        print_json(found)
    else:
        titles = ("currency", "balances", "on their way", "deposits - withdrawals", "")
        rows = [
            (one.currency, one.balances, one.on_its_way, one.deposits_less_withdrawals, "" if one.holds else "WRONG")
            for one in found.currencies
        ]
        print_table(titles, rows, none="no account was opened")
        for fault in found.told:
            typer.echo(fault)
        more = found.faults - len(found.told)
        if more:
            typer.echo(f"and {more} more")
        accounts, transfers = f"{found.accounts} accounts", f"{found.transfers} transfers"
        typer.echo(f"{accounts}, {transfers}, {found.on_their_way} of them on their way: ", nl=False)
        typer.echo("it adds up" if found.holds else "it does not add up")
    if not found.holds:
        raise typer.Exit(1)


async def _audited(installation: Installation) -> Audited:
    from bank.audit import audited

    names = installation.system.logs
    async with installation.logs(names) as logs:
        return await audited(dict(zip(names, logs, strict=True)))


def transfers(
    ctx: typer.Context,
    first: Annotated[int, typer.Option(help="How many, longest on their way first.", min=1, max=100)] = 100,
    data: DataOption = Path("data"),
    distributed: DistributedOption = False,
    as_json: JsonOption = False,
) -> None:
    """List the transfers that are on their way, those that have taken no step for the longest time first.

    Uses the running system, or opens the folder if none runs. So does `{command} drive`.

    Example: {command} transfers --json
    """
    from eventgraph.operating.tables import print_json, print_table

    with chosen(declared(ctx), data, distributed).operated() as control:
        page = control.ask("transfers", _LISTED, {"first": first})["transfers"]
    found = [edge["node"] for edge in page["edges"]]
    if as_json:
        print_json(found)
        return
    rows = [
        [one["id"], one["state"], one["amount"], one["changedAt"], one["source"]["id"], one["target"]["id"]]
        for one in found
    ]
    print_table(("transfer", "state", "amount", "since", "from", "to"), rows, none="no transfer is on its way")
    if page["pageInfo"]["hasNextPage"]:
        typer.echo("and more")


def drive(
    ctx: typer.Context,
    transfer: Annotated[str, typer.Argument(help="The transfer's id, as `{command} transfers` shows it.")],
    data: DataOption = Path("data"),
    distributed: DistributedOption = False,
) -> None:
    """Drive a transfer on that hangs: send its next steps again. Exit code 1 if it is still on its way after that.

    What was done already has no further effect: it does no harm, whatever the transfer's process managers do meanwhile.

    Example: {command} drive 018f3c2e
    """
    from bank.driving import driven

    with chosen(declared(ctx), data, distributed).operated() as control:
        found = driven(control, transfer)
    typer.echo(f"{transfer}: {found.state}" + (f", {found.reason}" if found.reason else ""))
    if not found.is_over:
        raise typer.Exit(1)
