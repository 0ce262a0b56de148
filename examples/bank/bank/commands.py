"""The bank's own operator's commands: `audit`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from eventgraph.commands.options import DataOption, DistributedOption, JsonOption, declared
from eventgraph.operating.installation import Installation, chosen

if TYPE_CHECKING:
    from bank.audit import Audited


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
    from eventgraph.operating.tables import print_json, print_table  # noqa: PLC0415  # with the command

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
    from bank.audit import audited  # noqa: PLC0415  # with the command

    names = installation.system.logs
    async with installation.logs(names) as logs:
        return await audited(dict(zip(names, logs, strict=True)))
