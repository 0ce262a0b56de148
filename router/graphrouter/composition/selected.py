"""Which fields of a subgraph a field set selects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graphrouter.composition.field_set import SelectedField, Selections
from graphrouter.composition.model import CompositeType, Coordinate, InterfaceType, TypeDefinition, named_type


def selected_fields(types: Mapping[str, TypeDefinition], parent: str, selections: Selections) -> Iterator[Coordinate]:
    """Yield each selected field, nested ones included; for an interface's field also those that implement it.

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
        if isinstance(definition, InterfaceType):
            yield from implementing_fields(types, parent, selection.name)
        child = named_type(definition.fields[selection.name].type)
        yield from selected_fields(types, child, selection.selections)


def implementing_fields(types: Mapping[str, TypeDefinition], interface: str, field: str) -> Iterator[Coordinate]:
    """The fields of implementing types that stand behind an interface's field."""
    for name, definition in types.items():
        if isinstance(definition, CompositeType) and interface in definition.interfaces and field in definition.fields:
            yield name, field


def used_fields(types: Mapping[str, TypeDefinition]) -> frozenset[Coordinate]:
    """The fields that a key, @requires or @provides selects, or an interface asks for."""
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
        for interface in definition.interfaces:
            asked = types.get(interface)
            if isinstance(asked, InterfaceType):
                used.update((name, field) for field in asked.fields)
    return frozenset(used)
