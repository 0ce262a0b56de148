"""One request, from its text to its answer: limits, parse, validate, plan, execute, shape.

What depends on the text alone is done once and cached: the parsed and validated document by its text, the plan by the
normalised text of the operation (so that white space, comments, and other operations in the document make no
difference), and the compiled shape by the values of the variables in `@skip` and `@include`. This work runs in a
thread of its own, one at a time, so that a costly operation holds up nobody whose operation is known.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeAlias, TypedDict, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    get_variable_values,
    parse,
    print_ast,
    separate_operations,
    specified_rules,
    strip_ignored_characters,
    validate,
    value_from_ast_untyped,
)
from graphql.validation.validate import ValidationAbortedError

from graphrouter import bookmarks
from graphrouter.cache import CacheStatistics, LruCache
from graphrouter.execution.background import LARGE_COUNT, Background
from graphrouter.execution.client_paths import ClientPaths
from graphrouter.execution.collect import condition_variables
from graphrouter.execution.errors import ErrorObject, ResponseErrors, error_object
from graphrouter.execution.estimate import Estimate
from graphrouter.execution.execute import Execution, SubgraphSettings
from graphrouter.execution.inflight import Flights
from graphrouter.execution.introspection import IntrospectionAnswers, IntrospectionField
from graphrouter.execution.merge import JsonObject
from graphrouter.execution.misfits import ShapeErrors
from graphrouter.execution.prepare import PreparedPlan, holds
from graphrouter.execution.shape import Shape, compile_shape
from graphrouter.json_text import dumps, fault_of
from graphrouter.limits import LimitExceeded, check_document
from graphrouter.options import RouterOptions
from graphrouter.override_labels import OverrideLabels
from graphrouter.planning.errors import PlanningError
from graphrouter.planning.plan import QueryPlan
from graphrouter.request import GraphQLAnswer, GraphQLRequest, RequestRefused
from graphrouter.supergraph import Supergraph

_log = logging.getLogger("graphrouter.pipeline")

_LISTED_ERRORS = 20
"""How many faults of one document are told."""


class Planner(Protocol):
    """Plans one operation of a document that was validated against the API schema."""

    def plan(self, document: DocumentNode, operation_name: str | None) -> QueryPlan: ...

    def under(self, labels: frozenset[str]) -> Planner:
        """The planner while these labels of `@override`, and no others, are on."""
        ...

    def labels_of(self, document: DocumentNode) -> frozenset[str]:
        """The labels that plans of this document can depend on."""
        ...


class PipelineStatistics(TypedDict):
    documents: CacheStatistics
    plans: CacheStatistics


@dataclass(frozen=True, slots=True)
class _Variant:
    """What depends on the conditions' values, and on whether the data have objects that stand at several positions."""

    shape: Shape
    introspection: tuple[IntrospectionField, ...]


