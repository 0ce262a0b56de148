"""Killed with SIGKILL at random moments under load: nothing acknowledged is lost, nothing happens twice."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.support.fold import Network, fold
from tests.support.kith import Json, RunningKith, kith_up, run_kith

WORKERS = 8
USER = "{ user { id firstName lastName username version } version bookmark }"
DOCUMENTS = {
    "createUser": f"mutation ($input: CreateUserInput!) {{ createUser(input: $input) {USER} }}",
    "updateUser": f"mutation ($input: UpdateUserInput!) {{ updateUser(input: $input) {USER} }}",
    "deleteUser": "mutation ($input: DeleteUserInput!) { deleteUser(input: $input) { version bookmark } }",
    "addFriend": """mutation ($input: AddFriendInput!) {
        addFriend(input: $input) { friendship { id since } version bookmark } }""",
    "removeFriend": "mutation ($input: RemoveFriendInput!) { removeFriend(input: $input) { version bookmark } }",
}
REFUSALS = {"NOT_FOUND", "ALREADY_EXISTS", "USERNAME_TAKEN", "INVALID_INPUT"}


@dataclass
class Request:
    """One mutation with its key, and what was first answered: a payload, or None as long as nobody knows."""

    mutation: str
    input: dict[str, Json]
    payload: dict[str, Json] | None = None
    refused: bool = False

    @property
    def variables(self) -> dict[str, Json]:
        return {"input": self.input}


@dataclass
class Campaign:
    """Everything that was asked, over all rounds."""

    chance: random.Random
    requests: list[Request] = field(default_factory=list)
    known_users: list[str] = field(default_factory=list)
    bookmark: str = ""

    def draw(self) -> Request:
        """A random mutation of users that are known so far, under a new key."""
        chance = self.chance
        key = {"idempotencyKey": str(uuid.UUID(int=chance.getrandbits(128)))}
        kinds = ["createUser"] * 3
        if len(self.known_users) > 3:
            kinds += ["addFriend"] * 5 + ["removeFriend", "updateUser", "deleteUser"]
        kind = chance.choice(kinds)
        some = [chance.choice(self.known_users) for _ in range(2)] if self.known_users else []
        match kind:
            case "createUser":
                given: dict[str, Json] = {"firstName": f"F{chance.randrange(100)}", "lastName": "Last"}
                if chance.random() < 0.3:
                    given["username"] = f"name{chance.randrange(60)}"
            case "updateUser":
                given = {"id": some[0], "firstName": f"G{chance.randrange(100)}"}
            case "deleteUser":
                given = {"id": some[0]}
            case _:
                given = {"userId": some[0], "friendId": some[1]}
        request = Request(kind, given | key)
        self.requests.append(request)
        return request

    async def send(self, kith: RunningKith, request: Request) -> None:
        """Send it; an answer that it had before must come again."""
        answer = await kith.ask(DOCUMENTS[request.mutation], request.variables)
        if answer.codes:
            assert set(answer.codes) <= REFUSALS, (request, answer.body)
            assert request.payload is None, f"acknowledged, then refused: {request}, {answer.body}"
            request.refused = True
            return
        payload = answer.data[request.mutation]
        bookmark = payload.pop("bookmark")
        self.bookmark = bookmark
        if request.payload is not None:
            assert payload == request.payload, f"another answer to the same key: {request}"
        elif request.mutation == "createUser":
            self.known_users.append(payload["user"]["id"])
        request.payload, request.refused = payload, False

    async def load_until_killed(self, kith: RunningKith, acknowledgements: int) -> None:
        """Concurrent mutations; SIGKILL after so many acknowledgements, while others are under way."""
        left = acknowledgements
        enough = asyncio.Event()

        async def work() -> None:
            nonlocal left
            with contextlib.suppress(httpx.TransportError):
                while True:
                    await self.send(kith, self.draw())
                    left -= 1
                    if left <= 0:
                        enough.set()

        workers = [asyncio.create_task(work()) for _ in range(WORKERS)]
        await enough.wait()
        await kith.kill()
        await asyncio.gather(*workers)

    async def retry_everything(self, kith: RunningKith, requests: list[Request]) -> None:
        """Every key again, as a client that lost its connection would."""
        todo = iter([request for request in requests if not request.refused])

        async def work() -> None:
            for request in todo:
                await self.send(kith, request)

        await asyncio.gather(*(work() for _ in range(WORKERS)))

    async def check_log(self, data: Path) -> Network:
        """Each success is one commit, each refusal a record, nothing else is on the log; then what that folds to."""
        finished = await run_kith("events", "--data", str(data))
        assert finished.code == 0, finished.errors
        lines = finished.output.splitlines()
        commits: dict[str, tuple[str, int]] = {}
        refused: set[str] = set()
        for event in map(json.loads, lines):
            if event.get("causation"):
                continue
            commit = (event["subject"], event["commitfirst"])
            assert commits.setdefault(event["commandid"], commit) == commit, "one command, two commits"
            if event["type"] == "eventkernel.CommandRefused":
                refused.add(event["commandid"])
        assert len(commits) - len(refused) == sum(request.payload is not None for request in self.requests)
        return fold(lines)

    async def check_views(self, kith: RunningKith, network: Network) -> None:
        """Users, friends and recommendations are exactly what the log folds to."""
        found: dict[str, Json] = {}
        after = None
        while True:
            answer = await kith.ask(
                """query ($after: String) { users(first: 100, after: $after) { pageInfo { hasNextPage endCursor }
                edges { node { id firstName lastName username version friendCount
                friends(first: 100) { edges { node { id } } }
                recommendations(first: 100) { user { id } mutualFriendCount mutualFriends { id } } } } } }""",
                {"after": after},
                bookmark=self.bookmark,
            )
            page = answer.data["users"]
            found |= {edge["node"]["id"]: edge["node"] for edge in page["edges"]}
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        assert found.keys() == network.users.keys()
        for user, node in found.items():
            friends = sorted(network.friends.get(user, set()))
            rows = network.recommendations(user)[:100]
            assert node == {
                "username": None,
                **network.users[user],
                "friendCount": len(friends),
                "friends": {"edges": [{"node": {"id": friend}} for friend in friends[:100]]},
                "recommendations": [
                    {
                        "user": {"id": candidate},
                        "mutualFriendCount": len(between),
                        "mutualFriends": [{"id": friend} for friend in between],
                    }
                    for candidate, between in rows
                ],
            }


@pytest.mark.timeout(900)
async def test_killed_under_load_nothing_is_lost_and_nothing_happens_twice(tmp_path: Path, full_campaign: bool) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    campaign = Campaign(random.Random(seed))
    rounds = 50 if full_campaign else 5
    data = tmp_path / "data"
    for _ in range(rounds):
        begun = len(campaign.requests)
        async with kith_up(data) as kith:
            await campaign.load_until_killed(kith, campaign.chance.randrange(5, 120))
        async with kith_up(data) as kith:
            await campaign.retry_everything(kith, campaign.requests[begun:])
            await campaign.check_views(kith, await campaign.check_log(data))
            await kith.kill()
    async with kith_up(data) as kith:
        await campaign.retry_everything(kith, campaign.requests)
        await campaign.check_views(kith, await campaign.check_log(data))
        assert await kith.stop() == 0
