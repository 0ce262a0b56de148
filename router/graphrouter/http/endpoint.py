"""The ASGI endpoint of GraphQL over HTTP: what a request must look like, and which status its answer has.

https://graphql.github.io/graphql-over-http/draft/

A browser sends a POST with `application/json` to another origin only after asking that origin (a preflight), and GET
executes queries only: so no foreign page can make a visitor's browser change anything.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from typing import Final, Protocol, TypeVar, runtime_checkable

from starlette.types import Receive, Scope, Send

from graphrouter.http.capacity import RETRY_AFTER, Capacity, EndpointLimits
from graphrouter.http.media_types import GRAPHQL_RESPONSE, JSON, asks_for_events, negotiate, takes_json
from graphrouter.http.parameters import QUERY_STRING_LIMIT, read_body, read_query_string
from graphrouter.http.parts import Format, asked_format, send_parts
from graphrouter.http.refusal import HttpRefusal
from graphrouter.http.streaming import send_events
from graphrouter.request import (
    AnswerPart,
    ErrorObject,
    GraphQLAnswer,
    GraphQLRequest,
    RequestRefused,
    StreamInterrupted,
    StreamItem,
    error_object,
)
from graphrouter.telemetry.http import HttpMetrics
from graphrouter.telemetry.tracing import CURRENT, Span, Tracing, record_no_more

T = TypeVar("T")

ACCESS: Final = logging.getLogger("graphrouter.access")

_STATUS_OF_REFUSAL: Final = {
    "UNAUTHENTICATED": 401,
    "METHOD_NOT_ALLOWED": 405,
    "REQUEST_TIMEOUT": 503,
    "AUTHENTICATION_UNAVAILABLE": 503,
    "HOOK_FAILED": 500,
}
_FAULTS: Final = frozenset({"INTERNAL_ERROR", "HOOK_FAILED"})
"""Codes of defects here."""
_NOT_THE_CLIENTS: Final = _FAULTS.union(
    ("NOT_READY", "OVERLOADED", "UNAVAILABLE"),
    (code for code, status in _STATUS_OF_REFUSAL.items() if status >= 500),
)
"""Codes of requests that fail without being their clients' fault."""

_NAME: Final = re.compile(r"[_A-Za-z][_0-9A-Za-z]*")
_CODE: Final = re.compile(r"[!-+\--~]{1,100}")
"""A code as it may stand in a line of the log: a subgraph's may be anything."""


class Executor(Protocol):
    """What stands behind the front."""

    def answer(self, request: GraphQLRequest, /) -> Coroutine[object, object, GraphQLAnswer]:
        """The answer to a request; nothing is raised."""
        ...


@runtime_checkable
class StreamingExecutor(Executor, Protocol):
    """One that answers subscriptions, too."""

    def stream(self, request: GraphQLRequest, /) -> AsyncGenerator[StreamItem, None]:
        """The answers to a request: one, and for a subscription all that come. The first is refused where there is
        nothing to come.

        Raises:
            StreamInterrupted: it cannot go on, and can be resumed.
        """
        ...


@runtime_checkable
class PartsExecutor(Executor, Protocol):
    """One that can answer in parts."""

    def parts(self, request: GraphQLRequest, /) -> AsyncGenerator[GraphQLAnswer | AnswerPart, None]:
        """The answer to a request, or the parts that it comes in."""
        ...


@runtime_checkable
class ChecksCredentials(Protocol):
    """An executor that knows of credentials before there is an operation."""

    async def credentials_expire(self, headers: Mapping[str, str], /) -> float | None:
        """When what the headers prove is over, in seconds since the epoch; None: never. RequestRefused where it is
        wrong, or missing and required."""
        ...


