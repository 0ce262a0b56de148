"""By which name an operation is counted: a known one, so that clients do not choose how many there are."""

from __future__ import annotations

from graphql import GraphQLSyntaxError, OperationDefinitionNode, parse

from graphrouter.options import RouterOptions
from graphrouter.pipeline.persisted import Persisted
from graphrouter.telemetry.measures import OTHER


class MeasuredNames:
    """Knows the names that the options give, those of the playground's examples, and those of trusted operations."""

    def __init__(self, options: RouterOptions, persisted: Persisted | None) -> None:
        self._persisted = persisted
        self._known = options.measured_operations.union(
            *(_names_in(example.query, options.limits.tokens) for example in options.examples)
        )

    def of(self, operation: OperationDefinitionNode, text: str) -> tuple[str, str]:
        """The type and the name to count it by; `text` is that of its document."""
        name = operation.name.value if operation.name is not None else ""
        trusted = self._persisted is not None and self._persisted.trusts(text)
        return operation.operation.value, name if not name or trusted or name in self._known else OTHER


def _names_in(text: str, tokens: int) -> set[str]:
    try:
        document = parse(text, max_tokens=tokens)
    except GraphQLSyntaxError:  # the playground shows it all the same
        return set()
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    return {node.name.value for node in operations if node.name is not None}
