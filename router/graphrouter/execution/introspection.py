"""Answers `__schema` and `__type` from the API schema, by graphql-core, wherever an operation asks for them.

What an answer is depends on the selection and its variables only: not on the alias, nor on where it stands. So each is
worked out once, in the background, and kept by its content, weighed by the memory that it takes.

https://spec.graphql.org/October2021/#sec-Introspection
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

import graphql
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLSchema,
    Node,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    Visitor,
    print_ast,
    separate_operations,
    visit,
)

from graphrouter.cache import LruCache
from graphrouter.execution.background import Background
from graphrouter.execution.inflight import Flights
from graphrouter.json_text import Json, dumps


class IntrospectionField:
    """One selection of `__schema` or `__type`, as an operation of its own, without its alias."""

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        nodes: Iterable[FieldNode],
    ) -> None:
        self._schema = schema
        selections = SelectionSetNode(selections=tuple(replace(node, alias=None, directives=()) for node in nodes))
        own = OperationDefinitionNode(
            operation=OperationType.QUERY, name=None, variable_definitions=(), directives=(), selection_set=selections
        )
        separated = separate_operations(DocumentNode(definitions=(own, *fragments.values())))[""]
        used = [one for one in separated.definitions if isinstance(one, FragmentDefinitionNode)]
        self._variables = _variables(separated)
        definitions = operation.variable_definitions or ()
        declared = tuple(one for one in definitions if one.variable.name.value in self._variables)
        self._document = DocumentNode(definitions=(replace(own, variable_definitions=declared), *used))
        self._text = print_ast(self._document)

    def content(self, variables: Mapping[str, object]) -> object:
        """Equal where the answers are."""
        return self._text, dumps({name: variables[name] for name in sorted(self._variables) if name in variables})

    def answer(self, variables: Mapping[str, object]) -> Json:
        # graphql-core types it with generics that strict checkers cannot follow.
        # A schema with `@defer` is executed by this function only. Nothing is deferred: it gives a whole result.
        execute = cast("Callable[..., ExecutionResult]", graphql.experimental_execute_incrementally)  # pyright: ignore[reportUnknownMemberType]
        given = {name: value for name, value in variables.items() if name in self._variables}
        result = execute(self._schema, self._document, variable_values=given)
        if result.data is None or result.errors:
            raise RuntimeError(f"introspection failed: {result.errors}")
        (value,) = result.data.values()
        return value


class IntrospectionAnswers:
    """The answers that are known, and those that are being worked out."""

    def __init__(self, background: Background, kept_bytes: int) -> None:
        self._background = background
        self._known: LruCache[tuple[Json]] = LruCache(1_000, kept_bytes)
        self._flights: Flights[tuple[Json]] = Flights()

    async def of(self, field: IntrospectionField, variables: Mapping[str, object]) -> Json:
        content = field.content(variables)
        known = self._known.get(content)
        if known is None:

            async def work() -> tuple[Json]:
                found, weight = await self._background.run(lambda: _weighed(field.answer(variables)))
                self._known.put(content, found, weight=weight)
                return found

            known = await self._flights.join(content, work)
        return known[0]


def _weighed(value: Json) -> tuple[tuple[Json], int]:
    return (value,), memory_of(value)


def memory_of(value: Json) -> int:
    """Bytes that a JSON value takes in memory; what stands there several times counts once."""
    seen: set[int] = set()
    total = 0
    waiting: list[Any] = [value]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        total += sys.getsizeof(one)
        if isinstance(one, dict):
            for key, below in cast("dict[str, Json]", one).items():
                waiting += (key, below)
        elif isinstance(one, list):
            waiting += one
    return total


def _variables(document: DocumentNode) -> frozenset[str]:
    found: set[str] = set()

    class Finder(Visitor):
        def enter_variable(self, node: Node, *_: object) -> None:
            found.add(cast("VariableNode", node).name.value)

    visit(document, Finder())
    return frozenset(found)
