"""The operators' commands, run as an operator runs them: on a folder, and beside a running system."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from eventgraph.operating.doctor import examine
from infra.patience import seconds
from kithgraph.system import SOCIAL_NETWORK
from tests.e2e.test_social_network import UPDATE
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
        first = json.loads(await asyncio.wait_for(following.stdout.readline(), seconds(20)))
        await create(kith, "Bob")
        second = json.loads(await asyncio.wait_for(following.stdout.readline(), seconds(20)))
        assert [first["data"]["first_name"], second["data"]["first_name"]] == ["Ada", "Bob"]
        following.send_signal(signal.SIGINT)
        output, errors = await asyncio.wait_for(following.communicate(), seconds(20))
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


def put_on_log(data: Path, stream: str, version: int, kind: str) -> None:
    """Behind the system's back, a record of a type that no projection knows."""
    connection = sqlite3.connect(data / "logs" / "users.sqlite")
    (offset,) = connection.execute("SELECT max(offset) + 1 FROM records").fetchone()
    connection.execute(
        """INSERT INTO records (offset, type, time_us, stream, version, first_version, commit_size, command_id,
           fingerprint, generation, schema_version, data)
           VALUES (?, ?, 1, ?, ?, ?, 1, ?, '', 0, 1, '{"a":"secret"}')""",
        (offset, kind, stream, version, version, f"by-hand-{offset}"),
    )
    connection.commit()
    connection.close()


async def with_a_parked_stream(data: Path) -> str:
    """A stream of which the users' view has parked two records."""
    async with kith_up(data) as kith:
        await create(kith, "Ada")
        assert await kith.stop() == 0
    (created,) = await events(data)
    stream: str = created["subject"]
    put_on_log(data, stream, 2, "users.UserRenamed")
    put_on_log(data, stream, 3, "users.UserRenamed")
    return stream


async def test_parked_streams_are_listed_shown_retried_and_skipped_beside_a_running_system(tmp_path: Path) -> None:
    data = tmp_path / "data"
    stream = await with_a_parked_stream(data)
    async with kith_up(data):
        await operate_on(data, stream)


async def test_without_a_running_system_the_folder_is_opened(tmp_path: Path) -> None:
    data = tmp_path / "data"
    stream = await with_a_parked_stream(data)
    await operate_on(data, stream)
    assert not (data / "control.sock").exists()


async def operate_on(data: Path, stream: str) -> None:
    async def parked(*arguments: str, code: int = 0) -> Json:
        finished = await run_kith("parked", *arguments, "--data", str(data), "--json")
        assert finished.code == code, finished.errors
        return json.loads(finished.output) if finished.output else finished.errors

    listed = await parked("list")
    assert [(one["view"], one["stream"], one["version"], one["waiting"]) for one in listed] == [("users", stream, 2, 2)]
    assert "users.UserRenamed" in listed[0]["reason"]
    (shown,) = await parked("show", stream)
    assert [record["streamversion"] for record in shown["records"]] == [2, 3]
    assert "secret" not in json.dumps(shown)
    assert (await parked("show", stream, "--values"))[0]["data"] == [{"a": "secret"}] * 2
    assert await parked("retry", stream, code=1) == listed
    (left,) = await parked("skip", stream, "--reason", "by hand", "--view", "users", code=1)
    assert (left["version"], left["waiting"]) == (3, 1)
    assert await parked("skip", stream, "--reason", "by hand") == []
    assert await parked("list") == []
    assert "no record of the stream" in await parked("retry", stream, code=1)
    assert "'posts'" in await parked("list", "--view", "posts", code=1)
    person = await run_kith("parked", "list", "--data", str(data))
    assert (person.code, person.output) == (0, "Nothing waits.\n")


