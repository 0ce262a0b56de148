"""Stage 5: the operation that was asked for is planned and prepared; each operation once.

This work, and that of stage 3, runs in a thread of its own, one at a time, so that a costly operation holds up nobody
whose operation is known.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeAlias, cast

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    OperationDefinitionNode,
    print_ast,
    separate_operations,
    strip_ignored_characters,
    value_from_ast_untyped,
)

from graphrouter.cache import CacheStatistics, LruCache
from graphrouter.execution.collect import condition_variables
from graphrouter.execution.denied import NOTHING_DENIED
from graphrouter.execution.errors import error_object
from graphrouter.execution.prepare import PreparedPlan
from graphrouter.json_text import fault_of
from graphrouter.options import RouterOptions
from graphrouter.pipeline.deferring import Choice, at_once, deferred
from graphrouter.pipeline.documents import Documents
from graphrouter.pipeline.operation import PreparedOperation
from graphrouter.pipeline.planner import Planner
from graphrouter.pipeline.restricting import Restricted, restricted
from graphrouter.planning.errors import PlanningError
from graphrouter.request import RequestRefused
from graphrouter.supergraph import Access, Supergraph

_BYTES_OF_A_PLANS_CHARACTER = 100
"""Memory for a character of the documents that a plan sends."""

_MAX_VARIANTS = 64

_Key: TypeAlias = tuple[str, str | None, frozenset[str], frozenset[Access]]
"""A document's text, an operation's name, the labels that are on, the rules that the caller does not satisfy."""


class Operations:
    """The operations of one supergraph, kept by the normalised text of the operation."""

    def __init__(self, supergraph: Supergraph, planner: Planner, documents: Documents, options: RouterOptions) -> None:
        self._supergraph = supergraph
        self._planner = planner
        self._documents = documents
        self._list_length = options.limits.list_length
        self._costs = options.limits.cost is not None or options.expose_cost
        self._defers = supergraph.deferring_directives
        self._plans: LruCache[PreparedPlan] = LruCache(options.cached_plans, options.cached_bytes // 4)
        self._preparing: dict[_Key, asyncio.Task[PreparedOperation]] = {}
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="graphrouter-planner")

    def statistics(self) -> CacheStatistics:
        return self._plans.statistics()

    def close(self) -> None:
        self._worker.shutdown(wait=False, cancel_futures=True)

    async def rules_of(self, query: str) -> tuple[Access, ...]:
        """The rules about access that a document meets; RequestRefused where it has faults."""
        known = self._documents.known(query)
        if known is None:
            known = await asyncio.get_running_loop().run_in_executor(self._worker, self._documents.checked, query)
        return known.rules

    async def prepared(
        self, query: str, operation_name: str | None, labels: frozenset[str], denied: frozenset[Access]
    ) -> PreparedOperation:
        """The operation, while these labels are on, for a caller who does not satisfy these rules.

        Raises:
            RequestRefused: it cannot be executed.
        """
        known = self._documents.known(query)
        if known is not None:
            labels &= known.labels
            if found := known.operations.get((operation_name, labels, denied)):
                return found
        key = (query, operation_name, labels, denied)
        task = self._preparing.get(key)
        if task is None:
            task = asyncio.create_task(self._prepare_in_thread(key))
            self._preparing[key] = task
            task.add_done_callback(lambda done: (self._preparing.pop(key), done.cancelled() or done.exception()))
        return await asyncio.shield(task)

    async def in_parts(self, prepared: PreparedOperation, variables: Mapping[str, object]) -> PreparedOperation | None:
        """The operation with what it defers for these values; None where it defers nothing.

        Raises:
            RequestRefused: it cannot be executed.
        """
        if prepared.deferred is None or prepared.operation.operation.value != "query":
            return None
        chosen = prepared.deferred.chosen(variables)
        if all(count is None for count in chosen):
            return None
        found = prepared.deferring.get(chosen)
        if found is None:
            preparing = asyncio.get_running_loop().run_in_executor(
                self._worker, self._prepare_in_parts, prepared, chosen
            )
            found = await asyncio.shield(preparing)
        return found

    async def _prepare_in_thread(self, key: _Key) -> PreparedOperation:
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._prepare, *key)

    def prepare(self, query: str, operation_name: str | None = None) -> PreparedOperation:
        """Checks and plans an operation, in the caller's thread; RequestRefused where it cannot be executed."""
        return self._prepare(query, operation_name, frozenset(), frozenset())

    def _prepare(
        self, query: str, operation_name: str | None, labels: frozenset[str], denied: frozenset[Access]
    ) -> PreparedOperation:
        checked = self._documents.checked(query)
        asked = (operation_name, labels & checked.labels, denied)
        prepared = checked.operations.get(asked)
        if prepared is None:
            prepared = self._planned(checked.document, *asked)
            if (checked.labels or checked.rules) and len(checked.operations) >= _MAX_VARIANTS:
                checked.operations.clear()  # each label or rule doubles what there can be; the plans stay cached
            checked.operations[asked] = prepared
        return prepared

    def _planned(
        self, document: DocumentNode, operation_name: str | None, labels: frozenset[str], denied: frozenset[Access]
    ) -> PreparedOperation:
        operation = _operation(document, operation_name)
        own = separate_operations(document)[operation.name.value if operation.name else ""]
        found = deferred(own, self._defers) if self._defers else None
        if found is None:
            return self._ready(operation, own, labels, denied)
        whole = at_once(own, self._defers)
        prepared = self._ready(_operation(whole, None), whole, labels, denied)
        prepared.deferred = found
        return prepared

    def _prepare_in_parts(self, prepared: PreparedOperation, chosen: Choice) -> PreparedOperation:
        assert prepared.deferred is not None  # noqa: S101  # as `in_parts` has seen
        own = prepared.deferred.with_numbers(chosen)
        found = self._ready(_operation(own, None), own, *prepared.asked)
        prepared.deferring.put(chosen, found)
        return found

    def _ready(
        self,
        operation: OperationDefinitionNode,
        own: DocumentNode,
        labels: frozenset[str],
        denied: frozenset[Access],
    ) -> PreparedOperation:
        """An operation, in a document of its own, with its plan."""
        left = restricted(own, self._supergraph, denied) if denied else Restricted(own, NOTHING_DENIED)
        key = (strip_ignored_characters(print_ast(left.document)), labels)
        plan = self._plans.get(key)
        if plan is None:
            started = time.perf_counter()
            try:
                plan = PreparedPlan.of(self._planner.under(labels).plan(left.document, None))
            except PlanningError as error:
                raise RequestRefused(error_object(str(error), error.code)) from error
            except RecursionError as error:
                raise RequestRefused(error_object("the operation is nested too deeply", "TOO_DEEP")) from error
            weight = plan.characters * _BYTES_OF_A_PLANS_CHARACTER + len(key[0]) + 1
            plan = replace(plan, seconds=time.perf_counter() - started)
            self._plans.put(key, plan, weight=weight, seconds=plan.seconds)
        prepared = PreparedOperation(
            supergraph=self._supergraph,
            operation=operation,
            fragments={node.name.value: node for node in own.definitions if isinstance(node, FragmentDefinitionNode)},
            condition_variables=condition_variables(own),
            plan=plan,
            list_length=self._list_length,
            defaults=_defaults(operation),
            denied=left.denied,
            asked=(labels, denied),
        )
        if not prepared.condition_variables:
            prepared.variant({}, shared=False)
            prepared.estimate({})
            if self._costs:
                prepared.cost({})
        return prepared


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    """https://spec.graphql.org/October2021/#GetOperation()"""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name is not None:
        operations = [node for node in operations if node.name is not None and node.name.value == name]
    if len(operations) == 1:
        return operations[0]
    message = (
        f"the document has no operation named {name!r}"
        if name is not None
        else f"the document has {len(operations)} operations: say which one with operationName"
    )
    raise RequestRefused(error_object(message, "OPERATION_RESOLUTION_FAILURE"))


def _defaults(operation: OperationDefinitionNode) -> dict[str, object]:
    """The default values of an operation's variables, as JSON has them."""
    found: dict[str, object] = {}
    for definition in operation.variable_definitions or ():
        if definition.default_value is not None:
            name = definition.variable.name.value
            found[name] = cast("object", value_from_ast_untyped(definition.default_value))
            if fault := fault_of(found[name]):
                message = f"The default value of variable '${name}' {fault}."
                raise RequestRefused(error_object(message, "GRAPHQL_VALIDATION_FAILED"))
    return found
