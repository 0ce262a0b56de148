"""graphql-core's executor, with a bound on the objects of an answer, and turns in long lists.

graphql-core completes a list of any length in one go, and starts whatever its items wait for at once; there is no
setting against either. Here the objects are counted over all levels, aliases and occurrences, and a list goes on in
another turn of the event loop when the fields of this one are used up (`turns.py`). What is overridden are methods that
graphql-core documents as its own: `tests/unit/serving/test_executor.py` says what has to hold when it is upgraded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any, Final, TypeVar

from graphql import GraphQLObjectType, GraphQLOutputType, GraphQLResolveInfo
from graphql.execution import Executor
from graphql.pyutils import Path, gather_with_cancel

from eventkernel.errors import TooCostly
from subgraphs.serving.turns import Turns

OBJECTS_LIMIT: Final = 100_000
"""The most objects in one answer; somebody who is met twice is two."""

Value = TypeVar("Value")


class CountingExecutor(Executor[Any]):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._turns = Turns.of_this_loop()
        self._objects = 0

    def execute_fields(
        self, parent_type: GraphQLObjectType, source_value: Any, path: Path | None, grouped_field_set: Any, *context: Any
    ) -> Any:
        """Of each object, when it is its turn to be executed."""
        self._objects += 1
        if self._objects > OBJECTS_LIMIT:
            raise TooCostly(f"expected at most {OBJECTS_LIMIT} objects in one answer, found more")
        self._turns.spend(len(grouped_field_set))
        return super().execute_fields(parent_type, source_value, path, grouped_field_set, *context)

    async def with_abort_signal(self, awaitable: Awaitable[Value]) -> Value:
        """What a resolver has waited for: a batch may give it to thousands of them at once."""
        value = await awaitable
        if self._turns.is_over:
            await self._turns.another()
        return value

    def complete_iterable_value(
        self,
        item_type: GraphQLOutputType,
        field_details_list: Any,
        info: GraphQLResolveInfo,
        path: Path,
        items: Iterable[Any],
        *context: Any,
    ) -> Any:
        completed = _Items(self, item_type, (field_details_list, info), path, context)
        remaining = enumerate(items)
        for index, item in remaining:
            completed.add(index, item)
            if self._turns.is_over:
                return completed.in_turns(remaining, self._turns)
        return completed.awaited() if completed.waiting else completed.values


class _Items:
    """The items of one list, as far as they are complete."""

    __slots__ = ("_complete", "_context", "_executor", "_item_type", "_path", "_place", "values", "waiting")

    def __init__(
        self, executor: CountingExecutor, item_type: GraphQLOutputType, place: Any, path: Path, context: Any
    ) -> None:
        self._executor = executor
        self._complete = executor.complete_list_item_value
        self._item_type = item_type
        self._place = place
        self._path = path
        self._context = context
        self.values: list[Any] = []
        self.waiting: list[int] = []
        """The indexes of the values that are not there yet."""

    def add(self, index: int, item: Any) -> None:
        details, info = self._place
        path = self._path.add_key(index, None)
        if self._executor.is_awaitable(item):
            later = self._executor.complete_awaitable_list_item_value
            self.values.append(later(item, self._item_type, details, info, path, *self._context))
            self.waiting.append(index)
            return
        try:
            waits = self._complete(item, self.values, self._item_type, details, info, path, *self._context)
        except Exception:
            self._abandon()
            raise
        if waits:
            self.waiting.append(index)

    async def in_turns(self, remaining: Iterable[tuple[int, Any]], turns: Turns) -> list[Any]:
        """The rest, too. What items wait for begins in the turn of its item."""
        started = 0
        try:
            for index, item in remaining:
                if turns.is_over:
                    for place in self.waiting[started:]:
                        self.values[place] = asyncio.ensure_future(self.values[place])
                    started = len(self.waiting)
                    await turns.another()
                self.add(index, item)
        except asyncio.CancelledError:
            self._abandon()
            raise
        return await self.awaited()

    async def awaited(self) -> list[Any]:
        if len(self.waiting) == 1:
            place = self.waiting[0]
            self.values[place] = await self.values[place]
        else:
            found = await gather_with_cancel(*(self.values[place] for place in self.waiting))
            for place, value in zip(self.waiting, found, strict=True):
                self.values[place] = value
        return self.values

    def _abandon(self) -> None:
        """Nobody wants the items any more: what they wait for comes to an end unseen."""
        if self.waiting:
            self._executor.settle_in_background([self.values[place] for place in self.waiting])
