"""Every code that an error of the router has: what it means, its HTTP status, and what to do. The reference page
(`configuration.md`) is made of it.

The status is that of clients that accept `application/graphql-response+json`; others get 200 where it says 400.
https://graphql.github.io/graphql-over-http/draft/#sec-Status-Codes
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One code. `status` is the HTTP status of an answer that has no data because of it."""

    code: str
    meaning: str
    remedy: str
    status: int = 400


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Codes that come from one part of the router."""

    title: str
    about: str
    codes: tuple[ErrorCode, ...]


_CORRECT: Final = "correct the request"
_AGAIN: Final = "try again, after `Retry-After`"
_LESS: Final = "ask for less in one operation"

GROUPS: Final = (
    ErrorGroup(
        "Errors of HTTP",
        "The request is refused before any GraphQL is read.",
        (
            ErrorCode("BAD_REQUEST", "body, parameters or operation are no GraphQL request that is served", _CORRECT),
            ErrorCode("BATCHING_NOT_SUPPORTED", "the body is a list of requests", "send each by itself"),
            ErrorCode("METHOD_NOT_ALLOWED", "neither GET nor POST, or no query by GET", "ask by POST", 405),
            ErrorCode("NOT_ACCEPTABLE", "`Accept` allows none of the media types of GraphQL", _CORRECT, 406),
            ErrorCode("REQUEST_TOO_LARGE", "the body is longer than `limits.body_bytes` (414: the query)", _LESS, 413),
            ErrorCode("UNSUPPORTED_MEDIA_TYPE", "the body is not `application/json` in UTF-8", _CORRECT, 415),
            ErrorCode(
                "MISDIRECTED_REQUEST",
                "the server does not answer to this `Host`",
                "see the setting `server.hosts`",
                421,
            ),
            ErrorCode("RATE_LIMITED", "the client has sent too many requests", _AGAIN, 429),
            ErrorCode("OVERLOADED", "too many requests, operations or streams are under way", _AGAIN, 503),
            ErrorCode("NOT_READY", "the router waits for a subgraph's schema", _AGAIN, 503),
        ),
    ),
    ErrorGroup(
        "Errors of requests",
        "The operation is not executed; nothing was changed.",
        (
            ErrorCode(
                "UNAUTHENTICATED",
                "the token is wrong, or missing and required; during a subscription: it has expired",
                "get a new token; a subscription resumes from its bookmark",
                401,
            ),
            ErrorCode(
                "AUTHENTICATION_UNAVAILABLE", "the keys of the token's issuer cannot be read", "try again later", 503
            ),
            ErrorCode(
                "PERSISTED_QUERY_NOT_FOUND", "no operation of this id is known", "after a hash: send the text with it"
            ),
            ErrorCode("PERSISTED_QUERY_NOT_SUPPORTED", "an id or a hash, where operations have none", "send the text"),
            ErrorCode("OPERATION_NOT_TRUSTED", "the operation is not on the list", "have it put on the list"),
            ErrorCode("GRAPHQL_PARSE_FAILED", "the document is not GraphQL", _CORRECT),
            ErrorCode("GRAPHQL_VALIDATION_FAILED", "the document does not fit the schema", _CORRECT),
            ErrorCode(
                "OPERATION_RESOLUTION_FAILURE", "no operation of that name, or several and no name", "name one of them"
            ),
            ErrorCode("INVALID_VARIABLES", "a variable is missing, or not of its type", _CORRECT),
            ErrorCode("INVALID_INPUT", "a bookmark, or another forwarded extension or header, is malformed", _CORRECT),
            ErrorCode("UNKNOWN_OPERATION", "no subgraph has operations of this kind", _CORRECT),
            ErrorCode(
                "UNREACHABLE_FIELD",
                "no path through the subgraphs leads to the field, and the operation asks for it",
                "leave the field out; the schemas do not fit together",
            ),
            ErrorCode(
                "SUBSCRIPTIONS_NOT_SUPPORTED",
                "a subscription without `Accept: text/event-stream`, or its subgraph cannot be streamed from",
                "ask over Server-Sent Events or WebSocket",
            ),
            ErrorCode("HOOK_FAILED", "a hook has failed; the message names it, the log has the rest", "report it", 500),
            ErrorCode("INTERNAL_ERROR", "a defect of the router, which its log describes", "report it", 500),
        ),
    ),
    ErrorGroup(
        "Errors of limits",
        "The operation is over a limit; the message names it. Nothing was executed, except where the page says so.",
        (
            ErrorCode("TOO_MANY_TOKENS", "the document is longer than `limits.tokens`", _LESS),
            ErrorCode("TOO_DEEP", "fields are nested deeper than `limits.depth`", _LESS),
            ErrorCode("TOO_MANY_FIELDS", "more than `limits.fields`", _LESS),
            ErrorCode("TOO_MANY_ALIASES", "more than `limits.aliases`", _LESS),
            ErrorCode("TOO_MANY_ROOT_FIELDS", "more than `limits.root_fields`", _LESS),
            ErrorCode("TOO_MANY_INTROSPECTIONS", "more than `limits.introspections`", _LESS),
            ErrorCode("OPERATION_TOO_LARGE", "more under one response key than `limits.repeats`, or to plan", _LESS),
            ErrorCode("FRAGMENT_CYCLE", "a fragment contains itself", _CORRECT),
            ErrorCode("PLANNING_LIMIT", "planning takes too many steps, or too long", _LESS),
            ErrorCode(
                "TOO_MANY_OBJECTS",
                "more objects than `limits.objects`, by the sizes of pages before, or as they came (then the data are"
                " null from there on)",
                "ask for smaller pages",
            ),
            ErrorCode(
                "COST_ESTIMATED_TOO_EXPENSIVE", "by estimate it costs more than `limits.cost`", "ask for smaller pages"
            ),
            ErrorCode(
                "SLICING_ARGUMENT_REQUIRED",
                "`@listSize` of a field asks for one of its slicing arguments, and none or several are given",
                "give one of them",
            ),
            ErrorCode(
                "REQUEST_TIMEOUT",
                "the request takes longer than `limits.seconds`; a mutation may have been made",
                "try again; a change with the same idempotency key",
                503,
            ),
            ErrorCode(
                "TOO_MANY_ERRORS", "there are more errors than `limits.errors`", "look at those that are listed", 200
            ),
        ),
    ),
    ErrorGroup(
        "Errors of subgraphs",
        "They stand at a `path` of the data, and `extensions.service` names the subgraph. A subgraph's own error keeps"
        " its code. The HTTP status is 200.",
        (
            ErrorCode("SUBREQUEST_FAILED", "no answer: refused, reset, crashed", "try again", 200),
            ErrorCode("SUBREQUEST_TIMEOUT", "no answer in time", "try again", 200),
            ErrorCode(
                "SUBREQUEST_NOT_SENT",
                "the subgraph has failed too often and is left alone for a while; a mutation was not made",
                "try again later",
                200,
            ),
            ErrorCode("SUBREQUEST_TOO_LARGE", "the answer is over `all_subgraphs.response_bytes`", _LESS, 200),
            ErrorCode("SUBREQUEST_HTTP_ERROR", "an HTTP error without a GraphQL body", "see the subgraph's log", 200),
            ErrorCode(
                "SUBREQUEST_MALFORMED",
                "the answer is not JSON, not a GraphQL response, or has not the entities that were asked for",
                "see the subgraph's log",
                200,
            ),
            ErrorCode("SUBGRAPH_ERROR", "the subgraph's own error, which had no code", "see its message", 200),
            ErrorCode("UNAUTHORIZED_FIELD_OR_TYPE", "the caller may not see this; it was not fetched", "", 200),
            ErrorCode(
                "INVALID_VALUE",
                "the schema does not allow the value here; also an `Int` beyond 32 bits, a number beyond a double, a"
                " scalar nested more than 250 levels deep",
                "correct the subgraph",
                200,
            ),
            ErrorCode(
                "NULL_VALUE",
                "null in a non-null position that no other error explains",
                "correct the subgraph",
                200,
            ),
        ),
    ),
    ErrorGroup(
        "Errors of streams",
        "A subscription ends with them.",
        (
            ErrorCode(
                "SLOW_CONSUMER",
                "messages were read more slowly than they came",
                "subscribe again from the bookmark of this error",
                200,
            ),
            ErrorCode(
                "UNAVAILABLE",
                "the stream cannot begin now, or was interrupted",
                "subscribe again from the bookmark",
                503,
            ),
        ),
    ),
)

ERROR_CODES: Final = {one.code: one for group in GROUPS for one in group.codes}
