"""The data folder of each released version opens, and holds what it held.

A folder of the present format is made by `python -m tests.e2e.test_old_data_folders VERSION`, once, when a version is
released; it is never made again. `… VERSION COMMAND` asks a release's own command (the `kith` of a virtual environment
of its checkout) what is in the folder, and writes its answers beside; a new folder's are those of the present version.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.fold import fold
from tests.support.kith import Json, RunningKith, kith_up, run_kith

ALL_FIXTURES = Path(__file__).parents[1] / "fixtures"
FIXTURES = ALL_FIXTURES / "data-folders"
ANSWERS = ALL_FIXTURES / "answers"
VERSIONS = sorted(path.name for path in FIXTURES.iterdir()) if FIXTURES.exists() else []
FOLDERS = {**{version: FIXTURES / version for version in VERSIONS}, "usernames-0.1.0": ALL_FIXTURES / "usernames-0.1.0"}
"""By the name of their answers."""

CREATE = """mutation ($input: CreateUserInput!) {
    createUser(input: $input) { user { id firstName lastName username } version bookmark } }"""
ADD = "mutation ($input: AddFriendInput!) { addFriend(input: $input) { friendship { id } version bookmark } }"
EVERYTHING = """{ users(first: 20) { pageInfo { hasNextPage } edges { node {
    id firstName lastName username createdAt updatedAt version friendCount
    friends(first: 20) { edges { since node { id firstName } } }
    recommendations(first: 20) { user { id username } mutualFriendCount mutualFriends { id } }
    history(first: 20) { edges { node { id type version time actor changes { field before after } } } } } } } }"""
FRIENDSHIP = """{ friendship(id: "%s") { id since version users { id } history(first: 100) { edges { node {
    id type version time actor causation } } } } }"""
FIND = """{ searchUsers(text: "per", first: 100) { edges { node { id lastName } } }
    userByUsername(username: "fIRst") { id username } }"""
FRIENDSHIPS = [(1, 2), (1, 3), (1, 4), (2, 5), (3, 5), (3, 6), (4, 6), (4, 7), (1, 8)]


async def fill(kith: RunningKith) -> None:
    """The known answer, an eighth person who is friends with the first and deleted, and a friendship ended."""
    ids: list[str] = []
    bookmark = ""
    for number in range(1, 9):
        person = {"firstName": f"Person{number}", "lastName": "Known", "idempotencyKey": f"person-{number}"}
        if number == 1:
            person["username"] = "First"
        answer = await kith.ask(CREATE, {"input": person})
        ids.append(answer.data["createUser"]["user"]["id"])
        bookmark = answer.bookmark
    for one, other in [*FRIENDSHIPS, (2, 3)]:
        answer = await kith.ask(ADD, {"input": {"userId": ids[one - 1], "friendId": ids[other - 1]}}, bookmark=bookmark)
        bookmark = answer.data["addFriend"]["bookmark"]
    for mutation, given in [
        ("removeFriend(input: $input) { version }", {"userId": ids[1], "friendId": ids[2]}),
        ("deleteUser(input: $input) { version }", {"id": ids[7]}),
        ("updateUser(input: $input) { version }", {"id": ids[4], "lastName": "Renamed"}),
    ]:
        kind = mutation[0].upper() + mutation.split("(")[0][1:] + "Input"
        answer = await kith.ask(f"mutation ($input: {kind}!) {{ {mutation} }}", {"input": given}, bookmark=bookmark)
        assert answer.codes == []
        bookmark = answer.bookmark
    await kith.ask("{ users { edges { node { friendCount } } } }", bookmark=bookmark)


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_folder_of_a_released_version_opens_and_holds_what_it_held(version: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(FIXTURES / version, data)
    async with kith_up(data) as kith:
        first = {
            "firstName": "Person1",
            "lastName": "Known",
            "username": "First",
            "idempotencyKey": "person-1",
        }
        repeated = (await kith.ask(CREATE, {"input": first})).data["createUser"]
        assert repeated["version"] == 1
        taken = await kith.ask(CREATE, {"input": {"firstName": "A", "lastName": "B", "username": "fIRST"}})
        assert taken.codes == ["USERNAME_TAKEN"]
        answer = await kith.ask(
            """query ($id: ID!) { user(id: $id) { friendCount }
            recommendations(userId: $id) { user { firstName lastName } mutualFriendCount } }""",
            {"id": repeated["user"]["id"]},
            bookmark=repeated["bookmark"],
        )
        assert answer.data == {
            "user": {"friendCount": 3},
            "recommendations": [
                {"user": {"firstName": "Person5", "lastName": "Renamed"}, "mutualFriendCount": 2},
                {"user": {"firstName": "Person6", "lastName": "Known"}, "mutualFriendCount": 2},
                {"user": {"firstName": "Person7", "lastName": "Known"}, "mutualFriendCount": 1},
            ],
        }
        assert await kith.stop() == 0
    events = await run_kith("events", "--data", str(data))
    assert events.code == 0, events.errors
    network = fold(events.output.splitlines())
    assert len(network.users) == 7
    assert sum(map(len, network.friends.values())) == 2 * 8


async def answers(kith: RunningKith, data: Path) -> AsyncIterator[dict[str, Json]]:
    """All that is to be seen in the network, now and at each moment when a user changed."""
    now = await kith.ask(EVERYTHING)
    # Whoever asks again with the release's bookmark waits until the views show as much.
    yield {"query": EVERYTHING, "bookmark": now.bookmark, "data": now.data}
    yield {"query": FIND, "data": (await kith.ask(FIND)).data}
    with closing(sqlite3.connect(data / "logs" / "friends.sqlite")) as log:
        streams = [stream for (stream,) in log.execute("SELECT DISTINCT stream FROM records ORDER BY stream")]
    for friendship in [stream.removeprefix("friendship-") for stream in streams if stream.startswith("friendship-")]:
        query = FRIENDSHIP % friendship
        yield {"query": query, "data": (await kith.ask(query)).data}
    users = [edge["node"] for edge in now.data["users"]["edges"]]
    for moment in sorted({user[when] for user in users for when in ("createdAt", "updatedAt")}):
        headers = {"As-Of": moment}
        yield {"query": EVERYTHING, "headers": headers, "data": (await kith.ask(EVERYTHING, headers=headers)).data}


@pytest.mark.parametrize("name", FOLDERS)
async def test_what_a_release_answered_is_answered_today_and_the_doctor_finds_nothing(
    name: str, tmp_path: Path
) -> None:
    recorded = json.loads((ANSWERS / f"{name}.json").read_text())
    data = tmp_path / "data"
    shutil.copytree(FOLDERS[name], data)
    for key in (data / "logs").glob("*.claims-key"):
        key.chmod(0o600)  # Git keeps no modes
    assert len(recorded) > 5, "past moments are among them"
    async with kith_up(data) as kith:
        for one in recorded:
            answer = await kith.ask(one["query"], bookmark=one.get("bookmark"), headers=one.get("headers"))
            assert answer.data == one["data"], one["query"]
        assert await kith.stop() == 0
    found = await run_kith("doctor", "--data", str(data), "--json")
    assert (found.code, [one for one in json.loads(found.output) if one["severity"] == "error"]) == (0, [])


def test_the_present_version_has_its_folder() -> None:
    from kithgraph import __version__  # noqa: PLC0415 (the only thing that this test needs of the product)

    assert __version__ in VERSIONS


async def make(version: str) -> None:
    target = FIXTURES / version
    async with kith_up(target) as kith:
        await fill(kith)
        assert await kith.stop() == 0
    for file in target.rglob("lock"):
        file.unlink()
    await ask(version, target, None)


async def ask(name: str, folder: Path, command: Path | None) -> None:
    """Write down what a release says of a copy of its folder."""
    with tempfile.TemporaryDirectory() as scratch:
        data = shutil.copytree(folder, Path(scratch) / "data")
        async with kith_up(data, command=command) as kith:
            found = [one async for one in answers(kith, data)]
            assert await kith.stop() == 0
    ANSWERS.mkdir(exist_ok=True)
    (ANSWERS / f"{name}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        asyncio.run(ask(sys.argv[1], FOLDERS[sys.argv[1]], Path(sys.argv[2])))
    else:
        asyncio.run(make(sys.argv[1]))
