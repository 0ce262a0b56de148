"""The distributed mode: one process serves a subgraph or keeps its view; of each there may be several.

A process listens before its engines answer and opens them as soon as they do: who starts everything at once needs no
order. What cannot pass by waiting ends the process with one line that says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import Final

import structlog
from starlette.applications import Starlette
from starlette.routing import Route

from eventgraph.console.mode import Mode
from eventgraph.console.status import StatusSource
from eventgraph.console.status_page import status_routes
from eventgraph.errors import StartError
from eventgraph.running.engines import Opened, Work, opened
from eventgraph.running.logs import log_to_stderr
from eventgraph.running.metrics import Exposed, listen_for_metrics, sources_of
from eventgraph.running.servers import Servers, banner, listen, origin_of, tls_of
from eventgraph.running.settings import EngineSettings, ServeSettings
from eventgraph.running.tracing import traces
from eventgraph.serving.metrics import SubgraphMetrics
from eventgraph.serving.served import running
from eventgraph.serving.tracing import TracedSubgraph
from eventgraph.stories.facts import SubgraphTeller
from eventgraph.stories.remote import story_route
from eventgraph.system import System
from eventkernel.clock import Clock, SteadyClock, SystemClock
from eventkernel.errors import CannotOpen, CorruptData, Unavailable
from graphrouter.server.servers import Endpoint

_OPENING_SECONDS: Final = 120.0
"""For so long engines that do not answer yet are tried again."""
_PAUSE_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Part:
    """What one process is of a system: a subgraph, and which of its work it does."""

    system: System
    name: str
    work: Work

    @property
    def usual_port(self) -> int:
        return 0 if self.work is Work.KEEPING else self.system.ports[self.name]

    def told(self, origin: str, more: Mapping[str, str]) -> str:
        """What the person reads who has started it."""
        rows = {"endpoint": f"{origin}/graphql"} if self.work is not Work.KEEPING else {}
        rows["health"] = f"{origin}/health/ready"
        if self.work is not Work.ANSWERS:
            rows["status"] = f"{origin}/status"
        rows |= more
        match self.work:
            case Work.ALL:
                what = f"the subgraph {self.name} is ready."
            case Work.ANSWERS:
                what = f"the subgraph {self.name} is ready; others keep its view."
            case _:
                what = f"the view of {self.name} is being kept."
        return banner(f"{self.system.title} {self.system.version}: {what}", rows)


async def serve_part(
    part: Part, serve: ServeSettings, engines: EngineSettings, announce: Callable[[str], None]
) -> None:
    """Serve one subgraph, or keep its view and serve its health and status, until a signal says stop.

    Raises:
        StartError: the port is taken, an engine does not answer or refuses, or what is stored there does not fit.
    """
    log_to_stderr(serve.log_level, access=serve.access_log)
    answers = part.work is not Work.KEEPING
    warning = serve.check_exposure(serve.host, knows_actors=serve.actor_keys is not None) if answers else None
    certificates = serve.certificates()
    listener = listen(serve.host, part.usual_port if serve.port is None else serve.port)
    metrics_listener = listen_for_metrics(serve)
    metrics = SubgraphMetrics(part.name, "kafka") if serve.metrics else None
    async with AsyncExitStack() as stack:
        servers = Servers(serve.drain_seconds, serve.connection_limits)
        servers.stop_on_signals()
        traced = stack.enter_context(traces(f"{part.system.name}-{part.name}", part.system.version, "kafka"))
        opening = Opening(engines, serve, metrics, traced.subgraph(part.name))
        found = await opened_when_ready(stack, part, servers, opening)
        if found is None:
            return
        status = StatusSource(part.system, "the engines", [found.subgraph])
        await stack.enter_async_context(running(found.workers))
        stack.push_async_callback(servers.shut_down)
        keeps_views = part.work is not Work.ANSWERS
        sources = sources_of(servers, [found.subgraph], answers=answers, keeps_views=keeps_views)
        exposed = Exposed.of(serve, metrics_listener, sources)
        routes = [*(status_routes(status) if keeps_views else ()), *exposed.routes]
        if serve.actors is not None or serve.console_mode(serve.host) is not Mode.OFF:
            routes.append(story_route(SubgraphTeller(found.subgraph), serve.actors))
        rest = Route("/health/{check}" if part.work is Work.KEEPING else "/{path:path}", found.subgraph.app)
        app = Starlette(routes=[*routes, rest])
        app.router.redirect_slashes = False
        if certificates is not None:
            await stack.enter_async_context(certificates.watched())
        await servers.start([Endpoint(app, listener, serve.hosts, tls_of(certificates)), *exposed.endpoints])
        if warning:
            announce(warning)
        announce(part.told(origin_of(listener, certificates), exposed.told))
        await servers.until_stopped()


@dataclass(frozen=True, slots=True)
class Opening:
    """What a subgraph is opened with."""

    engines: EngineSettings
    serve: ServeSettings
    metrics: SubgraphMetrics | None
    traced: TracedSubgraph | None

    def open(self, part: Part, clock: Clock) -> AbstractAsyncContextManager[Opened]:
        return opened(
            part.system,
            self.engines,
            part.name,
            part.work,
            clock,
            actors=self.serve.actors,
            metrics=self.metrics,
            streams=self.serve.concurrent_streams,
            traced=self.traced,
        )


async def opened_when_ready(stack: AsyncExitStack, part: Part, servers: Servers, opening: Opening) -> Opened | None:
    """The subgraph, as soon as its engines answer; None where the process is to stop before that."""
    log = structlog.get_logger()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _OPENING_SECONDS
    name, clock = part.name, SteadyClock(SystemClock())
    while not servers.stopping:
        try:
            return await stack.enter_async_context(opening.open(part, clock))
        except Unavailable as error:
            if loop.time() > deadline:
                raise StartError(f"{name} cannot be opened, tried for {_OPENING_SECONDS:g} s: {error}") from error
            log.warning("not open yet, trying again", subgraph=name, error=str(error))
        except (CannotOpen, CorruptData) as error:
            raise StartError(f"{name} cannot be opened: {error}") from error
        await asyncio.sleep(_PAUSE_SECONDS)
    return None
