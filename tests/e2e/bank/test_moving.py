"""A bank that moves to the engines: its logs have other ids there, its process managers look at all events anew, and no
money moves twice."""

from __future__ import annotations

import asyncio
import dataclasses
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.bank import Bank
from tests.support.distributed import Engines, distributed_kith
from tests.support.kith import kith_up, run_kith

pytestmark = [pytest.mark.engines, pytest.mark.asyncio(loop_scope="function")]


async def test_no_transfer_takes_effect_again_where_the_logs_were_copied_to(engines: Engines, tmp_path: Path) -> None:
    """Seen to fail with the log's id in the commands' ids."""
    data = tmp_path / "data"
    async with kith_up(data, system="bank") as embedded:
        before = Bank(embedded)
        accounts = [await before.account("ada", "100.00 EUR") for _ in range(4)]
        yen = await before.account("ada", currency="JPY")
        for source, target in pairwise(accounts):
            assert await before.over(await before.transfer(source, target, "10.00 EUR")) == ("COMPLETED", None)
        assert (await before.over(await before.transfer(accounts[0], yen, "5.00 EUR")))[0] == "FAILED"
        balances = [await before.balance(account) for account in accounts]
        assert balances == ["90.00 EUR", "100.00 EUR", "100.00 EUR", "110.00 EUR"]
        assert await embedded.stop() == 0
    keys = tmp_path / "keys.json"
    moving = {**engines.environment, "BANK_CLAIMS_KEYS_FILE": str(keys)}
    del moving["BANK_CLAIMS_KEYS"]
    migrated = await run_kith("migrate", "--data", str(data), environment=moving, system="bank")
    assert migrated.code == 0, migrated.errors
    moved = dataclasses.replace(engines, keys=keys.read_text())
    async with distributed_kith(moved) as distributed:
        clients = [Bank(distributed) for _ in range(12)]

        async def move(client: Bank, source: str, target: str) -> tuple[str, str | None]:
            return await client.over(await client.transfer(source, target, "1.00 EUR"))

        around = [*accounts, accounts[0]] * 3
        pairs = [(one, other) for one, other in pairwise(around) if one != other]
        moves = [move(client, *pair) for client, pair in zip(clients, pairs, strict=True)]
        assert set(await asyncio.gather(*moves)) == {("COMPLETED", None)}
        audited = await run_kith("audit", "--distributed", environment=moved.environment, system="bank")
        assert audited.code == 0, audited.output + audited.errors
        after = Bank(distributed, clients[-1].bookmark)
        assert [await after.balance(account) for account in accounts] == balances
