"""The embedded mode: router and subgraphs in one process, on SQLite files in one data folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from socket import socket
from types import MappingProxyType
from typing import Any

from eventgraph.console.access import Access
from eventgraph.console.mode import Mode
from eventgraph.console.site import Operated, console
from eventgraph.console.status import StatusSource
from eventgraph.errors import StartError
from eventgraph.ports import Adapters
from eventgraph.running.control_app import control_app
from eventgraph.running.control_socket import listen_for_control, remove_control
from eventgraph.running.data_folder import DataFolder
from eventgraph.running.frontend import PATH, frontend_routes, is_built
from eventgraph.running.logs import log_to_stderr
from eventgraph.running.metrics import Exposed, listen_for_metrics, metrics_of, sources_of
from eventgraph.running.routing import SystemRouter
from eventgraph.running.servers import Servers, banner, listen, origin_of
from eventgraph.running.settings import Settings
from eventgraph.running.tracing import NO_TRACES, Traces, traces
from eventgraph.running.views import sqlite_build
from eventgraph.serving.metrics import SubgraphMetrics
from eventgraph.serving.served import ServedSubgraph, running
from eventgraph.serving.wiring import served
from eventgraph.system import Subgraph, System
from eventkernel.adapters.sqlite.checkpoints import SqliteCheckpointStore
from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.adapters.sqlite.snapshots import SqliteSnapshotStore
from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.clock import Clock, SteadyClock, SystemClock
from eventkernel.errors import CannotOpen, CorruptData, Unavailable
from eventkernel.writing.store import LogReader
from graphrouter.http.actors import ActorKeys
from graphrouter.router import SubgraphSource
from graphrouter.server.servers import ANY_HOST, Endpoint
from graphrouter.telemetry.recent import RecentRequests
from graphrouter.telemetry.router import RouterMetrics


@dataclass(frozen=True, slots=True)
class Listeners:
    """The sockets: the router's, and with `--http` one for each subgraph, in the order of their names."""

    router: socket
    subgraphs: Sequence[socket] = ()


