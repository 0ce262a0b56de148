"""The embedded mode: router and three subgraphs in one process, on SQLite files in one data folder."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from socket import socket
from typing import Any, TypeVar

from eventgraph import __version__
from eventgraph.errors import StartError
from eventgraph.running.control_app import control_app
from eventgraph.running.control_socket import listen_for_control, remove_control
from eventgraph.running.data_folder import LOG_NAMES, DataFolder
from eventgraph.running.logs import log_to_stderr
from eventgraph.running.routing import started_router
from eventgraph.running.servers import Endpoint, Servers, banner, listen, origin_of
from eventgraph.running.settings import Settings
from eventgraph.running.status import StatusSource
from eventgraph.running.status_page import status_routes
from eventgraph.serving.subgraph import Subgraph, running
from eventkernel.adapters.sqlite.checkpoints import SqliteCheckpointStore
from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.adapters.sqlite.snapshots import SqliteSnapshotStore
from eventkernel.adapters.sqlite.views import SqliteView, SqliteViewBuild
from eventkernel.clock import Clock, SteadyClock, SystemClock
from eventkernel.errors import CannotOpen, CorruptData, Unavailable
from eventkernel.reading.views import Projection
from eventkernel.writing.store import LogReader
from graphrouter.router import SubgraphSource
from subgraphs.friends.adapters.sqlite import SqliteFriendView
from subgraphs.friends.app import friends_subgraph
from subgraphs.friends.projection import projection as friends_projection
from subgraphs.recommendations.adapters.sqlite import SqliteRecommendationView
from subgraphs.recommendations.app import recommendations_subgraph
from subgraphs.recommendations.projection import projection as recommendations_projection
from subgraphs.users.adapters.sqlite import SqliteUserView
from subgraphs.users.app import users_subgraph
from subgraphs.users.projection import projection as users_projection

BuildT = TypeVar("BuildT", bound=SqliteViewBuild[Any])  # any document: a view opens and closes builds


@dataclass(frozen=True, slots=True)
class Listeners:
    """The sockets: the router's, and with `--http` one for each subgraph, in the order of their names."""

    router: socket
    subgraphs: Sequence[socket] = ()


async def run(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until a signal says stop; `announce` gets what the person who started it should read.

    Raises:
        StartError: a port is taken, the data folder cannot be used, or something in it is damaged.
    """
    log_to_stderr(settings.log_level)
    listeners = _listen(settings)
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(DataFolder.open(settings.data))
        servers = Servers()
        servers.stop_on_signals()
        try:
            subgraphs = await stack.enter_async_context(opened(folder, SystemClock()))
        except (Unavailable, CannotOpen, CorruptData) as error:
            raise StartError(f"the data folder {folder.path} cannot be opened: {error}") from error
        for subgraph in subgraphs:
            await stack.enter_async_context(running(subgraph.workers))
        stack.push_async_callback(servers.shut_down)
        sources = await _serve_subgraphs(servers, subgraphs, listeners.subgraphs, settings.hosts)
        router = await started_router(sources, settings)
        status = StatusSource(str(folder.path), subgraphs, router.statistics)
        control = listen_for_control(folder.path)
        stack.callback(remove_control, folder.path)
        await servers.start(
            [
                Endpoint(control_app(status, subgraphs), control),
                Endpoint(router.app(status_routes(status)), listeners.router, settings.hosts),
            ]
        )
        announce(_told(folder, listeners, sources))
        await servers.until_stopped()


@asynccontextmanager
async def opened(folder: DataFolder, clock: Clock) -> AsyncGenerator[Sequence[Subgraph]]:
    """The three subgraphs on the files of a data folder. Large steps of `clock` are doubted (`SteadyClock`)."""
    clock = SteadyClock(clock)
    async with AsyncExitStack() as stack:
        users_log, friends_log = [
            await stack.enter_async_context(
                aclosing(await SqliteEventStore.open(folder.log(name), name=name, clock=clock))
            )
            for name in LOG_NAMES
        ]

        async def view(
            build: type[BuildT], projection: Projection[Any], logs: Sequence[LogReader]
        ) -> SqliteView[BuildT]:
            opening = SqliteView[BuildT].open(
                folder.view(projection.name), build, shape=projection.shape, logs=[log.log for log in logs]
            )
            return await stack.enter_async_context(aclosing(await opening))

        both = [users_log, friends_log]
        users_view = await view(SqliteUserView, users_projection, [users_log])
        friends_view = await view(SqliteFriendView, friends_projection, both)
        recommendations_view = await view(SqliteRecommendationView, recommendations_projection, both)
        checkpoints = await stack.enter_async_context(aclosing(await SqliteCheckpointStore.open(folder.processes)))
        snapshots = await stack.enter_async_context(aclosing(await SqliteSnapshotStore.open(folder.snapshots)))
        yield [
            users_subgraph(users_log, users_view, log_names=LOG_NAMES, clock=clock, snapshots=snapshots),
            friends_subgraph(
                friends_log,
                users_log,
                friends_view,
                checkpoints,
                log_names=LOG_NAMES,
                clock=clock,
                snapshots=snapshots,
            ),
            recommendations_subgraph(users_log, friends_log, recommendations_view, log_names=LOG_NAMES, clock=clock),
        ]


def _listen(settings: Settings) -> Listeners:
    router = listen(settings.host, settings.port)
    if not settings.http:
        return Listeners(router)
    first = settings.port + 1 if settings.port else 0
    return Listeners(router, [listen(settings.host, first + number if first else 0) for number in range(3)])


async def _serve_subgraphs(
    servers: Servers, subgraphs: Sequence[Subgraph], listeners: Sequence[socket], hosts: tuple[str, ...]
) -> dict[str, SubgraphSource]:
    """Where the router reaches each subgraph: its app, or the URL that it is served on from now."""
    if not listeners:
        return {subgraph.name: subgraph.app for subgraph in subgraphs}
    pairs = list(zip(subgraphs, listeners, strict=True))
    await servers.start([Endpoint(subgraph.app, listener, hosts) for subgraph, listener in pairs])
    return {subgraph.name: f"{origin_of(listener)}/graphql" for subgraph, listener in pairs}


def _told(folder: DataFolder, listeners: Listeners, sources: dict[str, SubgraphSource]) -> str:
    origin = origin_of(listeners.router)
    rows = {
        "playground": f"{origin}/",
        "endpoint": f"{origin}/graphql",
        "health": f"{origin}/health/ready",
        "status": f"{origin}/status",
        "data": str(folder.path),
    }
    rows |= {name: source for name, source in sources.items() if isinstance(source, str)}
    return banner(f"Kithgraph {__version__} is ready.", rows)
