"""Stage 7 of a subscription: its one field is a stream of one subgraph, and each message is completed by the plan.

Nothing is kept of a subscription but the bookmark of its last message. A message's payload is the answer to the plan's
first fetch, and the fetches behind it are made at the message's bookmark, as after a query's first fetch. If the
subgraph or the way to it fails, the stream is asked for again from that bookmark, and whoever listens notices nothing
but a delay. Subgraphs that give no bookmarks cannot be asked again without a gap: there the stream is interrupted.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, replace
from typing import Final

from graphrouter import bookmarks
from graphrouter.execution.errors import error_object
from graphrouter.execution.prepare import PreparedFetch, holds
from graphrouter.http.server_sent_events import EventTooLarge, ServerSentEvent, read_events
from graphrouter.json_text import dumps
from graphrouter.options import RouterOptions
from graphrouter.pipeline.answering import Answering
from graphrouter.pipeline.hooking import HookFailed, SubgraphHooks
from graphrouter.pipeline.operation import PreparedOperation
from graphrouter.planning.plan import RootFetch
from graphrouter.request import RequestRefused, StreamInterrupted, StreamItem, StreamProgress
from graphrouter.telemetry.tracing import CURRENT
from graphrouter.transport import (
    StreamingTransport,
    SubgraphRequest,
    SubgraphResponse,
    SubgraphResponseTooLarge,
    SubgraphStream,
    SubgraphTransport,
    SubgraphUnreachable,
    TransportError,
)
from graphrouter.transport.port import EVENTS_ACCEPT

_log = logging.getLogger("graphrouter.pipeline")

_FIRST_WAIT_SECONDS: Final = 0.05
_LONGEST_WAIT_SECONDS: Final = 2.0
_SILENCE_SECONDS: Final = 5.0
"""So long a subgraph may say nothing of a stream that it has begun before the client is told that there is one. Until
then it may as well be a query: it counts as a request, and a router that stops waits for it."""

_PASSES: Final = frozenset({429, 502, 503, 504})
"""HTTP statuses of a server that may answer otherwise a moment later."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """What one client subscribes to. `bookmark` is where it begins; an empty text for now."""

    prepared: PreparedOperation
    variables: dict[str, object]
    headers: Callable[[], tuple[tuple[str, str], ...]]
    """What subgraphs get besides the operation, as it is now."""
    bookmark: str
    extensions: dict[str, object]


class Subscribing:
    """Runs subscriptions against the subgraphs."""

    def __init__(
        self,
        transports: Mapping[str, SubgraphTransport | StreamingTransport],
        answering: Answering,
        options: RouterOptions,
    ) -> None:
        self._transports = transports
        self._hooks = SubgraphHooks(options.hooks) if options.hooks.of_subgraphs else None
        self._answering = answering
        self._options = options
        self._closed = False

    def close(self) -> None:
        """From now on a stream that breaks off is interrupted: whoever comes again finds another router."""
        self._closed = True

    async def messages(self, subscription: Subscription) -> AsyncGenerator[StreamItem, None]:
        """The messages as they come, and between them how far the stream is.

        Raises:
            RequestRefused: it is no operation that can be streamed.
            StreamInterrupted: the stream has broken off and cannot be taken up here.
        """
        first = self._first_fetch(subscription)
        bookmark = subscription.bookmark
        if bookmark:
            yield StreamProgress(bookmark)
        async with aclosing(self._events(subscription, first)) as events:
            async for event in events:
                bookmark = bookmarks.join_texts((bookmark, event.bookmark))
                if event.response is None:
                    yield StreamProgress(bookmark)
                    continue
                yield await self._answering.message(
                    subscription.prepared,
                    subscription.variables,
                    subscription.headers(),
                    bookmark,
                    (first, event.response),
                    dict(subscription.extensions),
                )

    def _first_fetch(self, subscription: Subscription) -> PreparedFetch:
        plan = subscription.prepared.plan
        first = [fetch for fetch, waits in zip(plan.fetches, plan.waits_for, strict=True) if not waits]
        if len(first) != 1 or not isinstance(first[0].fetch, RootFetch) or first[0].fetch.path:
            raise RequestRefused(error_object("a subscription asks for one field of a subgraph", "BAD_REQUEST"))
        if not holds(first[0].fetch.conditions, subscription.variables):
            raise RequestRefused(error_object("a subscription's field is neither skipped nor included", "BAD_REQUEST"))
        if not isinstance(self._transports[first[0].fetch.subgraph], StreamingTransport):
            message = "the way to the subgraph of this field carries no streams"
            raise RequestRefused(error_object(message, "SUBSCRIPTIONS_NOT_SUPPORTED"))
        return first[0]

    async def _events(self, subscription: Subscription, first: PreparedFetch) -> AsyncGenerator[_Event, None]:
        """What the subgraph sends, over as many connections as it takes. Ends where the subgraph says that the
        operation has ended, or answers with something else than a stream."""
        bookmark, waits = subscription.bookmark, _waits()
        while True:
            try:
                request = self._request(subscription, first, bookmark)
                asked = request if self._hooks is None else await self._hooks.request(first.fetch.subgraph, request)
                if isinstance(asked, SubgraphResponse):
                    yield _Event(bookmark, await self._hooked(first, request, asked))
                    return
                async with self._stream(first, asked) as stream:
                    if not stream.headers.get("content-type", "").lower().startswith(EVENTS_ACCEPT):
                        yield _Event(bookmark, await self._hooked(first, asked, await self._whole(stream)))
                        return
                    read = read_events(stream.chunks, self._options.subgraph_response_bytes)
                    async with aclosing(read), aclosing(read if bookmark else _with_a_sign_of_life(read)) as events:
                        async for event in events:
                            if event.name == "complete":
                                return
                            response = await self._message(first, asked, event)
                            # A message that a hook does not let through is asked for again.
                            if (place := _bookmark_of(event) or bookmark) != bookmark:
                                bookmark, waits = place, _waits()
                            if event.data is None or response is not None:
                                yield _Event(bookmark, response)
            except HookFailed:
                raise
            except (SubgraphResponseTooLarge, EventTooLarge):  # it would come again each time
                yield _Event(bookmark, _too_large(first.fetch.subgraph, self._options.subgraph_response_bytes))
                return
            except TransportError as failure:
                _log.warning("the stream of the subgraph %s broke off: %s", first.fetch.subgraph, failure)
            if self._closed or not bookmark:
                raise StreamInterrupted
            await asyncio.sleep(next(waits))

    def _request(self, subscription: Subscription, first: PreparedFetch, bookmark: str) -> SubgraphRequest:
        headers = subscription.headers() if not bookmark else (*subscription.headers(), ("bookmark", bookmark))
        if (here := CURRENT.get()) is not None:
            headers = (*headers, *here.headers)
        return SubgraphRequest(first.body(subscription.variables), headers, self._deadline(first))

    async def _hooked(self, first: PreparedFetch, asked: SubgraphRequest, answer: SubgraphResponse) -> SubgraphResponse:
        if self._hooks is None:
            return answer
        asked = replace(asked, deadline=self._deadline(first))
        return await self._hooks.answer(first.fetch.subgraph, asked, answer)

    async def _message(
        self, first: PreparedFetch, asked: SubgraphRequest, event: ServerSentEvent
    ) -> SubgraphResponse | None:
        if event.data is None or event.name != "next":
            return None
        return await self._hooked(first, asked, SubgraphResponse(200, {}, event.data))

    def _deadline(self, first: PreparedFetch) -> float:
        seconds = self._options.subgraph_timeouts.get(first.fetch.subgraph, self._options.subgraph_seconds)
        return asyncio.get_running_loop().time() + seconds

    def _stream(self, first: PreparedFetch, request: SubgraphRequest) -> AbstractAsyncContextManager[SubgraphStream]:
        transport = self._transports[first.fetch.subgraph]
        assert isinstance(transport, StreamingTransport)  # noqa: S101  # as `_first_fetch` has seen
        return transport.stream(request)

    async def _whole(self, stream: SubgraphStream) -> SubgraphResponse:
        """An answer that is no stream: why there is none. Raises TransportError where that may pass."""
        if stream.status in _PASSES:
            raise SubgraphUnreachable(f"the subgraph answered with HTTP status {stream.status}")
        body = bytearray()
        async for chunk in stream.chunks:
            body += chunk
            if len(body) > self._options.subgraph_response_bytes:
                raise SubgraphResponseTooLarge("the subgraph's answer is too large")
        return SubgraphResponse(stream.status, stream.headers, bytes(body))


@dataclass(frozen=True, slots=True)
class _Event:
    """What a subgraph's stream has come to: `response` is a message; None where nothing has come up to the bookmark."""

    bookmark: str
    response: SubgraphResponse | None


