"""The router of the distributed mode: a process that needs no engine; there may be several."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial

from eventgraph.console.access import Access
from eventgraph.console.mode import Mode
from eventgraph.console.site import stories_console
from eventgraph.errors import StartError
from eventgraph.running.frontend import PATH, frontend_routes, is_built
from eventgraph.running.logs import log_to_stderr
from eventgraph.running.metrics import Exposed, listen_for_metrics, sources_of
from eventgraph.running.routing import SystemRouter
from eventgraph.running.servers import Servers, banner, listen, origin_of, tls_of
from eventgraph.running.settings import ServeSettings
from eventgraph.running.tracing import traces
from eventgraph.stories.remote import RemoteTeller
from eventgraph.stories.story import Stories
from eventgraph.system import ROUTER_PORT, System
from graphrouter.server.servers import ANY_HOST, Endpoint
from graphrouter.telemetry.recent import RecentRequests
from graphrouter.telemetry.router import RouterMetrics


async def serve_router(
    system: System, serve: ServeSettings, urls: Mapping[str, str], announce: Callable[[str], None]
) -> None:
    """Serve the router over subgraphs that other processes serve, until a signal says stop.

    Raises:
        StartError: the port is taken, the router's configuration is refused, or who asks would not be known where it
            has to be.
    """
    log_to_stderr(serve.log_level, access=serve.access_log)
    if serve.authentication is not None and serve.actor_keys is None:
        raise StartError(
            "authentication: expected actor_keys as well, by which the subgraphs know the router, found none"
        )
    warning = serve.check_exposure(serve.host, knows_actors=serve.authentication is not None)
    certificates = serve.certificates()
    listener = listen(serve.host, ROUTER_PORT if serve.port is None else serve.port)
    metrics_listener = listen_for_metrics(serve)
    async with AsyncExitStack() as stack:
        traced = stack.enter_context(traces(f"{system.name}-router", system.version, "kafka"))
        servers = Servers(serve.drain_seconds, serve.connection_limits)
        servers.stop_on_signals()
        stack.push_async_callback(servers.shut_down)
        counted = RouterMetrics() if serve.metrics else None
        access = Access(serve.console_mode(serve.host), serve.hosts, lambda: router.authentication)
        recent = None if access.mode is Mode.OFF else RecentRequests()
        tracing = traced.router(trusts_clients=serve.trust_traceparent)
        config = serve.router_config
        made = partial(SystemRouter, urls, serve, system, config, serve.actors, counted, tracing=tracing, recent=recent)
        router = await asyncio.to_thread(made)
        exposed = Exposed.of(serve, metrics_listener, sources_of(servers, (), router.measured()))
        if certificates is not None:
            await stack.enter_async_context(certificates.watched())
        tellers = [RemoteTeller(name, url, serve.actors, partial(router.tls_of, name)) for name, url in urls.items()]
        stories = Stories(system, tellers, recent or RecentRequests())
        pages = await stack.enter_async_context(stories_console(stories, access))
        app = await router.app([*pages, *exposed.routes, *frontend_routes(serve.web, f"{system.prefix}WEB")])
        await servers.start([Endpoint(app, listener, ANY_HOST, tls_of(certificates)), *exposed.endpoints])
        origin = origin_of(listener, certificates)
        rows = {"playground": f"{origin}/", "endpoint": f"{origin}/graphql", "health": f"{origin}/health/ready"}
        if is_built(serve.web):
            rows["app"] = f"{origin}{PATH}"
        if warning:
            announce(warning)
        announce(banner(f"{system.title} {system.version}: the router is ready.", {**rows, **exposed.told, **urls}))
        await servers.until_stopped()
