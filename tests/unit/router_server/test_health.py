"""Readiness, asked by many at once."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from starlette.requests import Request

from graphrouter.server.health import Readiness
from graphrouter.subgraph_health import SubgraphHealth


class Router:
    """Counts how often its subgraphs are asked; answers when told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.go_on = asyncio.Event()

    async def health(self) -> dict[str, SubgraphHealth]:
        self.asked += 1
        await self.go_on.wait()
        return {"users": SubgraphHealth(True)}


REQUEST = Request({"type": "http"})


async def test_requests_that_come_while_subgraphs_are_asked_share_the_answer() -> None:
    router = Router()
    readiness = Readiness(lambda: cast("Any", router))
    asking = [asyncio.create_task(readiness(REQUEST)) for _ in range(5)]
    while not router.asked:  # noqa: ASYNC110  # the first of them has come to ask
        await asyncio.sleep(0)
    router.go_on.set()
    assert [(await task).status_code for task in asking] == [200] * 5
    assert router.asked == 1
    await readiness(REQUEST)
    assert router.asked == 2