def _too_large(subgraph: str, limit: int) -> SubgraphResponse:
    message = f"a message of the subgraph {subgraph} has more than {limit} bytes"
    return SubgraphResponse(200, {}, dumps({"errors": [error_object(message, SubgraphResponseTooLarge.code)]}))


def _bookmark_of(event: ServerSentEvent) -> str:
    """The event's id; an empty text for other servers' ids, which nobody can resume from."""
    try:
        bookmarks.decode(event.id)
    except bookmarks.InvalidBookmark:
        return ""
    return event.id


async def _with_a_sign_of_life(
    events: AsyncGenerator[ServerSentEvent, None],
) -> AsyncGenerator[ServerSentEvent, None]:
    """The events; before the first one, where it lets wait for itself, one that says nothing."""
    first = asyncio.create_task(_next_of(events))
    try:
        await asyncio.wait((first,), timeout=_SILENCE_SECONDS)
        if not first.done():
            yield ServerSentEvent("message", None, "")
        event = await first
    finally:
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    if event is None:
        return
    yield event
    async for event in events:
        yield event


async def _next_of(events: AsyncGenerator[ServerSentEvent, None]) -> ServerSentEvent | None:
    return await anext(events, None)


def _waits() -> Iterator[float]:
    seconds = _FIRST_WAIT_SECONDS
    while True:
        yield seconds * random.uniform(0.5, 1)  # noqa: S311  # no secret
        seconds = min(2 * seconds, _LONGEST_WAIT_SECONDS)
