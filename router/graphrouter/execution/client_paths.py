"""Where an error stands in the client's own terms.

Subgraphs are asked for more than the client asks for: keys, and what other fields require. What fails there is told at
the nearest object that the client knows. https://spec.graphql.org/October2021/#sec-Errors
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from graphql import (
    BooleanValueNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from graphrouter.execution.collect import condition_values
from graphrouter.execution.errors import ErrorObject, ResponsePath


class ClientPaths:
    """Reads positions of the merged data as positions of the response to one operation.

    `typename_key` is where the data have other fields that the client calls `__typename`; `variables` decide `@skip`
    and `@include`.
    """

    def __init__(
        self,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        typename_key: str,
        variables: Mapping[str, object],
    ) -> None:
        self._operation = operation
        self._fragments = fragments
        self._typename_key = typename_key
        self._variables = variables
        self._below: dict[tuple[str, ...], list[SelectionSetNode]] = {(): [operation.selection_set]}

    def told(self, errors: Sequence[ErrorObject]) -> list[ErrorObject]:
        """The errors at positions that the client knows. What is the same to the client is told once."""
        found: list[ErrorObject] = []
        seen: set[str] = set()
        for error in errors:
            path = error.get("path")
            known = self.path(path) if path is not None else None
            if path is None or known == path:
                found.append(error)
                continue
            told: ErrorObject = {**error, "path": known or []}
            if not known:
                del told["path"]
            if repr(told) not in seen:
                seen.add(repr(told))
                found.append(told)
        return found

    def path(self, path: ResponsePath) -> list[str | int]:
        """The position; where the client did not ask for a field, the one of the object that has it."""
        keys: tuple[str, ...] = ()
        known: list[str | int] = []
        for step in path:
            if isinstance(step, str):
                name = "__typename" if step == self._typename_key else step
                if not self._has(keys, name):
                    break
                keys = (*keys, name)
                known.append(name)
            else:
                known.append(step)
        return known

    def _has(self, keys: tuple[str, ...], name: str) -> bool:
        """Whether the client has a field of this response key below these."""
        below = (*keys, name)
        if below not in self._below:
            nodes = [node for node in self._fields(self._below[keys], set()) if _key(node) == name]
            if not nodes:
                return False
            self._below[below] = [node.selection_set for node in nodes if node.selection_set]
        return True

    def _fields(self, sets: Iterable[SelectionSetNode], spread: set[str]) -> Iterator[FieldNode]:
        for selection_set in sets:
            for node in selection_set.selections:
                if not self._included(node):
                    continue
                if isinstance(node, FieldNode):
                    yield node
                elif isinstance(node, InlineFragmentNode):
                    yield from self._fields([node.selection_set], spread)
                elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
                    spread.add(node.name.value)
                    yield from self._fields([self._fragments[node.name.value].selection_set], spread)

    def _included(self, node: FieldNode | InlineFragmentNode | FragmentSpreadNode | object) -> bool:
        for name, value in condition_values(getattr(node, "directives", None)):
            literal = value.value if isinstance(value, BooleanValueNode) else self._variables.get(value.name.value)
            if (literal is True) is not (name == "include"):
                return False
        return True


def _key(node: FieldNode) -> str:
    return (node.alias or node.name).value
