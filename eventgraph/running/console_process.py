"""The console of the distributed mode: a process of its own, which looks at the engines as an operator's command does.

It holds no partition and answers no query. What it is told to do it does itself, beside the processes that hold the
partitions, as a member without a share.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from eventgraph.console.access import Access
from eventgraph.console.mode import Mode
from eventgraph.console.site import Operated, console
from eventgraph.console.status import StatusSource
from eventgraph.errors import StartError
from eventgraph.running.distributed import Opening, Part, opened_when_ready
from eventgraph.running.engines import Work
from eventgraph.running.logs import log_to_stderr
from eventgraph.running.servers import Servers, banner, listen, origin_of, tls_of
from eventgraph.running.settings import ConsoleProcessSettings, EngineSettings
from eventgraph.serving.served import ServedSubgraph, running
from eventgraph.system import System
from graphrouter.server.servers import Endpoint


def usual_port(system: System) -> int:
    """Where it is served when nobody says where: after the subgraphs."""
    return max(system.ports.values()) + 1


async def serve_console(
    system: System, serve: ConsoleProcessSettings, engines: EngineSettings, announce: Callable[[str], None]
) -> None:
    """Serve the console, until a signal says stop.

    Raises:
        StartError: the port is taken, nobody said that the console shall be served at this address, an engine does not
            answer or refuses, or what is stored there does not fit.
    """
    log_to_stderr(serve.log_level)
    mode = serve.console_mode(serve.host)
    if mode is Mode.OFF:
        setting = f"{system.prefix}CONSOLE"
        raise StartError(f"host {serve.host}: expected {setting}=on or {setting}=read-only, found {serve.console}")
    warning = serve.check_exposure(serve.host, knows_actors=serve.authentication is not None)
    certificates = serve.certificates()
    listener = listen(serve.host, usual_port(system) if serve.port is None else serve.port)
    async with AsyncExitStack() as stack:
        servers = Servers(serve.drain_seconds, serve.connection_limits)
        servers.stop_on_signals()
        subgraphs: list[ServedSubgraph] = []
        for name in system.names:
            opening = Opening(engines, serve, metrics=None, traced=None)
            found = await opened_when_ready(stack, Part(system, name, Work.LOOKING), servers, opening)
            if found is None:
                return
            subgraphs.append(found.subgraph)
        for subgraph in subgraphs:
            await stack.enter_async_context(running([subgraph.audit, subgraph.projector]))
        stack.push_async_callback(servers.shut_down)
        source = StatusSource(system, f"the engines, under the name {engines.name}", subgraphs)
        access = Access(mode, serve.hosts, lambda: serve.authentication)
        operated = Operated(system, source, subgraphs)
        pages = await stack.enter_async_context(console(operated, access, {"": serve.router_url}))
        app = Starlette(routes=[*pages, Route("/", _home), Route("/health/live", _live)])
        app.router.redirect_slashes = False
        if certificates is not None:
            await stack.enter_async_context(certificates.watched())
        await servers.start([Endpoint(app, listener, serve.hosts, tls_of(certificates))])
        if warning:
            announce(warning)
        origin = origin_of(listener, certificates)
        rows = {"console": f"{origin}/status", "health": f"{origin}/health/live"}
        announce(banner(f"{system.title} {system.version}: the console is ready.", rows))
        await servers.until_stopped()


async def _home(_request: Request) -> Response:
    return RedirectResponse("status")


async def _live(_request: Request) -> Response:
    return JSONResponse({"status": "live"})
