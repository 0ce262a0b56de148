"""What a plan's fetches bring, as structs, for plans in which every object has a known type.

msgspec reads a struct in half the time of a dict, and checks each field's class as it does so: what the response's
shape has to look at value by value is known as soon as an answer could be read. A fetch's document says which fields
each object has, and no other may be there. Entities are not merged: each is attached to the object that it belongs to,
in a slot of that object's struct, of which the decoder knows nothing. For `user { id reviews { body } }`, where reviews
are another subgraph's:

    the root, slot 0 ─→ user ─→ User(id, slot 0) ─→ User(reviews) ─→ [Review(body)]

Plans that do not fit are `Unsuited`: those with abstract types, conditions, contexts or renames, with objects or
fractions in a key, with a field that two fetches bring, or with objects inside entities that stand at several places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, TypeAlias, cast

import msgspec
from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLList,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    InlineFragmentNode,
    SelectionSetNode,
    get_named_type,
    is_leaf_type,
    is_object_type,
)
from msgspec import UNSET, Meta, Struct, UnsetType

from graphrouter.execution.output_types import OutputType, item_of, unwrapped
from graphrouter.planning.plan import Key, Path

Annotation: TypeAlias = Any
"""A type as msgspec takes it, made at run time."""

Keys: TypeAlias = tuple[str, ...]
"""The response keys that lead to a place."""


class Unsuited(Exception):
    """The plan's answers are not read into structs."""


_SAME_TEXT: Final = 10**16
"""Below it msgspec and orjson write doubles alike; beyond, one of them writes a plus sign in front of the exponent."""

_INT: Annotation = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
_WHOLE: Annotation = Annotated[int, Meta(gt=-_SAME_TEXT, lt=_SAME_TEXT)]
_FRACTION: Annotation = Annotated[float, Meta(gt=-float(_SAME_TEXT), lt=float(_SAME_TEXT))]
_LEAVES: Final[dict[str, Annotation]] = {
    "String": str,
    "ID": str,
    "Boolean": bool,
    "Int": _INT,
    "Float": _WHOLE | _FRACTION,
}
"""What fits as it is; the rest is left to the shape, which coerces it or tells of it."""

_CUSTOM: Final[Annotation] = str | int | bool

_STRUCT_BYTES: Final = 3_000
_FIELD_BYTES: Final = 200
"""Memory of a struct's type, as it was measured."""


@dataclass(slots=True)
class PartField:
    """A field of a part: its name in the schema, its attribute of the struct, and the part of its objects."""

    name: str
    attribute: str
    type: OutputType
    part: Part | None = None


@dataclass(slots=True)
class Part:
    """The objects of one selection set of a fetch's document; `struct` is there when all slots are."""

    object_type: GraphQLObjectType
    fields: dict[str, PartField]
    slots: list[str] = field(default_factory=list[str])
    struct: type[Struct] = Struct

    @property
    def has_objects(self) -> bool:
        return any(one.part is not None for one in self.fields.values())

    def add_slot(self) -> str:
        self.slots.append(f"s{len(self.slots)}")
        return self.slots[-1]


@dataclass(slots=True)
class Step:
    """From the objects of one place to those of the next: an attribute, after a slot where the field is another
    fetch's; `nullable` says so of each list in it, from outside, and of the objects."""

    attribute: str
    nullable: tuple[bool, ...]


@dataclass(slots=True)
class Place:
    """Where objects stand in the response: the part that they are, and their fields with those of what is attached."""

    keys: Keys
    part: Part
    parent: Place | None = None
    step: Step | None = None
    fields: dict[str, tuple[str, PartField]] = field(default_factory=dict[str, tuple[str, PartField]])
    """Response key → slot, which is empty for the object's own fields, and field."""

    def source(self, key: str) -> str:
        """The field as an attribute of the place's objects, with a dot where it is one of an attached part."""
        slot, found = self.fields[key]
        return f"{slot}.{found.attribute}" if slot else found.attribute


def part_of(type_: GraphQLObjectType, selections: SelectionSetNode | None) -> Part:
    """The part that a selection set asks for; Unsuited where it leaves anything open."""
    fields: dict[str, PartField] = {}
    for number, node in enumerate(selections.selections if selections else ()):
        if not isinstance(node, FieldNode) or node.directives:
            raise Unsuited
        key = node.alias.value if node.alias else node.name.value
        if key in fields:
            raise Unsuited
        one = PartField(node.name.value, f"f{number}", None)
        if one.name != "__typename":
            if one.name not in type_.fields:
                raise Unsuited
            one.type = type_.fields[one.name].type
            named = cast("OutputType", get_named_type(one.type))
            if is_object_type(named):
                one.part = part_of(named, node.selection_set)
            elif not is_leaf_type(named):
                raise Unsuited
        fields[key] = one
    return Part(type_, fields)


