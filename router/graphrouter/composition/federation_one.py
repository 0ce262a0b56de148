"""Federation 1 documents brought up to Federation 2's rules.

Federation 1 was loose: object fields might be resolved by any number of subgraphs, `@external` might stand where it
does nothing, `@provides` and `@requires` might name fields that are not external. The upgrade takes out what has no
effect and marks as shareable what was. https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/
reference/moving-to-federation-2
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from graphrouter.composition.field_set import FieldSet, SelectedField, Selections, print_selections
from graphrouter.composition.model import (
    CompositeType,
    Field,
    InterfaceType,
    ObjectType,
    TypeDefinition,
    UnionType,
    map_fields,
    named_type,
)
from graphrouter.composition.selected import is_external, used_fields


def upgrade(types: dict[str, TypeDefinition]) -> dict[str, TypeDefinition]:
    """The same types with Federation 2's meaning; external fields of keys are resolved already."""
    types = {name: _plain_interface(definition) for name, definition in types.items()}
    types = map_fields(types, lambda parent, field: _with_active_field_sets(types, parent, field))
    used = used_fields(types)
    types = {name: _without_unused(definition, used) for name, definition in types.items()}
    return map_fields(map_fields(types, _shareable), _without_marks_on_external)


def _plain_interface(definition: TypeDefinition) -> TypeDefinition:
    """Federation 1 ignored its directives on interfaces."""
    if not isinstance(definition, InterfaceType):
        return definition
    fields = {
        field.name: replace(field, external=False, requires=None, provides=None) for field in definition.fields.values()
    }
    return replace(definition, fields=fields, keys=())


def _with_active_field_sets(types: Mapping[str, TypeDefinition], parent: CompositeType, field: Field) -> Field:
    """Keep of @provides and @requires what is external; that was all that had an effect."""
    provides, requires = field.provides, field.requires
    if provides is not None:
        below = types.get(named_type(field.type))
        has_fields = isinstance(below, CompositeType | UnionType)
        provides = _external_part(types, named_type(field.type), provides) if has_fields else None
    if requires is not None:
        requires = _external_part(types, parent.name, requires)
    return replace(field, provides=provides, requires=requires)


def _external_part(types: Mapping[str, TypeDefinition], parent: str, fields: FieldSet) -> FieldSet | None:
    kept = _external_selections(types, parent, fields.selections)
    if kept == fields.selections:
        return fields
    return FieldSet(print_selections(kept), kept) if kept else None


def _external_selections(types: Mapping[str, TypeDefinition], parent: str, selections: Selections) -> Selections:
    kept: list[Selections] = []
    for selection in selections:
        if not isinstance(selection, SelectedField):
            nested = _external_selections(types, selection.type_condition or parent, selection.selections)
            kept.append((replace(selection, selections=nested),) if nested else ())
            continue
        definition = types.get(parent)
        field = definition.fields.get(selection.name) if isinstance(definition, CompositeType) else None
        if not isinstance(definition, CompositeType) or field is None or is_external(types, definition, field.name):
            kept.append((selection,))
        elif selection.selections:
            nested = _external_selections(types, named_type(field.type), selection.selections)
            kept.append((replace(selection, selections=nested),) if nested else ())
    return tuple(selection for part in kept for selection in part)


def _without_unused(definition: TypeDefinition, used: frozenset[tuple[str, str]]) -> TypeDefinition:
    if not isinstance(definition, ObjectType):
        return definition
    fields = {
        field.name: field
        for field in definition.fields.values()
        if not field.external or (definition.name, field.name) in used
    }
    return replace(definition, fields=fields)


def _without_marks_on_external(_parent: CompositeType, field: Field) -> Field:
    """Federation 1 let `@tag` stand where the field is only mentioned."""
    return replace(field, marks=replace(field.marks, tags=())) if field.external else field


def _shareable(parent: CompositeType, field: Field) -> Field:
    return replace(field, shareable=True) if isinstance(parent, ObjectType) else field
