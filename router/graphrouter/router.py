"""The library's front: a router from a supergraph, from subgraphs, or as an ASGI app in one call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Self, TypeAlias

from starlette.routing import BaseRoute

from graphrouter.composition import SubgraphSdl
from graphrouter.composition import compose as compose_sdls
from graphrouter.execution.execute import SubgraphSettings
from graphrouter.execution.inflight import JoiningTransport
from graphrouter.options import RouterOptions, Traffic
from graphrouter.pipeline import Pipeline
from graphrouter.pipeline.hooking import HookedTransport, SubgraphHooks
from graphrouter.planning.planner import QueryPlanner
from graphrouter.request import AnswerPart, GraphQLAnswer, GraphQLRequest, StreamItem
from graphrouter.subgraph_health import SubgraphHealth, health_of
from graphrouter.subgraph_sdl import fetch_sdl
from graphrouter.supergraph import Supergraph, read_supergraph
from graphrouter.telemetry.tracing import TRACE_HEADERS
from graphrouter.transport.breaker import BreakingTransport
from graphrouter.transport.http import HttpTransport
from graphrouter.transport.inprocess import AsgiApp, InProcessTransport
from graphrouter.transport.measured import MeasuredTransport
from graphrouter.transport.port import SubgraphTransport
from graphrouter.transport.retrying import RetryingTransport
from graphrouter.transport.traced import TracedTransport
from graphrouter.transport.websocket import WebSocketStreams

if TYPE_CHECKING:
    from starlette.applications import Starlette

SubgraphSource: TypeAlias = str | AsgiApp | SubgraphTransport
"""Where a subgraph is: its URL, its ASGI app (asked at `/graphql`), or a transport."""


class GraphRouter:
    """Executes GraphQL operations over the subgraphs of one supergraph.

    It may be used as an async context manager; else `start` and `aclose` are the caller's to call.
    """

    def __init__(
        self, supergraph: Supergraph, transports: Mapping[str, SubgraphTransport], options: RouterOptions | None = None
    ) -> None:
        self.options = options or RouterOptions()
        if self.options.tracing is not None:  # each request to a subgraph has its own, below what joins equal ones
            forwarded = self.options.forwarded_headers - TRACE_HEADERS
            self.options = replace(self.options, forwarded_headers=forwarded)
        if self.options.defer:
            supergraph = supergraph.with_defer()
        self.supergraph = supergraph
        self.planner = QueryPlanner(supergraph)
        self.composed_from: Mapping[str, str] = {}
        """The schemas that the subgraphs gave, by name, where the router asked them for these (`compose`)."""
        self._transports = dict(transports)
        self._streams = {
            name: _streams(name, url, self.options)
            for name, url in self.options.subgraph_subscriptions.items()
            if name in transports
        }
        self._pipeline = Pipeline(
            supergraph,
            self.planner,
            SubgraphSettings(
                transports={name: _guarded(name, transport, self.options) for name, transport in transports.items()},
                object_types=frozenset(name for name, kind in supergraph.kinds.items() if kind == "object"),
                timeout_seconds=self.options.subgraph_seconds,
                timeouts=self.options.subgraph_timeouts,
            ),
            self.options,
            {**self._transports, **self._streams},
        )

    @classmethod
    def from_supergraph(
        cls, sdl: str, subgraphs: Mapping[str, SubgraphSource] | None = None, options: RouterOptions | None = None
    ) -> GraphRouter:
        """A router for a supergraph's text. Subgraphs that are not given are reached at the URLs in the text.

        Raises:
            SupergraphError: the text is no supergraph, or uses what this router does not support.
            ValueError: a name in `subgraphs` is not in the supergraph, or a subgraph has no URL.
        """
        options = options or RouterOptions()
        supergraph = read_supergraph(sdl)
        known, given = supergraph.subgraphs, dict(subgraphs or {})
        unknown = sorted(given.keys() - known.keys())
        if unknown:
            raise ValueError(f"the supergraph has no subgraph {unknown[0]!r}, only {sorted(known)}")
        transports = {name: _transport(name, given.get(name, info.url), options) for name, info in known.items()}
        return cls(supergraph, transports, options)

    @classmethod
    async def compose(
        cls, subgraphs: Mapping[str, SubgraphSource], options: RouterOptions | None = None
    ) -> GraphRouter:
        """A router for these subgraphs, whose schemas it asks of them; already started.

        Raises:
            SubgraphUnavailable: a subgraph does not give its schema.
            CompositionError: the schemas do not fit together.
        """
        options, sources = options or RouterOptions(), dict(subgraphs)
        transports = {name: _transport(name, source, options) for name, source in sources.items()}
        try:
            sdls = await asyncio.gather(
                *(fetch_sdl(name, transport, options.subgraph_seconds) for name, transport in transports.items())
            )
            parts = [
                SubgraphSdl(name=name, url=source if isinstance(source, str) else f"in-process:{name}", sdl=sdl)
                for (name, source), sdl in zip(sources.items(), sdls, strict=True)
            ]
            result = await asyncio.to_thread(compose_sdls, parts)
            supergraph = await asyncio.to_thread(read_supergraph, result.supergraph_sdl)
            router = cls(supergraph, transports, options)
            router.composed_from = {part.name: part.sdl for part in parts}
        except BaseException:
            await _close(transports)
            raise
        await router.start()
        return router

    async def start(self) -> None:
        """Opens what the transports need: an in-process app starts its lifespan here. It may be called again."""
        await asyncio.gather(*(transport.start() for transport in self._transports.values()))

    async def aclose(self) -> None:
        await self._pipeline.aclose()
        for streams in self._streams.values():
            await streams.aclose()
        await _close(self._transports)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def execute(
        self,
        query: str,
        variables: Mapping[str, object] | None = None,
        operation_name: str | None = None,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, object] | None = None,
    ) -> GraphQLAnswer:
        """Executes one operation. Of `headers` (any case) only what the options allow reaches the subgraphs."""
        return await self.answer(
            GraphQLRequest(
                query,
                variables or {},
                operation_name,
                {name.lower(): value for name, value in (headers or {}).items()},
                extensions or {},
            )
        )

    async def credentials_expire(self, headers: Mapping[str, str]) -> float | None:
        """When the token in the headers (names in lower case) is over, in seconds since the epoch; None without one.

        Raises:
            RequestRefused: it proves nothing, or there is none and one is required.
        """
        return await self._pipeline.credentials_expire(headers)

    async def answer(self, request: GraphQLRequest) -> GraphQLAnswer:
        return await self._pipeline.execute(request)

    def stream(self, request: GraphQLRequest) -> AsyncGenerator[StreamItem, None]:
        """The messages of a subscription, and between them how far it is; of another operation its answer.

        Raises:
            StreamInterrupted: the stream has broken off and cannot be taken up here.
        """
        return self._pipeline.stream(request)

    def parts(self, request: GraphQLRequest) -> AsyncGenerator[GraphQLAnswer | AnswerPart, None]:
        """The answer to a request, in parts where it defers some; subscriptions are refused."""
        return self._pipeline.parts(request)

    async def schemas(self) -> Mapping[str, str]:
        """What the subgraphs give as their schemas now; SubgraphUnavailable where one does not."""
        names, seconds = sorted(self._transports), self.options.subgraph_seconds
        sdls = await asyncio.gather(*(fetch_sdl(name, self._transports[name], seconds) for name in names))
        return dict(zip(names, sdls, strict=True))

    def most_used(self, count: int) -> list[tuple[str, str | None]]:
        """Texts and names of operations whose documents were asked for most often, most often first."""
        return self._pipeline.most_used(count)

    async def prepare(self, operations: Iterable[tuple[str, str | None]]) -> int:
        """Plans operations before anybody asks for them; how many of them this router can execute."""
        return await self._pipeline.prepare(operations)

    async def settled(self) -> None:
        """Returns when no mutation goes on whose client has gone."""
        await self._pipeline.settled()

    def statistics(self) -> Mapping[str, object]:
        """Hits, misses and times of the caches of documents and plans."""
        return dict(self._pipeline.statistics())

    async def health(self) -> Mapping[str, SubgraphHealth]:
        """Asks every subgraph, at the same time, whether it answers."""
        names, paths, seconds = sorted(self._transports), self.options.health_paths, self.options.health_seconds
        found = await asyncio.gather(*(health_of(self._transports[name], paths.get(name), seconds) for name in names))
        return dict(zip(names, found, strict=True))

    def app(self, routes: Sequence[BaseRoute] = ()) -> Starlette:
        """The ASGI app that serves this router; its lifespan starts and closes the router."""
        from graphrouter.server.app import create_app  # noqa: PLC0415 - the library serves only where asked to

        return create_app(self, self.options, routes)


def federate(
    subgraphs: Mapping[str, SubgraphSource], options: RouterOptions | None = None, routes: Sequence[BaseRoute] = ()
) -> Starlette:
    """An ASGI app that federates subgraphs, given by name as ASGI apps or URLs.

    It composes when it starts. A subgraph that is not up yet is asked again until it is; meanwhile the app answers
    with NOT_READY and `/health/ready` gives the reason. Schemas that do not fit together stop the start.
    """
    from graphrouter.server.app import create_app  # noqa: PLC0415 - see above

    options = options or RouterOptions()
    return create_app(lambda: GraphRouter.compose(subgraphs, options), options, routes)


def _transport(name: str, source: SubgraphSource, options: RouterOptions) -> SubgraphTransport:
    if isinstance(source, str):
        if not source:
            raise ValueError(f"the subgraph {name!r} has no URL: give one")
        return HttpTransport(
            source,
            connections=_traffic(name, options).connections,
            max_response_bytes=options.subgraph_response_bytes,
            tls=options.subgraph_tls_of.get(name, options.subgraph_tls),
            headers=options.subgraph_headers.get(name),
        )
    if isinstance(source, SubgraphTransport):
        return source
    return InProcessTransport(source, max_response_bytes=options.subgraph_response_bytes)


def _streams(name: str, url: str, options: RouterOptions) -> WebSocketStreams | HttpTransport:
    return (WebSocketStreams if url.startswith(("ws://", "wss://")) else HttpTransport)(
        url,
        max_response_bytes=options.subgraph_response_bytes,
        tls=options.subgraph_tls_of.get(name, options.subgraph_tls),
        headers=options.subgraph_headers.get(name),
    )


def _traffic(name: str, options: RouterOptions) -> Traffic:
    return options.traffic_to.get(name, options.traffic)


def _guarded(name: str, transport: SubgraphTransport, options: RouterOptions) -> SubgraphTransport:
    """The transport with what operations need beside it; health is asked without."""
    traffic = _traffic(name, options)
    if options.metrics is not None:
        transport = MeasuredTransport(name, transport, options.metrics)
    if options.tracing is not None:
        transport = TracedTransport(name, transport)
    if traffic.breaker is not None:
        transport = BreakingTransport(name, transport, traffic.breaker)
    if traffic.retries is not None:
        transport = RetryingTransport(transport, traffic.retries)
    if options.join_equal_queries:
        transport = JoiningTransport(transport)
    if options.hooks.of_subgraphs:
        transport = HookedTransport(name, transport, SubgraphHooks(options.hooks))
    return transport


async def _close(transports: Mapping[str, SubgraphTransport]) -> None:
    await asyncio.gather(*(transport.aclose() for transport in transports.values()))