def entity_selections(selections: SelectionSetNode | None) -> tuple[str, SelectionSetNode]:
    """The type that entities are asked for as, and what is asked of them; Unsuited where there are several."""
    nodes = selections.selections if selections else ()
    if len(nodes) != 1 or not isinstance(nodes[0], InlineFragmentNode) or nodes[0].directives:
        raise Unsuited
    condition = nodes[0].type_condition
    if condition is None:
        raise Unsuited
    return condition.name.value, nodes[0].selection_set


class Places:
    """All places of a plan's objects, by their keys."""

    def __init__(self, root: GraphQLObjectType) -> None:
        self.root = Place((), Part(root, {}))
        self._places: dict[Keys, Place] = {(): self.root}

    def at(self, path: Path) -> Place:
        keys = [step.name for step in path if isinstance(step, Key)]
        found = self._places.get(tuple(keys))
        if found is None or len(keys) < len(path):
            raise Unsuited
        return found

    def below(self, place: Place, key: str) -> Place:
        return self._places[*place.keys, key]

    def attach(self, place: Place, part: Part) -> str:
        """The new slot of the place's objects that has the part."""
        slot = place.part.add_slot()
        self._enter(place, part, slot)
        return slot

    def _enter(self, place: Place, part: Part, slot: str) -> None:
        for key, one in part.fields.items():
            if key in place.fields:
                raise Unsuited
            place.fields[key] = slot, one
            if one.part is not None:
                below = Place((*place.keys, key), one.part, place, Step(place.source(key), _nullable(one.type)))
                self._places[below.keys] = below
                self._enter(below, one.part, "")


def _nullable(type_: OutputType) -> tuple[bool, ...]:
    nullable, inner = unwrapped(type_)
    return (nullable, *_nullable(item_of(inner))) if isinstance(inner, GraphQLList) else (nullable,)


class StructMaker:
    """Makes the structs of one plan, inner ones first; Unsuited where they take more than `max_bytes`. `visible` is the
    schema that clients see."""

    def __init__(self, visible: GraphQLSchema, max_bytes: int) -> None:
        self._visible = visible
        self._max_bytes = max_bytes
        self.bytes = 0
        """What all of them take in memory, roughly."""
        self.first: type[Struct] | None = None
        """The one that was made first."""

    def expect(self, structs: int) -> None:
        """Unsuited where so many are too many; it is told before any is made."""
        if structs * _STRUCT_BYTES > self._max_bytes:
            raise Unsuited

    def define(self, name: str, fields: Mapping[str, tuple[Annotation, str]], *slots: str) -> type[Struct]:
        """A struct of required fields, given by attribute as type and key, with slots in it. It knows no other keys."""
        self.bytes += _STRUCT_BYTES + _FIELD_BYTES * (len(fields) + len(slots))
        if self.bytes > self._max_bytes:
            raise Unsuited
        # No key of an answer leads to a slot: of whatever JSON has there, nothing is unset.
        struct = msgspec.defstruct(
            name,
            [
                *((attribute, type_) for attribute, (type_, _) in fields.items()),
                *((one, UnsetType, UNSET) for one in slots),
            ],
            rename={**{one: key for one, (_, key) in fields.items()}, **{slot: f" {slot}" for slot in slots}},
            forbid_unknown_fields=True,
            gc=False,
        )
        self.first = self.first or struct
        return struct

    def make(self, part: Part) -> type[Struct]:
        fields = {one.attribute: (self._annotation(part, one), key) for key, one in part.fields.items()}
        part.struct = self.define(part.object_type.name, fields, *part.slots)
        return part.struct

    def _annotation(self, part: Part, one: PartField) -> Annotation:
        if one.type is None:
            return Literal[part.object_type.name]
        inner = self._leaf(get_named_type(one.type)) if one.part is None else self.make(one.part)
        return _wrapped(one.type, inner)

    def _leaf(self, type_: OutputType) -> Annotation:
        visible = self._visible.type_map.get(type_.name, type_)
        if isinstance(visible, GraphQLEnumType):
            return Literal[tuple(visible.values)] if visible.values else UnsetType
        return _LEAVES.get(type_.name, _CUSTOM)


def list_of(item: Annotation) -> Annotation:
    return list[item]


def _wrapped(type_: OutputType, named: Annotation) -> Annotation:
    nullable, inner = unwrapped(type_)
    made = list_of(_wrapped(item_of(inner), named)) if isinstance(inner, GraphQLList) else named
    return made | None if nullable else made


def is_plain_key(type_: OutputType) -> bool:
    """Whether values of the type are strings, integers or null, which differ in Python where their texts do."""
    named = unwrapped(type_)[1]
    if isinstance(named, GraphQLScalarType):
        return named.name in ("ID", "String", "Int")
    return isinstance(named, GraphQLEnumType)


def as_merged(value: Any) -> Any:
    """The dicts and lists that the structs stand for, with what is attached merged in."""
    if isinstance(value, Struct):
        found: dict[str, Any] = {}
        for attribute, key in zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True):
            one = getattr(value, attribute)
            if key[0] != " ":
                found[key] = as_merged(one)
            elif one is not UNSET:
                found.update(as_merged(one))
        return found
    if value.__class__ is list:
        return [as_merged(one) for one in value]
    return value
