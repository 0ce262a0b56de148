"""graphql-core's executor, with a bound on the objects of an answer, and turns in long lists.

graphql-core completes a list of any length in one go, and starts whatever its items wait for at once; there is no
setting against either. Here the objects are counted over all levels, aliases and occurrences, and a list goes on in
another turn of the event loop when the fields of this one are used up (`turns.py`). What is overridden are methods that
graphql-core documents as its own: `tests/unit/serving/test_costs.py` says what has to hold when it is upgraded.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (graphql-core leaves its generic types without parameters)

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any, Final, TypeVar

from graphql import GraphQLObjectType
from graphql.execution import Executor
from graphql.pyutils import Path, gather_with_cancel

from eventgraph.serving.turns import Turns
from eventkernel.errors import TooCostly

OBJECTS_LIMIT: Final = 100_000
"""The most objects in one answer; somebody who is met twice is two."""

Value = TypeVar("Value")


class CountingExecutor(Executor[Any]):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._turns = Turns.of_this_loop()
        self._objects = 0

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: Any,
        position_context: Any,
    ) -> Any:
        """Of each object, when it is its turn to be executed."""
        self._objects += 1
        if self._objects > OBJECTS_LIMIT:
            raise TooCostly(f"expected at most {OBJECTS_LIMIT} objects in one answer, found more")
        self._turns.spend(len(grouped_field_set))
        return super().execute_fields(parent_type, source_value, path, grouped_field_set, position_context)

    async def with_abort_signal(self, awaitable: Awaitable[Value]) -> Value:
        """What a resolver has waited for: a batch may give it to thousands of them at once."""
        value = await awaitable
        if self._turns.left <= 0:
            await self._turns.another()
        return value

    def complete_iterable_value(
        self,
        item_type: Any,
        field_details_list: Any,
        info: Any,
        path: Path,
        items: Iterable[Any],
        position_context: Any,
    ) -> Any:
        turns = self._turns
        completed = _Items(self, item_type, field_details_list, info, path, position_context)
        add = completed.add
        remaining = enumerate(items)
        for index, item in remaining:
            add(index, item)
            if turns.left <= 0:
                return completed.in_turns(remaining, turns)
        return completed.awaited() if completed.waiting else completed.values


class _Items:
    """The items of one list, as far as they are complete."""

    __slots__ = ("_context", "_details", "_executor", "_info", "_item_type", "_path", "values", "waiting")

    def __init__(
        self,
        executor: CountingExecutor,
        item_type: Any,
        details: Any,
        info: Any,
        path: Path,
        context: Any,
    ) -> None:
        self._executor = executor
        self._item_type = item_type
        self._details = details
        self._info = info
        self._path = path
        self._context = context
        self.values: list[Any] = []
        self.waiting: list[int] = []
        """The indexes of the values that are not there yet."""

    def add(self, index: int, item: Any) -> None:
        executor, path = self._executor, Path(self._path, index, None)
        try:
            if executor.is_awaitable(item):
                later = executor.complete_awaitable_list_item_value
                self.values.append(later(item, self._item_type, self._details, self._info, path, self._context))
                waits = True
            else:
                complete = executor.complete_list_item_value
                waits = complete(item, self.values, self._item_type, self._details, self._info, path, self._context)
        except Exception:
            self._abandon()
            raise
        if waits:
            self.waiting.append(index)

    async def in_turns(self, remaining: Iterable[tuple[int, Any]], turns: Turns) -> list[Any]:
        """The rest, too. What items wait for begins in the turn of its item, as a task."""
        started = 0
        try:
            for index, item in remaining:
                if turns.left <= 0:
                    started = self._start(started)
                    await turns.another()
                self.add(index, item)
        except asyncio.CancelledError:
            self._cancel()
            raise
        self._start(started)
        try:
            for place in self.waiting:
                self.values[place] = await self.values[place]
        except asyncio.CancelledError:
            self._cancel()
            raise
        except Exception:
            self._abandon()
            raise
        return self.values

    async def awaited(self) -> list[Any]:
        if len(self.waiting) == 1:
            place = self.waiting[0]
            self.values[place] = await self.values[place]
        else:
            found = await gather_with_cancel(*(self.values[place] for place in self.waiting))
            for place, value in zip(self.waiting, found, strict=True):
                self.values[place] = value
        return self.values

    def _start(self, behind: int) -> int:
        for place in self.waiting[behind:]:
            self.values[place] = asyncio.ensure_future(self.values[place])
        return len(self.waiting)

    def _abandon(self) -> None:
        """Nobody wants the items any more: what has begun comes to its end unseen, as graphql-core has it."""
        left = [value for place in self.waiting if self._executor.is_awaitable(value := self.values[place])]
        if left:
            self._executor.settle_in_background(left)

    def _cancel(self) -> None:
        for place in self.waiting:
            value = self.values[place]
            if isinstance(value, asyncio.Task):
                value.cancel()
        self._abandon()
