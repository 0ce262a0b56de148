"""A transfer that hangs on the engines, because the accounts are not served: an operator sees it and drives it on."""

from __future__ import annotations

import asyncio
import json

import pytest

from eventgraph.console.status import decode
from infra.patience import seconds
from tests.support.bank import Bank
from tests.support.distributed import Engines, distributed_parts, part
from tests.support.kith import RunningKith, run_kith

pytestmark = [pytest.mark.engines, pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="function")]


async def test_an_operator_drives_a_transfer_on_while_accounts_are_not_served(engines: Engines) -> None:
    async def bank_command(*arguments: str) -> str:
        done = await run_kith(*arguments, "--distributed", environment=engines.environment, system="bank")
        assert done.code == 0, done.output + done.errors
        return done.output

    async with distributed_parts(engines) as (running, parts):
        bank = Bank(running)
        source, target = await bank.account("ada", "9.00 EUR"), await bank.account("bob")
        paid = await bank.transfer(source, target, "1.00 EUR")
        assert await bank.over(paid) == ("COMPLETED", None)
        assert await parts["accounts"].stop() == 0
        moved, lost = await bank.transfer(source, target, "3.00 EUR"), await bank.transfer(source, "nobody", "2.00 EUR")
        assert (await bank.data("query ($id: ID!) { transfer(id: $id) { state } }", id=lost))["state"] == "INITIAL"
        hanging = json.loads(await bank_command("transfers", "--json"))
        assert [(one["id"], one["state"], one["source"]["id"]) for one in hanging] == [
            (moved, "INITIAL", source),
            (lost, "INITIAL", source),
        ]
        assert await bank_command("drive", moved) == f"{moved}: COMPLETED\n"
        assert await bank_command("drive", lost) == f"{lost}: FAILED, there is no such account\n"
        async with part(engines, "serve", "accounts") as accounts:
            await _has_reacted(accounts)
            late = Bank(accounts, bank.bookmark)
            assert [await late.balance(account) for account in (source, target)] == ["5.00 EUR", "4.00 EUR"]


async def _has_reacted(accounts: RunningKith) -> None:
    """Its process manager has had everything that happened while it was away."""
    async with asyncio.timeout(seconds(60)):
        while True:
            status = decode((await accounts.client.get(f"{accounts.origin}/status.json")).content)
            (process,) = status.subgraphs[0].processes
            if process.partitions and all(line.lag_events == 0 for line in process.partitions):
                return
            await asyncio.sleep(0.05)
