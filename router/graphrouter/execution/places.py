"""From a path of a plan to the objects of the merged data that it leads to, and to their positions in the response."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from itertools import chain
from typing import Final

from graphrouter.execution.merge import JsonObject
from graphrouter.json_text import Json
from graphrouter.planning.plan import Key, Path, PathStep, Slice, TypeIs

_OBJECTS: Final = {dict}
_LISTS: Final = {list}


def objects_at(root: JsonObject, path: Path) -> list[JsonObject]:
    """The objects at a path, in order, each once, however many positions share it."""
    return objects_below([root], path)


def objects_below(objects: list[JsonObject], path: Sequence[PathStep]) -> list[JsonObject]:
    for step in path:
        if not isinstance(step, Key):
            objects = _of_types(objects, step.types)
        elif step.slice is None:
            objects = _children(objects, step.name)
        else:
            objects = _once(_spread([item for parent in objects for _, item in sliced(parent, step.name, step.slice)]))
    return objects


def sliced(parent: JsonObject, name: str, slice_: Slice) -> Iterator[tuple[int, Json]]:
    """Some items of the list in a field, with their indices; none where there is no list."""
    items: Json = parent.get(name)
    if items.__class__ is list:
        for index in slice_.of(len(items)):
            yield index, items[index]


def _of_types(objects: list[JsonObject], types: frozenset[str]) -> list[JsonObject]:
    try:
        return [found for found in objects if found.get("__typename") in types]
    except TypeError:  # a subgraph gave an object or a list as the name of a type
        return [found for found in objects if is_of_type(found, types)]


def is_of_type(found: JsonObject, types: Container[str]) -> bool:
    """Whether the object says that it is of one of these types; False where it gives no name of a type."""
    name: Json = found.get("__typename")
    return name.__class__ is str and name in types


def _children(objects: list[JsonObject], name: str) -> list[JsonObject]:
    values: list[Json] = [parent.get(name) for parent in objects]
    return _once(_spread(_once(values) if list in set(map(type, values)) else values))


def _once(items: list[Json]) -> list[Json]:
    """Each of them once, however often it stands there."""
    return items if len(set(map(id, items))) == len(items) else list({id(item): item for item in items}.values())


def _spread(items: list[Json]) -> list[JsonObject]:
    """The objects among the items and in the lists among them, in order."""
    classes = set(map(type, items))
    if classes == _OBJECTS:
        return items
    if classes == _LISTS:
        return _spread(list(chain.from_iterable(items)))
    found: list[JsonObject] = []
    for item in items:
        if item.__class__ is dict:
            found.append(item)
        elif item.__class__ is list:
            found += _spread(item)
    return found


def positions_at(root: JsonObject, path: Path) -> Iterator[tuple[list[str | int], JsonObject]]:
    """Every position of the response that a path means, lazily, with the object there: for the paths of errors."""
    yield from _positions(root, path, [])


def _positions(value: Json, path: Path, taken: list[str | int]) -> Iterator[tuple[list[str | int], JsonObject]]:
    if value.__class__ is list:
        for index, item in enumerate(value):
            yield from _positions(item, path, [*taken, index])
    elif value.__class__ is dict:
        found = value
        if not path:
            yield taken, found
        elif isinstance(step := path[0], TypeIs):
            if is_of_type(found, step.types):
                yield from _positions(found, path[1:], taken)
        elif step.slice is None:
            yield from _positions(found.get(step.name), path[1:], [*taken, step.name])
        else:
            for index, item in sliced(found, step.name, step.slice):
                yield from _positions(item, path[1:], [*taken, step.name, index])
