"""Documents against a schema: parsed and validated once per text, executed by graphql-core without further layers.

Strawberry's own `execute` prepares extensions for every request, which takes as long as executing a small query.

What a document may cost is looked at before it is validated, for validation compares every field with every other one
under the same response key; and all of it happens in a thread, off the event loop. What came of it is kept, for what is
invalid as for what is valid.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from inspect import isawaitable
from typing import Final, cast

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

from eventgraph.serving.executor import CountingExecutor
from eventgraph.serving.federation import REPRESENTATIONS_LIMIT, FederatedSchema
from graphrouter.limits import LimitExceeded, Limits, check_document

DOCUMENT_LIMITS: Final = Limits(tokens=20_000, aliases=1_000, root_fields=300, repeats=100)
"""More aliases and root fields than a router takes from its clients, for it may need further ones itself."""

_KEPT_CHARACTERS: Final = 250_000
"""How long all documents that are kept are together: one of them takes up to 350 times its length in memory."""
_KEPT_LIMIT: Final = 32_768
"""The longest document, in characters, that is worth keeping: larger ones come from nobody twice."""
_LISTED_ERRORS: Final = 20
"""How many faults of one document are told."""


class InvalidDocument(Exception):
    """The document cannot be executed, for reasons with places in it."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(f"{len(errors)} errors")
        self.errors = errors


@dataclass(slots=True)
class DocumentStatistics:
    """What became of the look-ups of documents; `seconds` were spent on reading and validating those that were new."""

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    seconds: float = 0.0
    entries: int = 0
    characters: int = 0
    """How long all texts are that are kept."""


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
        self.schema = schema.compiled
        self._kept: OrderedDict[str, Document | InvalidDocument] = OrderedDict()
        self.statistics = DocumentStatistics()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="documents")

    async def prepare(self, text: str) -> Document:
        """Raises InvalidDocument."""
        found = self._kept.get(text)
        if found is None:
            self.statistics.misses += 1
            found = await asyncio.get_running_loop().run_in_executor(self._worker, self._timed, text)
            self._keep(text, found)
        else:
            self.statistics.hits += 1
            self._kept.move_to_end(text)
        if isinstance(found, InvalidDocument):
            raise InvalidDocument(found.errors)
        return found

    async def execute(
        self, document: Document, variables: dict[str, object] | None, operation: str | None, context: object
    ) -> ExecutionResult:
        for name, value in variables.items() if variables else ():
            length = len(cast("list[object]", value)) if isinstance(value, list) else 0
            if length > REPRESENTATIONS_LIMIT:
                expected = f"${name[:100]}: expected at most {REPRESENTATIONS_LIMIT} values, found {length}"
                raise InvalidDocument([_refusal(expected, "TOO_COSTLY")])
        result = execute(
            self.schema,
            document.node,
            context_value=context,
            variable_values=variables,
            operation_name=operation,
            executor_class=CountingExecutor,
        )
        return await result if isawaitable(result) else result

    def _keep(self, text: str, found: Document | InvalidDocument) -> None:
        if len(text) > _KEPT_LIMIT or text in self._kept:
            return
        self._kept[text] = found
        statistics = self.statistics
        statistics.characters += len(text)
        while statistics.characters > _KEPT_CHARACTERS:
            oldest, _ = self._kept.popitem(last=False)
            statistics.characters -= len(oldest)
            statistics.evictions += 1
        statistics.entries = len(self._kept)

    def _timed(self, text: str) -> Document | InvalidDocument:
        began = time.perf_counter()
        try:
            return self._prepared(text)
        finally:
            self.statistics.seconds += time.perf_counter() - began

    def _prepared(self, text: str) -> Document | InvalidDocument:
        try:
            node = parse(text, max_tokens=DOCUMENT_LIMITS.tokens)
            check_document(node, DOCUMENT_LIMITS)
            errors = validate(self.schema, node, max_errors=_LISTED_ERRORS)
        except GraphQLError as malformed:
            return InvalidDocument([malformed])
        except LimitExceeded as excess:
            return InvalidDocument([_refusal(str(excess), excess.code)])
        except RecursionError:
            return InvalidDocument([_refusal("the document is nested too deeply", "TOO_DEEP")])
        if errors:
            for error in errors:
                error.extensions = {**(error.extensions or {}), "code": "GRAPHQL_VALIDATION_FAILED"}
            return InvalidDocument(errors)
        operations = {
            definition.name.value if definition.name else None: definition.operation
            for definition in node.definitions
            if isinstance(definition, OperationDefinitionNode)
        }
        return Document(node, operations)


def _refusal(message: str, code: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": code})
