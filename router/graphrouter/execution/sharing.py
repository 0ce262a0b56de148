"""At which targets equal objects of the merged data become one object.

Answers repeat themselves: a list of 500 reviews may be of eleven products. Where the JSON text of two objects on a
target is the same, all that differs from now on is where they stand, so the second is replaced by the first. From then
on there is one object to merge into, to read a representation from, and to shape, however many positions it has.

That is right as long as whatever comes later is the same for all positions of the target. The plan says so: of every
fetch that may still bring something when the target's fetch starts (all but those that it waits for), no target

- leads through the same keys under other type conditions: `nodes.product` and `nodes(Book).product` have objects in
  common, and not everything that comes for one is asked for on the other;
- lies above and is asked for an object with the next key of the path: its answer may differ from position to position.

A type condition behind the last key asks for nothing but the object itself, and does not count. In a plan whose fields
take values from around them (`contexts.py`), where an object stands makes a difference, and nothing is shared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import is_not
from typing import Final, TypeAlias

import orjson

from graphrouter.execution.merge import JsonObject
from graphrouter.json_text import Json, dumps
from graphrouter.planning.plan import EntityFetch, Fetch, Key, Path, Target

_OBJECTS: Final = {dict}

BroughtKeys: TypeAlias = Callable[[int], frozenset[str]]
"""Number of a fetch → the response keys under which its answer has objects, right below its targets."""


def shareable_targets(fetches: Sequence[Fetch], brought: BroughtKeys) -> list[frozenset[int]]:
    """For each fetch the `id()` of those of its targets whose equal objects may become one."""
    if any(group.contexts for fetch in fetches if isinstance(fetch, EntityFetch) for group in fetch.groups):
        return [frozenset() for _ in fetches]
    places = [[_Place(path) for path in _paths(fetch)] for fetch in fetches]
    found: list[frozenset[int]] = []
    for number, before in enumerate(_all_before(fetches)):
        later = [other for other in range(len(fetches)) if other not in before]
        found.append(
            frozenset(
                id(target)
                for target in _targets(fetches[number])
                if not any(_disturb(places[other], _Place(target.path), other, brought) for other in later)
            )
        )
    return found


class Sharing:
    """Makes equal objects one; `found_any` says whether there were any."""

    __slots__ = ("found_any",)

    def __init__(self) -> None:
        self.found_any = False

    def children(self, parents: list[JsonObject], name: str) -> list[JsonObject]:
        """The objects in this field, each once, after all that are equal have become one."""
        try:
            return self._children(parents, name, orjson.dumps)
        except orjson.JSONEncodeError:
            return self._children(parents, name, _text)

    def _children(self, parents: list[JsonObject], name: str, text: _Text) -> list[JsonObject]:
        distinct: dict[bytes | int, JsonObject] = {}
        seen: set[int] = set()
        for parent in parents:
            child: Json = parent.get(name)
            if child.__class__ is list:
                self._share_items(child, distinct, seen, text)
            elif child.__class__ is dict:
                known = distinct.setdefault(text(child), child)
                if known is not child:
                    parent[name] = known
                    self.found_any = True
        return list(distinct.values())

    def _share_items(
        self, items: list[Json], distinct: dict[bytes | int, JsonObject], seen: set[int], text: _Text
    ) -> None:
        if id(items) in seen:
            return
        seen.add(id(items))
        if set(map(type, items)) == _OBJECTS:
            shared = list(map(distinct.setdefault, map(text, items), items))
            if any(map(is_not, shared, items)):
                items[:] = shared
                self.found_any = True
            return
        for number, item in enumerate(items):
            if item.__class__ is dict:
                known = distinct.setdefault(text(item), item)
                if known is not item:
                    items[number] = known
                    self.found_any = True
            elif item.__class__ is list:
                self._share_items(item, distinct, seen, text)


_Text: TypeAlias = Callable[[JsonObject], bytes | int]


def _text(found: JsonObject) -> bytes | int:
    """Equal for equal objects only. What is nested too deeply to be written, as a scalar can be, equals nothing."""
    try:
        return dumps(found)  # unlike orjson, with integers beyond 64 bits, and many levels
    except RecursionError:
        return id(found)


class _Place:
    """A path up to its last key: the keys, and the steps up to each of them."""

    __slots__ = ("keys", "steps")

    def __init__(self, path: Path) -> None:
        ends = [number for number, step in enumerate(path, 1) if isinstance(step, Key)]
        self.keys = tuple(step.name for step in path if isinstance(step, Key))
        self.steps = [path[:end] for end in ends]


def _disturb(others: Sequence[_Place], place: _Place, number: int, brought: BroughtKeys) -> bool:
    """Whether what fetch `number` brings at the other places may differ between the positions of this one."""
    depth = len(place.keys)
    for other in others:
        above = len(other.keys)
        if above < depth:
            if other.keys == place.keys[:above] and place.keys[above] in brought(number):
                return True
        elif other.keys[:depth] == place.keys and other.steps[depth - 1] != place.steps[-1]:
            return True
    return False


def _all_before(fetches: Sequence[Fetch]) -> list[set[int]]:
    """For each fetch those that have ended when it starts. A plan lists a fetch after all that it depends on."""
    number = {fetch.id: index for index, fetch in enumerate(fetches)}
    before: list[set[int]] = []
    for fetch in fetches:
        direct = {number[dependency] for dependency in fetch.depends_on}
        before.append(direct.union(*(before[one] for one in direct)))
    return before


def _targets(fetch: Fetch) -> Iterator[Target]:
    if isinstance(fetch, EntityFetch):
        for group in fetch.groups:
            yield from group.targets


def _paths(fetch: Fetch) -> Iterator[Path]:
    if isinstance(fetch, EntityFetch):
        yield from (target.path for target in _targets(fetch))
    else:
        yield fetch.path
