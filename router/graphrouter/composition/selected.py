"""Which fields of a subgraph a field set selects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graphrouter.composition.field_set import SelectedField, Selections
from graphrouter.composition.model import (
    CompositeType,
    Coordinate,
    InterfaceType,
    TypeDefinition,
    named_type,
    possible_types,
    setters,
)


def selected_fields(types: Mapping[str, TypeDefinition], parent: str, selections: Selections) -> Iterator[Coordinate]:
    """Yield each selected field, nested ones included.

    What the types do not have is passed over: validation reports it.
    """
    for selection in selections:
        if not isinstance(selection, SelectedField):
            yield from selected_fields(types, selection.type_condition or parent, selection.selections)
            continue
        definition = types.get(parent)
        if not isinstance(definition, CompositeType) or selection.name not in definition.fields:
            continue
        yield parent, selection.name
        child = named_type(definition.fields[selection.name].type)
        yield from selected_fields(types, child, selection.selections)


def is_external(types: Mapping[str, TypeDefinition], parent: CompositeType, field: str) -> bool:
    """Whether the field is external; an interface's is, where that of a type which implements it is."""
    if parent.fields[field].external or not isinstance(parent, InterfaceType):
        return parent.fields[field].external
    behind = (d for d in types.values() if isinstance(d, CompositeType) and parent.name in d.interfaces)
    return any(field in definition.fields and definition.fields[field].external for definition in behind)


def provided_fields(types: Mapping[str, TypeDefinition]) -> frozenset[Coordinate]:
    """The fields that some `@provides` selects, those of the types behind an interface included."""
    found: set[Coordinate] = set()
    for definition in types.values():
        for field in definition.fields.values() if isinstance(definition, CompositeType) else ():
            if field.provides is not None:
                found.update(selected_fields(types, named_type(field.type), field.provides.selections))
    behind = possible_types(types)
    below = {(name, field) for parent, field in found for name in behind.get(parent, ())}
    return frozenset(found | below)


def used_fields(types: Mapping[str, TypeDefinition]) -> frozenset[Coordinate]:
    """The fields that a key, @requires, @provides or @fromContext selects, or an interface asks for."""
    used: set[Coordinate] = set()
    for name, definition in types.items():
        if not isinstance(definition, CompositeType):
            continue
        for key in definition.keys:
            used.update(selected_fields(types, name, key.fields.selections))
        for field in definition.fields.values():
            if field.requires is not None:
                used.update(selected_fields(types, name, field.requires.selections))
            if field.provides is not None:
                used.update(selected_fields(types, named_type(field.type), field.provides.selections))
            for argument in field.contextual:
                selections = argument.selection.selections if argument.selection is not None else ()
                for setter in setters(types, argument.context or ""):
                    used.update(selected_fields(types, setter, selections))
        for interface in definition.interfaces:
            asked = types.get(interface)
            if isinstance(asked, InterfaceType):
                used.update((name, field) for field in asked.fields)
    return frozenset(used)
