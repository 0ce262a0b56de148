"""Entity fetches whose fields take values from further up (`@fromContext`): one `_entities` field per set of values.

An argument belongs to the document, not to a representation. So the objects are sorted by the values around them, and
each set of values gets an `_entities` field of its own, with variables of its own. All of them are one request. Where
there is one set only, as there often is, the plan's own document does.

Every position of the response must be an object of its own here, even where equal entities stand: what is around them
may differ. For that reason the executor shares nothing in such a plan (see `sharing.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

from graphrouter.execution.merge import JsonObject
from graphrouter.execution.places import is_of_type, sliced
from graphrouter.execution.prepare import PreparedFetch, PreparedGroup, holds
from graphrouter.execution.representations import Collected, Placement, Representations, TargetReader
from graphrouter.json_text import Json, dumps, fault_of
from graphrouter.planning.plan import (
    ContextInput,
    EntityFetch,
    EntityGroup,
    InputField,
    InputSelection,
    Key,
    Path,
    entity_document,
)

Inputs = list[tuple[PreparedGroup, Collected]]


def entities_request(
    prepared: PreparedFetch, data: JsonObject, variables: Mapping[str, object]
) -> tuple[Inputs, Callable[[], bytes]]:
    """What an entity fetch asks for, an input per `_entities` field, and what writes the request's body."""
    fetch = prepared.fetch
    if not isinstance(fetch, EntityFetch):
        raise TypeError(f"Expected an entity fetch, found fetch {fetch.id} of a root type.")
    asked = [(group, one) for group in prepared.groups for one in _sorted_by_values(group, data, variables)]
    counts = {id(group): sum(other is group for other, _ in asked) for group in prepared.groups}
    inputs: Inputs = []
    entries: list[bytes] = []
    numbers = dict.fromkeys(counts, 0)
    for group, one in asked:
        named = group
        if counts[id(group)] > 1:
            named = _numbered(group, numbers[id(group)])
            numbers[id(group)] += 1
        inputs.append((named, Collected(one.representations, one.placements)))
        entries.append(named.variable + one.representations.text + b"]")
        for (name, _), value in zip(named.group.contexts, one.values, strict=True):
            entries.append(dumps(name) + b":" + dumps(value))

    def body() -> bytes:
        groups = [named.group for named, _ in inputs]
        if groups == list(fetch.groups):
            return prepared.body(variables, entries)
        used = fetch.directives.variables.union(*(group.variables for group in groups))
        names = tuple(name for name in fetch.variables if name in used)
        declared = dict(zip(fetch.variables, fetch.definitions, strict=True))
        document = entity_document(groups, [declared[name] for name in names], fetch.directives)
        written = replace(fetch, document=document, variables=names, groups=())
        return PreparedFetch(written).body(variables, entries)

    return inputs, body


@dataclass(slots=True)
class _Asked:
    """The objects of a group for which the values around them are the same."""

    values: list[Json]
    numbers: list[list[int]]
    objects: list[list[JsonObject]]
    representations: Representations = field(default_factory=Representations)

    def add(self, reader: TargetReader, target: int, found: JsonObject) -> None:
        number = reader.add(found, self.representations)
        if number >= 0:
            self.numbers[target].append(number)
            self.objects[target].append(found)

    @property
    def placements(self) -> list[Placement]:
        return [Placement(numbers, objects) for numbers, objects in zip(self.numbers, self.objects, strict=True)]


def _sorted_by_values(group: PreparedGroup, data: JsonObject, variables: Mapping[str, object]) -> list[_Asked]:
    """An object around which a value is missing, or null where the argument may not be, is not asked for."""
    found: dict[bytes, _Asked] = {}
    for number, ((conditions, reader), target) in enumerate(zip(group.targets, group.group.targets, strict=True)):
        if not holds(conditions, variables):
            continue
        contexts = target.representation.contexts
        for one, around in _objects(data, target.path, 0, {}, frozenset(context.steps for context in contexts)):
            values = [_value(around[context.steps], context.selections) for context in contexts]
            if not all(map(_fits, values, contexts)):
                continue
            key = dumps(values)
            if key not in found:
                found[key] = _Asked(values, [[] for _ in group.targets], [[] for _ in group.targets])
            found[key].add(reader, number, one)
    return [asked for asked in found.values() if asked.representations.count]


def _objects(
    value: Json, path: Path, at: int, around: Mapping[int, JsonObject], wanted: frozenset[int]
) -> Iterator[tuple[JsonObject, Mapping[int, JsonObject]]]:
    """The objects on a path, each with those that are met after the wanted numbers of steps."""
    if value.__class__ is list:
        for item in value:
            yield from _objects(item, path, at, around, wanted)
    elif value.__class__ is dict:
        if at in wanted:
            around = {**around, at: value}
        if at == len(path):
            yield value, around
            return
        step = path[at]
        if isinstance(step, Key) and step.slice:
            for _, item in sliced(value, step.name, step.slice):
                yield from _objects(item, path, at + 1, around, wanted)
        elif isinstance(step, Key):
            yield from _objects(value.get(step.name), path, at + 1, around, wanted)
        elif is_of_type(value, step.types):
            yield from _objects(value, path, at + 1, around, wanted)


_MISSING: Any = object()


def _fits(value: Json, context: ContextInput) -> bool:
    return value is not _MISSING and not (value is None and context.type.endswith("!")) and not fault_of(value)


def _value(value: Json, selections: Sequence[InputSelection]) -> Json:
    """The one leaf that is selected of an object; of a list of objects, the list of theirs."""
    if value.__class__ is list:
        items = [_value(item, selections) for item in value]
        return _MISSING if any(item is _MISSING for item in items) else items
    if value.__class__ is not dict:
        return None
    for selection in selections:
        if not isinstance(selection, InputField):
            if is_of_type(value, selection.types):
                return _value(value, selection.selections)
        elif selection.name != "__typename" or len(selections) == 1:
            below = value.get(selection.source, _MISSING)
            return below if selection.selections is None or below is _MISSING else _value(below, selection.selections)
    return None


def _numbered(group: PreparedGroup, number: int) -> PreparedGroup:
    named: EntityGroup = group.group.numbered(number)
    found = copy(group)
    found.group, found.variable = named, dumps(named.variable) + b":["
    return found
