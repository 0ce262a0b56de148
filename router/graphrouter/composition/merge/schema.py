"""All types of all subgraphs, type by type, into one supergraph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from graphrouter.composition.diagnostics import Code, Findings, by_what
from graphrouter.composition.merge.access import check_access, spread_access
from graphrouter.composition.merge.bases import check_bases
from graphrouter.composition.merge.composed_directives import merge_composed
from graphrouter.composition.merge.context import (
    MergeContext,
    Source,
    Sources,
    interface_objects,
    supertypes,
)
from graphrouter.composition.merge.directive import merge_directives
from graphrouter.composition.merge.enum_type import merge_enum
from graphrouter.composition.merge.implementations import check_implementations
from graphrouter.composition.merge.inaccessible import check_inaccessible
from graphrouter.composition.merge.input_type import merge_input
from graphrouter.composition.merge.interface_objects import spread_interface_fields
from graphrouter.composition.merge.interface_type import merge_interface
from graphrouter.composition.merge.marks import merge_marks
from graphrouter.composition.merge.object_type import merge_object
from graphrouter.composition.merge.requirements import check_requirements
from graphrouter.composition.merge.root_types import with_query_everywhere
from graphrouter.composition.merge.scalar_type import merge_scalar
from graphrouter.composition.merge.union_type import merge_union
from graphrouter.composition.merge.usage import Usage, find_usages
from graphrouter.composition.merge.validity import check_validity
from graphrouter.composition.merged import (
    Merged,
    MergedComposite,
    MergedInterface,
    MergedType,
    MergedUnion,
    Supergraph,
)
from graphrouter.composition.model import (
    CompositeType,
    EnumType,
    InputType,
    InterfaceType,
    ObjectType,
    ScalarType,
    TypeDefinition,
    UnionType,
)
from graphrouter.composition.overrides import find_overrides
from graphrouter.composition.selected import provided_fields, used_fields
from graphrouter.composition.validate import Validated

T = TypeVar("T")


def merge(validated: Validated, findings: Findings) -> Merged:
    """Merge every type; enums come last, because they need to know where they are used."""
    subgraphs = validated.subgraphs
    context = MergeContext(
        subgraphs,
        find_overrides(subgraphs, findings),
        supertypes(subgraphs),
        interface_objects(subgraphs),
        {subgraph.name: used_fields(subgraph.types) for subgraph in subgraphs},
        {subgraph.name: provided_fields(subgraph.types) for subgraph in subgraphs},
        findings,
    )
    sources: dict[str, list[Source[TypeDefinition]]] = {}
    for subgraph in with_query_everywhere(subgraphs, findings):
        for definition in subgraph.types.values():
            sources.setdefault(definition.name, []).append(Source(subgraph.name, definition))
    fitting = {name: found for name, found in sorted(sources.items()) if _same_kind(name, found, findings)}
    types: dict[str, MergedType] = {}
    for name, found in fitting.items():
        merged = _merge_type(context, name, found)
        if merged is not None:
            types[name] = merged
    types = spread_interface_fields(context, types)
    composed = merge_composed(context)
    directives = merge_directives(context, composed)
    usages = find_usages(types, (*directives.values(), *(one.definition for one in composed.values())))
    for name, found in fitting.items():
        enums = _only(found, EnumType)
        if enums:
            types[name] = merge_enum(context, name, enums, usages.get(name, Usage()))
    types = dict(sorted(spread_access(context, types).items()))
    marks = merge_marks("schema", [(subgraph.name, subgraph.marks) for subgraph in subgraphs], findings)
    supergraph = Supergraph(types, directives, _possible_types(types), tuple(composed.values()), marks)
    check_bases(subgraphs, findings)
    check_implementations(subgraphs, supergraph, findings)
    check_requirements(subgraphs, supergraph, findings)
    check_access(subgraphs, supergraph, context.overrides, findings)
    check_inaccessible(supergraph, findings)
    merged_all = Merged(subgraphs, supergraph, context.overrides)
    if not findings.has_errors:
        check_validity(merged_all, findings)
    return merged_all


def _merge_type(context: MergeContext, name: str, found: Sources[TypeDefinition]) -> MergedType | None:
    """Merge anything but an enum."""
    match found[0].element:
        case ObjectType() | InterfaceType():
            objects = _only(found, ObjectType)
            if len(objects) == len(found) and not any(source.element.interface_object for source in objects):
                return merge_object(context, name, objects)
            return merge_interface(context, name, _only(found, CompositeType))
        case UnionType():
            return merge_union(context, name, _only(found, UnionType))
        case InputType():
            return merge_input(context, name, _only(found, InputType))
        case ScalarType():
            return merge_scalar(context, name, _only(found, ScalarType))
        case EnumType():
            return None


def _same_kind(name: str, found: Sources[TypeDefinition], findings: Findings) -> bool:
    """Whether the type is of one kind everywhere; an interface object counts as an interface."""
    kinds = [(source.subgraph, _kind(source.element)) for source in found]
    names = [source.subgraph for source in found]
    if len({kind for _, kind in kinds}) > 1:
        message = f'"{name}" is not of the same kind everywhere: {by_what(kinds)}'
        findings.error(Code.TYPE_KIND_MISMATCH, message, name, *names)
        return False
    interface_only = all(isinstance(s.element, ObjectType) and s.element.interface_object for s in found)
    if interface_only:
        message = f'"{name}" is an @interfaceObject wherever it is defined; one subgraph must define the interface'
        findings.error(Code.INTERFACE_OBJECT_USAGE_ERROR, message, name, *names)
    return not interface_only


def _kind(definition: TypeDefinition) -> str:
    match definition:
        case ObjectType(interface_object=False):
            return "an object type"
        case ObjectType() | InterfaceType():
            return "an interface"
        case UnionType():
            return "a union"
        case EnumType():
            return "an enum"
        case InputType():
            return "an input type"
        case ScalarType():
            return "a scalar"


def _only(found: Sequence[Source[TypeDefinition]], kind: type[T]) -> list[Source[T]]:
    return [Source(source.subgraph, source.element) for source in found if isinstance(source.element, kind)]


def _possible_types(types: dict[str, MergedType]) -> dict[str, frozenset[str]]:
    behind: dict[str, set[str]] = {}
    for definition in types.values():
        if isinstance(definition, MergedInterface):
            behind.setdefault(definition.name, set())
        elif isinstance(definition, MergedUnion):
            behind[definition.name] = set(definition.members)
        elif isinstance(definition, MergedComposite):
            for interface in definition.interfaces:
                behind.setdefault(interface, set()).add(definition.name)
    return {name: frozenset(members) for name, members in behind.items()}
