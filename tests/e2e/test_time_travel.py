"""One federated query about the past, through the router: the same as a fold of the exported log up to there."""

from __future__ import annotations

import base64
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from tests.e2e.conftest import MODES
from tests.support.fold import Network, fold
from tests.support.kith import Json, RunningKith, kith_up, run_kith

pytestmark = pytest.mark.asyncio(loop_scope="module")

CREATE = """mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id } bookmark } }"""
UPDATE = "mutation ($input: UpdateUserInput!) { updateUser(input: $input) { bookmark } }"
DELETE = "mutation ($input: DeleteUserInput!) { deleteUser(input: $input) { bookmark } }"
ADD = "mutation ($input: AddFriendInput!) { addFriend(input: $input) { bookmark } }"
REMOVE = "mutation ($input: RemoveFriendInput!) { removeFriend(input: $input) { bookmark } }"
EVERYBODY = """{ users(first: 100) { edges { node { id version firstName lastName username
  friendCount friends(first: 100) { edges { node { id firstName } } }
  recommendations(first: 100) { user { id firstName } mutualFriendCount mutualFriends { id } }
  history { edges { node { version } } } } } } }"""
PERSON = """query ($id: ID!, $other: ID!, $name: String!, $pair: ID!) {
  user(id: $id) { id version mutualFriends(with: $other) { id firstName } }
  userByUsername(username: $name) { id friendCount }
  friendship(id: $pair) { users { firstName } history { edges { node { version } } } } }"""

PEOPLE = 10
DEEDS = 150


@dataclass
class Lived:
    """A system in which much has happened."""

    kith: RunningKith
    ids: list[str]
    bookmarks: list[str]
    lines: list[str]
    """Both logs, as `kith events` prints them."""

    async def ask(self, query: str, as_of: str, variables: dict[str, Json] | None = None) -> dict[str, Json]:
        return (await self.kith.ask(query, variables, headers={"as-of": as_of})).data

    def up_to_time(self, time: str) -> Network:
        return fold(line for line in self.lines if json.loads(line)["time"] <= time)

    def up_to_bookmark(self, bookmark: str) -> Network:
        ends = msgspec.msgpack.decode(base64.urlsafe_b64decode(bookmark + "=" * (-len(bookmark) % 4)))
        seen: list[str] = []
        # Each log has one partition, whose first record is the fence that no reader sees.
        offsets: Counter[str] = Counter()
        for line in self.lines:
            log = json.loads(line)["source"]
            offsets[log] += 1
            if offsets[log] < ends[f"{log}/0"]:
                seen.append(line)
        return fold(seen)

    @property
    def times(self) -> Sequence[str]:
        return sorted({json.loads(line)["time"] for line in self.lines})


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=MODES)
async def lived(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lived]:
    data: Path = tmp_path_factory.mktemp("time") / "data"
    async with kith_up(data, *MODES[request.param]) as kith:
        ids, bookmarks = await _live(kith, random.Random(7))
        yield Lived(kith, ids, bookmarks, await settled_events(data))


async def settled_events(data: Path) -> list[str]:
    """Both logs, with the reactions to all deletions on them."""
    for _ in range(20):
        finished = await run_kith("events", "--data", str(data))
        assert finished.code == 0, finished.errors
        lines = finished.output.splitlines()
        if not unfinished(lines):
            return lines
    raise AssertionError("friendships of deleted users do not end")


def unfinished(lines: Sequence[str]) -> set[str]:
    """The friendships of deleted users that have not been ended yet."""
    pairs: set[str] = set()
    gone: set[str] = set()
    for event in map(json.loads, lines):
        subject = event["subject"].split("-", 1)[1]
        match event["type"]:
            case "users.UserDeleted":
                gone.add(subject)
            case "friends.FriendAdded":
                pairs.add(subject)
            case "friends.FriendRemoved":
                pairs.remove(subject)
            case _:
                pass
    return {pair for pair in pairs if gone & set(pair.split("~"))}


async def _live(kith: RunningKith, chance: random.Random) -> tuple[list[str], list[str]]:
    """People come and go, change their names, become friends and part, and become friends again."""
    ids: list[str] = []
    bookmarks: list[str] = []
    bookmark = ""

    async def do(mutation: str, **given: Json) -> Json:
        nonlocal bookmark
        answer = await kith.ask(mutation, {"input": given}, bookmark=bookmark)
        if answer.codes:
            assert set(answer.codes) <= {"NOT_FOUND", "ALREADY_EXISTS", "USERNAME_TAKEN"}, answer.body
            return None
        (payload,) = answer.data.values()
        bookmark = payload["bookmark"]
        return payload

    async def create() -> None:
        number = len(ids) + 1
        made = await do(CREATE, firstName=f"Person {number}", lastName="Lovelace", username=f"p{number}")
        ids.append(made["user"]["id"])

    for _ in range(PEOPLE):
        await create()
    for _ in range(DEEDS):
        one, other = chance.sample(ids, 2)
        match chance.randrange(40):
            case 0 | 1:
                await create()
            case 2:
                await do(DELETE, id=one)
            case 3 | 4 | 5:
                await do(UPDATE, id=one, firstName=f"Changed {chance.randrange(100)}")
            case 6 | 7:
                await do(UPDATE, id=one, username=chance.choice([None, "shared"]))
            case number:
                pair = {"userId": one, "friendId": other}
                if number % 3 or await do(REMOVE, **pair) is None:
                    await do(ADD, **pair)
        if chance.randrange(10) == 0:
            # An answer of recommendations has read both logs: its bookmark names both.
            bookmarks.append((await kith.ask(EVERYBODY, bookmark=bookmark)).bookmark)
    return ids, bookmarks


