"""A plan with what its answers are read into, how entities are asked for, and what is made of it all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from operator import attrgetter
from typing import Annotated, Any, Final
from weakref import WeakKeyDictionary

import msgspec
from graphql import FieldNode, FragmentDefinitionNode, OperationDefinitionNode, is_object_type
from msgspec import Meta, Struct

from graphrouter.execution.prepare import PreparedFetch, PreparedGroup, PreparedPlan
from graphrouter.execution.representations import Row
from graphrouter.execution.structs.parts import (
    Annotation,
    Part,
    Place,
    Places,
    StructMaker,
    Unsuited,
    entity_selections,
    is_plain_key,
    list_of,
    part_of,
)
from graphrouter.execution.structs.shape import StructShape, compile_struct_shape
from graphrouter.planning.plan import InputField, RootFetch, Target
from graphrouter.supergraph import Supergraph

_NOTHING: Annotation = Annotated[list[None], Meta(max_length=0)]
_NO_ERRORS: Annotation = _NOTHING | None

_MAX_PLAN_BYTES: Final = 1_000_000
"""Of the structs of one plan, which are some 250. They are made in 15 ms, in which the event loop does nothing else."""


class Reader:
    """Finds the objects of one place."""

    def __init__(self, place: Place, above: Reader | None) -> None:
        self.place = place
        self._above = above
        if place.step is not None:
            self._get = attrgetter(place.step.attribute)
            self._nullable = place.step.nullable

    def objects(self, root: Struct, known: dict[int, list[Struct]]) -> list[Struct]:
        """All of them, in order; no struct stands at two positions. What was found once is `known`."""
        if self._above is None:
            return [root]
        found: list[Any] | None = known.get(id(self))
        if found is None:
            found = list(map(self._get, self._above.objects(root, known)))
            *lists, each = self._nullable
            for nullable in lists:
                found = list(chain.from_iterable(_there(found) if nullable else found))
            found = known[id(self)] = _there(found) if each else found
        return found


def _there(values: list[Any]) -> list[Any]:
    return [value for value in values if value is not None]


@dataclass(slots=True)
class TargetStep:
    """One target of an entity group: the objects, the rows of their representations, and the slot for entities."""

    reader: Reader
    slot: str
    names: tuple[str, ...]
    typename: str
    values: tuple[Callable[[Any], Any], ...]

    def rows(self, objects: list[Struct]) -> list[Row]:
        return list(zip(repeat(self.typename), *(map(value, objects) for value in self.values)))


@dataclass(slots=True)
class GroupStep:
    """An entity group; `attribute` has its entities in the answer."""

    prepared: PreparedGroup
    attribute: str
    has_objects: bool
    targets: list[TargetStep]


@dataclass(slots=True)
class FetchStep:
    """One fetch: what its answer is read by, and the slot of the root, or the groups, where it belongs."""

    slot: str = ""
    groups: list[GroupStep] = field(default_factory=list[GroupStep])
    decoder: msgspec.json.Decoder[Any] = field(default_factory=msgspec.json.Decoder)


@dataclass(frozen=True, slots=True)
class StructPlan:
    """`root` is the struct that answers are attached to; `shape` makes the response's data of it. Their types take more
    memory than anything else that is kept of a plan."""

    root: type[Struct]
    steps: Mapping[PreparedFetch, FetchStep]
    shape: StructShape


class StructPlans:
    """Makes the struct plans of one router's operations, as long as all of their types fit into `max_bytes`. A type
    refers to itself: those of operations that were forgotten are there until the garbage collector comes, and count."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes: WeakKeyDictionary[type[Struct], int] = WeakKeyDictionary()
        """What was made for each plan, as long as the first type of it is there."""

    def make(
        self,
        supergraph: Supergraph,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        plan: PreparedPlan,
    ) -> StructPlan | None:
        """None where the answers are not read into structs; the operation has no conditions in it."""
        left = self._max_bytes - sum(self._bytes.values())
        maker = StructMaker(supergraph.api_schema, min(left, _MAX_PLAN_BYTES))
        try:
            return _Compiler(supergraph, plan, maker).plan(operation, fragments)
        except Unsuited:
            return None
        finally:
            if maker.first is not None:
                self._bytes[maker.first] = maker.bytes