@dataclass(slots=True)
class PreparedOperation:
    """One operation, ready to be executed any number of times."""

    supergraph: Supergraph
    operation: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]
    condition_variables: tuple[str, ...]
    plan: PreparedPlan
    defaults: dict[str, object]
    list_length: int
    variants: LruCache[_Variant] = field(default_factory=lambda: LruCache[_Variant](16))
    estimates: LruCache[Estimate] = field(default_factory=lambda: LruCache[Estimate](16))

    def conditions(self, variables: Mapping[str, object]) -> tuple[bool, ...]:
        return tuple([variables.get(name) is True for name in self.condition_variables])

    def estimate(self, variables: Mapping[str, object]) -> Estimate:
        values = self.conditions(variables)
        found = self.estimates.peek(values)
        if found is None:
            conditions = dict(zip(self.condition_variables, values, strict=True))
            found = Estimate(self.supergraph, self.operation, self.fragments, conditions, self.list_length)
            self.estimates.put(values, found)
        return found

    def variant(self, variables: Mapping[str, object], shared: bool) -> _Variant:
        key = (shared, *self.conditions(variables))
        found = self.variants.peek(key)
        if found is None:
            schema = self.supergraph.api_schema
            conditions = dict(zip(self.condition_variables, key[1:], strict=True))
            operation, fragments, complete = self.operation, self.fragments, self.supergraph.schema
            introspection: list[list[FieldNode]] = []
            shape = compile_shape(
                schema,
                operation,
                fragments,
                conditions,
                complete,
                shared=shared,
                typename_key=self.plan.plan.typename,
                introspection=introspection,
            )
            asked = tuple(IntrospectionField(schema, operation, fragments, nodes) for nodes in introspection)
            found = _Variant(shape, asked)
            self.variants.put(key, found)
        return found

    def told(self, errors: list[ErrorObject], variables: Mapping[str, object]) -> list[ErrorObject]:
        """The errors at positions that the client knows."""
        if not errors:
            return errors
        return ClientPaths(self.operation, self.fragments, self.plan.plan.typename, variables).told(errors)

    def variables(self, given: Mapping[str, object]) -> dict[str, object]:
        """The values to send: the client's, checked against their types, and the operation's defaults."""
        definitions = self.operation.variable_definitions
        if not definitions:
            return {}
        names = [definition.variable.name.value for definition in definitions]
        for name in names:
            if given.get(name).__class__ not in _PLAIN and (fault := fault_of(given[name])):
                raise RequestRefused(error_object(f"The value of variable '${name}' {fault}.", "INVALID_VARIABLES"))
        checked = get_variable_values(
            self.supergraph.api_schema, definitions, dict(given), max_errors=20, hide_suggestions=True
        )
        if isinstance(checked, list):
            raise RequestRefused(*(_located(error, "INVALID_VARIABLES") for error in checked))
        for name in self.condition_variables:
            # A nullable variable may stand there if it has a default; null itself may not.
            # https://spec.graphql.org/October2021/#sec-All-Variable-Usages-are-Allowed
            if name in given and given[name] is None:
                message = f"Variable '${name}' is asked for by @skip or @include and must not be null."
                raise RequestRefused(error_object(message, "INVALID_VARIABLES"))
        return {
            name: given[name] if name in given else self.defaults[name]
            for name in names
            if name in given or name in self.defaults
        }


_BYTES_OF_A_CHARACTER = 350
"""Memory for a character of a document: its syntax tree, and what is prepared for its operations."""

_BYTES_OF_A_PLANS_CHARACTER = 100
"""Memory for a character of the documents that a plan sends."""

_SHAPING_SECONDS = 5.0
"""How long a large response may be shaped beyond the request's time."""

_PLAIN = frozenset({str, int, bool, type(None)})
"""The classes of values in which there is nothing to look for."""

_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
"""https://www.rfc-editor.org/rfc/rfc9110#name-field-values"""

_Asked: TypeAlias = tuple[str | None, frozenset[str]]
_MAX_VARIANTS = 64


@dataclass(frozen=True, slots=True)
class _Checked:
    """A document that is within the limits and valid, with those of its operations that were asked for.

    `labels` are those that its plans depend on; `operations` goes by the operation's name and which of them are on.
    """

    document: DocumentNode
    labels: frozenset[str]
    operations: dict[_Asked, PreparedOperation] = field(default_factory=dict["_Asked", PreparedOperation])


