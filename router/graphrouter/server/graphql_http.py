"""GraphQL over HTTP: what a request must look like, and which media type and status its answer has.

https://graphql.github.io/graphql-over-http/draft/

A browser sends a POST with `application/json` to another origin only after asking that origin (a «preflight»), and GET
executes queries only: so no foreign page can make a visitor's browser change anything.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar, cast
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from graphrouter.execution.errors import error_object
from graphrouter.json_text import NotJson, loads
from graphrouter.request import GraphQLAnswer, GraphQLRequest

if TYPE_CHECKING:
    from graphrouter.router import GraphRouter

T = TypeVar("T")

_access = logging.getLogger("graphrouter.access")

GRAPHQL_RESPONSE = b"application/graphql-response+json; charset=utf-8"
JSON = b"application/json; charset=utf-8"

_STATUS_OF_REFUSAL = {"METHOD_NOT_ALLOWED": 405, "REQUEST_TIMEOUT": 503}
QUERY_STRING_LIMIT = 60_000
"""Bytes; the servers below allow about 64 KiB for a request's whole head."""
_NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]*")


class HttpRefusal(Exception):
    """The HTTP request carries no GraphQL request: the status says in which way."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class GraphQLEndpoint:
    """The ASGI app of `/graphql`. `router` gives the router, or the reason why there is none yet."""

    def __init__(self, router: Callable[[], GraphRouter | str], body_limit: int) -> None:
        self._router = router
        self._body_limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        media_type, request = JSON, None
        try:
            media_type = negotiate(headers.get("accept"))
            request = await self._read(scope, headers, receive)
            found = await while_connected(receive, self._ready_router().answer(request))
            if found is None:
                _access.info("%s /graphql: the client has gone", scope["method"])
                return
            answer = found
            status = _status(answer, media_type)
        except HttpRefusal as refusal:
            answer = GraphQLAnswer(None, [error_object(str(refusal), refusal.code)], {}, refused=True)
            status = refusal.status
        await _respond(send, scope["method"], status, media_type, answer)
        if _access.isEnabledFor(logging.INFO):
            _log_access(scope["method"], request, answer, status, time.perf_counter() - started)

    def _ready_router(self) -> GraphRouter:
        router = self._router()
        if isinstance(router, str):
            raise HttpRefusal(503, "NOT_READY", router)
        return router

    async def _read(self, scope: Scope, headers: Mapping[str, str], receive: Receive) -> GraphQLRequest:
        method = scope["method"]
        if method == "GET":
            return read_query_string(scope["query_string"], headers, min(self._body_limit, QUERY_STRING_LIMIT))
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
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._body_limit:
            raise self._too_large()
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise HttpRefusal(400, "BAD_REQUEST", "the request broke off")
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._body_limit:
                raise self._too_large()
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _too_large(self) -> HttpRefusal:
        return HttpRefusal(413, "REQUEST_TOO_LARGE", f"a request has at most {self._body_limit} bytes")


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


def negotiate(accept: str | None) -> bytes:
    """The media type of the answer: the new one where it is asked for by name, plain JSON for everybody else."""
    if accept is None:
        return JSON
    offered = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    if "application/graphql-response+json" in offered:
        return GRAPHQL_RESPONSE
    if offered & {"application/json", "application/*", "*/*", ""}:
        return JSON
    raise HttpRefusal(406, "NOT_ACCEPTABLE", "answers are application/graphql-response+json or application/json")


def read_body(body: bytes, headers: Mapping[str, str]) -> GraphQLRequest:
    try:
        entries = loads(body)
    except NotJson as error:
        raise HttpRefusal(400, "BAD_REQUEST", "the request's body is not JSON") from error
    if isinstance(entries, list):
        raise HttpRefusal(400, "BATCHING_NOT_SUPPORTED", "send one operation per request")
    if not isinstance(entries, dict):
        raise HttpRefusal(400, "BAD_REQUEST", "the request's body is a JSON object")
    return _request(cast("dict[str, object]", entries), headers)


def read_query_string(query_string: bytes, headers: Mapping[str, str], limit: int) -> GraphQLRequest:
    if len(query_string) > limit:
        raise HttpRefusal(414, "REQUEST_TOO_LARGE", f"a query string has at most {limit} bytes")
    try:
        parameters = parse_qs(query_string.decode(), keep_blank_values=True, max_num_fields=20, errors="strict")
    except ValueError as error:
        raise HttpRefusal(400, "BAD_REQUEST", "the query string cannot be read") from error
    entries: dict[str, object] = {name: values[-1] for name, values in parameters.items()}
    for name in ("variables", "extensions"):
        text = entries.get(name)
        if isinstance(text, str):
            try:
                entries[name] = loads(text.encode()) if text else None
            except NotJson as error:
                raise HttpRefusal(400, "BAD_REQUEST", f"the parameter {name} is not JSON") from error
    if entries.get("operationName") == "":
        del entries["operationName"]
    return replace(_request(entries, headers), only_queries=True)


def _request(entries: dict[str, object], headers: Mapping[str, str]) -> GraphQLRequest:
    query, operation_name = entries.get("query"), entries.get("operationName")
    variables, extensions = entries.get("variables"), entries.get("extensions")
    if not isinstance(query, str):
        raise HttpRefusal(400, "BAD_REQUEST", "a request has a query, which is a string")
    if not isinstance(operation_name, str | None):
        raise HttpRefusal(400, "BAD_REQUEST", "operationName is a string")
    if not isinstance(variables, dict | None):
        raise HttpRefusal(400, "BAD_REQUEST", "variables are a JSON object")
    if not isinstance(extensions, dict | None):
        raise HttpRefusal(400, "BAD_REQUEST", "extensions are a JSON object")
    return GraphQLRequest(
        query,
        cast("dict[str, object]", variables or {}),
        operation_name,
        headers,
        cast("dict[str, object]", extensions or {}),
    )


def _status(answer: GraphQLAnswer, media_type: bytes) -> int:
    """https://graphql.github.io/graphql-over-http/draft/#sec-Status-Codes"""
    code = answer.errors[0]["extensions"]["code"] if answer.errors else None
    if code == "INTERNAL_ERROR":
        return 500
    if not answer.refused:
        return 200
    return _STATUS_OF_REFUSAL.get(str(code), 400 if media_type is GRAPHQL_RESPONSE else 200)


async def _respond(send: Send, method: str, status: int, media_type: bytes, answer: GraphQLAnswer) -> None:
    body = answer.text()
    headers = [(b"content-type", media_type), (b"content-length", str(len(body)).encode())]
    if answer.bookmark:
        headers.append((b"bookmark", answer.bookmark.encode()))
    if status == 405:
        headers.append((b"allow", b"GET, POST" if method not in {"GET", "POST"} else b"POST"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _log_access(
    method: str, request: GraphQLRequest | None, answer: GraphQLAnswer, status: int, seconds: float
) -> None:
    """One line per request: no variables, no headers, no text of the operation."""
    name = request.operation_name if request is not None and request.operation_name else "-"
    codes = sorted({str(error["extensions"]["code"]) for error in answer.errors})
    _access.info(
        "%s /graphql %d %.1f ms operation=%s errors=%s",
        method,
        status,
        seconds * 1000,
        name if _NAME.fullmatch(name[:100]) else "-",
        ",".join(codes) or "-",
    )
