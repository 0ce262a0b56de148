"""From merged data to the list of representations of an entity fetch, and back to the positions they stand for.

The objects on a target's path are found by walking the tree once, list items included. What is shared by several
positions is walked once; where the plan allows it, equal objects become shared here (see `sharing.py`). Each object
gives a representation; equal ones are sent once. For entities with flat keys, which is nearly all of them, the tuple of
the key's values decides equality, and only the representations that are sent are ever built and encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final, TypeAlias, cast

import orjson

from graphrouter.execution.merge import JsonObject
from graphrouter.json_text import Json, dumps, fault_of
from graphrouter.planning.plan import InputField, InputSelection, Key, Path, PathStep, Representation, Target, TypeIs

Placement: TypeAlias = list[tuple[int, JsonObject]]
"""For one target: number of a representation, and an object that it stands for."""


@dataclass(slots=True)
class Collected:
    """The input of one entity group: encoded representations, and per target where their entities belong.

    `unfit` are the objects, by target, whose key or requirements no request can carry.
    """

    encoded: list[bytes]
    placements: list[Placement]
    unfit: dict[int, list[JsonObject]] = field(default_factory=dict[int, "list[JsonObject]"])


def objects_at(root: JsonObject, path: Path) -> list[JsonObject]:
    """The objects at a path, in order, each once, however many positions share it."""
    return objects_below([root], path)


def objects_below(objects: list[JsonObject], path: Sequence[PathStep]) -> list[JsonObject]:
    for step in path:
        objects = _children(objects, step.name) if isinstance(step, Key) else _of_types(objects, step.types)
    return objects


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
    found: list[JsonObject] = []
    spread: set[int] = set()
    for parent in objects:
        child: Json = parent.get(name)
        if child.__class__ is dict:
            found.append(child)
        elif child.__class__ is list and id(child) not in spread:
            spread.add(id(child))
            _spread(child, found)
    return list({id(child): child for child in found}.values()) if len(found) > 1 else found


def _spread(items: list[Json], into: list[JsonObject]) -> None:
    for item in items:
        if item.__class__ is dict:
            into.append(item)
        elif item.__class__ is list:
            _spread(item, into)


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
        else:
            yield from _positions(found.get(step.name), path[1:], [*taken, step.name])


Add: TypeAlias = Callable[[JsonObject, dict[object, int], list[bytes]], int]
"""Number of an object's representation in the list, which it enters where it is new; else MISSING or UNFIT."""

NO_KEYS: Final = frozenset[str]()
"""Joined with the keys of many objects in one call, it tells fastest which there are."""

MISSING: Final = -1
"""A field of the representation is not there: the fetch that was to bring it has failed, and has told so."""

UNFIT: Final = -2
"""A field of the representation has a value that cannot be sent, or the type's name is no name."""

_CARRIED: Final = frozenset({str, int, bool, type(None)})
"""The classes whose values can always be sent."""


class TargetReader:
    """Turns the objects of one target into representations; made once per plan."""

    __slots__ = ("_above", "_add", "_key", "_types", "path", "place", "shareable", "strays")

    def __init__(self, target: Target, shareable: bool, places: dict[Path, int]) -> None:
        self.path = target.path
        self.strays: frozenset[str] = frozenset()
        """Fields that the objects cannot have yet, as only the entity brings them: who gave them was not asked."""
        self._add = _adder(target.representation)
        last_key = max((number for number, step in enumerate(self.path) if isinstance(step, Key)), default=-1)
        self._above, self._types = self.path[: max(last_key, 0)], self.path[last_key + 1 :]
        key = self.path[last_key] if last_key >= 0 else None
        self._key = key.name if isinstance(key, Key) else ""
        self.shareable = shareable and bool(self._key)
        self.place = places.setdefault(self.path[: last_key + 1], len(places))
        """The number of where objects are looked for: of the path without what is asked of the objects themselves."""

    def number(self, found: JsonObject, index: dict[object, int], encoded: list[bytes]) -> int:
        """The number of one object's representation, which enters the list if it is new; else MISSING or UNFIT."""
        return self._add(found, index, encoded)

    def share(self, root: JsonObject, sharing: Sharing) -> list[JsonObject]:
        """The objects at the place, each once, after all that are equal have become one."""
        return sharing.children(objects_at(root, self._above), self._key)

    def collect(
        self,
        root: JsonObject,
        at_place: list[JsonObject] | None,
        index: dict[object, int],
        encoded: list[bytes],
        unfit: list[JsonObject],
    ) -> Placement:
        """`at_place` are the objects at the place, where they are known; what no request can carry enters `unfit`."""
        found = objects_at(root, self.path) if at_place is None else objects_below(at_place, self._types)
        add, strays = self._add, self.strays
        placement: Placement = []
        if strays and not strays.isdisjoint(NO_KEYS.union(*found)):
            for one in found:
                for name in strays & one.keys():
                    del one[name]
        for one in found:
            number = add(one, index, encoded)
            if number >= 0:
                placement.append((number, one))
            elif number == UNFIT:
                unfit.append(one)
        return placement


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


