"""What merging objects and merging interfaces have in common."""

from __future__ import annotations

from graphrouter.composition.merge.context import Source, Sources
from graphrouter.composition.merged import JoinType
from graphrouter.composition.model import CompositeType, Field, ObjectType, UnionType


def fields_by_name(sources: Sources[CompositeType]) -> dict[str, list[Source[Field]]]:
    """The fields of all subgraphs, in the order of appearance."""
    found: dict[str, list[Source[Field]]] = {}
    for source in sources:
        for field in source.element.fields.values():
            found.setdefault(field.name, []).append(Source(source.subgraph, field))
    return found


def contexts(sources: Sources[CompositeType] | Sources[UnionType]) -> tuple[str, ...]:
    """The contexts that a type sets, by the names that they have in the supergraph: each is its subgraph's own."""
    return tuple(context_name(source.subgraph, name) for source in sources for name in source.element.contexts)


def context_name(subgraph: str, name: str) -> str:
    """A context's name in the supergraph."""
    return f"{subgraph}__{name}"


def join_types(sources: Sources[CompositeType]) -> tuple[JoinType, ...]:
    """For each subgraph its keys, or one join without a key."""
    joins: list[JoinType] = []
    for source in sources:
        definition = source.element
        interface_object = isinstance(definition, ObjectType) and definition.interface_object
        plain = JoinType(source.subgraph, None, definition.extension, interface_object=interface_object)
        keyed = [
            JoinType(source.subgraph, key.fields.text, definition.extension, key.resolvable, interface_object)
            for key in definition.keys
        ]
        joins += keyed or [plain]
    return tuple(joins)
