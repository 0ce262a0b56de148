"""Health: `/health/live` says that the process runs, `/health/ready` whether every subgraph answers, and if not why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from graphrouter.http.connections import is_draining
from graphrouter.subgraph_health import SubgraphHealth


class KnowsHealth(Protocol):
    """What can say how its subgraphs are."""

    async def health(self) -> Mapping[str, SubgraphHealth]: ...


class Readiness:
    """Asks the subgraphs; requests that come while they are being asked share the answer."""

    def __init__(
        self, router: Callable[[], KnowsHealth | str], notes: Callable[[], Mapping[str, object]] = dict
    ) -> None:
        self._router = router
        self._notes = notes
        self._asking: asyncio.Task[Mapping[str, SubgraphHealth]] | None = None

    async def __call__(self, request: Request) -> JSONResponse:
        if is_draining(request.scope):
            return JSONResponse({"status": "not ready", "reason": "the server is going to stop"}, 503)
        router = self._router()
        if isinstance(router, str):
            return JSONResponse({"status": "not ready", "reason": router, **self._notes()}, 503)
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
                **self._notes(),
            },
            200 if ready else 503,
        )


async def _ask(router: KnowsHealth) -> Mapping[str, SubgraphHealth]:
    return await router.health()


async def live(_request: Request) -> JSONResponse:
    return JSONResponse({"status": "live"})


def health_routes(
    router: Callable[[], KnowsHealth | str], notes: Callable[[], Mapping[str, object]] = dict
) -> Sequence[BaseRoute]:
    """`notes` are entries that readiness tells beside the subgraphs."""
    return (Route("/health/live", live), Route("/health/ready", Readiness(router, notes).__call__))