class Pipeline:
    """Executes requests against one supergraph."""

    def __init__(
        self, supergraph: Supergraph, planner: Planner, subgraphs: SubgraphSettings, options: RouterOptions
    ) -> None:
        self._supergraph = supergraph
        self._planner = planner
        self._subgraphs = subgraphs
        self._options = options
        self._documents: LruCache[_Checked | list[ErrorObject]] = LruCache(
            options.cached_documents,
            min(options.cached_bytes // 2, options.cached_document_characters * _BYTES_OF_A_CHARACTER),
        )
        self._plans: LruCache[PreparedPlan] = LruCache(options.cached_plans, options.cached_bytes // 4)
        self._preparing: dict[tuple[str, str | None, frozenset[str]], asyncio.Task[PreparedOperation]] = {}
        self._labels = OverrideLabels(supergraph.labels, options.override_labels)
        self._mutations: set[asyncio.Task[GraphQLAnswer]] = set()
        self._flights: Flights[GraphQLAnswer] = Flights()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="graphrouter-planner")
        self._background = Background()
        self._introspection = IntrospectionAnswers(self._background, options.cached_bytes // 8)
        self._rules = [*specified_rules, *([] if options.introspection else [NoSchemaIntrospectionCustomRule])]

    def statistics(self) -> PipelineStatistics:
        return {"documents": self._documents.statistics(), "plans": self._plans.statistics()}

    def close(self) -> None:
        self._worker.shutdown(wait=False, cancel_futures=True)
        self._background.close()

    async def execute(self, request: GraphQLRequest) -> GraphQLAnswer:
        """The answer to a request, whatever happens; unexpected exceptions are logged and told without detail."""
        deadline = asyncio.get_running_loop().time() + self._options.limits.seconds
        try:
            async with asyncio.timeout_at(deadline):
                labels = self._labels.on(request.headers)
                prepared = await self._prepared(request.query, request.operation_name, labels)
            return await self._run(prepared, request, deadline)
        except RequestRefused as refusal:
            return GraphQLAnswer(None, refusal.errors, {}, refused=True)
        except TimeoutError:
            error = error_object("preparing the operation took too long", "REQUEST_TIMEOUT")
            return GraphQLAnswer(None, [error], {}, refused=True)
        except Exception:  # noqa: BLE001 - logged in full; the client learns nothing of the inside
            _log.exception("an operation failed")
            error = error_object("the router failed to execute the operation", "INTERNAL_ERROR")
            return GraphQLAnswer(None, [error], {})

    async def _run(self, prepared: PreparedOperation, request: GraphQLRequest, deadline: float) -> GraphQLAnswer:
        if request.only_queries and prepared.operation.operation.value != "query":
            raise RequestRefused(error_object("only queries are executed by GET", "METHOD_NOT_ALLOWED"))
        variables = prepared.variables(request.variables)
        refusals = [one for one in prepared.plan.plan.refusals if holds(one.conditions, variables)]
        if refusals:
            raise RequestRefused(*(error_object(one.message, one.code) for one in refusals))
        try:
            prepared.estimate(variables).check(variables, self._options.limits.objects)
        except LimitExceeded as error:
            raise RequestRefused(error_object(str(error), error.code)) from error
        extensions: dict[str, object] = {}
        wanted = self._wants_plan(request)
        if wanted is not None:
            extensions["queryPlan"] = self._describe(prepared.plan.plan)
            if wanted == "only":
                return GraphQLAnswer(None, [], extensions)
        asked = prepared.variant(variables, shared=False).introspection
        async with asyncio.timeout_at(deadline) if asked else nullcontext():
            introspected = [await self._introspection.of(field, variables) for field in asked]
        execution = Execution(
            prepared.plan,
            self._subgraphs,
            variables,
            self._forwarded(request),
            deadline,
            self._bookmark(request),
            ResponseErrors(self._options.limits.errors),
            self._options.limits.objects,
            self._background,
        )
        if prepared.operation.operation.value == "mutation":
            return await self._to_the_end(self._finish(prepared, execution, introspected, extensions))
        if not self._options.join_equal_requests or extensions:
            return await self._finish(prepared, execution, introspected, extensions)
        equal = (id(prepared), dumps(variables), execution.headers, execution.bookmark)
        return await self._flights.join(equal, lambda: self._finish(prepared, execution, introspected, extensions))

    async def _to_the_end(self, running: Coroutine[object, object, GraphQLAnswer]) -> GraphQLAnswer:
        """What has begun to change something goes on when whoever asked for it has gone."""
        task = asyncio.create_task(running)
        self._mutations.add(task)
        task.add_done_callback(self._mutations.discard)
        return await asyncio.shield(task)

    async def _finish(
        self,
        prepared: PreparedOperation,
        execution: Execution,
        introspected: Sequence[object],
        extensions: dict[str, object],
    ) -> GraphQLAnswer:
        """Runs the plan and shapes the response."""
        await execution.run()
        variables = execution.variables
        variant = prepared.variant(variables, execution.sharing.found_any)
        shape_errors = ShapeErrors(self._options.limits.objects, introspected)
        shape = partial(_shaped, variant.shape, execution, shape_errors)
        data = await self._in_time(execution, shape) if execution.is_large else shape()
        if execution.bookmark:
            extensions["bookmark"] = execution.bookmark
        answer = GraphQLAnswer(data, prepared.told(execution.errors.as_list(), variables), extensions)
        if execution.is_large or shape_errors.objects > LARGE_COUNT:
            await self._background.run(answer.write_in_pieces)
        return answer

    async def _in_time(self, execution: Execution, shape: Callable[[], JsonObject | None]) -> JsonObject | None:
        """Shapes what is large in the background. What came until the request's time was over still has its time."""
        until = max(execution.deadline, asyncio.get_running_loop().time()) + _SHAPING_SECONDS
        try:
            async with asyncio.timeout_at(until):
                return await self._background.run(shape)
        except TimeoutError:
            execution.errors.add(error_object("shaping the response took too long", "REQUEST_TIMEOUT"))
            return None

    def _wants_plan(self, request: GraphQLRequest) -> str | None:
        """`only` where the plan is asked for without being executed, `1` where beside the data, else None."""
        if not self._options.expose_query_plan:
            return None
        asked = request.extensions.get("queryPlan", request.headers.get("query-plan"))
        if not isinstance(asked, bool | int | str | None):
            raise RequestRefused(error_object('extensions.queryPlan is true, false or "only"', "INVALID_INPUT"))
        return {True: "1", "1": "1", "true": "1", "only": "only"}.get(cast("str", asked))

    @staticmethod
    def _describe(plan: QueryPlan) -> dict[str, object]:
        from graphrouter.planning.render import render, to_json  # noqa: PLC0415 - nobody needs it who does not ask

        return {"lines": render(plan).splitlines(), "tree": to_json(plan)}

    def _forwarded(self, request: GraphQLRequest) -> tuple[tuple[str, str], ...]:
        forwarded = {name: value for name, value in request.headers.items() if name in self._options.forwarded_headers}
        for name, text in forwarded.items():
            if not _HEADER_VALUE.fullmatch(text):
                message = f"the header {name} has characters that HTTP does not carry"
                raise RequestRefused(error_object(message, "INVALID_INPUT"))
        for name, header in self._options.forwarded_extensions.items():
            value = request.extensions.get(name)
            if value is None:
                continue
            text = value if isinstance(value, str) else str(value)
            if not (isinstance(value, str | int | float) and text.isascii() and text.isprintable()):
                raise RequestRefused(
                    error_object(f"extensions.{name} must be a number or printable text", "INVALID_INPUT")
                )
            forwarded[header] = text
        return tuple(sorted(forwarded.items()))

    @staticmethod
    def _bookmark(request: GraphQLRequest) -> str:
        in_header, in_extensions = request.headers.get("bookmark", ""), request.extensions.get("bookmark")
        if in_extensions is None:
            in_extensions = ""
        if not isinstance(in_extensions, str):
            raise RequestRefused(error_object("extensions.bookmark is a string", "INVALID_INPUT"))
        try:
            return bookmarks.join_texts((in_header, in_extensions))
        except bookmarks.InvalidBookmark as error:
            raise RequestRefused(error_object(str(error), "INVALID_INPUT")) from error

    async def _prepared(self, query: str, operation_name: str | None, labels: frozenset[str]) -> PreparedOperation:
        known = self._documents.get(query)
        if isinstance(known, list):
            raise RequestRefused(*known)
        if known is not None:
            labels &= known.labels
            if found := known.operations.get((operation_name, labels)):
                return found
        key = (query, operation_name, labels)
        task = self._preparing.get(key)
        if task is None:
            task = asyncio.create_task(self._prepare_in_thread(key))
            self._preparing[key] = task
            task.add_done_callback(lambda done: (self._preparing.pop(key), done.cancelled() or done.exception()))
        return await asyncio.shield(task)

    async def _prepare_in_thread(self, key: tuple[str, str | None, frozenset[str]]) -> PreparedOperation:
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._prepare, *key)

    def prepare(self, query: str, operation_name: str | None = None) -> PreparedOperation:
        """Checks and plans an operation, in the caller's thread; RequestRefused where it cannot be executed."""
        return self._prepare(query, operation_name, frozenset())

    def _prepare(self, query: str, operation_name: str | None, labels: frozenset[str]) -> PreparedOperation:
        checked = self._checked(query)
        asked = (operation_name, labels & checked.labels)
        prepared = checked.operations.get(asked)
        if prepared is None:
            prepared = self._plan(checked.document, *asked)
            if checked.labels and len(checked.operations) >= _MAX_VARIANTS:
                checked.operations.clear()  # each label doubles what there can be; the plans stay cached
            checked.operations[asked] = prepared
        return prepared

    def _checked(self, query: str) -> _Checked:
        known = self._documents.peek(query)
        if known is None:
            started = time.perf_counter()
            try:
                document = self._parse_and_validate(query)
                known = _Checked(document, self._planner.labels_of(document))
            except RequestRefused as refusal:
                known = refusal.errors
            self._documents.put(
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
                self._supergraph.api_schema,
                document,
                self._rules,
                max_errors=_LISTED_ERRORS,
                hide_suggestions=not self._options.introspection,
            )
        except GraphQLError as error:
            raise RequestRefused(_located(error, _syntax_code(error.message))) from error
        except RecursionError as error:
            raise RequestRefused(error_object("the document is nested too deeply", "TOO_DEEP")) from error
        except LimitExceeded as error:
            raise RequestRefused(error_object(str(error), error.code)) from error
        if errors and isinstance(errors[-1], ValidationAbortedError) and len(errors) <= _LISTED_ERRORS:
            # Not for their number: comparing the fields under one response key went deeper than Python's stack.
            raise RequestRefused(error_object("the operation repeats too many fields", "OPERATION_TOO_LARGE"))
        if errors:
            raise RequestRefused(*(_located(error, "GRAPHQL_VALIDATION_FAILED") for error in errors))
        return document

    def _plan(self, document: DocumentNode, operation_name: str | None, labels: frozenset[str]) -> PreparedOperation:
        operation = _operation(document, operation_name)
        if operation.operation.value == "subscription":
            raise RequestRefused(error_object("subscriptions are not supported", "SUBSCRIPTIONS_NOT_SUPPORTED"))
        own = separate_operations(document)[operation.name.value if operation.name else ""]
        key = (strip_ignored_characters(print_ast(own)), labels)
        plan = self._plans.get(key)
        if plan is None:
            started = time.perf_counter()
            try:
                plan = PreparedPlan.of(self._planner.under(labels).plan(own, operation_name))
            except PlanningError as error:
                raise RequestRefused(error_object(str(error), error.code)) from error
            except RecursionError as error:
                raise RequestRefused(error_object("the operation is nested too deeply", "TOO_DEEP")) from error
            weight = plan.characters * _BYTES_OF_A_PLANS_CHARACTER + len(key[0]) + 1
            self._plans.put(key, plan, weight=weight, seconds=time.perf_counter() - started)
        prepared = PreparedOperation(
            supergraph=self._supergraph,
            operation=operation,
            fragments={node.name.value: node for node in own.definitions if isinstance(node, FragmentDefinitionNode)},
            condition_variables=condition_variables(own),
            plan=plan,
            list_length=self._options.limits.list_length,
            defaults=_defaults(operation),
        )
        if not prepared.condition_variables:
            prepared.variant({}, shared=False)
            prepared.estimate({})
        return prepared


def _shaped(shape: Shape, execution: Execution, errors: ShapeErrors) -> JsonObject | None:
    try:
        data = shape(execution.data, None, errors)
    except LimitExceeded as error:
        execution.errors.add(error_object(str(error), error.code))
        return None
    if errors.failed:
        errors.tell(execution.errors)
    return data


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


def _syntax_code(message: str) -> str:
    """graphql-core tells what its parser gave up for in the message alone."""
    if "contains more than" in message:
        return "TOO_MANY_TOKENS"
    return "TOO_DEEP" if "nested too deeply" in message else "GRAPHQL_PARSE_FAILED"


def _located(error: GraphQLError, code: str) -> ErrorObject:
    result = error_object(error.message, code)
    if error.locations:
        result["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
    return result
