"""The server: GraphQL over HTTP, the playground, health, and whatever pages the composition root adds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Lifespan

from graphrouter.http.capacity import EndpointLimits
from graphrouter.http.endpoint import Executor, GraphQLEndpoint
from graphrouter.http.hosts import HostCheck, check_hosts
from graphrouter.http.origins import cors_for
from graphrouter.http.websocket import WebSocketEndpoint
from graphrouter.options import RouterOptions
from graphrouter.server.health import KnowsHealth, health_routes
from graphrouter.server.playground import playground_routes
from graphrouter.subgraph_sdl import SubgraphUnavailable

_log = logging.getLogger("graphrouter.server")

_FIRST_WAIT_SECONDS = 0.1
_LONGEST_WAIT_SECONDS = 5.0


class Served(Executor, KnowsHealth, Protocol):
    """A router, as far as the app that serves it knows it."""

    async def start(self) -> None: ...
    async def aclose(self) -> None: ...


class Serving:
    """The router that the app serves, from the app's start to its end: there at once, or composed at the start."""

    def __init__(self, source: Served | Callable[[], Awaitable[Served]]) -> None:
        self._source = source
        self._router: Served | None = None
        self._reason = "the router has not started"

    def router(self) -> Served | str:
        """The router, or the reason why there is none."""
        return self._reason if self._router is None else self._router

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncGenerator[None]:
        waiting: asyncio.Task[None] | None = None
        try:
            if not await self._try_to_start():
                waiting = asyncio.create_task(self._keep_trying())
            yield
        finally:
            if waiting is not None:
                waiting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await waiting
            if self._router is not None:
                await self._router.aclose()

    async def _try_to_start(self) -> bool:
        try:
            if callable(self._source):
                self._router = await self._source()
            else:
                await self._source.start()
                self._router = self._source
        except SubgraphUnavailable as error:
            self._reason = str(error)
            return False
        return True

    async def _keep_trying(self) -> None:
        seconds = _FIRST_WAIT_SECONDS
        while True:
            _log.warning("not ready: %s; trying again in %.1f s", self._reason, seconds)
            await asyncio.sleep(seconds)
            seconds = min(2 * seconds, _LONGEST_WAIT_SECONDS)
            try:
                if await self._try_to_start():
                    _log.info("ready")
                    return
            except Exception as error:  # noqa: BLE001 - the schemas may fit once the next version of a subgraph is up
                self._reason = str(error)
                _log.exception("the schemas do not compose")


def create_app(
    source: Served | Callable[[], Awaitable[Served]], options: RouterOptions, routes: Sequence[BaseRoute] = ()
) -> Starlette:
    """The ASGI app. `source` is the router, or how to make it; `routes` come first, so they may take `/`."""
    serving = Serving(source)
    return routed_app(serving.router, options, routes, lifespan=serving.lifespan)


def routed_app(
    router: Callable[[], Served | str],
    options: RouterOptions,
    routes: Sequence[BaseRoute] = (),
    *,
    lifespan: Lifespan[Starlette] | None = None,
    notes: Callable[[], Mapping[str, object]] = dict,
) -> Starlette:
    """The same for a router that is started and closed elsewhere; `notes` are told with the readiness."""
    check_hosts(options.hosts)
    limits = EndpointLimits(
        options.limits.body_bytes,
        options.concurrent_requests,
        streams=options.concurrent_streams,
        adaptive=options.adaptive_concurrency,
        rate=options.rate_limit,
        persisted=options.persisted is not None,
    )
    counted = options.metrics.http if options.metrics else None
    endpoint = GraphQLEndpoint(router, limits, metrics=counted, tracing=options.tracing)
    websockets = WebSocketEndpoint(
        router, endpoint.capacity, options.websockets, origins=options.cors_origins, tracing=options.tracing
    )
    app = Starlette(
        routes=[
            Route("/graphql", endpoint),
            WebSocketRoute("/graphql", websockets),
            *routes,
            *health_routes(router, notes),
            *(playground_routes(options) if options.playground else ()),
        ],
        middleware=[Middleware(HostCheck, options.hosts), *cors_for(options.cors_origins)],
        lifespan=lifespan,
    )
    # A redirection would lead to whatever host the request names.
    app.router.redirect_slashes = False
    return app
