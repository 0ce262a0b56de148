"""Draws the variables of requests, and keeps what answers have for those that come after.

Drawn by a seed, so the same run asks the same again, as far as values do not come out of answers. Two values that one
request draws from a pool are different where the pool has two.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final, cast

from eventgraph.errors import StartError
from eventgraph.load.workload import UNIQUE, Json, Workload, pool_of

KEPT: Final = 10_000
"""So many values of answers a pool has at most; then each new one takes the place of the oldest."""
_TRIES: Final = 8
_BOOKMARKS: Final = 2
"""A request can have two: in its header, and in its extensions."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value, with the bookmark of the answer that it came in: it is there for whoever has seen that."""

    value: Json
    bookmark: str = ""


@dataclass(slots=True)
class Filled:
    """A pool that answers fill."""

    values: list[Value] = field(default_factory=list[Value])
    added: int = 0

    def add(self, value: Value) -> None:
        if len(self.values) < KEPT:
            self.values.append(value)
        else:
            self.values[self.added % KEPT] = value
        self.added += 1


@dataclass(frozen=True, slots=True)
class Drawn:
    """The variables of a request, and the bookmarks that it needs to find what they name: at most two."""

    variables: Mapping[str, Json]
    bookmarks: Sequence[str]


class Pools:
    """The pools of a workload during one run, which `run` names: a text that no other run has."""

    def __init__(self, workload: Workload, draw: random.Random, run: str) -> None:
        self._workload = workload
        self._draw = draw
        self._run = run
        self._numbers = count()
        self._filled = {name: Filled() for name, pool in workload.pools.items() if pool.operation is not None}
        self._feeds: dict[str, list[tuple[Sequence[str], Filled]]] = {}
        for name, filled in self._filled.items():
            pool = workload.pools[name]
            self._feeds.setdefault(pool.operation or "", []).append((pool.path.split("."), filled))

    def feeds(self, operation: str) -> bool:
        """Whether a pool has values of this operation's answers."""
        return operation in self._feeds

    def size(self, pool: str) -> int:
        """How many values of answers a pool has."""
        return len(self._filled[pool].values)

    def collect(self, operation: str, data: Json, bookmark: str) -> None:
        """Take what pools want of an answer's data."""
        for path, filled in self._feeds.get(operation, ()):
            for value in _at(data, path):
                filled.add(Value(value, bookmark))

    def draw(self, operation: str) -> Drawn:
        """
        Raises:
            StartError: a pool that the operation draws from has nothing yet.
        """
        request = _Request(self)
        variables = request.put_in(self._workload.operations[operation].variables)
        bookmarks = dict.fromkeys(value.bookmark for value in reversed(request.values) if value.bookmark)
        return Drawn(variables, list(bookmarks)[:_BOOKMARKS])

    def unique(self) -> str:
        return f"{self._run}-{next(self._numbers)}"

    def value(self, name: str) -> Value:
        pool = self._workload.pools[name]
        if pool.values is not None:
            return Value(self._draw.choice(pool.values))
        if pool.range is not None:
            return Value(self._draw.randint(*pool.range))
        if not self._filled[name].values:
            raise StartError(f"load: pool {name!r} is empty: list it after those that its operation draws from")
        return self._draw.choice(self._filled[name].values)


class _Request:
    """The values that one request has drawn so far."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._drawn: dict[str, list[Json]] = {}
        self.values: list[Value] = []

    def put_in(self, template: Json) -> Json:
        """A value of the file, with what is drawn in its places."""
        match template:
            case dict():
                return {name: self.put_in(item) for name, item in cast("dict[str, object]", template).items()}
            case list():
                return [self.put_in(item) for item in cast("list[object]", template)]
            case str():
                name = pool_of(template)
                if name is None:
                    return template[1:] if template.startswith("$$") else template
                return self._pools.unique() if name == UNIQUE else self._another(name)
            case _:
                return template

    def _another(self, name: str) -> Json:
        before = self._drawn.setdefault(name, [])
        value = self._pools.value(name)
        for _ in range(_TRIES):
            if value.value not in before:
                break
            value = self._pools.value(name)
        before.append(value.value)
        self.values.append(value)
        return value.value


def _at(data: Json, path: Sequence[str]) -> Iterator[Json]:
    """What is at a path, in each item of the lists on the way; nothing where something is null."""
    if isinstance(data, list):
        for item in cast("list[object]", data):
            yield from _at(item, path)
    elif not path:
        if data is not None:
            yield data
    elif isinstance(data, dict):
        yield from _at(cast("dict[str, Json]", data).get(path[0]), path[1:])