async def test_a_stream_with_a_record_that_nobody_can_read_takes_commands_again_when_it_is_told_to_go_on(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    stream = await with_a_parked_stream(data)
    renaming = {"input": {"id": stream.removeprefix("user-"), "firstName": "Admiral"}}

    async def parked(*arguments: str, code: int = 0) -> str:
        finished = await run_kith("parked", *arguments, "--data", str(data))
        assert finished.code == code, finished.errors
        return finished.output + finished.errors

    async with kith_up(data) as kith:
        assert (await kith.ask(UPDATE, renaming)).codes != []
        unknown = await parked("resume", "user-nobody", "--log", "users", "--reason", "by hand", code=1)
        assert "there is no stream 'user-nobody'" in unknown
        assert "reason" in await parked("resume", stream, "--log", "users", "--reason", " ", code=1)
        assert "no log 'posts'" in await parked("resume", stream, "--log", "posts", "--reason", "by hand", code=1)
        told = await parked("resume", stream, "--log", "users", "--reason", "by hand")
        assert told == f"The stream {stream} goes on.\n"
        renamed = await kith.ask(UPDATE, renaming)
        assert renamed.codes == []
        for _ in range(2):
            await run_kith("parked", "skip", stream, "--reason", "by hand", "--data", str(data))
        assert await parked("list") == "Nothing waits.\n"
        user = await kith.ask("query ($id: ID!) { user(id: $id) { firstName } }", {"id": stream.removeprefix("user-")})
        assert user.data["user"] == {"firstName": "Admiral"}


async def test_views_are_rebuilt_while_queries_go_on(tmp_path: Path) -> None:
    data = tmp_path / ("a long name " * 10) / "data"
    async with kith_up(data) as kith:
        bookmark = (await create(kith, "Ada"))["bookmark"]
        before = {view: (data / "views" / view / "live").read_text().strip() for view in ("users", "friends")}
        rebuilding = asyncio.create_task(run_kith("rebuild", "users", "friends", "--data", str(data), "--json"))
        while not rebuilding.done():
            answer = await kith.ask("{ users { edges { node { firstName friendCount } } } }", bookmark=bookmark)
            assert answer.data["users"]["edges"] == [{"node": {"firstName": "Ada", "friendCount": 0}}]
        finished = rebuilding.result()
        assert finished.code == 0, finished.errors
        rebuilt = json.loads(finished.output)
        for one in rebuilt:
            assert (data / "views" / one["view"] / "live").read_text().strip() == one["build"] != before[one["view"]]
        assert [one["view"] for one in rebuilt] == ["users", "friends"]
        assert stat.S_IMODE((data / "control.sock").stat().st_mode) == 0o600
        unknown = await run_kith("rebuild", "posts", "--data", str(data))
        assert (unknown.code, "'posts'" in unknown.errors) == (1, True)
        assert await kith.stop() == 0
    assert not (data / "control.sock").exists()
    offline = await run_kith("rebuild", "--data", str(data))
    assert (offline.code, offline.output.split()[:4]) == (0, ["view", "build", "records", "seconds"])
    nowhere = await run_kith("rebuild", "--data", str(tmp_path / "nowhere"))
    assert (nowhere.code, (tmp_path / "nowhere").exists()) == (1, False)


async def test_the_status_is_a_page_for_people_and_json_for_programs(tmp_path: Path) -> None:
    data = tmp_path / "data"
    stream = await with_a_parked_stream(data)
    async with kith_up(data) as kith:
        await create(kith, "Bob")
        page = await kith.client.get(f"{kith.origin}/status", headers={"accept": "text/html,*/*"})
        assert (page.headers["x-frame-options"], page.headers["x-content-type-options"]) == ("DENY", "nosniff")
        assert page.headers["content-type"].startswith("text/html")
        assert "script-src 'self';" in page.headers["content-security-policy"]
        assert re.findall(r"<script(?! type=\"module\" src=\"./console/assets/)", page.text) == []
        assert re.findall(r"""(?:src|href)=["'](\w+:)?//""", page.text) == []
        for shown in ("users", "recommendations", "friends-endings", stream, "1 stream is parked", "plans"):
            assert shown in page.text
        plain = await kith.client.get(f"{kith.origin}/status.json")
        asked = await kith.client.get(f"{kith.origin}/status", headers={"accept": "application/json"})
        assert plain.json().keys() == asked.json().keys()
        status = plain.json()
        assert status["process"] == kith.process.pid
        assert [one["name"] for one in status["subgraphs"]] == ["users", "friends", "recommendations"]
        users = status["subgraphs"][0]["view"]["live"]
        assert users["parked"][0]["stream"] == stream
        assert {"log", "checkpoint", "head", "lagEvents", "lagSeconds"} <= users["partitions"][0].keys()
        assert status["caches"]["plans"]["misses"] >= 1


async def diagnosis(data: Path) -> tuple[int, list[Json]]:
    finished = await run_kith("doctor", "--data", str(data), "--json")
    assert finished.errors == ""
    return finished.code, json.loads(finished.output)


async def test_the_doctor_finds_nothing_wrong_with_a_healthy_system(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data") as kith:
        await create(kith, "Ada", "ada")
        assert await diagnosis(tmp_path / "data") == (0, [])
        await kith.kill()
    assert await diagnosis(tmp_path / "data") == (0, [])
    person = await run_kith("doctor", "--data", str(tmp_path / "data"))
    assert (person.code, person.output) == (0, "Nothing is wrong.\n")
    nowhere = await run_kith("doctor", "--data", str(tmp_path / "nowhere"))
    assert (nowhere.code, "no data folder" in nowhere.errors) == (1, True)


async def test_the_doctor_says_what_is_wrong_why_and_what_to_do(tmp_path: Path) -> None:
    healthy, sick = tmp_path / "healthy", tmp_path / "sick"
    async with kith_up(healthy) as kith:
        for name in ("ada", "bob"):
            await create(kith, name.title(), name)
        assert await kith.stop() == 0

    def on_users_log(statement: str) -> None:
        connection = sqlite3.connect(sick / "logs" / "users.sqlite")
        connection.execute(statement)
        connection.commit()
        connection.close()

    key = sick / "logs" / "users.sqlite.claims-key"
    live = sick / "views" / "users"
    harms: list[tuple[str, str, Callable[[], object]]] = [
        ("logs/users.sqlite", "gap", lambda: on_users_log("UPDATE records SET version = 2 WHERE offset = 1")),
        ("logs/users.sqlite", "are missing", lambda: on_users_log("DELETE FROM records WHERE offset = 1")),
        ("logs/users.sqlite", "claims", lambda: on_users_log("DELETE FROM claims")),
        ("logs/users.sqlite", "not whole", lambda: on_users_log("UPDATE records SET commit_size = 2")),
        ("views/users", "which ends at 2", lambda: on_users_log("DELETE FROM records WHERE offset = 2")),
        ("logs/users.sqlite.claims-key", "mode 644", lambda: key.chmod(0o644)),
        ("logs/users.sqlite.claims-key", "mode 640", lambda: key.chmod(0o640)),
        ("logs/users.sqlite.claims-key", "mode 604", lambda: key.chmod(0o604)),
        ("logs/users.sqlite.claims-key", "is missing", key.unlink),
        ("logs/friends.sqlite", "cannot be read", (sick / "logs" / "friends.sqlite").unlink),
        ("kithgraph.json", "damaged", lambda: (sick / "kithgraph.json").write_text("{")),
        ("views/users", "damaged", lambda: next(live.glob("*.sqlite")).write_text("no database, and long enough")),
    ]
    for where, what, harm in harms:
        shutil.rmtree(sick, ignore_errors=True)
        shutil.copytree(healthy, sick)
        harm()
        found = await examine(SOCIAL_NETWORK, sick)
        assert [one for one in found if one.severity == "error" and one.where == where and what in one.what], found
        assert all(one.why and one.do for one in found)
    code, found_by_command = await diagnosis(sick)
    assert (code, found_by_command[0]["where"]) == (1, "views/users")


async def test_the_doctor_sees_parked_streams(tmp_path: Path) -> None:
    stream = await with_a_parked_stream(tmp_path / "data")
    async with kith_up(tmp_path / "data"):
        code, found = await diagnosis(tmp_path / "data")
    assert code == 1
    assert [one["where"] for one in found] == ["views/users"]
    assert stream in found[0]["what"]


async def test_what_if_shows_what_the_projections_would_make_of_the_log(tmp_path: Path) -> None:
    data = tmp_path / "data"

    async def what_if(*options: str, code: int) -> list[Json]:
        finished = await run_kith("what-if", "--data", str(data), "--json", *options)
        assert finished.code == code, finished.errors
        found: list[Json] = json.loads(finished.output)
        return found

    async with kith_up(data) as kith:
        ada, bob = [(await create(kith, name))["user"]["id"] for name in ("Ada", "Bob")]
        await kith.ask(BEFRIEND, {"one": ada, "other": bob})
        await kith.ask("{ users { edges { cursor } } }", bookmark=(await create(kith, "Cid"))["bookmark"])
        same = await what_if(code=0)
        assert [one["view"] for one in same] == ["users", "friends", "recommendations"]
        assert same[0]["documents"] == 3
        (file,) = (data / "views" / "users").glob("b-*.sqlite")
        connection = sqlite3.connect(file)
        connection.execute("UPDATE user SET first_name = 'Secret' WHERE id = ?", (ada,))
        connection.commit()
        connection.close()
        (users,) = await what_if("--view", "users", code=1)
        assert users["fields"] == {"first_name": 1}
        assert users["differences"] == [{"stream": f"user-{ada}", "field": "first_name"}]
        (shown,) = await what_if("--view", "users", "--values", code=1)
        assert (shown["differences"][0]["live"], shown["differences"][0]["would_be"]) == ("'Secret'", "'Ada'")
        person = await run_kith("what-if", "--view", "users", "--data", str(data))
        assert f"user-{ada} first_name\n" in person.output
        assert "Secret" not in person.output


async def test_the_doctor_tells_events_that_are_dated_after_now(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with kith_up(data) as kith:
        await create(kith, "Ada")
        assert await kith.stop() == 0
    with closing(sqlite3.connect(data / "logs" / "users.sqlite")) as connection, connection:
        connection.execute("UPDATE records SET time_us = time_us + ? WHERE version = 1", (10**6 * 3600,))
    found = await run_kith("doctor", "--data", str(data))
    assert "events that are dated after now: 1, the latest " in found.output
