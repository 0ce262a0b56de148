"""The ASGI app of a subgraph: GraphQL over HTTP with bookmarks at `/graphql` and `/`, health at `/health/…`.

The way of a request: headers and body are read, their bookmarks joined; the gate gives the live build of the view once
it has reached them, and knows the past that the request is about if it is about one; the document is executed on that
one build, and where a mutation's answer reads what the mutation has changed, not before the view shows it; the answer
carries a bookmark that covers what was sent, what was committed, and what of the view was read:
the build is asked after the reading how far that may have been. So an answer to this bookmark is never older than
anything that this answer has shown.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Final, Generic, cast

import orjson
from graphql import OperationType
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from eventgraph.serving.answers import answer_of, bookmark_of, extension_of, refusal_of
from eventgraph.serving.execution import Document, Documents
from eventgraph.serving.federation import FederatedSchema
from eventgraph.serving.metrics import SubgraphMetrics
from eventgraph.serving.readiness import Readiness
from eventgraph.serving.request import Gate, Headers, Request, ViewT
from eventgraph.serving.subscriptions import Subscriptions
from eventkernel.errors import InvalidInput
from eventkernel.reading.as_of import AsOf, read_as_of
from eventkernel.reading.bookmark import Bookmark
from graphrouter.http.actors import ActorKeys
from graphrouter.http.capacity import EndpointLimits
from graphrouter.http.connections import is_draining
from graphrouter.http.endpoint import GraphQLEndpoint
from graphrouter.http.websocket import WebSocketEndpoint, WebSocketSettings
from graphrouter.request import GraphQLAnswer, GraphQLRequest, RequestRefused, StreamItem
from graphrouter.request import error_object as request_error
from graphrouter.telemetry.operations import NOT_READ
from graphrouter.telemetry.tracing import CURRENT, Tracing

LIMITS: Final = EndpointLimits(body_bytes=10 * 1024 * 1024, concurrent=1_000)
"""Of one subgraph; a router asks each for several things at a time."""

_JSON: Final = "application/json"
_access = logging.getLogger("subgraphs.access")


def subgraph_app(  # noqa: PLR0913  # what it serves, and one word for each way of serving it
    schema: FederatedSchema,
    *,
    gate: Gate[ViewT],
    writes: object,
    readiness: Callable[[], Awaitable[Readiness]],
    actors: ActorKeys | None = None,
    metrics: SubgraphMetrics | None = None,
    streams: int | None = None,
    tracing: Tracing | None = None,
    subscriptions: Callable[[Documents], Subscriptions[ViewT]] | None = None,
) -> Starlette:
    """`actors` are the keys of the routers that say who asks; without any, nobody is known. `streams` may be open at
    the same time, None: as `LIMITS` has it. `subscriptions` makes what answers the schema's subscriptions, where it has
    any."""
    limits = LIMITS if streams is None else replace(LIMITS, streams=streams)
    executor = _Executor(schema, gate, writes, actors, subscriptions, metrics)
    # What has begun is finished: a change whose client has gone is a change all the same.
    endpoint = GraphQLEndpoint(
        lambda: executor,
        limits,
        gives_up=False,
        access=_access,
        metrics=metrics.http if metrics else None,
        tracing=tracing,
    )
    health = _Health(readiness)
    websockets = WebSocketEndpoint(
        lambda: executor, endpoint.capacity, WebSocketSettings(), gives_up=False, access=_access, tracing=tracing
    )
    app = Starlette(
        routes=[
            Route("/graphql", endpoint),
            Route("/", endpoint),
            WebSocketRoute("/graphql", websockets),
            WebSocketRoute("/", websockets),
            Route("/health/live", health.live, methods=["GET"]),
            Route("/health/ready", health.ready, methods=["GET"]),
        ]
    )
    app.router.redirect_slashes = False
    return app


class _Executor(Generic[ViewT]):
    """Executes requests on one subgraph."""

    def __init__(
        self,
        schema: FederatedSchema,
        gate: Gate[ViewT],
        writes: object,
        actors: ActorKeys | None,
        subscriptions: Callable[[Documents], Subscriptions[ViewT]] | None,
        metrics: SubgraphMetrics | None,
    ) -> None:
        self._metrics = metrics.operations if metrics is not None else None
        self._actors = actors
        self._documents = Documents(schema)
        if metrics is not None:
            metrics.watch(self._documents.statistics)
        self._gate = gate
        self._writes = writes
        self._subscriptions = subscriptions(self._documents) if subscriptions else None

    async def answer(self, sent: GraphQLRequest) -> GraphQLAnswer:
        started, operation = time.perf_counter(), NOT_READ
        try:
            headers = Headers.read(sent.headers, self._actors)
            document = await self._documents.prepare(sent.query)
            kind = document.operation_type(sent.operation_name)
            operation = (kind.value, "")
            if (here := CURRENT.get()) is not None:
                here.set("graphql.operation.type", kind.value)
            answer = await self._answer(sent, headers, document, kind)
        except Exception as error:  # noqa: BLE001  # a client gets the id of the log entry, whatever went wrong
            answer = refusal_of(error)
        if self._metrics is not None:
            self._metrics.executed(operation, answer.errors, time.perf_counter() - started)
        return answer

    async def stream(self, sent: GraphQLRequest) -> AsyncGenerator[StreamItem, None]:
        """The messages of a subscription; of another operation its answer.

        Raises:
            StreamInterrupted: it cannot go on here, and can be resumed.
        """
        try:
            document = await self._documents.prepare(sent.query)
            subscribes = document.operation_type(sent.operation_name) is OperationType.SUBSCRIPTION
            subscribed = None
            if self._subscriptions and subscribes:
                headers = Headers.read(sent.headers, self._actors)
                subscribed = await self._subscriptions.opened(document, sent, headers)
        except Exception as error:  # noqa: BLE001  # as above
            yield refusal_of(error)
            return
        if subscribed is None:
            yield await self.answer(sent)
            return
        async with aclosing(subscribed.messages()) as messages:
            async for message in messages:
                yield message

    async def _answer(
        self, sent: GraphQLRequest, headers: Headers, document: Document, operation_type: OperationType
    ) -> GraphQLAnswer:
        if operation_type is OperationType.SUBSCRIPTION:
            raise InvalidInput(
                "query: expected a query or a mutation, found a subscription: ask for it with Accept: text/event-stream"
            )
        if sent.only_queries and operation_type is not OperationType.QUERY:
            raise RequestRefused(request_error("only queries are executed by GET", "METHOD_NOT_ALLOWED"))
        bookmark, as_of = bookmark_of(headers, sent), _one_past(headers.as_of, sent, operation_type)
        deadline = asyncio.get_running_loop().time() + headers.timeout
        if as_of is None:
            build = await self._gate.wait(bookmark, headers.timeout)
        else:
            build = await self._gate.wait_for_past(as_of, bookmark, headers.timeout)
        request = Request(
            build=build, writes=self._writes, headers=headers, as_of=as_of, bookmark=bookmark,
            gate=self._gate, deadline=deadline,
        )  # fmt: skip
        variables = cast("dict[str, object]", sent.variables)
        result = await self._documents.execute(document, variables, sent.operation_name, request)
        # A refused mutation has committed nothing: its answer, too, says how far the replica was that it looked at.
        if operation_type is OperationType.QUERY or request.read_view or not request.bookmark.position:
            request.join(Bookmark(position=await request.shown()))
        return await answer_of(result, request.encoded_bookmark())


def _one_past(header: AsOf | None, sent: GraphQLRequest, operation_type: OperationType) -> AsOf | None:
    """The past that a request is about; None for the present."""
    text = extension_of(sent, "asOf")
    extension = None if text is None else read_as_of(text)
    if header is None and extension is None:
        return None
    if operation_type is not OperationType.QUERY:
        raise InvalidInput("As-Of: expected none, for the past cannot be changed, found one with a change")
    if header is not None and extension is not None and header != extension:
        raise InvalidInput("As-Of: expected the same past as extensions.asOf, found another one")
    return extension if header is None else header


class _Health:
    def __init__(self, readiness: Callable[[], Awaitable[Readiness]]) -> None:
        self._readiness = readiness

    async def live(self, _request: HttpRequest) -> Response:
        return Response(orjson.dumps({"status": "live"}), media_type=_JSON)

    async def ready(self, request: HttpRequest) -> Response:
        found = await self._readiness()
        reasons = [*found.reasons, *(["the server is going to stop"] if is_draining(request.scope) else [])]
        body = {
            "status": "not ready" if reasons else "ready",
            "reasons": reasons,
            "warnings": list(found.warnings),
        }
        return Response(orjson.dumps(body), 503 if reasons else 200, media_type=_JSON)
