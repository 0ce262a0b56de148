"""One request, from its text to its answer, stage by stage.

0. `hooking`: what is called before and after, and between these stages.
1. `persisted`: an operation that is asked for by its id gets its text.
2. `callers`: who asks, by the token that the request has.
3. `documents`: the text is parsed and validated, within limits.
4. `permissions`, `restricting`: what the caller may not see is taken out.
5. `operations`: the operation that was asked for is planned.
6. `forwarding`: what of the request reaches the subgraphs.
7. `answering`: the plan is run and the response is shaped. `subscribing`: it is for each message of a stream.
   `delivering`: the response comes in parts, as far as it is deferred (`deferring`).

What depends on the text alone is done once and cached: the parsed and validated document by its text, the plan by the
normalised text of what is left of the operation (so that white space, comments, and other operations in the document
make no difference, nor who asks, but for what they may see), and the compiled shape by the values of the variables in
`@skip` and `@include`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from typing import TypedDict, cast

from graphrouter.authentication import Caller
from graphrouter.cache import CacheStatistics
from graphrouter.execution.background import Background
from graphrouter.execution.errors import error_object
from graphrouter.execution.execute import SubgraphSettings
from graphrouter.execution.explain import Explanation
from graphrouter.execution.introspection import IntrospectionAnswers, IntrospectionField
from graphrouter.execution.prepare import holds
from graphrouter.hooks import PlannedOperation
from graphrouter.limits import LimitExceeded
from graphrouter.options import RouterOptions
from graphrouter.override_labels import OverrideLabels
from graphrouter.pipeline.answering import Answering
from graphrouter.pipeline.callers import Callers, while_proved
from graphrouter.pipeline.delivering import Delivering
from graphrouter.pipeline.documents import Documents
from graphrouter.pipeline.forwarding import bookmark_of, forwarded, resume_from
from graphrouter.pipeline.hooking import Answered, HookFailed, on_plan, on_request, on_response
from graphrouter.pipeline.measured import MeasuredNames
from graphrouter.pipeline.operation import PreparedOperation
from graphrouter.pipeline.operations import Operations
from graphrouter.pipeline.permissions import NOTHING_DENIED, Permissions
from graphrouter.pipeline.persisted import Persisted
from graphrouter.pipeline.planner import Planner
from graphrouter.pipeline.subscribing import Subscribing, Subscription
from graphrouter.pipeline.traced import tell_operation
from graphrouter.planning.plan import QueryPlan
from graphrouter.request import (
    AnswerPart,
    ErrorObject,
    GraphQLAnswer,
    GraphQLRequest,
    RequestRefused,
    StreamInterrupted,
    StreamItem,
)
from graphrouter.supergraph import Access, Supergraph
from graphrouter.telemetry.operations import NOT_READ
from graphrouter.telemetry.recent import correlated, correlation_of
from graphrouter.telemetry.tracing import CURRENT
from graphrouter.transport import StreamingTransport, SubgraphTransport

_log = logging.getLogger("graphrouter.pipeline")

_PLAN_WANTED = {True: "1", "1": "1", "true": "1", "only": "only", "explain": "explain"}


class PipelineStatistics(TypedDict):
    documents: CacheStatistics
    plans: CacheStatistics


class Pipeline:
    """Executes requests against one supergraph."""

    def __init__(
        self,
        supergraph: Supergraph,
        planner: Planner,
        subgraphs: SubgraphSettings,
        options: RouterOptions,
        streams: Mapping[str, SubgraphTransport | StreamingTransport],
    ) -> None:
        """`streams` are the transports that subscriptions are asked for over."""
        self._options = options
        self._hooks = options.hooks
        self._persisted = Persisted(options.persisted) if options.persisted else None
        self._callers = Callers(options.authentication)
        self._has_rules = bool(supergraph.access)
        self._permissions = Permissions(options.hooks.policies)
        self._labels = OverrideLabels(supergraph.labels, options.override_labels)
        self._background = Background()
        self._documents = Documents(supergraph, planner, options)
        self._operations = Operations(supergraph, planner, self._documents, options)
        self._introspection = IntrospectionAnswers(self._background, options.cached_bytes // 8)
        self._answering = Answering(subgraphs, self._background, options)
        self._delivering = Delivering(self._answering, options)
        self._subscribing = Subscribing(streams, self._answering, options)
        self._metrics = options.metrics
        is_named = options.metrics is not None or options.tracing is not None
        self._measured = MeasuredNames(options, self._persisted) if is_named else None

    def statistics(self) -> PipelineStatistics:
        return {"documents": self._documents.statistics(), "plans": self._operations.statistics()}

    def most_used(self, count: int) -> list[tuple[str, str | None]]:
        """Texts and names of the operations whose documents were asked for most often, most often first."""
        return self._documents.most_used(count)

    async def prepare(self, operations: Iterable[tuple[str, str | None]]) -> int:
        """Parses, validates and plans operations before anybody asks for them; how many of them can be executed."""
        found = 0
        for query, name in operations:
            with suppress(RequestRefused):  # the next one who asks is told
                await self._operations.prepared(query, name, self._labels.on({}), NOTHING_DENIED)
                found += 1
        return found

    async def settled(self) -> None:
        """Returns when nothing goes on behind requests that are over."""
        await self._answering.settled()

    async def aclose(self) -> None:
        self._subscribing.close()
        self._operations.close()
        self._background.close()
        await self._callers.aclose()

    async def credentials_expire(self, headers: Mapping[str, str]) -> float | None:
        """When the token in the headers is over; None without one. Raises RequestRefused as requests with them do."""
        caller = await self._callers.of(headers)
        return None if caller is None else caller.expires

    async def execute(self, request: GraphQLRequest) -> GraphQLAnswer:
        """The answer to a request, whatever happens; unexpected exceptions are logged and told without detail."""
        deadline = asyncio.get_running_loop().time() + self._options.limits.seconds
        operation, started = NOT_READ, time.perf_counter() if self._metrics is not None else 0.0
        try:
            if self._hooks.request:
                request = await self._asked(request, deadline)
            prepared, caller = await self._prepared(request, deadline)
            operation = prepared.measured
            if self._hooks.plan:
                await self._allowed(request, caller, prepared, deadline)
            answer = await self._run(prepared, request, caller, deadline)
        except Exception as error:  # noqa: BLE001 - see `_refusal`
            answer = _refusal(error)
        if self._hooks.response:
            answer = await self._told(request, answer, deadline)
        if self._metrics is not None:
            self._metrics.operations.executed(operation, answer.errors, time.perf_counter() - started)
        return answer

    async def stream(self, request: GraphQLRequest) -> AsyncGenerator[StreamItem, None]:
        """The messages of a subscription, and between them how far it is; of another operation its answer, in parts
        where it defers some.

        Raises:
            StreamInterrupted: the stream has broken off and cannot be taken up here.
        """
        deadline = asyncio.get_running_loop().time() + self._options.limits.seconds
        operation, started = NOT_READ, time.perf_counter() if self._metrics is not None else 0.0
        try:
            if self._hooks.request:
                request = await self._asked(request, deadline)
            prepared, caller = await self._prepared(request, deadline)
            operation = prepared.measured
            if prepared.operation.operation.value != "subscription":
                parts = self._counted(self._in_parts(prepared, request, caller, deadline), operation, started)
                async with aclosing(parts):
                    async for part in parts:
                        yield part
                return
            if self._hooks.plan:
                await self._allowed(request, caller, prepared, deadline)
            variables, extensions, wanted = self._checked(prepared, request)
            if wanted == "only":
                yield await self._told(request, GraphQLAnswer(None, [], extensions), deadline)
                return
            # Who asks is signed for a short time only, and a stream lasts.
            headers = partial(forwarded, request, self._options, caller)
            subscription = Subscription(prepared, variables, headers, resume_from(request), extensions)
            messages = self._subscribing.messages(subscription)
            async with aclosing(messages), aclosing(while_proved(messages, caller)) as told:
                async for item in told:
                    if not isinstance(item, GraphQLAnswer):
                        yield item
                        continue
                    if self._metrics is not None:
                        self._metrics.message()
                    yield await self._told(request, item, deadline)
        except StreamInterrupted:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            answer = await self._told(request, _refusal(error), deadline)
            if self._metrics is not None:
                self._metrics.operations.executed(operation, answer.errors, time.perf_counter() - started)
            yield answer

    async def parts(self, request: GraphQLRequest) -> AsyncGenerator[GraphQLAnswer | AnswerPart, None]:
        """The answer to a request, in parts where it defers some; subscriptions are refused."""
        deadline = asyncio.get_running_loop().time() + self._options.limits.seconds
        operation, started = NOT_READ, time.perf_counter() if self._metrics is not None else 0.0
        try:
            if self._hooks.request:
                request = await self._asked(request, deadline)
            prepared, caller = await self._prepared(request, deadline)
            operation = prepared.measured
            parts = self._counted(self._in_parts(prepared, request, caller, deadline), operation, started)
            async with aclosing(parts):
                async for part in parts:
                    yield part
        except Exception as error:  # noqa: BLE001 - as above
            answer = await self._told(request, _refusal(error), deadline)
            if self._metrics is not None:
                self._metrics.operations.executed(operation, answer.errors, time.perf_counter() - started)
            yield answer

    async def _counted(
        self, parts: AsyncGenerator[GraphQLAnswer | AnswerPart, None], operation: tuple[str, str], started: float
    ) -> AsyncGenerator[GraphQLAnswer | AnswerPart, None]:
        """The parts; the operation is counted with the last one."""
        errors: list[ErrorObject] = []
        async with aclosing(parts):
            async for part in parts:
                errors += part.errors
                if self._metrics is not None and not (isinstance(part, AnswerPart) and part.has_next):
                    self._metrics.operations.executed(operation, errors, time.perf_counter() - started)
                yield part

    async def _asked(self, request: GraphQLRequest, deadline: float) -> GraphQLRequest:
        async with asyncio.timeout_at(deadline):
            return await on_request(self._hooks, request)

    async def _told(self, request: GraphQLRequest, answer: GraphQLAnswer, deadline: float) -> GraphQLAnswer:
        if not self._hooks.response:
            return answer
        told = await on_response(self._hooks, request, answer, deadline)
        if answer.is_written and not told.is_written:
            await self._background.run(told.write_in_pieces)
        return told

    async def _prepared(self, request: GraphQLRequest, deadline: float) -> tuple[PreparedOperation, Caller | None]:
        if self._persisted is not None:
            request = replace(request, query=self._persisted.text_of(request))
        async with asyncio.timeout_at(deadline):
            here = CURRENT.get()
            if here is None or not here.is_recorded:
                return await self._planned(request)
            with here.child("graphql.plan", "internal", {}) as span:
                try:
                    prepared, caller = await self._planned(request)
                except RequestRefused as refused:
                    span.fail(str(refused.errors[0]["extensions"]["code"]), here=False)
                    raise
            tell_operation(here, prepared.measured, request.query)
            return prepared, caller

    async def _allowed(
        self, request: GraphQLRequest, caller: Caller | None, prepared: PreparedOperation, deadline: float
    ) -> None:
        """Hooks see the plan that is to be carried out, and may refuse it."""
        async with asyncio.timeout_at(deadline):
            await on_plan(self._hooks, PlannedOperation(request, caller, prepared.plan.plan))

    async def _planned(self, request: GraphQLRequest) -> tuple[PreparedOperation, Caller | None]:
        caller = await self._callers.of(request.headers)
        labels = self._labels.on(request.headers)
        denied = await self._denied(request, caller) if self._has_rules else NOTHING_DENIED
        prepared = await self._operations.prepared(request.query, request.operation_name, labels, denied)
        if self._measured is not None and prepared.measured is NOT_READ:
            prepared.measured = self._measured.of(prepared.operation, request.query)
        return prepared, caller

    async def _denied(self, request: GraphQLRequest, caller: Caller | None) -> frozenset[Access]:
        rules = await self._operations.rules_of(request.query)
        return await self._permissions.denied(rules, caller, request) if rules else NOTHING_DENIED

    def _checked(
        self, prepared: PreparedOperation, request: GraphQLRequest
    ) -> tuple[dict[str, object], dict[str, object], str | None]:
        """The values of the variables, the extensions of the answer, and what `_wants_plan` says."""
        variables = prepared.variables(request.variables)
        refusals = [one for one in prepared.plan.plan.refusals if holds(one.conditions, variables)]
        if refusals:
            raise RequestRefused(*(error_object(one.message, one.code) for one in refusals))
        try:
            prepared.estimate(variables).check(variables, self._options.limits.objects)
            if self._options.limits.cost is not None:
                prepared.cost(variables).check(variables, self._options.limits.cost)
        except LimitExceeded as error:
            raise RequestRefused(error_object(str(error), error.code)) from error
        wanted = self._wants_plan(request)
        extensions: dict[str, object] = {} if wanted is None else {"queryPlan": _described(prepared.plan.plan)}
        return variables, extensions, wanted

    async def _run(
        self, prepared: PreparedOperation, request: GraphQLRequest, caller: Caller | None, deadline: float
    ) -> GraphQLAnswer:
        kind = prepared.operation.operation.value
        if kind == "subscription":
            message = "a subscription is asked for with Accept: text/event-stream"
            raise RequestRefused(error_object(message, "SUBSCRIPTIONS_NOT_SUPPORTED"))
        if request.only_queries and kind != "query":
            raise RequestRefused(error_object("only queries are executed by GET", "METHOD_NOT_ALLOWED"))
        variables, extensions, wanted = self._checked(prepared, request)
        if prepared.deferred is not None:
            prepared.deferred.chosen(variables)  # refused in a whole answer as well, where it is not possible
        if wanted == "only":
            return GraphQLAnswer(None, [], extensions)
        asked = prepared.variant(variables, shared=False).introspection
        introspected = await self._introspected(asked, variables, deadline) if asked else ()
        headers = forwarded(request, self._options, caller)
        if kind == "mutation" and self._options.recent is not None:
            headers = correlated(headers)
            if correlation := correlation_of(headers):
                extensions["correlation"] = correlation
        return await self._answering.answer(
            prepared,
            variables,
            headers,
            bookmark_of(request),
            introspected,
            extensions,
            deadline,
            self._explanation(wanted, deadline),
        )

    async def _in_parts(
        self, whole: PreparedOperation, request: GraphQLRequest, caller: Caller | None, deadline: float
    ) -> AsyncGenerator[GraphQLAnswer | AnswerPart, None]:
        """The answer, in parts where it defers some, and no hook wants to see it as a whole."""
        deferred = whole.deferred
        prepared = None
        if deferred is not None and not self._hooks.response:
            async with asyncio.timeout_at(deadline):
                prepared = await self._operations.in_parts(whole, whole.variables(request.variables))
        if self._hooks.plan:
            await self._allowed(request, caller, prepared or whole, deadline)
        if deferred is None or prepared is None:
            yield await self._told(request, await self._run(whole, request, caller, deadline), deadline)
            return
        variables, extensions, wanted = self._checked(prepared, request)
        if wanted == "only":
            yield GraphQLAnswer(None, [], extensions)
            return
        introspected = await self._introspected(prepared.in_parts(variables).introspection, variables, deadline)
        headers = forwarded(request, self._options, caller)
        execution = self._answering.execution(prepared, variables, headers, bookmark_of(request), deadline)
        execution.explanation = self._explanation(wanted, deadline)
        parts = self._delivering.parts(prepared, deferred.labels, execution, introspected, extensions)
        async with aclosing(parts):
            async for part in parts:
                yield part

    async def _introspected(
        self, asked: Iterable[IntrospectionField], variables: Mapping[str, object], deadline: float
    ) -> list[object]:
        async with asyncio.timeout_at(deadline):
            return [await self._introspection.of(field, variables) for field in asked]

    def _wants_plan(self, request: GraphQLRequest) -> str | None:
        """`only` where the plan is asked for without being executed, `1` where beside the data, `explain` where with
        what came of each fetch, else None."""
        if not self._options.expose_query_plan:
            return None
        asked = request.extensions.get("queryPlan", request.headers.get("query-plan"))
        if not isinstance(asked, bool | int | str | None):
            message = 'extensions.queryPlan is true, false, "only" or "explain"'
            raise RequestRefused(error_object(message, "INVALID_INPUT"))
        return _PLAN_WANTED.get(cast("str", asked))

    def _explanation(self, wanted: str | None, deadline: float) -> Explanation | None:
        """What hears of the request's fetches, if that is wanted; the deadline was set when the request came."""
        return Explanation(deadline - self._options.limits.seconds) if wanted == "explain" else None


def _refusal(error: Exception) -> GraphQLAnswer:
    """What is told of a request that could not be executed; must be called where the exception is handled."""
    match error:
        case RequestRefused():
            return GraphQLAnswer(None, error.errors, {}, refused=True)
        case Answered():
            return error.answer
        case HookFailed():
            return GraphQLAnswer(None, [error_object(str(error), error.code)], {}, refused=True)
        case TimeoutError():
            late = error_object("preparing the operation took too long", "REQUEST_TIMEOUT")
            return GraphQLAnswer(None, [late], {}, refused=True)
        case _:  # logged in full; the client learns nothing of the inside
            _log.error("an operation failed", exc_info=error)
            failed = error_object("the router failed to execute the operation", "INTERNAL_ERROR")
            return GraphQLAnswer(None, [failed], {})


def _described(plan: QueryPlan) -> dict[str, object]:
    from graphrouter.planning.render import render, to_json  # noqa: PLC0415 - nobody needs it who does not ask

    return {"lines": render(plan).splitlines(), "tree": to_json(plan)}
