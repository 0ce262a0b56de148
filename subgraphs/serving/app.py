"""The ASGI app of a subgraph: GraphQL over HTTP with bookmarks at `/graphql` and `/`, health at `/health/…`.

The way of a request: headers and body are read, their bookmarks joined; the gate gives the live build of the view once
it has reached them, and knows the past that the request is about if it is about one; the document is executed on that
one build; the answer carries a bookmark that covers what was sent, what was committed, and, for a query, the checkpoint
of the build that was read. The checkpoint is asked for after the reading: an answer to this bookmark is never older
than anything that this answer has shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, cast

import orjson
from graphql import ExecutionResult, OperationType
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from eventkernel.as_of import AsOf, read_as_of
from eventkernel.bookmark import Bookmark
from eventkernel.errors import InvalidInput, OutOfDate, Unavailable
from subgraphs.serving.errors import ErrorObject, error_object, error_object_of
from subgraphs.serving.execution import Documents, InvalidDocument
from subgraphs.serving.federation import FederatedSchema
from subgraphs.serving.readiness import Readiness
from subgraphs.serving.request import Gate, Headers, Request, ViewT

BODY_LIMIT: Final = 10 * 1024 * 1024
"""The largest request body, in bytes."""

_JSON: Final = "application/json"
_GRAPHQL_JSON: Final = "application/graphql-response+json"


def subgraph_app(
    schema: FederatedSchema,
    *,
    gate: Gate[ViewT],
    writes: object,
    readiness: Callable[[], Awaitable[Readiness]],
) -> Starlette:
    endpoint = _GraphQLEndpoint(schema, gate, writes)
    health = _Health(readiness)
    return Starlette(
        routes=[
            Route("/graphql", endpoint, methods=["POST"]),
            Route("/", endpoint, methods=["POST"]),
            Route("/health/live", health.live, methods=["GET"]),
            Route("/health/ready", health.ready, methods=["GET"]),
        ]
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    body: Mapping[str, object]
    bookmark: str = ""
    status: int = 200
    """The status where the client knows `application/graphql-response+json`; with plain JSON it is 200 always, as
    https://graphql.github.io/graphql-over-http/draft/#sec-application-json demands for well-formed requests."""


class _GraphQLEndpoint(Generic[ViewT]):
    def __init__(self, schema: FederatedSchema, gate: Gate[ViewT], writes: object) -> None:
        self._documents = Documents(schema)
        self._gate = gate
        self._writes = writes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        accept = next((value for name, value in scope["headers"] if name == b"accept"), b"")
        well_formed = True
        try:
            body = await _read_body(receive)
            headers = Headers.read(scope["headers"])
            payload = _Payload.read(body)
        except (InvalidInput, _TooLarge) as refusal:
            well_formed = False
            answer = _refused(error_object_of(refusal), 413 if isinstance(refusal, _TooLarge) else 400)
        else:
            answer = await self._answer(headers, payload)
        media_type = _GRAPHQL_JSON if _GRAPHQL_JSON.encode() in accept else _JSON
        status = answer.status if media_type == _GRAPHQL_JSON or not well_formed else 200
        await _send(send, status, media_type, orjson.dumps(answer.body), answer.bookmark)

    async def _answer(self, headers: Headers, payload: _Payload) -> _Answer:
        try:
            document = self._documents.prepare(payload.query)
            operation_type = document.operation_type(payload.operation)
            if operation_type is OperationType.SUBSCRIPTION:
                raise InvalidInput("query: expected a query or a mutation, found a subscription")  # noqa: TRY301  # answered below like all others
            sent = headers.bookmark if payload.bookmark is None else headers.bookmark.join(payload.bookmark)
            as_of = _one_past(headers.as_of, payload.as_of, operation_type)
            deadline = asyncio.get_running_loop().time() + headers.timeout
            if as_of is None:
                build = await self._gate.wait(sent, headers.timeout)
            else:
                build = await self._gate.wait_for_past(as_of, sent, headers.timeout)
            request = Request(
                view=build.as_of(as_of), writes=self._writes, headers=headers, as_of=as_of, bookmark=sent,
                gate=self._gate, deadline=deadline,
            )  # fmt: skip
            result = await self._documents.execute(document, payload.variables, payload.operation, request)
            # A refused mutation has committed nothing: its answer, too, says how far the replica was that it looked at.
            if operation_type is OperationType.QUERY or not request.bookmark.position:
                checkpoint = await build.checkpoint()
                request.join(Bookmark(position=checkpoint.position))
        except InvalidDocument as invalid:
            return _Answer({"errors": [error_object(error) for error in invalid.errors]}, status=400)
        except InvalidInput as refusal:
            return _refused(error_object_of(refusal), 400)
        except (OutOfDate, Unavailable) as refusal:
            return _refused(error_object_of(refusal), 503)
        except Exception as defect:  # noqa: BLE001  # a client gets the id of the log entry, whatever went wrong
            return _refused(error_object_of(defect), 500)
        return _executed(result, request.encoded_bookmark())


