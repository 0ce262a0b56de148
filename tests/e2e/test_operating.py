"""The operators' commands, run as an operator runs them: on a folder, and beside a running system."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import stat
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


async def exported(data: Path, folder: Path) -> tuple[Path, Path]:
    """An export and its keys."""
    target, keys = folder / "all.jsonl", folder / "all.keys"
    finished = await run_kith("export", str(target), "--keys", str(keys), "--data", str(data))
    assert (finished.code, finished.errors) == (0, "")
    return target, keys


async def import_(target: Path, keys: Path, data: Path) -> str:
    """What an import that is refused says."""
    finished = await run_kith("import", str(target), "--keys", str(keys), "--data", str(data))
    assert finished.code == 1
    assert len(finished.errors.splitlines()) == 1, finished.errors
    return finished.errors


def tables(data: Path) -> list[list[tuple[object, ...]]]:
    """All that the files of both logs hold."""
    found: list[list[tuple[object, ...]]] = []
    for name in ("users", "friends"):
        connection = sqlite3.connect(data / "logs" / f"{name}.sqlite")
        queries = ("SELECT * FROM log", "SELECT * FROM records ORDER BY 1", "SELECT * FROM claims ORDER BY 1")
        found.extend(connection.execute(query).fetchall() for query in queries)
        connection.close()
    return found


async def test_an_import_of_an_export_is_the_same_system(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data") as kith:
        ada = await create(kith, "Ada", "ada", "the-first")
        bob = await create(kith, "Bob", "bob")
        befriended = await kith.ask(BEFRIEND, {"one": ada["user"]["id"], "other": bob["user"]["id"]})
        gone = await create(kith, "Eve", "eve")
        await kith.ask("mutation ($id: ID!) { deleteUser(input: {id: $id}) { bookmark } }", {"id": gone["user"]["id"]})
        target, keys = await exported(tmp_path / "data", tmp_path)
        assert await kith.stop() == 0
    finished = await run_kith("import", str(target), "--keys", str(keys), "--data", str(tmp_path / "copy"))
    assert (finished.code, finished.errors) == (0, "")
    assert tables(tmp_path / "copy") == tables(tmp_path / "data")
    assert sorted(entry.name for entry in (tmp_path / "copy").iterdir()) == ["kithgraph.json", "lock", "logs"]
    async with kith_up(tmp_path / "copy") as kith:
        again = await create(kith, "Ada", "ada", "the-first")
        assert (again["user"], again["version"]) == (ada["user"], ada["version"])
        taken = await kith.ask(CREATE, {"first": "Another", "name": "bob"})
        assert taken.codes == ["USERNAME_TAKEN"]
        assert (await create(kith, "Another", "eve"))["version"] == 1
        friends = await kith.ask(
            "query ($id: ID!) { user(id: $id) { friends { edges { node { firstName } } } } }",
            {"id": ada["user"]["id"]},
            bookmark=befriended.data["addFriend"]["bookmark"],
        )
        assert friends.data["user"]["friends"]["edges"] == [{"node": {"firstName": "Bob"}}]


async def test_an_export_keeps_its_keys_apart_and_to_its_owner(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data") as kith:
        await create(kith, "Ada", "ada")
    target, keys = await exported(tmp_path / "data", tmp_path)
    secrets = json.loads(keys.read_text())
    assert stat.S_IMODE(keys.stat().st_mode) == stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(name.split(".")[0] for name in secrets) == ["friends", "users"]
    assert not any(secret in target.read_text() for secret in secrets.values())
    before = target.read_bytes()
    again = await run_kith("export", str(target), "--keys", str(tmp_path / "2"), "--data", str(tmp_path / "data"))
    assert (again.code, target.read_bytes()) == (1, before)
    assert f"{target} exists already" in again.errors
    assert not (tmp_path / "2").exists()


async def test_what_is_no_whole_export_is_refused_by_its_line_and_leaves_no_folder(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data") as kith:
        for name in ("ada", "bob"):
            await create(kith, name.title(), name)
    target, keys = await exported(tmp_path / "data", tmp_path)
    lines = target.read_text().splitlines(keepends=True)
    other = tmp_path / "other.jsonl"
    damages = {
        "line 2 ": [lines[0], lines[1].replace("streamversion", "streamversio"), *lines[2:]],
        "line 3 ": [*lines[:2], "{]\n", *lines[3:]],
        "line 3 of the export is damaged: id": [*lines[:2], lines[2].replace("@1", "@2", 1), *lines[3:]],
        "line 2 of the export is damaged: offset": [lines[0], *lines[2:]],
        "SHA-256": [*lines[:2], lines[2].replace('"Bob"', '"Rob"'), *lines[3:]],
        "was cut off": lines[:-1],
        "the line has no end": [*lines[:-1], lines[-1][:-9]],
        "line 6 of the export is damaged: something follows": [*lines, lines[0]],
        "second log": [*lines[:3], *(line.replace('"users.', '"users.0') for line in lines[:3]), *lines[3:]],
        "line 3 of the export is damaged: user": [*lines[:2], doubled(lines[1]), *lines[3:]],
    }
    for named, damaged in damages.items():
        other.write_text("".join(damaged))
        said = await import_(other, keys, tmp_path / "copy")
        assert named in said, said
        assert not (tmp_path / "copy").exists()
    other.unlink()
    assert str(other) in await import_(other, keys, tmp_path / "copy")
    secrets = json.loads(keys.read_text())
    first, second = secrets
    keys.write_text(json.dumps({first: secrets[second], second: secrets[first]}))
    assert f"is not that of the log {first}" in await import_(target, keys, tmp_path / "copy")
    keys.write_text(json.dumps({second: secrets[second]}))
    assert f"the claims key of the log {first}" in await import_(target, keys, tmp_path / "copy")
    keys.write_text("not JSON")
    assert str(keys) in await import_(target, keys, tmp_path / "copy")


def doubled(line: str) -> str:
    """The same event once more, at the next offset."""
    return json.dumps({**json.loads(line), "offset": 2}) + "\n"


async def test_an_import_touches_no_folder_that_holds_something(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data") as kith:
        await create(kith, "Ada")
        target, keys = await exported(tmp_path / "data", tmp_path)
        assert "is not empty" in await import_(target, keys, tmp_path / "data")
        assert len(await events(tmp_path / "data")) == 1
