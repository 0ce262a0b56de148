"""Stage 7: the plan is run, and the response is shaped out of what the subgraphs gave."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TypeVar

from graphrouter.execution.background import LARGE_COUNT, Background
from graphrouter.execution.errors import ResponseErrors, error_object
from graphrouter.execution.execute import Execution, SubgraphSettings
from graphrouter.execution.explain import Explanation
from graphrouter.execution.inflight import Flights
from graphrouter.execution.merge import JsonObject
from graphrouter.execution.misfits import ShapeErrors
from graphrouter.execution.prepare import PreparedFetch
from graphrouter.execution.shape import Shape
from graphrouter.execution.structs.execute import StructExecution
from graphrouter.execution.structs.plan import StructPlan, StructPlans
from graphrouter.json_text import dumps
from graphrouter.limits import LimitExceeded
from graphrouter.options import RouterOptions
from graphrouter.pipeline.operation import PreparedOperation
from graphrouter.request import ErrorObject, GraphQLAnswer
from graphrouter.transport import SubgraphResponse

Made = TypeVar("Made")

_RUNS_AFTER_A_MISFIT = 20
"""How many runs of an operation do without structs after one whose answers did not fit: it was done twice in part."""

_SHAPING_SECONDS = 5.0
"""How long a large response may be shaped beyond the request's time."""


