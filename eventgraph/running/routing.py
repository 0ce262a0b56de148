"""The router of a system: its subgraphs' schemas composed, wherever they are served, configured like any router."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from ssl import SSLContext
from types import MappingProxyType

from starlette.routing import BaseRoute

from eventgraph.console.shell import STORIES
from eventgraph.describing.schema_files import supergraph_sdl
from eventgraph.errors import StartError
from eventgraph.running.settings import Reach, configures_router
from eventgraph.system import System
from graphrouter import GraphRouter, RouterOptions
from graphrouter.http.actors import ActorKeys
from graphrouter.options import DEFAULT_FORWARDED_HEADERS
from graphrouter.router import SubgraphSource
from graphrouter.server.reloading import NotUsable, ReloadingApp, Source
from graphrouter.telemetry.exposition import Source as MetricsSource
from graphrouter.telemetry.measures import Family
from graphrouter.telemetry.recent import CORRELATION_HEADER, RecentRequests
from graphrouter.telemetry.router import RouterMetrics, caches
from graphrouter.telemetry.tracing import Tracing


class SystemRouter:
    """Makes the router over the system's subgraphs: the app, or the URL, of each by its name.

    The schemas are known here: a subgraph is not asked for its own, which it may not tell before its view is filled.
    Until then it answers UNAVAILABLE, and the health says why. `config` is the file of the router's configuration. With
    `actors`, subgraphs are told who asks; `metrics` count what the router does, `recent` keeps the last requests,
    `tracing` traces them. `links` are `RouterOptions.playground_links`.
    """

    def __init__(  # noqa: PLR0913  # what it is made over, and one word for each thing that it may do
        self,
        sources: Mapping[str, SubgraphSource],
        reach: Reach,
        system: System,
        config: Path | None = None,
        actors: ActorKeys | None = None,
        metrics: RouterMetrics | None = None,
        recent: RecentRequests | None = None,
        tracing: Tracing | None = None,
        *,
        links: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        urls = {name: source if isinstance(source, str) else f"in-process:{name}" for name, source in sources.items()}
        self._sources = sources
        self._config = config
        self._reach = reach
        self._options = RouterOptions(
            examples=tuple(system.examples()),
            playground_links=links,
            hosts=reach.hosts,
            cors_origins=reach.origins,
            health_paths=dict.fromkeys(sources, "/health/ready"),
            authentication=reach.authentication,
            actor_keys=actors,
            forwarded_headers=DEFAULT_FORWARDED_HEADERS | {CORRELATION_HEADER},
            metrics=metrics,
            recent=recent,
            tracing=tracing,
            story_page="" if recent is None else STORIES.path,
        )
        self._applied = self._options
        self._supergraph = supergraph_sdl(system, urls)
        self._app: ReloadingApp | None = None
        self.authentication = reach.authentication
        """Of the router that serves: its configuration may set another one than the system."""

    async def app(self, routes: Sequence[BaseRoute] = ()) -> ReloadingApp:
        """The app. Where there is a file, its changes and SIGHUP are a reload.

        Raises:
            StartError: the configuration is refused.
        """
        try:
            source = await asyncio.to_thread(self.read)
        except NotUsable as error:
            raise StartError(f"the router's configuration is refused: {error}") from error
        source.applied()
        self._app = ReloadingApp(source, self.read, routes=routes, signals=bool(source.files))
        return self._app

    def statistics(self) -> Mapping[str, object]:
        """Of the caches of the router that serves."""
        return {} if self._app is None else self._app.statistics()

    def measured(self) -> Sequence[MetricsSource]:
        """What tells its metrics; nothing where nothing is counted."""
        counted = self._options.metrics
        return () if counted is None else (counted.families, caches(self.statistics), self._configuration)

    def _configuration(self) -> Iterable[Family]:
        return () if self._app is None else self._app.families()

    def read(self) -> Source:
        """What the router is made from, as the configuration is now.

        Raises:
            NotUsable: the configuration is refused, says what a system's router cannot be told, or names what cannot
                be used.
        """
        if self._config is None and not configures_router():
            return self._source(self.router())
        from eventgraph.running.router_configuration import configured  # noqa: PLC0415  # loads its models

        found = configured(self._options, self._config, self._sources)
        try:
            source = self._source(self.router(found.options), found.files)
        except ValueError as error:
            raise NotUsable(str(error), found.files) from error
        return replace(source, prepared=found.prepared, prepared_seconds=found.prepared_seconds)

    def tls_of(self, name: str) -> SSLContext | None:
        """What a subgraph behind https has to show, and is shown; None: a certificate that the system trusts."""
        return self._applied.subgraph_tls_of.get(name, self._applied.subgraph_tls)

    def router(self, options: RouterOptions | None = None) -> GraphRouter:
        """The router with these options, as far as the system's own settings leave them; by default the system's."""
        options = options or self._options
        options = replace(
            options,
            hosts=self._reach.hosts or options.hosts,
            cors_origins=self._reach.origins or options.cors_origins,
            concurrent_streams=self._reach.concurrent_streams or options.concurrent_streams,
        )
        return GraphRouter.from_supergraph(self._supergraph, self._sources, options)

    def _source(self, router: GraphRouter, files: frozenset[Path] = frozenset()) -> Source:
        async def make() -> GraphRouter:
            return router

        return Source(router.options, make, files, applied=partial(self._apply, router.options))

    def _apply(self, options: RouterOptions) -> None:
        self._applied, self.authentication = options, options.authentication


async def started_router(
    sources: Mapping[str, SubgraphSource],
    reach: Reach,
    system: System,
    actors: ActorKeys | None = None,
    recent: RecentRequests | None = None,
) -> GraphRouter:
    """The router alone, without a server or a configuration of its own."""
    made = await asyncio.to_thread(SystemRouter, sources, reach, system, None, actors, None, recent)
    router = await asyncio.to_thread(made.router)
    await router.start()
    return router
