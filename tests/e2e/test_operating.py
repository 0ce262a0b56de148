"""The operators' commands, run as an operator runs them: on a folder, and beside a running system."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import pytest

from tests.support.kith import COMMAND, Json, RunningKith, clean_environment, kith_up, run_kith

CREATE = """mutation ($first: String!, $name: String, $key: String) {
  createUser(input: {firstName: $first, lastName: "Lovelace", username: $name, idempotencyKey: $key}) {
    user { id firstName } version bookmark } }"""
BEFRIEND = """mutation ($one: ID!, $other: ID!) {
  addFriend(input: {userId: $one, friendId: $other}) { friendship { id } bookmark } }"""


async def create(kith: RunningKith, first: str, name: str | None = None, key: str | None = None) -> Json:
    return (await kith.ask(CREATE, {"first": first, "name": name, "key": key})).data["createUser"]


async def events(data: Path, *options: str) -> list[Json]:
    finished = await run_kith("events", "--data", str(data), *options)
    assert finished.code == 0, finished.errors
    return [json.loads(line) for line in finished.output.splitlines()]


async def test_events_are_filtered_by_stream_type_and_time(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data") as kith:
        ada, bob = [(await create(kith, name))["user"]["id"] for name in ("Ada", "Bob")]
        await kith.ask(BEFRIEND, {"one": ada, "other": bob})
        found = await events(tmp_path / "data")
        assert [event["type"] for event in found] == ["users.UserCreated"] * 2 + ["friends.FriendAdded"]
        assert await events(tmp_path / "data", "--stream", found[1]["subject"]) == [found[1]]
        assert await events(tmp_path / "data", "--type", "friends.FriendAdded") == [found[2]]
        assert await events(tmp_path / "data", "--since", found[1]["time"]) == found[1:]
        assert await events(tmp_path / "data", "--until", found[1]["time"]) == found[:1]
        assert await events(tmp_path / "data", "--since", "2999-01-01") == []


async def test_followed_events_go_on_until_ctrl_c(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data") as kith:
        await create(kith, "Ada")
        following = await asyncio.create_subprocess_exec(
            COMMAND, "events", "--follow", "--data", str(tmp_path / "data"),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=clean_environment(),
        )  # fmt: skip
        assert following.stdout is not None
        first = json.loads(await asyncio.wait_for(following.stdout.readline(), 20))
        await create(kith, "Bob")
        second = json.loads(await asyncio.wait_for(following.stdout.readline(), 20))
        assert [first["data"]["first_name"], second["data"]["first_name"]] == ["Ada", "Bob"]
        following.send_signal(signal.SIGINT)
        output, errors = await asyncio.wait_for(following.communicate(), 20)
        assert (following.returncode, output, errors) == (0, b"", b"")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--since", "yesterday"), "'yesterday'"),
        (("--until", "2026-01-31T12:00:00"), "'2026-01-31T12:00:00'"),
        (("--follow", "--until", "2026-01-31"), "--until"),
        (("--log", "posts"), "'posts'"),
    ],
)
async def test_what_cannot_be_asked_of_the_events_is_named(
    tmp_path: Path, options: tuple[str, ...], named: str
) -> None:
    finished = await run_kith("events", "--data", str(tmp_path), *options)
    assert finished.code == 1
    assert named in finished.errors
    assert len(finished.errors.splitlines()) == 1