class _Compiler:
    def __init__(self, supergraph: Supergraph, plan: PreparedPlan, maker: StructMaker) -> None:
        root = supergraph.schema.query_type
        if root is None or plan.plan.kind != "query" or not plan.fetches or plan.plan.refusals:
            raise Unsuited
        maker.expect(sum(prepared.fetch.document.count("{") for prepared in plan.fetches))
        self._supergraph = supergraph
        self._plan = plan
        self._maker = maker
        self._places = Places(root)
        self._readers: dict[int, Reader] = {}

    def plan(self, operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]) -> StructPlan:
        steps: dict[PreparedFetch, FetchStep] = {}
        answers: list[tuple[FetchStep, list[tuple[str, str, Part]]]] = []
        for prepared in self._plan.fetches:
            step = steps[prepared] = FetchStep()
            answers.append((step, list(self._parts(prepared, step))))
        for step, parts in answers:
            step.decoder = self._decoder(step, parts)
        root = self._places.root
        struct = self._maker.make(root.part)
        shape = compile_struct_shape(self._supergraph.api_schema, operation, fragments, self._places, self._maker)
        return StructPlan(struct, steps, shape)

    def _parts(self, prepared: PreparedFetch, step: FetchStep) -> Iterator[tuple[str, str, Part]]:
        """What the fetch brings: attribute, key and part of each group, or the part of the root alone."""
        fetch = prepared.fetch
        if fetch.conditions or prepared.in_contexts:
            raise Unsuited
        selections = prepared.selections
        if isinstance(fetch, RootFetch):
            if fetch.path or fetch.renames:
                raise Unsuited
            part = part_of(self._places.root.part.object_type, selections)
            step.slot = self._places.attach(self._places.root, part)
            yield "", "", part
            return
        for number, (group, node) in enumerate(zip(prepared.groups, selections.selections, strict=True)):
            if not isinstance(node, FieldNode) or node.directives or group.group.renames:
                raise Unsuited
            name, inner = entity_selections(node.selection_set)
            type_ = self._supergraph.schema.type_map.get(name)
            if not is_object_type(type_):
                raise Unsuited
            part = part_of(type_, inner)
            if part.has_objects and len(group.targets) > 1:
                raise Unsuited
            found = GroupStep(group, f"g{number}", part.has_objects, [])
            for target in group.group.targets:
                found.targets.append(self._target(target, part))
            step.groups.append(found)
            yield found.attribute, group.group.alias, part

    def _target(self, target: Target, part: Part) -> TargetStep:
        place = self._places.at(target.path)
        representation = target.representation
        typename = representation.typename
        if target.conditions or place.part.object_type.name != part.object_type.name:
            raise Unsuited
        if typename is None:
            slot, named = place.fields.get("__typename", ("", None))
            if slot or named is None or named.type is not None:
                raise Unsuited
            typename = part.object_type.name
        sources: dict[str, str] = {}
        for one in representation.selections:
            if not isinstance(one, InputField) or one.selections is not None:
                raise Unsuited
            if one.name == "__typename":
                continue
            found = place.fields.get(one.source)
            if found is None or one.name in sources or found[1].type is None or not is_plain_key(found[1].type):
                raise Unsuited
            sources[one.name] = place.source(one.source)
        if not sources:
            raise Unsuited
        slot = self._places.attach(place, part)
        names = ("__typename", *sources)
        values = tuple(attrgetter(source) for source in sources.values())
        return TargetStep(self._reader(place), slot, names, typename, values)

    def _reader(self, place: Place) -> Reader:
        found = self._readers.get(id(place))
        if found is None:
            above = None if place.parent is None else self._reader(place.parent)
            found = self._readers[id(place)] = Reader(place, above)
        return found

    def _decoder(self, step: FetchStep, parts: Sequence[tuple[str, str, Part]]) -> msgspec.json.Decoder[Any]:
        """Reads a response without errors. Of its extensions nothing is known but that they are JSON."""
        if step.slot:
            ((_, _, part),) = parts
            data: Any = self._maker.make(part)
        else:
            data = self._maker.define(
                "Entities", {name: (list_of(self._maker.make(part)), alias) for name, alias, part in parts}
            )
        response = msgspec.defstruct(
            "Response",
            [("data", data), ("errors", _NO_ERRORS, None), ("extensions", Any, None)],
            forbid_unknown_fields=True,
        )
        return msgspec.json.Decoder(response)