class Answering:
    """Runs prepared operations against the subgraphs."""

    def __init__(self, subgraphs: SubgraphSettings, background: Background, options: RouterOptions) -> None:
        self._subgraphs = subgraphs
        self._background = background
        self._options = options
        self._mutations: set[asyncio.Task[GraphQLAnswer]] = set()
        # Hooks of subgraphs may look at who asks.
        self._joins = options.join_equal_requests and not options.hooks.of_subgraphs
        self._flights: Flights[GraphQLAnswer] = Flights()
        self._structs = StructPlans(options.cached_bytes // 8)

    async def answer(
        self,
        prepared: PreparedOperation,
        variables: dict[str, object],
        headers: tuple[tuple[str, str], ...],
        bookmark: str,
        introspected: Sequence[object],
        extensions: dict[str, object],
        deadline: float,
        explanation: Explanation | None = None,
    ) -> GraphQLAnswer:
        """The answer to one request; equal queries that are in flight at the same time may share theirs."""
        structs = None if self._options.expose_cost else prepared.structs(self._structs)
        execution = self.execution(prepared, variables, headers, bookmark, deadline, structs)
        execution.explanation = explanation
        if prepared.operation.operation.value == "mutation":
            return await self._to_the_end(self._finish(prepared, execution, introspected, extensions))
        if not self._joins or extensions:
            return await self._finish(prepared, execution, introspected, extensions)
        equal = (id(prepared), dumps(variables), execution.headers, execution.bookmark)
        return await self._flights.join(equal, lambda: self._finish(prepared, execution, introspected, extensions))

    async def message(
        self,
        prepared: PreparedOperation,
        variables: dict[str, object],
        headers: tuple[tuple[str, str], ...],
        bookmark: str,
        given: tuple[PreparedFetch, SubgraphResponse],
        extensions: dict[str, object],
    ) -> GraphQLAnswer:
        """One message of a subscription, whose first fetch has been answered. Its bookmark is `bookmark`,
        which is where to resume, however far the other fetches have looked."""
        deadline = asyncio.get_running_loop().time() + self._options.limits.seconds
        execution = self.execution(prepared, variables, headers, bookmark, deadline)
        execution.given = given
        return await self._finish(prepared, execution, (), extensions, resume=bookmark)

    def execution(
        self,
        prepared: PreparedOperation,
        variables: dict[str, object],
        headers: tuple[tuple[str, str], ...],
        bookmark: str,
        deadline: float,
        structs: StructPlan | None = None,
    ) -> Execution:
        """A run of the operation's plan that has not begun."""
        run = Execution if structs is None else partial(StructExecution, structs=structs)
        return run(
            prepared.plan,
            self._subgraphs,
            variables,
            headers,
            deadline,
            bookmark,
            ResponseErrors(self._options.limits.errors),
            self._options.limits.objects,
            self._background,
        )

    async def settled(self) -> None:
        """Returns when every mutation that has begun is at its end."""
        while self._mutations:
            await asyncio.wait(self._mutations)

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
        resume: str | None = None,
    ) -> GraphQLAnswer:
        """Runs the plan and shapes the response. `resume` stands for the bookmark that came of it."""
        started = self.watch(execution) if resume is None else 0.0
        await execution.run()
        if (metrics := self._options.metrics) is not None:
            metrics.fetched(prepared.plan.plan.kind, execution.sent)
        variables = execution.variables
        if self._options.expose_cost:
            extensions["cost"] = await self.cost(prepared, execution)
        struct = execution.shaped if isinstance(execution, StructExecution) else None
        data: JsonObject | None = None
        shape_errors = ShapeErrors(self._options.limits.objects, introspected)
        if struct is None:
            if isinstance(execution, StructExecution):
                prepared.rests = _RUNS_AFTER_A_MISFIT
            variant = prepared.variant(variables, execution.sharing.found_any)
            data = await self.shaped(variant.shape, execution, shape_errors)
        if bookmark := execution.bookmark if resume is None else resume:
            extensions["bookmark"] = bookmark
        if execution.explanation is not None:
            extensions["explain"] = execution.explanation.told(prepared.plan)
        told = prepared.told(execution.errors.as_list(), variables)
        self.note(prepared, execution, started, told)
        if struct is not None:
            return GraphQLAnswer.of_struct(struct, told, extensions)
        answer = GraphQLAnswer(data, told, extensions)
        if execution.is_large or shape_errors.objects > LARGE_COUNT:
            await self._background.run(answer.write_in_pieces)
        return answer

    def watch(self, execution: Execution) -> float:
        """Keeps what subgraphs answer, if recent requests are kept; gives when it began, in seconds since 1970."""
        if self._options.recent is None:
            return 0.0
        execution.fetched = []
        return time.time()

    def note(
        self, prepared: PreparedOperation, execution: Execution, started: float, errors: Sequence[ErrorObject]
    ) -> None:
        """Keeps a request that has come to its end among the recent ones, if it was watched."""
        if self._options.recent is not None and execution.fetched is not None:
            operation = prepared.operation
            name = operation.name.value if operation.name is not None else ""
            self._options.recent.executed(
                operation.operation.value, name, execution.headers, started, errors, execution.fetched
            )

    async def cost(self, prepared: PreparedOperation, execution: Execution) -> dict[str, int]:
        """What the operation was estimated to cost, and what it did."""
        cost, variables = prepared.cost(execution.variables), execution.variables
        counting = partial(cost.count, execution.data, variables)
        actual = await self._background.run(counting) if execution.is_large else counting()
        return {"estimated": cost.of(variables), "actual": actual}

    async def shaped(self, shape: Shape, execution: Execution, shape_errors: ShapeErrors) -> JsonObject | None:
        """What the shape makes of the data; what is wrong with it is told in the execution's errors."""
        make = partial(shape, execution.data, None, shape_errors)
        return await self.made(make, execution, shape_errors, execution.errors)

    async def made(
        self,
        make: Callable[[], Made | None],
        execution: Execution,
        shape_errors: ShapeErrors,
        errors: ResponseErrors,
    ) -> Made | None:
        """A part of the response that `make` makes of the execution's data.

        Large data are shaped in the background. What came until the request's time was over still has its time.
        """
        work = partial(_made, make, shape_errors, errors)
        if not execution.is_large:
            return work()
        until = max(execution.deadline, asyncio.get_running_loop().time()) + _SHAPING_SECONDS
        try:
            async with asyncio.timeout_at(until):
                return await self._background.run(work)
        except TimeoutError:
            errors.add(error_object("shaping the response took too long", "REQUEST_TIMEOUT"))
            return None


def _made(make: Callable[[], Made | None], shape_errors: ShapeErrors, errors: ResponseErrors) -> Made | None:
    try:
        data = make()
    except LimitExceeded as error:
        errors.add(error_object(str(error), error.code))
        return None
    if shape_errors.failed:
        shape_errors.tell(errors)
    return data
