"""Every exception as a GraphQL error with a stable `extensions.code`; `docs/errors.md` is the table of the codes.

A refusal is an answer: it is told to the client and is not logged. Anything unexpected is a defect: the client gets
the code INTERNAL and an id, the log gets the exception under that id.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

import structlog
from graphql import GraphQLError, GraphQLSyntaxError

from eventkernel.errors import (
    ClaimTaken,
    ConcurrencyConflict,
    KernelError,
    OutOfDate,
    Refusal,
    Unavailable,
    VersionConflict,
)

ErrorObject = dict[str, object]
"""One entry of `errors` in a response (https://spec.graphql.org/draft/#sec-Errors)."""

INVALID_INPUT: Final = "INVALID_INPUT"
INTERNAL: Final = "INTERNAL"

_EXPECTED: Final = (Refusal, OutOfDate, Unavailable, ConcurrencyConflict)

_log = structlog.stdlib.get_logger("subgraphs")


def error_object(error: GraphQLError) -> ErrorObject:
    """An error that happened while a document was parsed, validated or executed."""
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    if cause is None or isinstance(cause, GraphQLError):
        answer = _of_the_document(error)
    else:
        answer = error_object_of(cause, error.path)
    if error.locations:
        answer["locations"] = [{"line": location.line, "column": location.column} for location in error.locations]
    if error.path:
        answer["path"] = list(error.path)
    return answer


def error_object_of(cause: BaseException, path: object = None) -> ErrorObject:
    """An exception that is no GraphQL error, without a place in the document."""
    if isinstance(cause, _EXPECTED):
        return {"message": str(cause) or type(cause).__name__, "extensions": {"code": cause.code, **_details(cause)}}
    error_id = secrets.token_hex(8)
    _log.error("unexpected_error", error_id=error_id, path=path, exc_info=cause)
    return {"message": f"Something unexpected happened; it is logged as {error_id}.",
            "extensions": {"code": INTERNAL, "id": error_id}}  # fmt: skip


def _of_the_document(error: GraphQLError) -> ErrorObject:
    extensions = error.extensions or {}
    if "code" not in extensions:
        code = "GRAPHQL_PARSE_FAILED" if isinstance(error, GraphQLSyntaxError) else INVALID_INPUT
        extensions = {**extensions, "code": code}
    return {"message": error.message, "extensions": extensions}


def _details(cause: KernelError) -> Mapping[str, object]:
    if isinstance(cause, VersionConflict | ConcurrencyConflict):
        return {"expected": cause.expected, "found": cause.actual}
    if isinstance(cause, ClaimTaken):
        return {"claim": cause.claim}
    return {}
