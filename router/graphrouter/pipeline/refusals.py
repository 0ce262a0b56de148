"""Errors of graphql-core as the errors of an answer."""

from __future__ import annotations

from graphql import GraphQLError

from graphrouter.execution.errors import ErrorObject, error_object


def located(error: GraphQLError, code: str) -> ErrorObject:
    result = error_object(error.message, code)
    if error.locations:
        result["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
    return result
