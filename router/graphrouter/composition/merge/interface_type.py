"""Interface types: all fields of all subgraphs, those of interface objects included."""

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
from graphrouter.composition.merged import MergedField, MergedInterface
from graphrouter.composition.model import CompositeType, ObjectType


def merge_interface(context: MergeContext, name: str, sources: Sources[CompositeType]) -> MergedInterface:
    """Merge one interface; only its interface objects resolve anything themselves, and may have to share it."""
    holders = [source.subgraph for source in sources]
    hint_at_partial_fields(context, name, sources)
    objects = fields_by_name([source for source in sources if isinstance(source.element, ObjectType)])
    fields: dict[str, MergedField] = {}
    for field, found in fields_by_name(sources).items():
        check_sharing(context, name, objects.get(field, ()))
        merged = merge_field(context, name, found, holders)
        if merged is not None:
            fields[field] = merged
    return MergedInterface(
        name,
        merge_marks(name, each(sources, lambda definition: definition.marks), context.findings),
        join_types(sources),
        fields,
        tuple((source.subgraph, interface) for source in sources for interface in source.element.interfaces),
        contexts(sources),
    )
