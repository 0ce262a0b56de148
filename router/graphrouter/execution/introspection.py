"""Answers `__schema` and `__type` from the API schema, by graphql-core.

https://spec.graphql.org/October2021/#sec-Introspection
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import graphql
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
)

from graphrouter.execution.collect import FieldCollector
from graphrouter.execution.merge import JsonObject


class Introspection:
    """The introspection fields of one operation, as a document of their own."""

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        conditions: Mapping[str, bool],
    ) -> None:
        self._schema = schema
        root = schema.get_root_type(operation.operation)
        collected = (
            FieldCollector(schema, fragments, conditions).fields(root, (operation.selection_set,)) if root else {}
        )
        fields: list[FieldNode] = [
            node for nodes in collected.values() for node in nodes if node.name.value in ("__schema", "__type")
        ]
        self._document: DocumentNode | None = None
        if fields:
            own = OperationDefinitionNode(
                operation=operation.operation,
                name=None,
                variable_definitions=operation.variable_definitions,
                directives=(),
                selection_set=SelectionSetNode(selections=tuple(fields)),
            )
            self._document = DocumentNode(definitions=(own, *fragments.values()))
        self._takes_variables = bool(operation.variable_definitions)
        self._answer: JsonObject | None = None

    def answer(self, variables: Mapping[str, object]) -> JsonObject:
        """Response key → value; kept where it cannot differ between requests."""
        if self._document is None:
            return {}
        if self._answer is None or self._takes_variables:
            # graphql-core types it with generics that strict checkers cannot follow.
            execute_sync = cast("Callable[..., ExecutionResult]", graphql.execute_sync)  # pyright: ignore[reportUnknownMemberType]
            result = execute_sync(self._schema, self._document, variable_values=dict(variables))
            if result.data is None:
                raise RuntimeError(f"introspection failed: {result.errors}")
            self._answer = result.data
        return self._answer
