"""`load` against running systems: in closed loop every answer is what the generator's own model of the network says, in
open loop every request that arrives is accounted for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bank.system import BANK
from eventgraph.load.workload import read
from eventgraph.system import System
from kithgraph.load.client import AGAIN
from kithgraph.system import SOCIAL_NETWORK
from shop.system import SHOP
from tests.support.kith import Json, RunningKith, kith_up, run_kith

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def load(kith: RunningKith, *options: str) -> Json:
    """What the command tells, once it has found no difference."""
    finished = await run_kith("load", *options, "--endpoint", f"{kith.origin}/graphql", "--json", seconds=110)
    assert finished.errors == ""
    told = json.loads(finished.output)
    assert told["firstDifferences"] == []
    assert finished.code == 0
    return told


async def test_six_people_by_hand(kith: RunningKith) -> None:
    told = await load(kith, "small")
    assert told["requests"]["load"] == 16


async def test_a_free_size_beside_the_data_of_others(kith: RunningKith) -> None:
    options = ["--people", "40", "--friends-per-person", "5", "--requests", "120", "--concurrency", "8", "--seed", "5"]
    told = await load(kith, *options)
    assert told["requests"]["load"] == 40 + 40 * 5 // 2 + 120
    kinds = {row["operation"] for row in told["operations"] if row["part"] == "load"}
    assert {"addFriend", "removeFriend", "friends", "areFriends", "mutualFriends", "recommendations"} < kinds


async def test_the_requests_of_a_preset_with_the_refusals_that_it_provokes(
    kith: RunningKith, full_campaign: bool, request: pytest.FixtureRequest
) -> None:
    """On the engines the short one: what stands in for MongoDB writes some hundred documents a second."""
    distributed = "distributed" in request.node.name
    preset, requests = ("parallel", 2702) if full_campaign and not distributed else ("serial", 318)
    told = await load(kith, preset)
    assert told["requests"]["load"] == requests
    codes = {row["operation"]: row["errors"] for row in told["operations"] if row["part"] == "load"}
    assert set(codes["addFriend"]) == {"ALREADY_EXISTS", "INVALID_INPUT"}


async def open_loop(running: RunningKith, system: str, *options: str) -> Json:
    """What forty requests in two seconds come to, in JSON."""
    finished = await run_kith(
        "load", *("--rate", "20", "--duration", "2s", "--timeout", "60s"), *options, "--json",
        *("--endpoint", f"{running.origin}/graphql"), seconds=200, system=system,
    )  # fmt: skip
    assert finished.errors == ""
    assert finished.code == 0
    return json.loads(finished.output)


def all_came_and_were_answered(told: Json) -> bool:
    """Whatever was not is what a busy system says of itself, and what a client may ask again."""
    everything = told["all"]
    return (
        everything["arrived"] == everything["answered"] + everything["timedOut"] + everything["notStarted"] == 40
        and everything["latency"]["count"] == 40
        and set(everything["errors"]) <= {*AGAIN, "TIMEOUT", "NOT_STARTED"}
    )


def evenly(system: System) -> str:
    """A mix of all that a system brings."""
    assert system.workload is not None
    return ",".join(f"{name}=1" for name in read(system.workload).operations)


async def test_requests_that_arrive_by_a_schedule(kith: RunningKith) -> None:
    told = await open_loop(kith, "kith", "--mix", evenly(SOCIAL_NETWORK))
    assert all_came_and_were_answered(told)
    assert told["askedRate"] == 20
    assert all(line["arrived"] for line in told["operations"])


@pytest.mark.parametrize("system", [BANK, SHOP], ids=lambda system: str(system.name))
async def test_the_examples_are_loaded_with_what_they_bring(system: System, tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data", system=system.name) as running:
        told = await open_loop(running, system.name, "--mix", evenly(system))
    assert all_came_and_were_answered(told)
    assert all(line["arrived"] for line in told["operations"])