def _adder(representation: Representation) -> Add:
    fields = representation.selections
    flat = all(isinstance(field, InputField) and field.selections is None for field in fields)
    if flat and any(isinstance(field, InputField) and field.name != "__typename" for field in fields):
        return _flat_adder(representation.typename, cast("Sequence[InputField]", fields))
    return _nested_adder(representation)


_STRINGS = {str}


def _flat_adder(typename: str | None, fields: Sequence[InputField]) -> Add:
    names = ["__typename", *(field.name for field in fields if field.name != "__typename")]
    read = _reader(typename, [field.source for field in fields if field.name != "__typename"])
    kind = ",".join(names)  # "1" may be the id of one and the number of another

    def _encoded(values: tuple[object, ...], index: dict[object, int], encoded: list[bytes]) -> int:
        if values[0].__class__ is not str:
            return UNFIT
        if not _CARRIED.issuperset(map(type, values)) and not all(map(_is_carried, values)):
            return UNFIT
        return _number(dumps(dict(zip(names, values, strict=True))), index, encoded)

    def add(found: JsonObject, index: dict[object, int], encoded: list[bytes]) -> int:
        try:
            values = read(found)
        except KeyError:
            return MISSING
        try:
            number = index.get((kind, values))
        except TypeError:
            return _encoded(values, index, encoded)  # a list in the key
        if number is None:
            if set(map(type, values)) != _STRINGS:
                # 1, 1.0 and True are equal in Python but not in JSON.
                return _encoded(values, index, encoded)
            number = index[kind, values] = len(encoded)
            encoded.append(orjson.dumps(dict(zip(names, values, strict=True))))
        return number

    return add


def _reader(typename: str | None, sources: Sequence[str]) -> Callable[[JsonObject], tuple[object, ...]]:
    """Reads the type's name, its own where none is given, and the values of the key."""
    if typename is None:
        return itemgetter("__typename", *sources)
    if len(sources) == 1:
        (source,) = sources
        return lambda found: (typename, found[source])
    values = itemgetter(*sources)
    return lambda found: (typename, *values(found))


def _nested_adder(representation: Representation) -> Add:
    selections = representation.selections

    def add(found: JsonObject, index: dict[object, int], encoded: list[bytes]) -> int:
        typename = representation.typename or found.get("__typename")
        built: JsonObject = {"__typename": typename}
        if typename is None or not _copy_fields(found, selections, built):
            return MISSING
        if typename.__class__ is not str or not all(map(_is_carried, built.values())):
            return UNFIT
        return _number(dumps(built), index, encoded)

    return add


def _is_carried(value: Json) -> bool:
    return value.__class__ in _CARRIED or not fault_of(value)


def _number(text: bytes, index: dict[object, int], encoded: list[bytes]) -> int:
    number = index.get(text)
    if number is None:
        number = index[text] = len(encoded)
        encoded.append(text)
    return number


def _copy_fields(source: JsonObject, selections: Sequence[InputSelection], into: JsonObject) -> bool:
    """False where a field is missing. A constant `__typename` that is set already stays."""
    for selection in selections:
        if not isinstance(selection, InputField):
            if is_of_type(source, selection.types) and not _copy_fields(source, selection.selections, into):
                return False
        elif selection.source not in source:
            return False
        elif selection.selections is None:
            into.setdefault(selection.name, source[selection.source])
        else:
            copied = _copy_value(source[selection.source], selection.selections, into.get(selection.name))
            if copied is _MISSING:
                return False
            into[selection.name] = copied
    return True


_MISSING: Any = object()


def _copy_value(value: Json, selections: Sequence[InputSelection], known: Json) -> Json:
    if value.__class__ is list:
        items: list[Json] = value
        before: Sequence[Json] = known if known.__class__ is list else [None] * len(items)
        copies = [_copy_value(item, selections, old) for item, old in zip(items, before, strict=True)]
        return _MISSING if any(copy is _MISSING for copy in copies) else copies
    if value.__class__ is dict:
        into: JsonObject = known if known.__class__ is dict else {}
        return into if _copy_fields(value, selections, into) else _MISSING
    return value


def variables_json(variables: Mapping[str, object], names: Sequence[str]) -> list[bytes]:
    """`"name":value` for each of the names that has a value."""
    return [b"%b:%b" % (dumps(name), dumps(variables[name])) for name in names if name in variables]
