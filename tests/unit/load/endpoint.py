"""A social network behind HTTP for tests of the load generator: right, but as late as bookmarks allow, unless it lies.

It keeps one log and answers every query from some moment between the request's bookmark and the log's end, drawn at
random: whatever a correct system may show, this one shows sooner or later. `lie` changes what it answers.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeAlias

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Json: TypeAlias = Any
Lie: TypeAlias = Callable[[str, dict[str, Json]], object]
"""Is given a root field and the body of an answer to change."""

PAIR_LIMIT = 2


class Refused(Exception):
    """The text is the code."""


class Network:
    """The state after some records of the log."""

    def __init__(self, log: list[tuple[str, ...]]) -> None:
        self.people: dict[str, tuple[str, str]] = {}
        self.friendships: set[frozenset[str]] = set()
        for kind, *rest in log:
            if kind == "person":
                self.people[rest[0]] = (rest[1], rest[2])
            elif kind == "added":
                self.friendships.add(frozenset(rest))
            else:
                self.friendships.remove(frozenset(rest))

    def friends(self, user: str) -> set[str]:
        if user not in self.people:
            raise Refused("NOT_FOUND")
        return {other for pair in self.friendships if user in pair for other in pair if other != user}

    def person(self, user: str) -> Json:
        first, last = self.people[user]
        return {"id": user, "firstName": first, "lastName": last, "version": 1}


class FakeKith:
    """See the module."""

    def __init__(self, seed: int = 0, lie: Lie = lambda _field, _body: None) -> None:
        self.log: list[tuple[str, ...]] = []
        self.answered: dict[str, Json] = {}
        self.versions: dict[frozenset[str], int] = {}
        self.draw = random.Random(seed)
        self.lie = lie
        self.failures: list[Response] = []
        """What the next requests are answered with, after they had their effect."""
        self.lazy = False
        """Whether queries are answered from the earliest moment that is right."""
        self.believes_bookmarks = True
        self.joins_bookmarks = True
        self.remembers_keys = True
        self._changes = {"createUser": self._create, "addFriend": self._add, "removeFriend": self._remove}
        self.app = Starlette(routes=[Route("/graphql", self._serve, methods=["POST"])])

    async def _serve(self, request: Request) -> Response:
        payload = json.loads(await request.body())
        bookmark = int(request.headers.get("bookmark") or 0)
        if self.joins_bookmarks:
            bookmark = max(bookmark, int(payload.get("extensions", {}).get("bookmark") or 0))
        await self._pause()
        body, bookmark = self._answer(payload["query"], payload.get("variables", {}), bookmark)
        await self._pause()
        if self.failures:
            return self.failures.pop(0)
        text = str(bookmark)
        body["extensions"] = {"bookmark": text}
        field = re.search(r"(createUser|\w+)\(", payload["query"].partition("{")[2])
        self.lie(field[1] if field else "", body)
        return Response(json.dumps(body), headers={"bookmark": text}, media_type="application/graphql-response+json")

    async def _pause(self) -> None:
        for _ in range(self.draw.randrange(4)):
            await asyncio.sleep(0)

    def _answer(self, query: str, variables: Json, bookmark: int) -> tuple[Json, int]:
        try:
            for mutation, change in self._changes.items():
                if mutation in query:
                    payload = self._once(variables["input"], change)
                    return {"data": {mutation: {**payload, "bookmark": str(len(self.log))}}}, len(self.log)
            least = bookmark if self.believes_bookmarks else 0
            moment = least if self.lazy else self.draw.randint(least, len(self.log))
            return {"data": self._query(query, variables, Network(self.log[:moment]))}, max(moment, bookmark)
        except Refused as refusal:
            return {"data": None, "errors": [{"message": "no", "extensions": {"code": str(refusal)}}]}, bookmark

    def _once(self, given: Json, change: Callable[[Json], Json]) -> Json:
        key = given["idempotencyKey"]
        if key not in self.answered or not self.remembers_keys:
            self.answered[key] = change(given)
        return self.answered[key]

    def _create(self, given: Json) -> Json:
        user = f"user{len(self.log):06}"
        self.log.append(("person", user, given["firstName"], given["lastName"]))
        return {"user": Network(self.log).person(user), "version": 1}

    def _pair(self, given: Json) -> frozenset[str]:
        pair = frozenset((given["userId"], given["friendId"]))
        if len(pair) < PAIR_LIMIT:
            raise Refused("INVALID_INPUT")
        return pair

    def _add(self, given: Json) -> Json:
        pair = self._pair(given)
        network = Network(self.log)
        if pair in network.friendships:
            raise Refused("ALREADY_EXISTS")
        version = self._record("added", pair)
        users = [network.person(user) for user in sorted(pair)]
        since = datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=len(self.log))
        friendship = {"id": "~".join(sorted(pair)), "since": since.isoformat(), "users": users}
        return {"friendship": friendship, "version": version}

    def _remove(self, given: Json) -> Json:
        pair = self._pair(given)
        if pair not in Network(self.log).friendships:
            raise Refused("NOT_FOUND")
        return {"version": self._record("removed", pair)}

    def _record(self, kind: str, pair: frozenset[str]) -> int:
        self.log.append((kind, *sorted(pair)))
        self.versions[pair] = self.versions.get(pair, 0) + 1
        return self.versions[pair]

    def _query(self, query: str, given: Json, network: Network) -> Json:
        data: Json = {}
        if "users(" in query:
            data["users"] = self._page(network, sorted(network.people), given)
        if "searchUsers(" in query:
            data["searchUsers"] = self._page(network, self._found(network, given["text"]), given)
        if "user(id: $id)" in query:
            data["user"] = self._user(network, given["id"], given)
        if "recommendations(" in query:
            data["recommendations"] = self._recommendations(network, given["id"])[: given.get("first", 10)]
        if "areFriends(" in query:
            data["areFriends"] = given["friendId"] in network.friends(given["userId"])
        if "mutualFriends(" in query:
            shared = network.friends(given["userId"]) & network.friends(given["friendId"])
            data["mutualFriends"] = [network.person(user) for user in sorted(shared)]
        if "one: user(" in query:
            data["one"] = self._user(network, given["userId"], {})
            data["other"] = self._user(network, given["friendId"], {})
        return data

    def _user(self, network: Network, user: str, given: Json) -> Json:
        if user not in network.people:
            return None
        friends = sorted(network.friends(user))
        return {**network.person(user), "friendCount": len(friends), "friends": self._page(network, friends, given)}

    def _page(self, network: Network, ids: list[str], given: Json) -> Json:
        rest = [user for user in ids if user > (given.get("after") or "")]
        shown = rest[: given.get("first", 10)]
        return {
            "edges": [{"node": network.person(user)} for user in shown],
            "pageInfo": {"hasNextPage": len(rest) > len(shown), "endCursor": shown[-1] if shown else None},
        }

    def _found(self, network: Network, text: str) -> list[str]:
        """In names of plain letters."""
        word, _, beginning = text.partition(" ")
        return sorted(
            user
            for user, (first, last) in network.people.items()
            if word in last and any(part.lower().startswith(beginning.lower()) for part in f"{first} {last}".split())
        )

    def _recommendations(self, network: Network, user: str) -> list[Json]:
        own = network.friends(user)
        between = {other: own & network.friends(other) for other in network.people if other not in {user, *own}}
        return [
            {
                "user": network.person(other),
                "mutualFriendCount": len(by),
                "mutualFriends": [network.person(friend) for friend in sorted(by)],
            }
            for other, by in sorted(between.items(), key=lambda row: (-len(row[1]), row[0]))
            if by
        ]


class Served(Protocol):
    """What has an app to serve."""

    app: Starlette


@asynccontextmanager
async def serving(kith: Served) -> AsyncGenerator[str]:
    """The endpoint's address, while it is served."""
    server = uvicorn.Server(uvicorn.Config(kith.app, port=0, log_level="critical", lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
        await asyncio.sleep(0.001)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/graphql"
    finally:
        server.should_exit = True
        await task
