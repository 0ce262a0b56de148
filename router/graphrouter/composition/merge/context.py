"""What every merger knows: the subgraphs, what overrides what, which types are whose subtypes, where findings go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from graphrouter.composition.diagnostics import Findings
from graphrouter.composition.model import (
    CompositeType,
    Coordinate,
    ListOf,
    Named,
    NonNull,
    ObjectType,
    Subgraph,
    TypeRef,
    UnionType,
)
from graphrouter.composition.overrides import Overrides

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Source(Generic[T_co]):
    """An element as one subgraph defines it."""

    subgraph: str
    element: T_co


Sources: TypeAlias = Sequence[Source[T_co]]
"""An element as every subgraph that has it defines it, in the order of their names."""

U = TypeVar("U")
E_ = TypeVar("E_")


def each(sources: Sources[E_], part: Callable[[E_], U]) -> list[tuple[str, U]]:
    """For each source the subgraph's name and one part of the element."""
    return [(source.subgraph, part(source.element)) for source in sources]


@dataclass(frozen=True, slots=True)
class MergeContext:
    """Made once per composition."""

    subgraphs: tuple[Subgraph, ...]
    overrides: Overrides
    supertypes: Mapping[str, frozenset[str]]
    interface_objects: Mapping[str, tuple[Source[ObjectType], ...]]
    """For each interface, the interface objects that stand for it."""
    used: Mapping[str, frozenset[Coordinate]]
    """For each subgraph, the fields that its own keys, requirements and interfaces use."""
    provided: Mapping[str, frozenset[Coordinate]]
    """For each subgraph, the fields that its own `@provides` select."""
    findings: Findings

    def is_subtype(self, sub: TypeRef, sup: TypeRef) -> bool:
        """Whether a value of the first type is always one of the second; every type is its own subtype."""
        match sub, sup:
            case NonNull(of=inner), NonNull(of=outer):
                return self.is_subtype(inner, outer)
            case NonNull(of=inner), _:
                return self.is_subtype(inner, sup)
            case ListOf(of=inner), ListOf(of=outer):
                return self.is_subtype(inner, outer)
            case Named(name=inner_name), Named(name=outer_name):
                return inner_name == outer_name or outer_name in self.supertypes.get(inner_name, frozenset())
            case _:
                return False


def supertypes(subgraphs: Sequence[Subgraph]) -> dict[str, frozenset[str]]:
    """For each type the interfaces and unions above it, in any subgraph."""
    above: dict[str, set[str]] = {}
    for subgraph in subgraphs:
        for definition in subgraph.types.values():
            if isinstance(definition, CompositeType):
                above.setdefault(definition.name, set()).update(definition.interfaces)
            elif isinstance(definition, UnionType):
                for member in definition.members:
                    above.setdefault(member, set()).add(definition.name)
    return {name: frozenset(types) for name, types in above.items()}


def interface_objects(subgraphs: Sequence[Subgraph]) -> dict[str, tuple[Source[ObjectType], ...]]:
    """The interface objects of all subgraphs, by name."""
    found: dict[str, list[Source[ObjectType]]] = {}
    for subgraph in subgraphs:
        for definition in subgraph.types.values():
            if isinstance(definition, ObjectType) and definition.interface_object:
                found.setdefault(definition.name, []).append(Source(subgraph.name, definition))
    return {name: tuple(sources) for name, sources in found.items()}
