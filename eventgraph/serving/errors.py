"""Every exception as a GraphQL error with a stable `extensions.code`; `docs/errors.md` is the table of the codes.

A refusal is an answer: it is told to the client and is not logged. Anything unexpected is a defect: the client gets
the code INTERNAL and an id, the log gets the exception under that id.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Final

import structlog
from graphql import GraphQLError, GraphQLSyntaxError

from eventkernel.errors import (
    ConcurrencyConflict,
    InvalidInput,
    KernelError,
    OutOfDate,
    Refusal,
    Unavailable,
    VersionConflict,
)
from graphrouter.request import ErrorObject, clipped

INVALID_INPUT: Final = "INVALID_INPUT"
INTERNAL: Final = "INTERNAL"
UNAVAILABLE: Final = (
    "A store does not answer now. Whether a change was made is not known: "
    "sending it again with the same idempotency key is safe."
)

_EXPECTED: Final = (Refusal, OutOfDate, ConcurrencyConflict)

_PLACE: Final = re.compile(r"Variable '\$(?P<variable>\w+)' has invalid value(?: at (?P<within>[\w.\[\]]+))?: ")
"""How graphql-core tells where the value of a variable has what a scalar has refused."""

_log = structlog.stdlib.get_logger("subgraphs")


def error_object(error: GraphQLError) -> ErrorObject:
    """An error that happened while a document was parsed, validated or executed."""
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    if cause is None or isinstance(cause, GraphQLError):
        answer = _of_the_document(error)
    elif isinstance(cause, InvalidInput) and (place := _PLACE.match(error.message)):
        answer = _error(f"{place['variable']}{place['within'] or ''}: {cause}", cause.code)
    else:
        answer = error_object_of(cause, error.path)
    if error.locations:
        answer["locations"] = [{"line": location.line, "column": location.column} for location in error.locations]
    if error.path:
        answer["path"] = list(error.path)
    return answer


def error_object_of(cause: BaseException, path: Sequence[str | int] | None = None) -> ErrorObject:
    """An exception that is no GraphQL error, without a place in the document."""
    if isinstance(cause, Unavailable):
        # Its message is for people who operate the system: it names files, topics and databases.
        _log.warning("unavailable", reason=str(cause), path=path)
        return _error(UNAVAILABLE, cause.code)
    if isinstance(cause, _EXPECTED):
        return _error(str(cause) or type(cause).__name__, cause.code, _details(cause))
    error_id = secrets.token_hex(8)
    _log.error("unexpected_error", error_id=error_id, path=path, exc_info=cause)
    return _error(f"Something unexpected happened; it is logged as {error_id}.", INTERNAL, {"id": error_id})


def _error(message: str, code: str, details: Mapping[str, object] | None = None) -> ErrorObject:
    return {"message": clipped(message), "extensions": {"code": code, **(details or {})}}


def _of_the_document(error: GraphQLError) -> ErrorObject:
    extensions = error.extensions or {}
    code = "GRAPHQL_PARSE_FAILED" if isinstance(error, GraphQLSyntaxError) else INVALID_INPUT
    return {"message": clipped(error.message), "extensions": {**extensions, "code": extensions.get("code", code)}}


def _details(cause: KernelError) -> Mapping[str, object]:
    if isinstance(cause, VersionConflict | ConcurrencyConflict):
        return {"expected": cause.expected, "found": cause.actual}
    return {}
