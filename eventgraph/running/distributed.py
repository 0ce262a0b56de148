"""The distributed mode: one process serves a subgraph, keeps a view, or is the router; of each there may be several.

A process listens before its engines answer and opens them as soon as they do: who starts everything at once needs no
order. What cannot pass by waiting ends the process with one line that says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from socket import socket
from typing import Final

import structlog
from starlette.applications import Starlette
from starlette.routing import Route

from eventgraph import __version__
from eventgraph.errors import StartError
from eventgraph.running.engines import Opened, Work, opened
from eventgraph.running.logs import log_to_stderr
from eventgraph.running.routing import started_router
from eventgraph.running.servers import Endpoint, Servers, banner, listen, origin_of
from eventgraph.running.settings import EngineSettings, ServeSettings, SubgraphUrls
from eventgraph.running.status import StatusSource
from eventgraph.running.status_page import status_routes
from eventgraph.serving.subgraph import running
from eventkernel.clock import SteadyClock, SystemClock
from eventkernel.errors import CannotOpen, CorruptData, Unavailable

PORTS: Final = {"router": 9000, "users": 9001, "friends": 9002, "recommendations": 9003}
"""Where each is served when nobody says where; a process that only keeps a view takes any free port."""

_OPENING_SECONDS: Final = 120.0
"""For so long engines that do not answer yet are tried again."""
_PAUSE_SECONDS: Final = 0.5


async def serve_subgraph(
    name: str, serve: ServeSettings, engines: EngineSettings, announce: Callable[[str], None], *, project: bool
) -> None:
    """Serve one subgraph until a signal says stop; with `project` it takes its share of keeping the view, too.

    Raises:
        StartError: the port is taken, an engine does not answer or refuses, or what is stored there does not fit.
    """
    await _run(name, serve, engines, announce, Work.ALL if project else Work.ANSWERS)


async def keep_view(name: str, serve: ServeSettings, engines: EngineSettings, announce: Callable[[str], None]) -> None:
    """Take a share of keeping a subgraph's view and of its process managers' reactions; serves its health and status.

    Raises:
        StartError: as for `serve_subgraph`.
    """
    await _run(name, serve, engines, announce, Work.KEEPING)


async def serve_router(serve: ServeSettings, urls: SubgraphUrls, announce: Callable[[str], None]) -> None:
    """Serve the router over subgraphs that other processes serve, until a signal says stop.

    Raises:
        StartError: the port is taken.
    """
    log_to_stderr(serve.log_level)
    listener = _listen(serve, PORTS["router"])
    async with AsyncExitStack() as stack:
        servers = Servers()
        servers.stop_on_signals()
        stack.push_async_callback(servers.shut_down)
        sources = {"users": urls.users_url, "friends": urls.friends_url, "recommendations": urls.recommendations_url}
        router = await started_router(dict(sources), serve)
        await servers.start([Endpoint(router.app(), listener, serve.hosts)])
        origin = origin_of(listener)
        rows = {"playground": f"{origin}/", "endpoint": f"{origin}/graphql", "health": f"{origin}/health/ready"}
        announce(banner(f"Kithgraph {__version__}: the router is ready.", rows | sources))
        await servers.until_stopped()


async def _run(
    name: str, serve: ServeSettings, engines: EngineSettings, announce: Callable[[str], None], work: Work
) -> None:
    log_to_stderr(serve.log_level)
    listener = _listen(serve, 0 if work is Work.KEEPING else PORTS[name])
    async with AsyncExitStack() as stack:
        servers = Servers()
        servers.stop_on_signals()
        found = await _opened(stack, name, engines, work, servers)
        if found is None:
            return
        status = StatusSource("the engines", [found.subgraph])
        await stack.enter_async_context(running(found.workers))
        stack.push_async_callback(servers.shut_down)
        routes = list(status_routes(status)) if work is not Work.ANSWERS else []
        rest = Route("/health/{check}" if work is Work.KEEPING else "/{path:path}", found.subgraph.app)
        app = Starlette(routes=[*routes, rest])
        app.router.redirect_slashes = False
        await servers.start([Endpoint(app, listener, serve.hosts)])
        announce(banner(_title(name, work), _rows(origin_of(listener), work)))
        await servers.until_stopped()


def _listen(serve: ServeSettings, usual_port: int) -> socket:
    return listen(serve.host, usual_port if serve.port is None else serve.port)


async def _opened(
    stack: AsyncExitStack, name: str, engines: EngineSettings, work: Work, servers: Servers
) -> Opened | None:
    """The subgraph, as soon as its engines answer; None where the process is to stop before that."""
    log = structlog.get_logger()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _OPENING_SECONDS
    while not servers.stopping:
        try:
            return await stack.enter_async_context(opened(engines, name, work, SteadyClock(SystemClock())))
        except Unavailable as error:
            if loop.time() > deadline:
                raise StartError(f"{name} cannot be opened, tried for {_OPENING_SECONDS:g} s: {error}") from error
            log.warning("not open yet, trying again", subgraph=name, error=str(error))
        except (CannotOpen, CorruptData) as error:
            raise StartError(f"{name} cannot be opened: {error}") from error
        await asyncio.sleep(_PAUSE_SECONDS)
    return None


def _title(name: str, work: Work) -> str:
    match work:
        case Work.ALL:
            what = f"the subgraph {name} is ready."
        case Work.ANSWERS:
            what = f"the subgraph {name} is ready; others keep its view."
        case _:
            what = f"the view of {name} is being kept."
    return f"Kithgraph {__version__}: {what}"


def _rows(origin: str, work: Work) -> dict[str, str]:
    rows = {"endpoint": f"{origin}/graphql"} if work is not Work.KEEPING else {}
    rows["health"] = f"{origin}/health/ready"
    if work is not Work.ANSWERS:
        rows["status"] = f"{origin}/status"
    return rows