@dataclass(frozen=True, slots=True)
class _Payload:
    """The body of a request (https://graphql.github.io/graphql-over-http/draft/#sec-Request-Parameters)."""

    query: str
    variables: dict[str, object] | None
    operation: str | None
    bookmark: Bookmark | None
    as_of: AsOf | None

    @classmethod
    def read(cls, body: bytes) -> _Payload:
        try:
            content: object = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise InvalidInput(f"body: expected JSON, found something else at byte {error.pos}") from error
        if not isinstance(content, dict):
            raise InvalidInput(f"body: expected a JSON object, found {type(content).__name__}")
        parameters = cast("dict[str, object]", content)
        query = parameters.get("query")
        if not isinstance(query, str):
            raise InvalidInput(f"query: expected a text, found {type(query).__name__}")
        operation = parameters.get("operationName")
        if operation is not None and not isinstance(operation, str):
            raise InvalidInput(f"operationName: expected a text, found {type(operation).__name__}")
        extensions = _object("extensions", parameters.get("extensions"))
        return cls(
            query=query,
            variables=_object("variables", parameters.get("variables")),
            operation=operation or None,
            bookmark=None if (sent := _text(extensions, "bookmark")) is None else Bookmark.decode(sent),
            as_of=None if (then := _text(extensions, "asOf")) is None else read_as_of(then),
        )


def _object(name: str, value: object) -> dict[str, object] | None:
    if value is not None and not isinstance(value, dict):
        raise InvalidInput(f"{name}: expected an object, found {type(value).__name__}")
    return cast("dict[str, object] | None", value)


def _text(extensions: dict[str, object] | None, name: str) -> str | None:
    value = extensions.get(name) if extensions else None
    if value is not None and not isinstance(value, str):
        raise InvalidInput(f"extensions.{name}: expected a text, found {type(value).__name__}")
    return value


def _one_past(header: AsOf | None, extension: AsOf | None, operation_type: OperationType) -> AsOf | None:
    """The past that a request is about; None for the present."""
    if header is None and extension is None:
        return None
    if operation_type is not OperationType.QUERY:
        raise InvalidInput("As-Of: expected none, for the past cannot be changed, found one with a mutation")
    if header is not None and extension is not None and header != extension:
        raise InvalidInput("As-Of: expected the same past as extensions.asOf, found another one")
    return extension if header is None else header


def _refused(error: ErrorObject, status: int) -> _Answer:
    return _Answer({"errors": [error]}, status=status)


def _executed(result: ExecutionResult, bookmark: str) -> _Answer:
    body: dict[str, object] = {}
    errors = result.errors
    if errors:
        body["errors"] = [error_object(error) for error in errors]
    # A request error, such as a variable of another type, is told by the missing path: then there is no data entry.
    began = not (errors and result.data is None and all(error.path is None for error in errors))
    if began:
        body["data"] = result.data
    body["extensions"] = {"bookmark": bookmark}
    return _Answer(body, bookmark, 200 if began else 400)


class _TooLarge(InvalidInput):
    """The body is larger than `BODY_LIMIT`."""


async def _read_body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > BODY_LIMIT:
            raise _TooLarge(f"body: expected at most {BODY_LIMIT} bytes, found more")
        more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _send(send: Send, status: int, media_type: str, body: bytes, bookmark: str = "") -> None:
    headers = [(b"content-type", media_type.encode()), (b"content-length", str(len(body)).encode())]
    if bookmark:
        headers.append((b"bookmark", bookmark.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class _Health:
    def __init__(self, readiness: Callable[[], Awaitable[Readiness]]) -> None:
        self._readiness = readiness

    async def live(self, _request: HttpRequest) -> Response:
        return Response(orjson.dumps({"status": "live"}), media_type=_JSON)

    async def ready(self, _request: HttpRequest) -> Response:
        found = await self._readiness()
        body = {
            "status": "not ready" if found.reasons else "ready",
            "reasons": list(found.reasons),
            "warnings": list(found.warnings),
        }
        return Response(orjson.dumps(body), 503 if found.reasons else 200, media_type=_JSON)
