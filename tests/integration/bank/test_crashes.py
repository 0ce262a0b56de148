"""Money is neither made nor lost by a bank on real logs that dies at any point, in this process and by SIGKILL."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from pathlib import Path

import pytest

from bank.saga import MONEY_MOVES, STEPS_ARE_RECORDED
from eventkernel.clock import SystemClock
from infra.patience import seconds
from tests.integration.bank.test_audit import audit_of
from tests.support.bank import CLOSE, CREDIT, DEBIT, TRANSFER, Asks, Bank, bank_in_process
from tests.support.kith import kith_up

ACCOUNTS = (("EUR", "40.00 EUR"), ("EUR", "40.00 EUR"), ("EUR", ""), ("JPY", "400 JPY"))
ASLEEP: tuple[list[str], ...] = (
    [],
    [MONEY_MOVES.name],
    [STEPS_ARE_RECORDED.name],
    [MONEY_MOVES.name, STEPS_ARE_RECORDED.name],
)


async def opened_accounts(system: Asks) -> tuple[list[str], str | None]:
    bank = Bank(system)
    ids = [await bank.account("ada", holds, currency) for currency, holds in ACCOUNTS]
    return ids, bank.bookmark


async def some_requests(system: Asks, accounts: list[str], dice: random.Random, count: int) -> None:
    """Each with a key that is drawn from few: many are repetitions, also of what an earlier process was told."""
    for _ in range(count):
        source, target = dice.sample([*accounts, "nobody"], 2)
        key, amount = f"key-{dice.randrange(60)}", dice.choice(["7.00 EUR", "3.50 EUR", "30 JPY"])
        wish, given = dice.choice(
            [
                (TRANSFER, {"sourceId": source, "targetId": target, "amount": amount}),
                (TRANSFER, {"sourceId": source, "targetId": target, "amount": amount}),
                (CREDIT, {"accountId": target, "amount": amount}),
                (DEBIT, {"accountId": source, "amount": amount}),
                (CLOSE, {"accountId": target}),
            ]
        )
        await system.ask(wish, {"input": {**given, "idempotencyKey": key}})


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_no_crash_makes_or_loses_money(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    accounts: list[str] = []
    for turn in range(4):
        # A process manager that is asleep is one that has died first; the next turn begins where it was.
        async with bank_in_process(tmp_path, SystemClock(), without=dice.choice(ASLEEP)) as system:
            if not accounts:
                accounts, _ = await opened_accounts(system)
            await some_requests(system, accounts, dice, 12)
        found = await audit_of(tmp_path)
        assert found.holds, (turn, found.told, found.currencies)
    async with bank_in_process(tmp_path, SystemClock()) as system:
        async with asyncio.timeout(seconds(60)):
            while (await audit_of(tmp_path)).on_their_way:
                pass
    found = await audit_of(tmp_path)
    assert (found.holds, found.on_their_way, found.told) == (True, 0, [])
    assert found.transfers > 3


@pytest.mark.slow
async def test_no_sigkill_makes_or_loses_money(tmp_path: Path) -> None:
    dice = random.Random(7)
    data = tmp_path / "data"
    accounts: list[str] = []
    for _ in range(5):
        async with kith_up(data, system="bank") as running:
            if not accounts:
                accounts, _ = await opened_accounts(running)
            working = [
                asyncio.create_task(some_requests(running, accounts, random.Random(dice.random()), 40))
                for _ in range(4)
            ]
            await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
            await running.kill()
            for task in working:
                with suppress(Exception):  # the process that they spoke to is gone
                    await task
        found = await audit_of(data)
        assert found.holds, (found.told, found.currencies)
    async with kith_up(data, system="bank"):
        async with asyncio.timeout(seconds(60)):
            while (await audit_of(data)).on_their_way:
                pass
        found = await audit_of(data)
        assert (found.holds, found.on_their_way, found.told) == (True, 0, [])
