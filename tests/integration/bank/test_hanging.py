"""A transfer that hangs is seen, and driven on with each step once in effect."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from bank.saga import MONEY_MOVES, STEPS_ARE_RECORDED
from bank.system import BANK
from bank.transfers.projection import TransferDoc, hanging
from eventgraph.console.status import StatusSource
from eventgraph.console.status_page import render
from eventkernel.clock import ManualClock, SystemClock
from infra.patience import seconds
from tests.integration.bank.test_audit import audit_of
from tests.support.bank import TRANSFER, Bank, bank_in_process
from tests.support.kith import kith_up, run_kith


def transfer(id: str, changed_us: int) -> TransferDoc:
    return TransferDoc(id, "a", "b", 1, "EUR", "", 0, changed_us)


def test_a_transfer_hangs_after_a_minute_without_a_step() -> None:
    minute = 60_000_000
    assert hanging([transfer("t", 5)], 5 + minute) == []
    (line,) = hanging([transfer("t", 5), transfer("u", 6), transfer("v", 7)], 6 + minute + 1)
    assert line.startswith("2 transfers hang, t the longest: INITIAL for 60 s")
    (line,) = hanging([transfer("t", 5)], 5 + 2 * minute)
    assert line.startswith("1 transfer hangs, t the longest: INITIAL for 120 s")


async def test_a_transfer_that_hangs_stands_in_the_status(tmp_path: Path) -> None:
    # The clock stands in a past year: what has happened by it is long ago.
    async with bank_in_process(tmp_path, ManualClock(), without=[MONEY_MOVES.name]) as system:
        bank = Bank(system)
        source, target = await bank.account("ada", "9.00 EUR"), await bank.account("bob")
        hangs = await bank.transfer(source, target, "3.00 EUR")
        await bank.data("query ($id: ID!) { transfer(id: $id) { state } }", id=hangs)  # the view has it
        status = await StatusSource(BANK, "data", system.subgraphs).status()
        (remark,) = [remark for subgraph in status.subgraphs for remark in subgraph.remarks]
        assert remark.startswith(f"1 transfer hangs, {hangs} the longest: INITIAL for ")
        page = render(status, "Bank", status.started)
        assert hangs in page
        assert "1 remark of a view." in page


@pytest.mark.parametrize("target", ["bob", "nobody"])
async def test_an_operator_drives_a_transfer_to_its_end_and_late_process_managers_change_nothing(
    tmp_path: Path, target: str
) -> None:
    asleep = [MONEY_MOVES.name, STEPS_ARE_RECORDED.name]
    at = ["--data", str(tmp_path)]
    async with bank_in_process(tmp_path, SystemClock(), without=asleep) as system:
        bank = Bank(system)
        source = await bank.account("ada", "9.00 EUR")
        to = await bank.account("bob") if target == "bob" else "nobody"
        moved, other = await bank.transfer(source, to, "3.00 EUR"), await bank.transfer(source, to, "1.00 EUR")
    listed = await run_kith("transfers", *at, "--json", system="bank")
    nodes = json.loads(listed.output)
    assert [(one["id"], one["state"], one["amount"]) for one in nodes] == [
        (moved, "INITIAL", "3.00 EUR"),
        (other, "INITIAL", "1.00 EUR"),
    ]
    told = "COMPLETED" if target == "bob" else "FAILED, there is no such account"
    for _ in range(2):
        driven = await run_kith("drive", moved, *at, system="bank")
        assert (driven.code, driven.output) == (0, f"{moved}: {told}\n"), driven.errors
    found = await audit_of(tmp_path)
    assert (found.holds, found.transfers, found.on_their_way) == (True, 2, 1)
    async with bank_in_process(tmp_path, SystemClock()) as system:
        bank = Bank(system, bank.bookmark)
        assert (await bank.over(other))[0] == ("COMPLETED" if target == "bob" else "FAILED")
        for process in [process for subgraph in system.subgraphs for process in subgraph.processes]:
            async with asyncio.timeout(seconds(30)):
                while any(line.lag_events for line in (await process.status()).partitions):  # noqa: ASYNC110  # it has no event
                    await asyncio.sleep(0)
        assert await bank.balance(source) == ("5.00 EUR" if target == "bob" else "9.00 EUR")
    found = await audit_of(tmp_path)
    assert (found.holds, found.on_their_way) == (True, 0)


async def test_the_commands_speak_with_the_running_system(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with kith_up(data, system="bank") as running:
        bank, at = Bank(running), ["--data", str(data)]
        listed = await run_kith("transfers", *at, system="bank")
        assert (listed.code, listed.output) == (0, "no transfer is on its way\n"), listed.errors
        source, target = await bank.account("ada", "9.00 EUR"), await bank.account("bob")
        moved = (await bank.change(TRANSFER, sourceId=source, targetId=target, amount="3.00 EUR"))["transfer"]["id"]
        driven = await run_kith("drive", moved, *at, system="bank")
        assert (driven.code, driven.output) == (0, f"{moved}: COMPLETED\n"), driven.errors
        assert await bank.over(moved) == ("COMPLETED", None)
        assert await bank.balance(source) == "6.00 EUR"
        unknown = await run_kith("drive", "nothing", *at, system="bank")
        assert (unknown.code, unknown.errors) == (1, "bank: there is no such transfer\n")
    gone = await run_kith("transfers", "--data", str(tmp_path / "nowhere"), system="bank")
    assert gone.code == 1
    assert gone.errors.startswith(f"bank: {tmp_path / 'nowhere'} is no data folder")
