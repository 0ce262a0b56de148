"""What merging objects and merging interfaces have in common."""

from __future__ import annotations

from graphrouter.composition.diagnostics import Code, listed
from graphrouter.composition.merge.context import MergeContext, Source, Sources
from graphrouter.composition.merged import JoinType
from graphrouter.composition.model import ROOT_TYPES, CompositeType, Field, InterfaceType, ObjectType, UnionType


def fields_by_name(sources: Sources[CompositeType]) -> dict[str, list[Source[Field]]]:
    """The fields of all subgraphs, in the order of appearance."""
    found: dict[str, list[Source[Field]]] = {}
    for source in sources:
        for field in source.element.fields.values():
            found.setdefault(field.name, []).append(Source(source.subgraph, field))
    return found


def hint_at_partial_fields(context: MergeContext, name: str, sources: Sources[CompositeType]) -> None:
    """Tell of fields that some subgraphs lack, where no key leads from these to one that has them."""
    is_interface = any(isinstance(source.element, InterfaceType) for source in sources)
    if name in ROOT_TYPES or (not is_interface and any(source.element.keys for source in sources)):
        return
    resolved = {
        field.name
        for source in context.interface_objects.get(name, ())
        for field in source.element.fields.values()
        if not field.external
    }
    plain = [s for s in sources if not (isinstance(s.element, ObjectType) and s.element.interface_object)]
    for field, having in fields_by_name(sources).items():
        lacking = [
            source.subgraph
            for source in plain
            if field not in source.element.fields and not all(own.external for own in source.element.fields.values())
        ]
        if not lacking or (is_interface and field in resolved):
            continue
        names = [source.subgraph for source in having]
        code = (
            Code.INCONSISTENT_INTERFACE_VALUE_TYPE_FIELD if is_interface else Code.INCONSISTENT_OBJECT_VALUE_TYPE_FIELD
        )
        message = (
            f'"{name}.{field}" is defined in {listed(names)}, but not in {listed(lacking)}, which have "{name}" too'
        )
        context.findings.hint(code, message, f"{name}.{field}", *names, *lacking)


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
