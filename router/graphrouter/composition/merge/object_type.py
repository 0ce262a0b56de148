"""Object types: all fields of all subgraphs."""

from __future__ import annotations

from graphrouter.composition.merge.composite import (
    contexts,
    fields_by_name,
    hint_at_partial_fields,
    join_types,
)
from graphrouter.composition.merge.context import MergeContext, Sources, each
from graphrouter.composition.merge.field import check_sharing, merge_field
from graphrouter.composition.merge.marks import merge_marks
from graphrouter.composition.merged import MergedField, MergedObject
from graphrouter.composition.model import ObjectType


def merge_object(context: MergeContext, name: str, sources: Sources[ObjectType]) -> MergedObject:
    """Merge one object type; what interface objects resolve for it is shared with them."""
    holders = [source.subgraph for source in sources]
    hint_at_partial_fields(context, name, sources)
    interfaces = sorted(context.supertypes.get(name, frozenset()))
    abstracting = [source for interface in interfaces for source in context.interface_objects.get(interface, ())]
    abstracted = fields_by_name(abstracting)
    fields: dict[str, MergedField] = {}
    for field, found in fields_by_name(sources).items():
        resolved_above = [source for source in abstracted.get(field, ()) if not source.element.external]
        check_sharing(context, name, found, resolved_above)
        merged = merge_field(context, name, found, holders, resolved_above)
        if merged is not None:
            fields[field] = merged
    return MergedObject(
        name,
        merge_marks(name, each(sources, lambda definition: definition.marks), context.findings),
        join_types(sources),
        fields,
        tuple((source.subgraph, interface) for source in sources for interface in source.element.interfaces),
        contexts(sources),
    )