def everybody(network: Network) -> list[Json]:
    """What `EVERYBODY` answers of a network."""
    first = {user: facts["firstName"] for user, facts in network.users.items()}
    return [
        {
            **{name: facts.get(name) for name in ("id", "version", "firstName", "lastName", "username")},
            "friendCount": len(network.friends.get(user, ())),
            "friends": {
                "edges": [
                    {"node": {"id": friend, "firstName": first[friend]}}
                    for friend in sorted(network.friends.get(user, ()))
                ]
            },
            "recommendations": [
                {
                    "user": {"id": other, "firstName": first[other]},
                    "mutualFriendCount": len(between),
                    "mutualFriends": [{"id": friend} for friend in between],
                }
                for other, between in network.recommendations(user)
            ],
            "history": {"edges": [{"node": {"version": number}} for number in range(1, facts["version"] + 1)]},
        }
        for user, facts in sorted(network.users.items())
    ]


def shown(answer: dict[str, Json]) -> list[Json]:
    return [edge["node"] for edge in answer["users"]["edges"]]


async def test_every_moment_is_answered_as_the_log_up_to_then_folds_to(lived: Lived) -> None:
    assert len(lived.times) > DEEDS / 2
    for time in lived.times:
        assert shown(await lived.ask(EVERYBODY, time)) == everybody(lived.up_to_time(time)), time


async def test_every_bookmark_is_answered_as_the_log_up_to_it_folds_to(lived: Lived) -> None:
    assert len(lived.bookmarks) > 5
    for bookmark in lived.bookmarks:
        assert shown(await lived.ask(EVERYBODY, bookmark)) == everybody(lived.up_to_bookmark(bookmark))


async def test_look_ups_are_answered_as_the_log_up_to_then_folds_to(lived: Lived) -> None:
    chance = random.Random(11)
    for time in lived.times[:: len(lived.times) // 20]:
        network = lived.up_to_time(time)
        one, other = sorted(chance.sample(lived.ids, 2))
        name = chance.choice(["shared", "P1", "p2", "p3"])
        variables = {"id": one, "other": other, "name": name, "pair": f"{one}~{other}"}
        answer = await lived.ask(PERSON, time, variables)
        holder = next((u for u, f in network.users.items() if (f.get("username") or "").lower() == name.lower()), None)
        friends = network.friends
        assert answer["userByUsername"] == (
            None if holder is None else {"id": holder, "friendCount": len(friends.get(holder, ()))}
        )
        mutual = sorted(friends.get(one, set()) & friends.get(other, set()))
        assert answer["user"] == (
            None
            if one not in network.users
            else {
                "id": one,
                "version": network.users[one]["version"],
                "mutualFriends": [{"id": friend, "firstName": network.users[friend]["firstName"]} for friend in mutual],
            }
        )
        found = answer["friendship"]
        assert (found is not None) == (other in friends.get(one, ()))
        if found is not None:
            assert found["users"] == [{"firstName": network.users[user]["firstName"]} for user in (one, other)]
            assert len(found["history"]["edges"]) % 2 == 1, "it began as often as it ended, and once more"


async def test_the_extension_asks_the_same(lived: Lived) -> None:
    time = lived.times[len(lived.times) // 2]
    response = await lived.kith.client.post(
        f"{lived.kith.origin}/graphql", json={"query": EVERYBODY, "extensions": {"asOf": time}}
    )
    assert shown(response.json()["data"]) == everybody(lived.up_to_time(time))


@pytest.mark.parametrize("as_of", ["", "yesterday", "2999-01-01T00:00:00Z", "2026-01-01"])
async def test_what_is_no_past_is_refused(lived: Lived, as_of: str) -> None:
    answer = await lived.kith.ask(EVERYBODY, headers={"as-of": as_of})
    assert set(answer.codes) == {"INVALID_INPUT"}
    assert not answer.body.get("data") or answer.body["data"]["users"] is None


async def test_the_past_cannot_be_changed(lived: Lived) -> None:
    given = {"input": {"firstName": "Marty", "lastName": "McFly"}}
    answer = await lived.kith.ask(CREATE, given, headers={"as-of": lived.times[0]})
    assert set(answer.codes) == {"INVALID_INPUT"}


async def test_a_bookmark_that_names_one_log_only_is_refused_where_two_are_read(lived: Lived) -> None:
    users_only = (await lived.kith.ask("{ users { edges { node { id } } } }")).bookmark
    answer = await lived.kith.ask(EVERYBODY, headers={"as-of": users_only})
    assert "INVALID_INPUT" in answer.codes
    answer = await lived.kith.ask("{ users { edges { node { id } } } }", headers={"as-of": users_only})
    assert answer.codes == []
