"""Stage 3: the text becomes a document that is within the limits and valid; each text once."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias

from graphql import (
    DocumentNode,
    GraphQLError,
    NoSchemaIntrospectionCustomRule,
    parse,
    specified_rules,
    validate,
)
from graphql.validation.validate import ValidationAbortedError

from graphrouter.cache import CacheStatistics, LruCache
from graphrouter.execution.errors import ErrorObject, error_object
from graphrouter.limits import LimitExceeded, check_document, syntax_code
from graphrouter.options import RouterOptions
from graphrouter.pipeline.operation import PreparedOperation
from graphrouter.pipeline.planner import Planner
from graphrouter.pipeline.refusals import located
from graphrouter.pipeline.restricting import rules_of
from graphrouter.request import RequestRefused
from graphrouter.supergraph import Access, Supergraph

_LISTED_ERRORS = 20
"""How many faults of one document are told."""

_BYTES_OF_A_CHARACTER = 350
"""Memory for a character of a document: its syntax tree, and what is prepared for its operations."""

_Asked: TypeAlias = tuple[str | None, frozenset[str], frozenset[Access]]


@dataclass(frozen=True, slots=True)
class CheckedDocument:
    """A document that is within the limits and valid, with those of its operations that were asked for.

    `labels` are those that its plans depend on, `rules` those about access that it meets; `operations` goes by the
    operation's name, which labels are on, and which rules the caller does not satisfy.
    """

    document: DocumentNode
    labels: frozenset[str]
    rules: tuple[Access, ...]
    operations: dict[_Asked, PreparedOperation] = field(default_factory=dict["_Asked", PreparedOperation])


class Documents:
    """The documents of one supergraph, valid ones and the faults of others, kept by their text."""

    def __init__(self, supergraph: Supergraph, planner: Planner, options: RouterOptions) -> None:
        self._supergraph = supergraph
        self._schema = supergraph.api_schema
        self._planner = planner
        self._options = options
        self._kept: LruCache[CheckedDocument | list[ErrorObject]] = LruCache(
            options.cached_documents,
            min(options.cached_bytes // 2, options.cached_document_characters * _BYTES_OF_A_CHARACTER),
        )
        self._rules = [*specified_rules, *([] if options.introspection else [NoSchemaIntrospectionCustomRule])]

    def statistics(self) -> CacheStatistics:
        return self._kept.statistics()

    def most_used(self, count: int) -> list[tuple[str, str | None]]:
        """Texts and names of valid operations, those whose documents were asked for most often first."""
        found = (
            (str(query), name)
            for query, document in self._kept.most_used()
            if isinstance(document, CheckedDocument)
            for name in dict.fromkeys(name for name, *_ in tuple(document.operations))
        )
        return list(islice(found, count))

    def known(self, query: str) -> CheckedDocument | None:
        """The document of a text that was seen before; RequestRefused where it has faults."""
        known = self._kept.get(query)
        if isinstance(known, list):
            raise RequestRefused(*known)
        return known

    def checked(self, query: str) -> CheckedDocument:
        """The document of a text; RequestRefused where it has faults."""
        known = self._kept.peek(query)
        if known is None:
            started = time.perf_counter()
            try:
                document = self._parse_and_validate(query)
                known = CheckedDocument(
                    document, self._planner.labels_of(document), rules_of(document, self._supergraph)
                )
            except RequestRefused as refusal:
                known = refusal.errors
            self._kept.put(
                query, known, weight=len(query) * _BYTES_OF_A_CHARACTER + 1, seconds=time.perf_counter() - started
            )
        if isinstance(known, list):
            raise RequestRefused(*known)
        return known

    def _parse_and_validate(self, query: str) -> DocumentNode:
        limits = self._options.limits
        try:
            document = parse(query, max_tokens=limits.tokens)
            check_document(document, limits)
            errors = validate(
                self._schema,
                document,
                self._rules,
                max_errors=_LISTED_ERRORS,
                hide_suggestions=not self._options.introspection,
            )
        except GraphQLError as error:
            raise RequestRefused(located(error, syntax_code(error.message))) from error
        except RecursionError as error:
            raise RequestRefused(error_object("the document is nested too deeply", "TOO_DEEP")) from error
        except LimitExceeded as error:
            raise RequestRefused(error_object(str(error), error.code)) from error
        if errors and isinstance(errors[-1], ValidationAbortedError) and len(errors) <= _LISTED_ERRORS:
            # Not for their number: comparing the fields under one response key went deeper than Python's stack.
            raise RequestRefused(error_object("the operation repeats too many fields", "OPERATION_TOO_LARGE"))
        if errors:
            raise RequestRefused(*(located(error, "GRAPHQL_VALIDATION_FAILED") for error in errors))
        return document
