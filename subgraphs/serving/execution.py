"""Documents against a schema: parsed and validated once per text, executed by graphql-core without further layers.

Strawberry's own `execute` prepares extensions for every request, which takes as long as executing a small query.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from inspect import isawaitable
from typing import Final

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    execute,  # pyright: ignore[reportUnknownVariableType]  # some of its optional parameters are untyped
    parse,
    validate,
)

from subgraphs.serving.executor import CountingExecutor
from subgraphs.serving.federation import FederatedSchema

_DOCUMENTS_KEPT: Final = 1_000
_DOCUMENT_KEPT_LIMIT: Final = 32_768
"""The longest document, in characters, that is worth keeping: larger ones come from nobody twice."""
_MAX_TOKENS: Final = 20_000


class InvalidDocument(Exception):
    """The document cannot be executed, for reasons with places in it."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(f"{len(errors)} errors")
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Document:
    """A valid document and its operations by name."""

    node: DocumentNode
    operations: Mapping[str | None, OperationType]

    def operation_type(self, name: str | None) -> OperationType:
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        found = self.operations.get(name)
        if found is None or name is None:
            expected = "operationName: expected the name of one of the document's operations"
            error = GraphQLError(f"{expected}, found {'none' if name is None else 'another'}")
            raise InvalidDocument([error])
        return found


class Documents:
    """Turns texts into documents that are valid against one schema."""

    def __init__(self, schema: FederatedSchema) -> None:
        self._schema = schema.compiled
        self._kept = lru_cache(_DOCUMENTS_KEPT)(self._prepare)

    def prepare(self, text: str) -> Document:
        """Raises InvalidDocument."""
        return self._kept(text) if len(text) <= _DOCUMENT_KEPT_LIMIT else self._prepare(text)

    async def execute(
        self, document: Document, variables: dict[str, object] | None, operation: str | None, context: object
    ) -> ExecutionResult:
        result = execute(
            self._schema,
            document.node,
            context_value=context,
            variable_values=variables,
            operation_name=operation,
            executor_class=CountingExecutor,
        )
        return await result if isawaitable(result) else result

    def _prepare(self, text: str) -> Document:
        try:
            node = parse(text, max_tokens=_MAX_TOKENS)
        except GraphQLError as malformed:
            raise InvalidDocument([malformed]) from malformed
        errors = validate(self._schema, node)
        if errors:
            for error in errors:
                error.extensions = {**(error.extensions or {}), "code": "GRAPHQL_VALIDATION_FAILED"}
            raise InvalidDocument(errors)
        operations = {
            definition.name.value if definition.name else None: definition.operation
            for definition in node.definitions
            if isinstance(definition, OperationDefinitionNode)
        }
        return Document(node, operations)