async def run(system: System, settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until a signal says stop; `announce` gets what the person who started it should read.

    Raises:
        StartError: a port is taken, the data folder cannot be used, or something in it is damaged.
    """
    log_to_stderr(settings.log_level, access=settings.access_log)
    actors = None if settings.authentication is None else ActorKeys.drawn()
    warning = settings.check_exposure(settings.host, knows_actors=actors is not None)
    listeners = _listen(settings, len(system.subgraphs))
    metrics_listener = listen_for_metrics(settings)
    metrics = metrics_of(system.names if settings.metrics else (), "sqlite")
    counted = RouterMetrics() if settings.metrics else None
    async with AsyncExitStack() as stack:
        traced = stack.enter_context(traces(system.name, system.version, "sqlite"))
        folder = stack.enter_context(DataFolder.open(settings.data, system))
        servers = Servers(limits=settings.connection_limits)
        servers.stop_on_signals()
        try:
            opening = opened(system, folder, SystemClock(), actors, metrics, settings.concurrent_streams, traced)
            subgraphs = await stack.enter_async_context(opening)
        except (Unavailable, CannotOpen, CorruptData) as error:
            raise StartError(f"the data folder {folder.path} cannot be opened: {error}") from error
        for subgraph in subgraphs:
            await stack.enter_async_context(running(subgraph.workers))
        stack.push_async_callback(servers.shut_down)
        sources = await _serve_subgraphs(servers, subgraphs, listeners.subgraphs, settings.hosts)
        mode = settings.console_mode(settings.host)
        recent = None if mode is Mode.OFF else RecentRequests()
        tracing = traced.router(trusts_clients=settings.trust_traceparent)
        made = partial(
            SystemRouter,
            sources,
            settings,
            system,
            settings.router_config,
            actors,
            counted,
            tracing=tracing,
            recent=recent,
            links={"Console": "status"},
        )
        router = await asyncio.to_thread(made)
        status = StatusSource(system, str(folder.path), subgraphs, router.statistics)
        exposed = Exposed.of(settings, metrics_listener, sources_of(servers, subgraphs, router.measured()))
        access = Access(mode, settings.hosts, lambda: router.authentication)
        operations = None if counted is None else counted.operations.families
        operated = Operated(system, status, subgraphs, operations, recent)
        pages = await stack.enter_async_context(console(operated, access))
        routes = [*pages, *exposed.routes, *frontend_routes(settings.web, f"{system.prefix}WEB")]
        control = listen_for_control(folder.path)
        stack.callback(remove_control, folder.path)
        await servers.start(
            [
                Endpoint(control_app(status, subgraphs), control),
                Endpoint(await router.app(routes), listeners.router, ANY_HOST),
                *exposed.endpoints,
            ]
        )
        if warning:
            announce(warning)
        app = {"app": f"{origin_of(listeners.router)}{PATH}"} if is_built(settings.web) else {}
        announce(_told(system, folder, listeners, sources, {**app, **exposed.told}))
        await servers.until_stopped()


@asynccontextmanager
async def opened(
    system: System,
    folder: DataFolder,
    clock: Clock,
    actors: ActorKeys | None = None,
    metrics: Mapping[str, SubgraphMetrics] = MappingProxyType({}),
    streams: int | None = None,
    traced: Traces = NO_TRACES,
) -> AsyncGenerator[Sequence[ServedSubgraph]]:
    """The subgraphs on the files of a data folder, which know who asks by `actors`, are counted in `metrics` by their
    names, take so many `streams` each, and have their places in traces by `traced`.

    Large steps of `clock` are doubted (`SteadyClock`).
    """
    clock = SteadyClock(clock)
    async with AsyncExitStack() as stack:
        stores = {
            name: await stack.enter_async_context(
                aclosing(
                    await SqliteEventStore.open(
                        folder.log(name), name=name, clock=clock, meter=metrics[name].appends if metrics else None
                    )
                )
            )
            for name in system.logs
        }
        views = {
            subgraph.name: await stack.enter_async_context(
                aclosing(await _view(subgraph, folder, [stores[log] for log in subgraph.codecs]))
            )
            for subgraph in system.subgraphs
        }
        checkpoints = await stack.enter_async_context(aclosing(await SqliteCheckpointStore.open(folder.processes)))
        snapshots = await stack.enter_async_context(aclosing(await SqliteSnapshotStore.open(folder.snapshots)))
        yield [
            served(
                subgraph,
                Adapters(
                    views[subgraph.name],
                    {name: stores[name] for name in subgraph.codecs},
                    system.logs,
                    store=stores.get(subgraph.name),
                    checkpoints=checkpoints if subgraph.processes else None,
                    snapshots=snapshots,
                    clock=clock,
                ),
                actors,
                metrics.get(subgraph.name),
                streams,
                traced.subgraph(subgraph.name),
            )
            for subgraph in system.subgraphs
        ]


async def _view(subgraph: Subgraph[Any], folder: DataFolder, logs: Sequence[LogReader]) -> SqliteView[Any]:
    return await SqliteView[Any].open(
        folder.view(subgraph.name),
        sqlite_build(subgraph),
        shape=subgraph.projection.shape,
        logs=[log.log for log in logs],
    )


def _listen(settings: Settings, subgraphs: int) -> Listeners:
    router = listen(settings.host, settings.port)
    if not settings.http:
        return Listeners(router)
    first = settings.port + 1 if settings.port else 0
    return Listeners(router, [listen(settings.host, first + number if first else 0) for number in range(subgraphs)])


async def _serve_subgraphs(
    servers: Servers, subgraphs: Sequence[ServedSubgraph], listeners: Sequence[socket], hosts: tuple[str, ...]
) -> dict[str, SubgraphSource]:
    """Where the router reaches each subgraph: its app, or the URL that it is served on from now."""
    if not listeners:
        return {subgraph.name: subgraph.app for subgraph in subgraphs}
    pairs = list(zip(subgraphs, listeners, strict=True))
    await servers.start([Endpoint(subgraph.app, listener, hosts) for subgraph, listener in pairs])
    return {subgraph.name: f"{origin_of(listener)}/graphql" for subgraph, listener in pairs}


def _told(
    system: System,
    folder: DataFolder,
    listeners: Listeners,
    sources: Mapping[str, SubgraphSource],
    more: Mapping[str, str],
) -> str:
    origin = origin_of(listeners.router)
    rows = {
        "playground": f"{origin}/",
        "endpoint": f"{origin}/graphql",
        "health": f"{origin}/health/ready",
        "status": f"{origin}/status",
        "data": str(folder.path),
    }
    rows |= {name: source for name, source in sources.items() if isinstance(source, str)} | dict(more)
    return banner(f"{system.title} {system.version} is ready.", rows)
