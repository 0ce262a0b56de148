"""The router of a system: its subgraphs' schemas composed, wherever they are served."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from eventgraph.describing.schema_files import supergraph_sdl
from eventgraph.running.settings import Reach
from eventgraph.system import System
from graphrouter import GraphRouter, RouterOptions
from graphrouter.http.actors import ActorKeys
from graphrouter.options import DEFAULT_FORWARDED_HEADERS
from graphrouter.router import SubgraphSource


async def started_router(
    sources: Mapping[str, SubgraphSource], reach: Reach, system: System, actors: ActorKeys | None = None
) -> GraphRouter:
    """The router over the system's subgraphs: the app, or the URL, of each by its name.

    The schemas are known here: a subgraph is not asked for its own, which it may not tell before its view is filled.
    Until then it answers UNAVAILABLE, and the health says why. With `actors`, subgraphs are told who asks.
    """
    urls = {name: source if isinstance(source, str) else f"in-process:{name}" for name, source in sources.items()}
    supergraph = await asyncio.to_thread(supergraph_sdl, system, urls)
    options = RouterOptions(
        examples=tuple(system.examples()),
        hosts=reach.hosts,
        cors_origins=reach.origins,
        health_paths=dict.fromkeys(sources, "/health/ready"),
        authentication=reach.authentication,
        actor_keys=actors,
        forwarded_headers=DEFAULT_FORWARDED_HEADERS | {"correlation-id"},
    )
    router = GraphRouter.from_supergraph(supergraph, sources, options)
    await router.start()
    return router
