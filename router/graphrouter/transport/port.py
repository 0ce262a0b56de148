"""The port between the executor and a subgraph: bytes out, bytes in, before a deadline.

TransportError
├── SubgraphUnreachable         SUBREQUEST_FAILED: no answer came (refused, reset, crashed)
│   └── SubgraphLeftAlone       SUBREQUEST_NOT_SENT: its circuit breaker is open; nothing was sent
├── SubgraphTimedOut            SUBREQUEST_TIMEOUT: the deadline passed first
└── SubgraphResponseTooLarge    SUBREQUEST_TOO_LARGE: the answer went over the limit and was dropped
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable


class TransportError(Exception):
    """No usable answer. The message is fit for clients: no address, no exception text of a library."""

    code: ClassVar[str] = "SUBREQUEST_FAILED"
    sent: bool = True
    """Whether the subgraph may have got the request."""


class SubgraphUnreachable(TransportError):
    """The connection could not be made or broke, or an in-process app raised."""


class SubgraphLeftAlone(SubgraphUnreachable):
    """The request was not sent, as the subgraph has failed too often of late."""

    code = "SUBREQUEST_NOT_SENT"
    sent = False


class SubgraphTimedOut(TransportError):
    """The deadline passed before the whole answer was there."""

    code = "SUBREQUEST_TIMEOUT"


class SubgraphResponseTooLarge(TransportError):
    """The answer has more bytes than allowed; reading stopped there."""

    code = "SUBREQUEST_TOO_LARGE"


@dataclass(slots=True)
class RequestTrace:
    """What became of one request on its way, for somebody who wants to know: transports write it."""

    retries: int = 0
    """How often it was sent again."""
    joined: bool = False
    """Whether it was not sent, because an equal one was on its way."""


_NOTHING: Mapping[str, str | int] = {}


@dataclass(slots=True, unsafe_hash=True)  # not frozen: each fetch makes one or two, which takes a third of the time
class SubgraphRequest:
    """One GraphQL request as the subgraph's server gets it. Nobody changes one.

    `body` is the JSON text of `{"query": …, "variables": …}`. `headers` go out beside `content-type` and `accept`,
    which every transport sets. `deadline` is a moment of the running event loop's clock (`loop.time()`), None for no
    limit. `repeatable` says that the request may be sent a second time where a connection broke before any answer:
    true for queries, never for mutations. With `get` set, the request is a GET of that path (a health check) at the
    same server instead, and has no body. A `trace` is told of what happens to the request; `about` is what is told of
    the request in spans.
    """

    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    deadline: float | None = None
    repeatable: bool = False
    get: str | None = None
    trace: RequestTrace | None = field(default=None, compare=False, repr=False)
    about: Mapping[str, str | int] = field(default_factory=lambda: _NOTHING, compare=False)


@dataclass(frozen=True, slots=True)
class SubgraphResponse:
    """What the server said, unread: any status, any bytes. Header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""


@runtime_checkable
class SubgraphTransport(Protocol):
    """The way to one subgraph.

    - `start` prepares it and may be called again; `send` may be called before it.
    - `send` gives the answer whatever its status, or raises a `TransportError`. It follows no redirect, keeps no
      cookie, and stops reading at the transport's limit. Any number of sends run at the same time. When the caller is
      cancelled, so is the request.
    - A request is sent at most once, unless it is `repeatable`.
    - `aclose` ends everything that the transport opened; a `send` after it raises `SubgraphUnreachable`.
    """

    async def start(self) -> None: ...

    def send(self, request: SubgraphRequest) -> Coroutine[Any, Any, SubgraphResponse]: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class SubgraphStream:
    """An answer that lasts: what its head says, and its body as it comes.

    `chunks` ends where the answer does, and raises a `TransportError` where it breaks off.
    """

    status: int
    headers: Mapping[str, str]
    chunks: AsyncGenerator[bytes, None]


@runtime_checkable
class StreamingTransport(Protocol):
    """The way to a subgraph whose subscriptions are asked for over it, too; a `SubgraphTransport` may be one.

    `stream` asks for a stream of Server-Sent Events, and gives whatever answer comes, until the block is left. The
    request's deadline is for its head. It raises as `send` does; nobody who reads slowly costs more than a few chunks.
    """

    def stream(self, request: SubgraphRequest) -> AbstractAsyncContextManager[SubgraphStream]: ...


MAX_RESPONSE_BYTES = 32 * 1024 * 1024
"""The default limit for one subgraph answer, in bytes after decompression."""

GRAPHQL_ACCEPT = "application/graphql-response+json, application/json;q=0.9"
"""https://graphql.github.io/graphql-over-http/draft/#sec-Accept"""

EVENTS_ACCEPT = "text/event-stream"
"""https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md#distinct-connections-mode"""