class GraphQLEndpoint:
    """The ASGI app of `/graphql`.

    `executor` gives what executes, or the reason why there is nothing yet. With `gives_up`, a request whose client has
    gone away is cancelled, as far as it lets itself be. `access` gets a line for each request, `metrics` its figures,
    `tracing` gives it its place in a trace.
    """

    def __init__(
        self,
        executor: Callable[[], Executor | str],
        limits: EndpointLimits,
        *,
        gives_up: bool = True,
        access: logging.Logger = ACCESS,
        metrics: HttpMetrics | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._executor = executor
        self._limits = limits
        self._gives_up = gives_up
        self._access = access
        self._tracing = tracing
        self.capacity = Capacity(limits, metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = read_headers(scope["headers"])
        if self._tracing is None:
            await self._serve(scope, headers, receive, send)
            return
        with self._tracing.request(scope["method"], scope["scheme"], headers):
            await self._serve(scope, headers, receive, send)

    async def _serve(self, scope: Scope, headers: Mapping[str, str], receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        media_type, request = JSON, None
        more: tuple[tuple[bytes, bytes], ...] = ()
        try:
            accept = headers.get("accept")
            if (
                asks_for_events(accept)
                and scope["method"] != "HEAD"
                and isinstance(executor := self._executor(), StreamingExecutor)
            ):
                only_events = not takes_json(accept)
                media_type = GRAPHQL_RESPONSE if only_events else negotiate(accept)
                self.capacity.count(scope, headers)
                request = await self._read(scope, headers, receive)
                found = await self._stream(executor, request, receive, send, only_events=only_events)
            elif (
                (format_ := asked_format(accept)) is not None
                and scope["method"] != "HEAD"
                and isinstance(executor := self._executor(), PartsExecutor)
            ):
                media_type = negotiate(accept) if takes_json(accept) else GRAPHQL_RESPONSE
                self.capacity.count(scope, headers)
                request = await self._read(scope, headers, receive)
                parted = _Parted(executor, request, format_, self._limits.silence_seconds)
                found = await self._once(parted.send(send), receive)
                if found is not None and parted.is_sent:
                    self._ended(scope["method"], request, found, 200, started)
                    return
            else:
                media_type = negotiate(accept)
                self.capacity.count(scope, headers)
                request = await self._read(scope, headers, receive)
                found = await self._answer(request, receive)
            if found is None:
                self._access.info("%s /graphql: the client has gone", scope["method"])
                return
            answer = found
            status = _status(answer, media_type)
        except RequestRefused as refused:
            answer = GraphQLAnswer(None, refused.errors, {}, refused=True)
            status = _status(answer, media_type)
        except HttpRefusal as refusal:
            answer = GraphQLAnswer(None, [error_object(str(refusal), refusal.code)], {}, refused=True)
            status, more = refusal.status, refusal.headers
        if status == 401:  # https://www.rfc-editor.org/rfc/rfc6750#section-3
            more = (
                (b"www-authenticate", b'Bearer error="invalid_token"' if "authorization" in headers else b"Bearer"),
            )
        await _respond(send, scope["method"], status, media_type, answer, more)
        self._ended(scope["method"], request, answer, status, started)

    def _ended(
        self, method: str, request: GraphQLRequest | None, answer: GraphQLAnswer, status: int, started: float
    ) -> None:
        """Counts and logs a request that has been answered."""
        if self._tracing is not None and (here := CURRENT.get()) is not None and here.is_recorded:
            _tell(here, answer, status)
        if (metrics := self.capacity.metrics) is not None:
            metrics.answered(method, status, answer.errors, time.perf_counter() - started)
        if self._access.isEnabledFor(logging.INFO):
            log_request(self._access, method, request, answer.errors, status, time.perf_counter() - started)

    async def _answer(self, request: GraphQLRequest, receive: Receive) -> GraphQLAnswer | None:
        executor = self._executor()
        if isinstance(executor, str):
            raise HttpRefusal(503, "NOT_READY", executor, (RETRY_AFTER,))
        return await self._once(executor.answer(request), receive)

    async def _stream(
        self, executor: StreamingExecutor, request: GraphQLRequest, receive: Receive, send: Send, *, only_events: bool
    ) -> GraphQLAnswer | None:
        """Streams the answers to a request; None when there is no more to send.

        Returns an answer that is to be sent as any other: one that refuses the request, or that of a query for a client
        that takes others than events, too (`only_events` is false).
        """
        try:
            with self.capacity.a_stream():
                async with aclosing(executor.stream(request)) as items:
                    first = await self._once(first_of(items), receive)
                    if isinstance(first, GraphQLAnswer) and (first.refused or not only_events):
                        return first
                    if first is not None:
                        # Parts are of one request, until the last of them; messages are a stream.
                        in_parts = isinstance(first, AnswerPart)
                        sending = send_events(send, again(first, items), self._limits.stream, endless=not in_parts)
                        if not in_parts:
                            record_no_more()
                        await (self._once(sending, receive) if in_parts else while_connected(receive, sending))
                        await send({"type": "http.response.body", "body": b""})
                    return None
        except StreamInterrupted:
            raise HttpRefusal(503, "UNAVAILABLE", "there is no stream now: try again", (RETRY_AFTER,)) from None

    async def _once(self, answering: Coroutine[object, object, T], receive: Receive) -> T | None:
        """What is answered, within the limits; None where the client has gone."""
        try:
            self.capacity.begin_request()
        except HttpRefusal:
            answering.close()
            raise
        try:
            return await (while_connected(receive, answering) if self._gives_up else answering)
        finally:
            self.capacity.requests.leave()

    async def _read(self, scope: Scope, headers: Mapping[str, str], receive: Receive) -> GraphQLRequest:
        return self.capacity.check_persisted(await self._parameters(scope, headers, receive))

    async def _parameters(self, scope: Scope, headers: Mapping[str, str], receive: Receive) -> GraphQLRequest:
        method = scope["method"]
        if method in {"GET", "HEAD"}:
            return read_query_string(scope["query_string"], headers, min(self._limits.body_bytes, QUERY_STRING_LIMIT))
        if method != "POST":
            raise HttpRefusal(405, "METHOD_NOT_ALLOWED", "GraphQL is asked by GET or POST")
        media_type, _, parameters = headers.get("content-type", "").partition(";")
        if media_type.strip().lower() != "application/json":
            raise HttpRefusal(415, "UNSUPPORTED_MEDIA_TYPE", "a request by POST has the content type application/json")
        if "charset" in parameters.lower() and "utf-8" not in parameters.lower():
            raise HttpRefusal(415, "UNSUPPORTED_MEDIA_TYPE", "a request is encoded in UTF-8")
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise HttpRefusal(415, "UNSUPPORTED_MEDIA_TYPE", "a request's body is not compressed")
        return read_body(await self._body(headers, receive), headers)

    async def _body(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        """The whole body: a request that breaks off before its end is not executed."""
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced[:20]) > self._limits.body_bytes:
            raise self._too_large()
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise HttpRefusal(400, "BAD_REQUEST", "the request broke off")
            chunk: bytes = message.get("body", b"")
            if len(body) + len(chunk) > self._limits.body_bytes:
                raise self._too_large()
            more = message.get("more_body", False)
            if not body and not more:
                return chunk
            body += chunk
            if not more:
                return bytes(body)

    def _too_large(self) -> HttpRefusal:
        return HttpRefusal(413, "REQUEST_TOO_LARGE", f"a request has at most {self._limits.body_bytes} bytes")


def log_request(
    access: logging.Logger,
    method: str,
    request: GraphQLRequest | None,
    errors: Sequence[ErrorObject],
    status: int,
    seconds: float,
) -> None:
    """One line per request: no variables, no headers, no text of the operation."""
    name = request.operation_name if request is not None and request.operation_name else "-"
    codes = sorted({str(error["extensions"]["code"]) for error in errors})
    codes = [code if _CODE.fullmatch(code) else "?" for code in codes]
    access.info(
        "%s /graphql %d %.1f ms operation=%s errors=%s",
        method,
        status,
        seconds * 1000,
        name if _NAME.fullmatch(name[:100]) else "-",
        ",".join(codes) or "-",
    )


class _Parted:
    """One answer that may come in parts. `is_sent`: it does, and all of them are sent."""

    def __init__(
        self, executor: PartsExecutor, request: GraphQLRequest, format_: Format, silence_seconds: float
    ) -> None:
        self._executor = executor
        self._request = request
        self._format = format_
        self._silence_seconds = silence_seconds
        self.is_sent = False

    async def send(self, send: Send) -> GraphQLAnswer:
        """The answer, which is to be sent where it does not come in parts; else what of it was there at first."""
        async with aclosing(self._executor.parts(self._request)) as parts:
            first = await anext(parts)
            if isinstance(first, GraphQLAnswer):
                return first
            await send_parts(send, first, parts, self._format, self._silence_seconds)
            self.is_sent = True
            return first.first or GraphQLAnswer(None, [], {})


async def first_of(items: AsyncGenerator[StreamItem, None]) -> StreamItem:
    return await anext(items)


async def again(first: StreamItem, items: AsyncGenerator[StreamItem, None]) -> AsyncGenerator[StreamItem, None]:
    async with aclosing(items):
        yield first
        async for item in items:
            yield item


def read_headers(raw: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """ASGI's headers by name; what is given several times is joined.

    https://www.rfc-editor.org/rfc/rfc9110#section-5.3
    """
    found = {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}
    if len(found) < len(raw):
        for repeated in found:
            found[repeated] = ", ".join(
                value.decode("latin-1") for name, value in raw if name == repeated.encode("latin-1")
            )
    return found


async def while_connected(receive: Receive, answering: Coroutine[object, object, T]) -> T | None:
    """The result; None if the client goes away before: then the work is cancelled, as far as it lets itself be."""
    current = asyncio.current_task()
    gone = False

    async def watch() -> None:
        nonlocal gone
        message = await receive()
        if message["type"] == "http.request":  # a GET's body, which nobody has read
            message = await receive()
        if message["type"] == "http.disconnect" and current is not None:
            gone = True
            current.cancel()

    watching = asyncio.create_task(watch())
    try:
        return await answering
    except asyncio.CancelledError:
        if not gone or current is None:
            raise
        current.uncancel()
        return None
    finally:
        watching.cancel()


def _status(answer: GraphQLAnswer, media_type: bytes) -> int:
    """https://graphql.github.io/graphql-over-http/draft/#sec-Status-Codes"""
    first = answer.errors[0] if answer.errors else None
    code = first["extensions"]["code"] if first else None
    if not answer.refused:
        # A defect of the executor stands alone; an error of this code at a place in the data is a subgraph's.
        return 500 if first and code in _FAULTS and answer.data is None and "path" not in first else 200
    return _STATUS_OF_REFUSAL.get(str(code), answer.status if media_type is GRAPHQL_RESPONSE else 200)


def is_servers_failure(errors: Sequence[ErrorObject]) -> bool:
    """Whether a request that ends with these errors, and has no status, has failed here and not at its client."""
    return errors[0]["extensions"]["code"] in _NOT_THE_CLIENTS


def _tell(span: Span, answer: GraphQLAnswer, status: int) -> None:
    """What a trace tells of an answer. A request that is refused is its client's failure, not the server's.

    https://opentelemetry.io/docs/specs/semconv/http/http-spans/#status
    """
    span.set("http.response.status_code", status)
    if answer.errors:
        code = str(answer.errors[0]["extensions"]["code"])
        span.fail(code, here=status >= 500 or not answer.refused)
    elif status >= 500:
        span.fail(str(status))


async def _respond(
    send: Send,
    method: str,
    status: int,
    media_type: bytes,
    answer: GraphQLAnswer,
    more: tuple[tuple[bytes, bytes], ...],
) -> None:
    body = answer.text()
    headers = [(b"content-type", media_type), (b"content-length", str(len(body)).encode()), *more]
    if answer.bookmark:
        headers.append((b"bookmark", answer.bookmark.encode()))
    if status == 405:
        headers.append((b"allow", b"GET, HEAD, POST" if method not in {"GET", "HEAD", "POST"} else b"POST"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
