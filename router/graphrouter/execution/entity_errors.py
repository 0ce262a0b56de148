"""Where the errors of an entity fetch stand in the response: from numbers of representations to positions.

An error at `_entities[i]` goes to every position that representation i stands for, any other to every position that was
asked for. However many errors come, the response is walked once, and only as many are looked at as will be listed.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, TypeAlias

from graphrouter.execution.errors import INVALID_VALUE, ResponseErrors, ResponsePath, SubgraphError, error_object
from graphrouter.execution.merge import JsonObject
from graphrouter.execution.places import positions_at
from graphrouter.execution.prepare import PreparedGroup
from graphrouter.execution.representations import Collected
from graphrouter.execution.rewrites import rename_path
from graphrouter.json_text import Json

Input: TypeAlias = tuple[PreparedGroup, Collected]
"""What one `_entities` field asks for."""

_At: TypeAlias = tuple[int, int]
"""The number of an input, and that of one of its representations."""

MAX_EXPLAINED: Final = 10_000
"""Positions for which it is remembered that an error has taken all that was to come for them."""


def positions(data: JsonObject, inputs: Iterable[Input]) -> Iterator[ResponsePath]:
    """The positions in the response that all representations of these inputs stand for."""
    for group, collected in inputs:
        for path, _ in _numbered(data, group, collected, range(collected.count)):
            yield path


def _numbered(
    data: JsonObject, group: PreparedGroup, collected: Collected, numbers: Container[int]
) -> Iterator[tuple[ResponsePath, int]]:
    """The positions of the representations with these numbers, each with the number."""
    for (_, reader), placement in zip(group.targets, collected.placements, strict=True):
        number_of = {
            id(found): number
            for number, found in zip(placement.numbers, placement.objects, strict=True)
            if number in numbers
        }
        if number_of:
            for path, found in positions_at(data, reader.path):
                number = number_of.get(id(found))
                if number is not None:
                    yield path, number


def tell_entity_errors(
    data: JsonObject,
    errors: ResponseErrors,
    service: str,
    inputs: Sequence[Input],
    raw_errors: Sequence[object],
    answer: Mapping[str, Json],
) -> None:
    """`answer` is what came beside the errors: where it has no entity, the error has taken all of it."""
    if not raw_errors:
        return
    told = [SubgraphError(raw) for raw in raw_errors[: max(errors.room, 0)]]
    errors.drop(len(raw_errors) - len(told))
    by_alias = {group.group.alias: number for number, (group, _) in enumerate(inputs)}
    places = [_place(error.path or [], by_alias) for error in told]
    found = _positions_of(data, inputs, {place for place in places if place is not None}, errors.room)
    for error, place in zip(told, places, strict=True):
        if place is None:
            asked = by_alias.get(str(error.path[0])) if error.path else None
            paths: Iterable[ResponsePath] = _lacking(data, inputs if asked is None else [inputs[asked]], answer)
        else:
            group, _ = inputs[place[0]]
            below = rename_path((error.path or [])[2:], group.names)
            paths = [[*above, *below] for above in found[place]]
            if _entity(answer.get(group.group.alias), place[1]) is None:
                for above in found[place]:
                    errors.explain_fields_of(above)
        errors.add_at(paths, error.message, error.code, service, error.extensions)
    if not answer:
        for path in islice(positions(data, inputs), MAX_EXPLAINED):
            errors.explain_fields_of(path)


def _lacking(data: JsonObject, inputs: Iterable[Input], answer: Mapping[str, Json]) -> Iterator[ResponsePath]:
    """The positions of the representations that no entity came for."""
    for group, collected in inputs:
        entities = answer.get(group.group.alias)
        missing = [number for number in range(collected.count) if _entity(entities, number) is None]
        for path, _ in _numbered(data, group, collected, frozenset(missing)):
            yield path


def _place(path: Sequence[str | int], by_alias: Mapping[str, int]) -> _At | None:
    number = by_alias.get(str(path[0])) if path else None
    if number is None or len(path) < 2 or not isinstance(path[1], int):
        return None
    return number, path[1]


def _entity(entities: Json, number: int) -> Json:
    return entities[number] if entities.__class__ is list and 0 <= number < len(entities) else None


def _positions_of(
    data: JsonObject, inputs: Sequence[Input], wanted: Collection[_At], most: int
) -> Mapping[_At, list[ResponsePath]]:
    """The first positions of each of these representations, one more than can be listed."""
    found: dict[_At, list[ResponsePath]] = {place: [] for place in wanted}
    for number, (group, collected) in enumerate(inputs):
        numbers = {representation for one, representation in wanted if one == number}
        if not numbers:
            continue
        for path, representation in _numbered(data, group, collected, numbers):
            known = found[number, representation]
            if len(known) <= most:
                known.append(path)
    return found


def tell_unfit(data: JsonObject, errors: ResponseErrors, inputs: Sequence[Input]) -> None:
    """An error for each object that cannot be asked for, as a value that belongs to the question cannot be sent."""
    for group, collected in inputs:
        for number, without in collected.unfit.items():
            wanted = set(map(id, without))
            at_target = positions_at(data, group.targets[number][1].path)
            for path in (path for path, found in at_target if id(found) in wanted):
                if errors.room <= 0:
                    errors.drop(1)
                    return
                message = "the entity's key, or a field that is required of it, has a value that cannot be sent"
                errors.add(error_object(message, INVALID_VALUE, path=path))
