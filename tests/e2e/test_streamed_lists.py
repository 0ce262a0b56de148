"""A streamed list over HTTP, in the social network: a router of its own before the subgraphs of a running system."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from graphrouter import GraphRouter
from graphrouter.transport import SubgraphRequest, SubgraphResponse
from graphrouter.transport.http import HttpTransport
from infra.patience import seconds
from tests.e2e.test_social_network import network
from tests.support.incremental import merged
from tests.support.kith import kith_up

FIELDS = "user { firstName } mutualFriendCount"


class Slow:
    """The way to a subgraph that answers at once for one entity, and for more of them when it is let go."""

    def __init__(self, url: str) -> None:
        self._http = HttpTransport(url)
        self.barrier = asyncio.Event()
        self.asked: list[int] = []
        """For how many entities, by request."""

    async def start(self) -> None:
        await self._http.start()

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        count = len(json.loads(request.body).get("variables", {}).get("representations", ()))
        self.asked.append(count)
        if count > 1:
            await self.barrier.wait()
        return await self._http.send(request)

    async def aclose(self) -> None:
        await self._http.aclose()


@asynccontextmanager
async def served(router: GraphRouter) -> AsyncGenerator[str]:
    """The router behind a port; its lifespan ends it."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(router.app(), log_config=None))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/graphql"
    finally:
        server.should_exit = True
        await serving


async def bodies_of(response: httpx.Response) -> AsyncGenerator[dict[str, Any]]:
    """The parts as they come, without signs of life."""
    before = b""
    async for chunk in response.aiter_raw():
        *parts, before = (before + chunk).split(b"\r\n---")
        for part in filter(None, parts):
            body = json.loads(part.partition(b"\r\n\r\n")[2])
            if body != {"hasNext": True}:
                yield body


async def test_the_first_recommendations_come_before_a_slow_subgraph_has_answered_for_the_others(
    tmp_path: Path,
) -> None:
    async with kith_up(tmp_path / "data", "--http") as kith:
        (one, *_), bookmark = await network(kith, 5, [(1, 2), (2, 3), (2, 4), (2, 5)])
        query = "query ($id: ID!) {{ recommendations(userId: $id, first: 10) {} {{ {} }} }}"
        whole = await kith.ask(query.format("", FIELDS), {"id": one}, bookmark=bookmark)
        assert len(whole.data["recommendations"]) == 3
        slow = Slow(kith.line("users"))
        others = {name: kith.line(name) for name in ("friends", "recommendations")}
        router = await GraphRouter.compose({"users": slow, **others})
        asked = {"query": query.format("@stream(initialCount: 1)", FIELDS), "variables": {"id": one}}
        headers = {"accept": "multipart/mixed", "bookmark": bookmark, "bookmark-timeout": "30"}
        async with (
            asyncio.timeout(seconds(60)),
            served(router) as url,
            kith.client.stream("POST", url, json=asked, headers=headers) as response,
            aclosing(bodies_of(response)) as bodies,
        ):
            first = await anext(bodies)
            slow.barrier.set()
            rest = [body async for body in bodies]
    assert first["data"] == {"recommendations": whole.data["recommendations"][:1]}
    found = merged([first, *rest])
    assert (found.data, found.errors) == (whole.data, [])
    assert sorted(filter(None, slow.asked)) == [1, 2]
