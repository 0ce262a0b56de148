"""Merging what subgraphs answer into one tree, in place.

The tree is what the JSON decoder made: dicts, lists and leaves. An entity that stands at many positions is merged into
the object at each of them, and the positions of one target then share its nested values: they have the same selections,
so whatever is merged there later is the same for all. Positions of different targets get copies of their own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container
from typing import Final, TypeAlias

from graphrouter.json_text import Json

JsonObject: TypeAlias = dict[str, Json]

ALL_OBJECTS: Final = frozenset({dict})
"""Compared with the classes of many values in one call, it tells fastest whether all are objects."""

_keys: Final = dict[str, Json].keys
_update: Final[Callable[[JsonObject, JsonObject], None]] = dict[str, Json].update
_are_disjoint: Final = type(_keys({})).isdisjoint


def merge_object(into: JsonObject, source: JsonObject, object_types: Container[object]) -> None:
    """Adds the fields of `source`.

    Objects merge field by field, lists of equal length item by item. Null never takes the place of a value. A
    `__typename` is replaced by the name of an object type only: a subgraph that knows an interface object answers with
    the interface's name, which says less than what may be known already.
    """
    if into.keys().isdisjoint(source):
        into.update(source)
        return
    for key, value in source.items():
        known = into.get(key)
        if known is None:
            into[key] = value
        elif value.__class__ is dict:
            if known is not value and known.__class__ is dict:
                merge_object(known, value, object_types)
        elif value.__class__ is list:
            if known is not value and known.__class__ is list:
                _merge_list(known, value, object_types)
        elif value is not None and (key != "__typename" or value in object_types):
            into[key] = value


def merge_objects(into: list[JsonObject], sources: list[Json], object_types: Container[object]) -> None:
    """Adds to each object the fields of its source, which may be None; no object is given twice."""
    if ALL_OBJECTS.issuperset(map(type, sources)) and all(map(_are_disjoint, map(_keys, into), sources)):
        deque(map(_update, into, sources), maxlen=0)
        return
    for one, source in zip(into, sources, strict=True):
        if source is not None:
            merge_object(one, source, object_types)


def _merge_list(into: list[Json], source: list[Json], object_types: Container[object]) -> None:
    for index, (known, value) in enumerate(zip(into, source, strict=False)):
        if known is None:
            into[index] = value
        elif known is value:
            continue
        elif known.__class__ is dict and value.__class__ is dict:
            merge_object(known, value, object_types)
        elif known.__class__ is list and value.__class__ is list:
            _merge_list(known, value, object_types)


def count_objects(value: Json) -> int:
    """The objects in a tree, itself included, each as often as it stands there."""
    count = 0
    waiting: list[Json] = [value]
    while waiting:
        one = waiting.pop()
        if one.__class__ is dict:
            count += 1
            waiting.extend(child for child in one.values() if child.__class__ is dict or child.__class__ is list)
        elif one.__class__ is list:
            waiting.extend(child for child in one if child.__class__ is dict or child.__class__ is list)
    return count


def copy_tree(value: Json) -> Json:
    """A copy that shares no dict and no list with the original."""
    if value.__class__ is dict:
        return {
            key: copy_tree(child) if child.__class__ is dict or child.__class__ is list else child
            for key, child in value.items()
        }
    if value.__class__ is list:
        return [copy_tree(child) for child in value]
    return value
