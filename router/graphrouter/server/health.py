"""Health: `/health/live` says that the process runs, `/health/ready` whether every subgraph answers, and if not why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

if TYPE_CHECKING:
    from graphrouter.router import GraphRouter, SubgraphHealth


class Readiness:
    """Asks the subgraphs; requests that come while they are being asked share the answer."""

    def __init__(self, router: Callable[[], GraphRouter | str]) -> None:
        self._router = router
        self._asking: asyncio.Task[Mapping[str, SubgraphHealth]] | None = None

    async def __call__(self, _request: Request) -> JSONResponse:
        router = self._router()
        if isinstance(router, str):
            return JSONResponse({"status": "not ready", "reason": router}, 503)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(_ask(router))
        health = await asyncio.shield(self._asking)
        ready = all(subgraph.ready for subgraph in health.values())
        return JSONResponse(
            {
                "status": "ready" if ready else "not ready",
                "subgraphs": {
                    name: {"ready": True} if found.ready else {"ready": False, "reason": found.reason}
                    for name, found in health.items()
                },
            },
            200 if ready else 503,
        )


async def _ask(router: GraphRouter) -> Mapping[str, SubgraphHealth]:
    return await router.health()


async def live(_request: Request) -> JSONResponse:
    return JSONResponse({"status": "live"})


def health_routes(router: Callable[[], GraphRouter | str]) -> Sequence[BaseRoute]:
    return (Route("/health/live", live), Route("/health/ready", Readiness(router).__call__))
