"""Runs a plan whose answers are read into structs, and goes on with dicts as soon as one of them does not fit.

Requests are the same, byte by byte, and so is what comes of an answer that fits. One that does not (it has errors, or
nulls where there are none, lacks a field or has one too many, is large, or never came) turns all that is there into
what it would be, had the plan been run with dicts from the start. It is then taken as it is taken there, and so are
those of the fetches that are under way at that moment.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import msgspec
from msgspec import Struct

from graphrouter.execution.background import LARGE_BYTES
from graphrouter.execution.execute import LEAST_OBJECT_BYTES, Execution
from graphrouter.execution.prepare import PreparedFetch
from graphrouter.execution.representations import Representations
from graphrouter.execution.structs.parts import as_merged
from graphrouter.execution.structs.plan import FetchStep, GroupStep, StructPlan
from graphrouter.transport import SubgraphResponse, TransportError


@dataclass(slots=True)
class _Asked:
    """What a group asks for: how many entities, and where they belong, as slot, objects and numbers of entities."""

    group: GroupStep
    count: int
    text: bytes
    places: list[tuple[str, list[Struct], Sequence[int]]]


@dataclass(slots=True)
class StructExecution(Execution):
    """An execution that has `root` as long as all answers fit their structs, and then `data`."""

    structs: StructPlan = field(kw_only=True)
    root: Struct | None = None
    _known: dict[int, list[Struct]] = field(default_factory=dict[int, "list[Struct]"])
    _came: dict[PreparedFetch, SubgraphResponse | TransportError] = field(
        default_factory=dict[PreparedFetch, "SubgraphResponse | TransportError"]
    )
    _copies: int = 0
    """How many objects were given an entity that another one has as well."""

    def __post_init__(self) -> None:
        self.root = self.structs.root()

    @property
    def shaped(self) -> Struct | None:
        """The response's data; None where an answer did not fit."""
        return None if self.root is None else self.structs.shape(self.root)

    # `super()` alone does not know a class with slots, which the decorator makes anew.

    async def _perform(self, prepared: PreparedFetch) -> None:
        root = self.root
        if root is None:
            await super(StructExecution, self)._perform(prepared)
            return
        step = self.structs.steps[prepared]
        asked = [self._asked(group, root) for group in step.groups]
        if asked and not any(one.count for one in asked):
            return
        body = prepared.body(self.variables, [one.text for one in asked])
        try:
            response = await self._response(prepared, body)
        except TransportError as failure:
            self._came[prepared] = failure
        else:
            if self.root is root and self._take(prepared, step, asked, root, response):
                return
            self._came[prepared] = response
        if self.root is not None:
            self.data = as_merged(self.root)
            self.root = None
            self._known.clear()
        await super(StructExecution, self)._perform(prepared)

    async def _response(self, prepared: PreparedFetch, body: bytes) -> SubgraphResponse:
        came = self._came.pop(prepared, None)
        if came is None:
            return await super(StructExecution, self)._response(prepared, body)
        if isinstance(came, TransportError):
            raise came
        return came

    def _share(self, ready: list[PreparedFetch]) -> None:
        if self.root is None:
            super(StructExecution, self)._share(ready)

    def _asked(self, group: GroupStep, root: Struct) -> _Asked:
        representations = Representations()
        places: list[tuple[str, list[Struct], Sequence[int]]] = []
        for target in group.targets:
            objects = target.reader.objects(root, self._known)
            places.append((target.slot, objects, representations.add_rows(target.names, target.rows(objects))))
        text = group.prepared.variable + representations.text + b"]"
        return _Asked(group, representations.count, text, places)

    def _take(
        self,
        prepared: PreparedFetch,
        step: FetchStep,
        asked: list[_Asked],
        root: Struct,
        response: SubgraphResponse,
    ) -> bool:
        """Whether the answer fits; all of it is attached then, and nothing otherwise."""
        size = self._bytes + len(response.body)
        if size > LARGE_BYTES or size > LEAST_OBJECT_BYTES * self.max_objects:
            return False
        try:
            answer = step.decoder.decode(response.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        attached: list[tuple[str, list[Struct], Sequence[Any]]] = []
        copies = self._copies
        for one in asked:
            entities = getattr(answer.data, one.group.attribute)
            if len(entities) != one.count:
                return False
            more = sum(len(objects) for _, objects, _ in one.places) - one.count
            if more and one.group.has_objects:
                return False
            copies += more
            size += more * len(response.body) // max(one.count, 1)
            if copies > self.max_objects or size > LARGE_BYTES:
                return False
            for slot, objects, numbers in one.places:
                same = isinstance(numbers, range) and len(numbers) == one.count
                attached.append((slot, objects, entities if same else [entities[number] for number in numbers]))
        if step.slot:
            setattr(root, step.slot, answer.data)
        for slot, objects, sources in attached:
            deque(map(setattr, objects, repeat(slot), sources), maxlen=0)
        self._bytes, self._copies = size, copies
        self._join_bookmark(prepared, response, {"extensions": answer.extensions})
        return True
