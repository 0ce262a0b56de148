"""Who may see what, through interfaces and requirements.

An interface needs what all types behind it need, and so does each of its fields: whoever asks for the interface may
get any of them. A field that has others fetched for it (`@requires`, `@fromContext`) has to need what these need, so
that it gives nothing away; the router fetches them for whoever may see the field.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from graphrouter.composition.diagnostics import Code, Findings
from graphrouter.composition.field_set import SelectedField, Selections
from graphrouter.composition.merge.composite import context_name
from graphrouter.composition.merge.context import MergeContext
from graphrouter.composition.merged import (
    MergedComposite,
    MergedInterface,
    MergedObject,
    MergedType,
    MergedUnion,
    Supergraph,
)
from graphrouter.composition.model import CompositeType, Field, Subgraph, named_type
from graphrouter.composition.overrides import Overrides
from graphrouter.supergraph.access import NO_ACCESS, Access


def spread_access(context: MergeContext, types: Mapping[str, MergedType]) -> dict[str, MergedType]:
    """Give interfaces what their types need, and types what interface objects need for fields that they resolve."""
    objects = [definition for definition in types.values() if isinstance(definition, MergedObject)]
    on_types: dict[str, Access] = {}
    on_fields: dict[tuple[str, str], Access] = {}

    def add(at: tuple[str, str], access: Access) -> None:
        on_fields[at] = on_fields.get(at, NO_ACCESS) & access

    for definition in objects:
        for interface in definition.interfaces:
            on_types[interface] = on_types.get(interface, NO_ACCESS) & definition.marks.access
            for field in definition.fields.values():
                add((interface, field.name), field.marks.access)
            for source in context.interface_objects.get(interface, ()):
                for resolved in source.element.fields.values():
                    for name in (definition.name, *definition.interfaces) if not resolved.external else ():
                        add((name, resolved.name), resolved.marks.access)
    return {
        name: _with_access(definition, on_types, on_fields) if isinstance(definition, MergedComposite) else definition
        for name, definition in types.items()
    }


def _with_access(
    definition: MergedObject | MergedInterface,
    on_types: Mapping[str, Access],
    on_fields: Mapping[tuple[str, str], Access],
) -> MergedObject | MergedInterface:
    fields = {
        name: replace(field, marks=replace(field.marks, access=field.marks.access & access))
        if (access := on_fields.get((definition.name, name), NO_ACCESS))
        else field
        for name, field in definition.fields.items()
    }
    access = definition.marks.access & on_types.get(definition.name, NO_ACCESS)
    return replace(definition, fields=fields, marks=replace(definition.marks, access=access))


def check_access(
    subgraphs: Collection[Subgraph], supergraph: Supergraph, overrides: Overrides, findings: Findings
) -> None:
    """Report fields that others are fetched for which need more than the fields themselves."""
    for subgraph in subgraphs:
        for definition in subgraph.types.values():
            for field in definition.fields.values() if isinstance(definition, CompositeType) else ():
                if not overrides.is_dropped((definition.name, field.name), subgraph.name):
                    _check_field(subgraph, definition.name, field, supergraph, findings)


def _check_field(subgraph: Subgraph, parent: str, field: Field, supergraph: Supergraph, findings: Findings) -> None:
    merged = supergraph.types.get(parent)
    if not isinstance(merged, MergedComposite) or field.name not in merged.fields:
        return
    own = merged.marks.access & merged.fields[field.name].marks.access
    needed: list[tuple[str, Access]] = []
    if field.requires is not None:
        needed = _needed(supergraph, parent, field.requires.selections)
    for argument in field.contextual:
        if argument.context is None or argument.selection is None:
            continue
        context = context_name(subgraph.name, argument.context)
        for setter in supergraph.types.values():
            if isinstance(setter, MergedComposite | MergedUnion) and context in setter.contexts:
                needed.append((setter.name, setter.marks.access))
                needed += _needed(supergraph, setter.name, argument.selection.selections)
    missing = [what for what, access in needed if not own.implies(access)]
    if missing:
        at = f"{parent}.{field.name}"
        message = (
            f'"{at}" of subgraph "{subgraph.name}" has "{missing[0]}" fetched for it, and must not be seen by more'
        )
        message += " callers: give it the same @authenticated, @requiresScopes and @policy"
        findings.error(Code.MISSING_TRANSITIVE_AUTH_REQUIREMENTS, message, at, subgraph.name)


def _needed(supergraph: Supergraph, parent: str, selections: Selections) -> list[tuple[str, Access]]:
    """What each part of a field set needs, by its coordinate."""
    definition = supergraph.types.get(parent)
    found: list[tuple[str, Access]] = []
    for selection in selections:
        if not isinstance(selection, SelectedField):
            condition = selection.type_condition or parent
            if selection.type_condition is not None and condition in supergraph.types:
                found.append((condition, supergraph.types[condition].marks.access))
            found += _needed(supergraph, condition, selection.selections)
        elif isinstance(definition, MergedComposite) and selection.name in definition.fields:
            field = definition.fields[selection.name]
            named = supergraph.types.get(named_type(field.type))
            of_type = NO_ACCESS if named is None else named.marks.access
            found.append((f"{parent}.{field.name}", field.marks.access & of_type))
            found += _needed(supergraph, named_type(field.type), selection.selections)
    return found
