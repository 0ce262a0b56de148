"""From merged data to the list of representations of an entity fetch, and back to the objects they stand for.

Each object at a target gives a representation; equal ones are sent once. For entities with flat keys, which is nearly
all of them, that is done by column: the values of all objects are read in one pass, as tuples that decide equality, and
the distinct ones are written in one pass. Their numbers in the list are then a range, and no object is looked at one by
one. What needs a closer look (a missing field, a list in the key, numbers that are equal in Python only) is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, starmap
from operator import itemgetter
from typing import Any, Final, TypeAlias

import msgspec

from graphrouter.execution.merge import JsonObject
from graphrouter.execution.places import is_of_type, objects_at, objects_below
from graphrouter.execution.sharing import Sharing
from graphrouter.json_text import Json, dumps, fault_of
from graphrouter.planning.plan import InputField, InputSelection, Key, Path, Representation, Target

Row: TypeAlias = "tuple[Json, ...]"
"""What a flat representation says: the type's name, and the values of the key and of what is required."""


@dataclass(slots=True)
class Placement:
    """For one target: the objects that something is asked for, and the number of each one's representation."""

    numbers: Sequence[int]
    objects: list[JsonObject]


NOWHERE: Final = Placement((), [])


class Representations:
    """The list that an entity group is sent, while it is collected. Equal representations enter it once."""

    __slots__ = ("_numbers", "_texts", "count")

    def __init__(self) -> None:
        self.count = 0
        self._texts: list[bytes] = []
        self._numbers: dict[Sequence[str], dict[Any, int]] = {}

    @property
    def text(self) -> bytes:
        """All of them, with commas between."""
        return b",".join(self._texts)

    def add_text(self, text: bytes) -> int:
        """The number of a representation that is written already."""
        known = self._numbers.setdefault((), {})
        number = known.get(text)
        if number is None:
            number = known[text] = self._enter(text, 1)
        return number

    def add_rows(self, names: Sequence[str], rows: Sequence[Row]) -> Sequence[int]:
        """The numbers of flat representations with fields of these names, whose equality is that of their values."""
        if not rows:
            return ()
        first, known = self.count, self._numbers.setdefault(names, {})
        if not known:
            known.update(zip(rows, range(first, first + len(rows)), strict=True))
            if len(known) == len(rows):
                self._enter(_written(names, rows), len(rows))
                return range(first, self.count)
            known.clear()
        numbers: list[int] = []
        fresh: list[Row] = []
        for row in rows:
            number = known.get(row)
            if number is None:
                number = known[row] = first + len(fresh)
                fresh.append(row)
            numbers.append(number)
        if fresh:
            self._enter(_written(names, fresh), len(fresh))
        return numbers

    def _enter(self, text: bytes, count: int) -> int:
        self._texts.append(text)
        self.count += count
        return self.count - count


@dataclass(slots=True)
class Collected:
    """The input of one entity group: its representations, and per target where their entities belong.

    `unfit` are the objects, by target, whose key or requirements no request can carry.
    """

    representations: Representations
    placements: list[Placement]
    unfit: dict[int, list[JsonObject]] = field(default_factory=dict[int, "list[JsonObject]"])

    @property
    def count(self) -> int:
        return self.representations.count

    @property
    def objects(self) -> int:
        return sum(len(placement.objects) for placement in self.placements)


Add: TypeAlias = Callable[[JsonObject, Representations], int]
"""Number of an object's representation in the list, which it enters where it is new; else MISSING or UNFIT."""

NO_KEYS: Final = frozenset[str]()
"""Joined with the keys of many objects in one call, it tells fastest which there are."""

MISSING: Final = -1
"""A field of the representation is not there: the fetch that was to bring it has failed, and has told so."""

UNFIT: Final = -2
"""A field of the representation has a value that cannot be sent, or the type's name is no name."""

_CARRIED: Final = frozenset({str, int, bool, type(None)})
"""The classes whose values can always be sent."""

_EXACT: Final = frozenset({str, int, type(None)})
"""The classes whose values are equal only where their JSON texts are: 1, 1.0 and True are equal in Python."""

_NAMES: Final = frozenset({str})


