"""`kith load` against a running system: every answer is what the generator's own model of the network says."""

from __future__ import annotations

import json

import pytest

from tests.support.kith import Json, RunningKith, run_kith

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
