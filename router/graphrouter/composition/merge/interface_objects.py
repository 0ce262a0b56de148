"""`@interfaceObject`: fields of an interface reach the types that implement it.

https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/entities/interfaces
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from graphrouter.composition.merge.context import MergeContext
from graphrouter.composition.merged import (
    JoinField,
    MergedField,
    MergedInterface,
    MergedObject,
    MergedType,
)


def spread_interface_fields(context: MergeContext, types: Mapping[str, MergedType]) -> dict[str, MergedType]:
    """Give each implementing type the fields that an interface object resolves for it and that it has not itself."""
    return {
        name: _with_inherited(context, types, definition)
        if isinstance(definition, MergedObject | MergedInterface)
        else definition
        for name, definition in types.items()
    }


def _with_inherited(
    context: MergeContext, types: Mapping[str, MergedType], definition: MergedObject | MergedInterface
) -> MergedObject | MergedInterface:
    inherited: dict[str, MergedField] = {}
    for interface in definition.interfaces:
        merged = types.get(interface)
        if not isinstance(merged, MergedInterface):
            continue
        resolved = {
            field.name
            for source in context.interface_objects.get(interface, ())
            for field in source.element.fields.values()
            if not field.external
        }
        for field in merged.fields.values():
            own = definition.fields.get(field.name)
            if field.name not in resolved:
                continue
            if own is None:
                inherited.setdefault(field.name, replace(field, joins=(JoinField(None),)))
            elif own.joins and all(join.external for join in own.joins):
                # Only the interface's subgraphs resolve it: what is hidden there is hidden here.
                marks = replace(
                    own.marks,
                    inaccessible=own.marks.inaccessible or field.marks.inaccessible,
                    tags=tuple(sorted({*own.marks.tags, *field.marks.tags})),
                )
                inherited[field.name] = replace(own, marks=marks)
    return replace(definition, fields={**definition.fields, **inherited}) if inherited else definition