class TargetReader:
    """Turns the objects of one target into representations; made once per plan."""

    __slots__ = ("_above", "_flat", "_key", "_nested", "_types", "path", "place", "shareable", "strays")

    def __init__(self, target: Target, shareable: bool, places: dict[Path, int]) -> None:
        self.path = target.path
        self.strays: frozenset[str] = frozenset()
        """Fields that the objects cannot have yet, as only the entity brings them: who gave them was not asked."""
        self._flat = _flat(target.representation)
        self._nested = _nested_adder(target.representation)
        last_key = max((number for number, step in enumerate(self.path) if isinstance(step, Key)), default=-1)
        self._above, self._types = self.path[: max(last_key, 0)], self.path[last_key + 1 :]
        key = self.path[last_key] if last_key >= 0 else None
        self._key = key.name if isinstance(key, Key) else ""
        self.shareable = shareable and bool(self._key)
        self.place = places.setdefault(self.path[: last_key + 1], len(places))
        """The number of where objects are looked for: of the path without what is asked of the objects themselves."""

    def add(self, found: JsonObject, into: Representations) -> int:
        """The number of one object's representation, which enters the list if it is new; else MISSING or UNFIT."""
        return self._flat.add(found, into) if self._flat else self._nested(found, into)

    def share(self, root: JsonObject, sharing: Sharing) -> list[JsonObject]:
        """The objects at the place, each once, after all that are equal have become one."""
        parents = objects_at(root, self._above)
        if self._flat:
            found = objects_below(parents, (Key(self._key),))
            if self._flat.tells_apart(found):
                return found
        return sharing.children(parents, self._key)

    def collect(
        self,
        root: JsonObject,
        at_place: list[JsonObject] | None,
        into: Representations,
        unfit: list[JsonObject],
    ) -> Placement:
        """`at_place` are the objects at the place, where they are known; what no request can carry enters `unfit`."""
        found = objects_at(root, self.path) if at_place is None else objects_below(at_place, self._types)
        strays = self.strays
        if strays and not strays.isdisjoint(NO_KEYS.union(*found)):
            for one in found:
                for name in strays & one.keys():
                    del one[name]
        numbers = self._flat.add_all(found, into) if self._flat else None
        if numbers is not None:
            return Placement(numbers, found)
        entered: list[tuple[int, JsonObject]] = []
        for one in found:
            number = self.add(one, into)
            if number >= 0:
                entered.append((number, one))
            elif number == UNFIT:
                unfit.append(one)
        return Placement([number for number, _ in entered], [one for _, one in entered])


class _Flat:
    """Reads representations without objects inside."""

    __slots__ = ("_names", "_read")

    def __init__(self, names: Sequence[str], read: Callable[[JsonObject], Row]) -> None:
        self._names = names
        self._read = read

    def add_all(self, found: list[JsonObject], into: Representations) -> Sequence[int] | None:
        """The numbers of all these objects' representations; None where some need a closer look."""
        try:
            rows = list(map(self._read, found))
        except KeyError:
            return None
        if not _EXACT.issuperset(map(type, chain.from_iterable(rows))):
            return None
        if not _NAMES.issuperset([row[0].__class__ for row in rows]):
            return None
        return into.add_rows(self._names, rows)

    def add(self, found: JsonObject, into: Representations) -> int:
        try:
            row = self._read(found)
        except KeyError:
            return MISSING
        if row[0].__class__ is not str:
            return UNFIT
        if _EXACT.issuperset(map(type, row)):
            return into.add_rows(self._names, (row,))[0]
        if not all(map(_is_carried, row)):
            return UNFIT
        return into.add_text(dumps(dict(zip(self._names, row, strict=True))))

    def tells_apart(self, found: list[JsonObject]) -> bool:
        """Whether no two of these objects have the same representation, so that no two can be equal."""
        try:
            return len(set(map(self._read, found))) == len(found)
        except (KeyError, TypeError):  # a field is missing, or is a list
            return False


def _flat(representation: Representation) -> _Flat | None:
    fields: list[InputField] = []
    for one in representation.selections:
        if not isinstance(one, InputField) or one.selections is not None:
            return None
        if one.name != "__typename":
            fields.append(one)
    names = ("__typename", *(one.name for one in fields))
    if not fields or len(set(names)) < len(names):
        return None
    return _Flat(names, _reader(representation.typename, [one.source for one in fields]))


def _reader(typename: str | None, sources: Sequence[str]) -> Callable[[JsonObject], Row]:
    """Reads the type's name, its own where none is given, and the values of the key."""
    if typename is None:
        return itemgetter("__typename", *sources)
    if len(sources) == 1:
        (source,) = sources
        return lambda found: (typename, found[source])
    values = itemgetter(*sources)
    return lambda found: (typename, *values(found))


def _written(names: Sequence[str], rows: Iterable[Row]) -> bytes:
    """The JSON texts of flat representations, with commas between."""
    return _ENCODER.encode(list(starmap(_struct(names), rows)))[1:-1]


_ENCODER: Final = msgspec.json.Encoder()


@lru_cache(1000)
def _struct(names: Sequence[str]) -> type[msgspec.Struct]:
    """Made and written several times faster than a dict; fields are numbered, as names of GraphQL may be reserved."""
    fields = [f"_{number}" for number in range(len(names))]
    rename = dict(zip(fields, names, strict=True))
    return msgspec.defstruct("Representation", [(name, object) for name in fields], rename=rename, gc=False)


def _nested_adder(representation: Representation) -> Add:
    selections = representation.selections

    def add(found: JsonObject, into: Representations) -> int:
        typename = representation.typename or found.get("__typename")
        built: JsonObject = {"__typename": typename}
        if typename is None or not _copy_fields(found, selections, built):
            return MISSING
        if typename.__class__ is not str or not all(map(_is_carried, built.values())):
            return UNFIT
        return into.add_text(dumps(built))

    return add


def _is_carried(value: Json) -> bool:
    return value.__class__ in _CARRIED or not fault_of(value)


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
