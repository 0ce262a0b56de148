"""The parameters of a GraphQL request, out of a JSON body or a query string.

https://graphql.github.io/graphql-over-http/draft/#sec-Request-Parameters

A persisted operation is named by the hash of its text (`extensions.persistedQuery`), or by any text (`documentId`):
https://www.apollographql.com/docs/apollo-server/performance/apq#protocol and
https://github.com/graphql/graphql-over-http/pull/264.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, cast
from urllib.parse import parse_qs

from graphrouter.http.refusal import HttpRefusal
from graphrouter.json_text import NotJson, loads
from graphrouter.request import GraphQLRequest

QUERY_STRING_LIMIT: Final = 60_000
"""Bytes; servers allow about 64 KiB for a request's whole head."""


def read_body(body: bytes, headers: Mapping[str, str]) -> GraphQLRequest:
    """
    Raises:
        HttpRefusal: the body is no GraphQL request.
    """
    try:
        entries = loads(body)
    except NotJson as error:
        raise HttpRefusal(400, "BAD_REQUEST", "the request's body is not JSON") from error
    if isinstance(entries, list):
        raise HttpRefusal(400, "BATCHING_NOT_SUPPORTED", "send one operation per request")
    if not isinstance(entries, dict):
        raise HttpRefusal(400, "BAD_REQUEST", "the request's body is a JSON object")
    return read_entries(cast("dict[str, object]", entries), headers)


def read_query_string(query_string: bytes, headers: Mapping[str, str], limit: int) -> GraphQLRequest:
    """The same, out of at most `limit` bytes; it may only query."""
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
    return replace(read_entries(entries, headers), only_queries=True)


def read_entries(entries: Mapping[str, object], headers: Mapping[str, str]) -> GraphQLRequest:
    """The same, out of a JSON object."""
    query, operation_name = entries.get("query"), entries.get("operationName")
    variables, extensions = entries.get("variables"), entries.get("extensions")
    if not isinstance(operation_name, str | None):
        raise HttpRefusal(400, "BAD_REQUEST", "operationName is a string")
    if not isinstance(variables, dict | None):
        raise HttpRefusal(400, "BAD_REQUEST", "variables are a JSON object")
    if not isinstance(extensions, dict | None):
        raise HttpRefusal(400, "BAD_REQUEST", "extensions are a JSON object")
    document_id = entries.get("documentId")
    if not isinstance(document_id, str | None):
        raise HttpRefusal(400, "BAD_REQUEST", "documentId is a string")
    if extensions and "persistedQuery" in extensions:
        document_id = _hash_of(cast("object", extensions["persistedQuery"]), query) or document_id
    if query is None and document_id:
        query = ""
    if not isinstance(query, str):
        raise HttpRefusal(400, "BAD_REQUEST", "a request has a query, which is a string")
    return GraphQLRequest(
        query,
        cast("dict[str, object]", variables or {}),
        operation_name or None,
        headers,
        cast("dict[str, object]", extensions or {}),
        document_id=document_id,
    )


def _hash_of(asked: object, query: object) -> str | None:
    """The hash that an operation is asked for by; one beside a query has to be the query's."""
    if asked is None:
        return None
    entry = cast("dict[str, object]", asked) if isinstance(asked, dict) else {}
    version, digest = entry.get("version"), entry.get("sha256Hash")
    if version != 1 or not isinstance(digest, str):
        raise HttpRefusal(400, "BAD_REQUEST", "extensions.persistedQuery has the version 1 and a sha256Hash")
    if (
        isinstance(query, str)
        and query
        and hashlib.sha256(query.encode(errors="replace")).hexdigest() != digest.lower()
    ):
        raise HttpRefusal(400, "BAD_REQUEST", "extensions.persistedQuery.sha256Hash is not the hash of the query")
    return digest.lower()
