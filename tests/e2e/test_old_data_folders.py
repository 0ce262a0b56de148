"""The data folder of each released version opens, and holds what it held.

A folder of the present format is made by `python -m tests.e2e.test_old_data_folders VERSION`, once, when a version is
released; it is never made again.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.fold import fold
from tests.support.kith import RunningKith, kith_up, run_kith

FIXTURES = Path(__file__).parents[1] / "fixtures" / "data-folders"
VERSIONS = sorted(path.name for path in FIXTURES.iterdir()) if FIXTURES.exists() else []

CREATE = """mutation ($input: CreateUserInput!) {
    createUser(input: $input) { user { id firstName lastName username } version bookmark } }"""
ADD = "mutation ($input: AddFriendInput!) { addFriend(input: $input) { friendship { id } version bookmark } }"
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


if __name__ == "__main__":
    asyncio.run(make(sys.argv[1]))
