"""Back up a system at work, destroy everything, restore: nothing acknowledged before is lost, and it is one system."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra.patience import seconds
from tests.e2e.test_operating import BEFRIEND, create
from tests.support.bank import Bank
from tests.support.kith import Json, RunningKith, kith_up, run_kith
from tests.support.shop import CUSTOMER, REFERENCE, place, save

WORKERS = 4
AT_WORK = 12
"""Acknowledged mutations before the back-up begins, and again after it."""

PEOPLE = """query ($id: ID!) {
  user(id: $id) { firstName username createdAt version friends { edges { node { id firstName } since } } } }"""
BALANCE = "query ($id: ID!) { account(id: $id) { owner currency balance version } }"


Made = tuple[str, str]
"""The id of a thing that will not change any more, and a bookmark of all that has made it what it is."""


async def people(running: RunningKith, number: int) -> Made:
    """Two new people who are friends."""
    one, other = [(await create(running, name, f"{name}-{number}"))["user"]["id"] for name in ("ada", "bob")]
    befriended = await running.ask(BEFRIEND, {"one": one, "other": other})
    return one, befriended.data["addFriend"]["bookmark"]


async def transfers(running: RunningKith, number: int) -> Made:
    """A transfer from a new account to another one."""
    bank = Bank(running)
    one, other = await bank.account(f"a{number}", "10.00 EUR"), await bank.account(f"b{number}")
    assert await bank.over(await bank.transfer(one, other, "3.00 EUR")) == ("COMPLETED", None)
    assert bank.bookmark is not None
    return one, bank.bookmark


async def orders(running: RunningKith, number: int) -> Made:
    """A new customer and an order."""
    customer = f"c-{number}"
    saved = (await save(running, {**REFERENCE, "id": customer})).data["saveCustomer"]["bookmark"]
    return customer, (await place(running, customer, saved)).data["placeOrder"]["bookmark"]


@dataclass(frozen=True)
class Scenario:
    """What is done to a system, and what is asked of it."""

    system: str
    logs: tuple[str, str]
    work: Callable[[RunningKith, int], Awaitable[Made]]
    """Some mutations that touch both logs."""
    question: str
    """All that is to be said of such a thing."""
    audited: bool = False


SCENARIOS = (
    Scenario("kith", ("users", "friends"), people, PEOPLE),
    Scenario("bank", ("accounts", "transfers"), transfers, BALANCE, audited=True),
    Scenario("shop", ("accounts", "orders"), orders, CUSTOMER),
)


@dataclass
class Load:
    """Workers who change a system until they are told to stop."""

    scenario: Scenario
    running: RunningKith
    done: list[Made] = field(default_factory=list[Made])
    """What they have made: all of it was acknowledged."""
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _progress: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def at_least(self, count: int) -> None:
        async with asyncio.timeout(seconds(120)), self._progress:
            await self._progress.wait_for(lambda: len(self.done) >= count)

    async def worker(self, number: int) -> None:
        while not self._stop.is_set():
            made = await self.scenario.work(self.running, number)
            async with self._progress:
                self.done.append(made)
                self._progress.notify_all()
            number += WORKERS

    @asynccontextmanager
    async def at_work(self) -> AsyncGenerator[None]:
        async with asyncio.TaskGroup() as group:
            for number in range(WORKERS):
                group.create_task(self.worker(number))
            yield
            self._stop.set()


def records(folder: Path, scenario: Scenario) -> dict[str, list[tuple[object, ...]]]:
    found: dict[str, list[tuple[object, ...]]] = {}
    for name in scenario.logs:
        with closing(sqlite3.connect(f"file:{folder}/logs/{name}.sqlite?mode=ro", uri=True)) as log:
            found[name] = log.execute("SELECT * FROM records ORDER BY offset").fetchall()
    return found


async def answer(scenario: Scenario, running: RunningKith, made: Made) -> Json:
    """All that there is to say of a thing."""
    thing, bookmark = made
    (found,) = (await running.ask(scenario.question, {"id": thing}, bookmark=bookmark)).data.values()
    return found


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.system)
async def test_a_system_at_work_is_backed_up_destroyed_and_restored(scenario: Scenario, tmp_path: Path) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup"

    async def done(*arguments: str) -> str:
        finished = await run_kith(*arguments, seconds=100, system=scenario.system)
        assert finished.code == 0, finished
        return finished.output

    async with kith_up(data, system=scenario.system) as running:
        load = Load(scenario, running)
        async with load.at_work():
            await load.at_least(AT_WORK)
            acknowledged = list(load.done)
            await done("backup", "create", str(backup), "--data", str(data))
            await load.at_least(len(load.done) + AT_WORK)  # begun after the moment, most of it
        before = [await answer(scenario, running, one) for one in acknowledged]
        assert all(before)
    original = records(data, scenario)
    shutil.rmtree(data)

    await done("backup", "restore", str(backup), "--data", str(data))
    restored = records(data, scenario)
    ends = json.loads((backup / "backup.json").read_bytes())["logs"]
    for log in scenario.logs:
        assert len(restored[log]) == ends[log]["end"] < len(original[log])
        assert restored[log] == original[log][: len(restored[log])]
    await done("doctor", "--data", str(data))  # no log contradicts itself, and no process manager is ahead of one
    if scenario.audited:  # the two logs are of one moment: no effect is without its cause
        await done("audit", "--data", str(data))

    async with kith_up(data, system=scenario.system) as running:
        assert [await answer(scenario, running, one) for one in acknowledged] == before
        await scenario.work(running, 1_000_000)
        await done("what-if", "--data", str(data))
    await done("backup", "verify", str(backup))
