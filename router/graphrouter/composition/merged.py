"""The supergraph as merging makes it: types of all subgraphs together, and of each element which subgraphs have it.

The joins are those of the join specification, https://specs.apollo.dev/join/v0.4/: they say for a router which subgraph
knows what. A field without joins is the same in every subgraph that has its type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from graphrouter.composition.model import (
    ComposedDirective,
    ContextArgument,
    DirectiveDefinition,
    InputValue,
    Marks,
    Subgraph,
    TypeRef,
)
from graphrouter.composition.overrides import Overrides
from graphrouter.supergraph.model import ListSize

_NO_MARKS = Marks()


@dataclass(frozen=True, slots=True)
class JoinType:
    """That a subgraph has a type; one for each of its keys, or one without a key."""

    subgraph: str
    key: str | None = None
    extension: bool = False
    resolvable: bool = True
    interface_object: bool = False


@dataclass(frozen=True, slots=True)
class JoinField:
    """That a subgraph has a field, and how; without a subgraph: it comes from an interface object."""

    subgraph: str | None
    type: TypeRef | None = None
    external: bool = False
    requires: str | None = None
    provides: str | None = None
    override: str | None = None
    override_label: str | None = None
    used_overridden: bool = False
    contexts: tuple[ContextArgument, ...] = ()


@dataclass(frozen=True, slots=True)
class MergedField:
    """A field of an object or interface type."""

    name: str
    type: TypeRef
    arguments: Mapping[str, InputValue]
    marks: Marks
    list_size: ListSize | None = None
    joins: tuple[JoinField, ...] = ()


@dataclass(frozen=True, slots=True)
class MergedComposite:
    """What objects and interfaces have; `implements` holds pairs (subgraph, interface)."""

    name: str
    marks: Marks
    joins: tuple[JoinType, ...]
    fields: Mapping[str, MergedField]
    implements: tuple[tuple[str, str], ...] = ()
    contexts: tuple[str, ...] = ()
    """The contexts that objects of this type set, by their names in the supergraph, `subgraph__name`."""

    @property
    def interfaces(self) -> tuple[str, ...]:
        """The interfaces implemented in any subgraph, in the order of appearance."""
        return tuple(dict.fromkeys(interface for _, interface in self.implements))


@dataclass(frozen=True, slots=True)
class MergedObject(MergedComposite):
    """An object type."""


@dataclass(frozen=True, slots=True)
class MergedInterface(MergedComposite):
    """An interface type."""


@dataclass(frozen=True, slots=True)
class MergedUnion:
    """A union type: for each member the subgraphs that count it in."""

    name: str
    marks: Marks
    joins: tuple[JoinType, ...]
    members: Mapping[str, tuple[str, ...]]
    contexts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MergedEnumValue:
    """An enum's value and the subgraphs that know it."""

    name: str
    marks: Marks
    subgraphs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MergedEnum:
    """An enum type."""

    name: str
    marks: Marks
    joins: tuple[JoinType, ...]
    values: Mapping[str, MergedEnumValue]


@dataclass(frozen=True, slots=True)
class MergedInputField:
    """A field of an input type."""

    value: InputValue
    joins: tuple[JoinField, ...] = ()


@dataclass(frozen=True, slots=True)
class MergedInput:
    """An input object type."""

    name: str
    marks: Marks
    joins: tuple[JoinType, ...]
    fields: Mapping[str, MergedInputField]
    one_of: bool = False


@dataclass(frozen=True, slots=True)
class MergedScalar:
    """A custom scalar."""

    name: str
    marks: Marks
    joins: tuple[JoinType, ...]
    specified_by: str | None = None


MergedType: TypeAlias = MergedObject | MergedInterface | MergedUnion | MergedEnum | MergedInput | MergedScalar


@dataclass(frozen=True, slots=True)
class Supergraph:
    """All types by name, the directives for operations, and the possible object types of each abstract type.

    `composed` are the directives of `@composeDirective`, `marks` what stands on the schema itself.
    """

    types: Mapping[str, MergedType]
    directives: Mapping[str, DirectiveDefinition]
    possible_types: Mapping[str, frozenset[str]]
    composed: tuple[ComposedDirective, ...] = ()
    marks: Marks = _NO_MARKS


@dataclass(frozen=True, slots=True)
class Merged:
    """The supergraph beside the subgraphs that it was made of."""

    subgraphs: tuple[Subgraph, ...]
    supergraph: Supergraph
    overrides: Overrides
