"""The client of GraphQL over WebSocket that browsers use, against the router and each subgraph of a running system."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from infra.patience import seconds
from tests.support.kith import RunningKith, kith_up
from tests.support.npm import Absent, npm_packages

SHIPPED = Path(__file__).parent / "graphql_ws"
CREATE = 'mutation ($n: String!) { createUser(input: {firstName: $n, lastName: "Live"}) { user { id } bookmark } }'
UPDATE = "mutation ($id: ID!, $n: String!) { updateUser(input: {id: $id, firstName: $n}) { version } }"
CHANGED = "subscription ($id: ID!) { userChanged(id: $id) { firstName friendCount } }"

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]


class Client:
    """A process of Node: steps in, events out."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def step(self, **step: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(step).encode() + b"\n")

    async def event(self, *kinds: str) -> dict[str, Any]:
        """The next event of one of these types; another one, but for signs of life, is an error."""
        assert self._process.stdout is not None
        while True:
            line = await asyncio.wait_for(self._process.stdout.readline(), seconds(60))
            event: dict[str, Any] = json.loads(line)
            if event["type"] in kinds:
                return event
            assert event["type"] in {"ping", "connected", "closed"}, event


@asynccontextmanager
async def client_at(url: str, **more: Any) -> AsyncGenerator[Client]:
    try:
        folder = npm_packages("graphql-ws", SHIPPED, "client.js")
    except Absent as absent:
        pytest.skip(str(absent))
    settings = json.dumps({"url": url.replace("http", "ws", 1), **more})
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("node", "client.js", settings, cwd=folder, stdin=pipe, stdout=pipe)
    try:
        yield Client(process)
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), seconds(30)) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def created(kith: RunningKith, name: str) -> tuple[str, str]:
    answer = await kith.ask(CREATE, {"n": name})
    made = answer.data["createUser"]
    return made["user"]["id"], made["bookmark"]


def version_in(bookmark: str, user: str) -> int:
    keys = msgspec.msgpack.decode(base64.urlsafe_b64decode(bookmark + "=" * (-len(bookmark) % 4)), type=dict[str, int])
    return next(version for key, version in keys.items() if key.endswith(f"/user-{user}"))


async def test_queries_mutations_and_subscriptions_share_a_connection_to_the_router_and_to_subgraphs(
    tmp_path: Path,
) -> None:
    async with kith_up(tmp_path / "data", "--http") as kith:
        urls = re.findall(r"http://\S+/graphql", kith.banner)
        assert len(urls) == 4
        for url in urls:
            async with client_at(url) as client:
                client.step(id="q", query="{ __typename }")
                assert (await client.event("next"))["result"]["data"] == {"__typename": "Query"}
                assert (await client.event("complete"))["id"] == "q"
                client.step(id="bad", query="{ nothing }")
                assert (await client.event("error"))["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
            async with client_at(url, origin=url.removesuffix("/graphql")) as client:
                client.step(id="q", query="{ __typename }")
                await client.event("next")
            async with client_at(url, origin="https://evil.example") as client:
                client.step(id="q", query="{ __typename }")
                await client.event("error")  # the handshake is refused
        async with client_at(f"{kith.origin}/graphql") as client:
            client.step(id="m", query=CREATE, variables={"n": "Ada"})
            made = (await client.event("next"))["result"]["data"]["createUser"]
            await client.event("complete")
            ada, begin = made["user"]["id"], {"bookmark": made["bookmark"]}
            client.step(id="s", query=CHANGED, variables={"id": ada}, extensions=begin)
            client.step(id="m2", query=UPDATE, variables={"id": ada, "n": "Eve"})
            found = [await client.event("next", "complete") for _ in range(3)]
            assert [one["type"] for one in found if one["id"] == "m2"] == ["next", "complete"]
            (told,) = [one["result"] for one in found if one["id"] == "s"]
            assert told["data"] == {"userChanged": {"firstName": "Eve", "friendCount": 0}}
            assert version_in(told["extensions"]["bookmark"], ada) == 2
            client.step(stop="s")
            assert (await client.event("complete"))["id"] == "s"


async def test_the_client_comes_again_by_itself_and_gets_each_message_once(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data") as kith:
        ada, bookmark = await created(kith, "Ada")
        url = f"{kith.origin}/graphql"
        async with client_at(url) as client:
            client.step(id="s", query=CHANGED, variables={"id": ada}, extensions={"bookmark": bookmark})
            await kith.ask(UPDATE, {"id": ada, "n": "n2"})
            versions = [version_in((await client.event("next"))["result"]["extensions"]["bookmark"], ada)]
            for name in ("n3", "n4"):  # told before the end or after it
                await kith.ask(UPDATE, {"id": ada, "n": name})
            assert await kith.stop() == 0
            async with kith_up(tmp_path / "data", "--port", str(urlsplit(url).port)) as again:
                await again.ask(UPDATE, {"id": ada, "n": "n5"})
                closed = []
                while len(versions) < 4:
                    event = await client.event("next", "closed")
                    if event["type"] == "closed":
                        closed.append(event["code"])
                    else:
                        versions.append(version_in(event["result"]["extensions"]["bookmark"], ada))
                assert versions == [2, 3, 4, 5]
                assert closed[0] == 1012
                client.step(stop="s")
                await client.event("complete")
