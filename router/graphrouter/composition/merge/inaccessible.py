"""`@inaccessible`: what is left for clients must be a schema. https://specs.apollo.dev/inaccessible/v0.2/"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from graphql import EnumValueNode, ListValueNode, ObjectValueNode, parse_value

from graphrouter.composition.diagnostics import Code, Findings
from graphrouter.composition.merged import (
    MergedComposite,
    MergedEnum,
    MergedField,
    MergedInput,
    MergedInterface,
    MergedType,
    MergedUnion,
    Supergraph,
)
from graphrouter.composition.model import InputValue, Marks, TypeRef, named_type


def check_inaccessible(supergraph: Supergraph, findings: Findings) -> None:
    """Check that no visible element depends on a hidden one."""
    query = supergraph.types.get("Query")
    if query is not None and query.marks.inaccessible:
        message = 'the root type "Query" is @inaccessible: nothing can be asked'
        findings.error(Code.QUERY_ROOT_TYPE_INACCESSIBLE, message, "Query")
    for definition in supergraph.types.values():
        if not definition.marks.inaccessible:
            _check_children(supergraph, definition, findings)
            _check_type(supergraph, definition, findings)


def _check_children(supergraph: Supergraph, definition: MergedType, findings: Findings) -> None:
    children: Iterable[Marks]
    match definition:
        case MergedUnion(members=members):
            children = [supergraph.types[member].marks for member in members if member in supergraph.types]
        case MergedEnum(values=values):
            children = [value.marks for value in values.values()]
        case MergedInput(fields=fields):
            children = [field.value.marks for field in fields.values()]
        case MergedComposite():
            children = [field.marks for field in definition.fields.values()]
        case _:
            return
    if children and all(marks.inaccessible for marks in children):
        message = f'"{definition.name}" can be seen by clients, but all that it consists of is @inaccessible'
        findings.error(Code.ONLY_INACCESSIBLE_CHILDREN, message, definition.name)


def _check_type(supergraph: Supergraph, definition: MergedType, findings: Findings) -> None:
    if isinstance(definition, MergedComposite):
        for field in definition.fields.values():
            if field.marks.inaccessible:
                _check_implements(supergraph, definition, field, findings)
                continue
            coordinate = f"{definition.name}.{field.name}"
            _check_reference(supergraph, coordinate, field.type, findings)
            for argument in field.arguments.values():
                _check_input(supergraph, f"{coordinate}({argument.name}:)", argument, findings)
    elif isinstance(definition, MergedInput):
        for name, input_field in definition.fields.items():
            _check_input(supergraph, f"{definition.name}.{name}", input_field.value, findings)


def _check_implements(
    supergraph: Supergraph, definition: MergedComposite, field: MergedField, findings: Findings
) -> None:
    for name in definition.interfaces:
        interface = supergraph.types.get(name)
        if not isinstance(interface, MergedInterface) or interface.marks.inaccessible:
            continue
        asked = interface.fields.get(field.name)
        if asked is not None and not asked.marks.inaccessible:
            coordinate = f"{definition.name}.{field.name}"
            message = f'"{coordinate}" is @inaccessible, but implements "{name}.{field.name}", which can be seen'
            findings.error(Code.IMPLEMENTED_BY_INACCESSIBLE, message, coordinate)


def _check_input(supergraph: Supergraph, coordinate: str, value: InputValue, findings: Findings) -> None:
    if not value.marks.inaccessible:
        _check_reference(supergraph, coordinate, value.type, findings)
        for hidden in _hidden_in_default(supergraph, value) if value.default is not None else ():
            message = f'"{coordinate}" can be seen by clients, but its default {value.default} uses "{hidden}"'
            findings.error(Code.DEFAULT_VALUE_USES_INACCESSIBLE, f"{message}, which is @inaccessible", coordinate)
    elif value.required:
        message = f'"{coordinate}" is @inaccessible, but required: no client could use what it belongs to'
        findings.error(Code.REQUIRED_INACCESSIBLE, message, coordinate)


def _hidden_in_default(supergraph: Supergraph, value: InputValue) -> Iterator[str]:
    """The hidden enum values and input fields that a default value names."""
    open_values = [(named_type(value.type), parse_value(value.default or "null", no_location=True))]
    while open_values:
        name, node = open_values.pop()
        definition = supergraph.types.get(name)
        match node:
            case ListValueNode(values=items):
                open_values += [(name, item) for item in items]
            case EnumValueNode(value=chosen) if isinstance(definition, MergedEnum) and chosen in definition.values:
                if definition.values[chosen].marks.inaccessible:
                    yield f"{name}.{chosen}"
            case ObjectValueNode(fields=given) if isinstance(definition, MergedInput):
                for item in given:
                    field = definition.fields.get(item.name.value)
                    if field is not None and field.value.marks.inaccessible:
                        yield f"{name}.{item.name.value}"
                    elif field is not None:
                        open_values.append((named_type(field.value.type), item.value))
            case _:
                pass


def _check_reference(supergraph: Supergraph, coordinate: str, type_ref: TypeRef, findings: Findings) -> None:
    referenced = supergraph.types.get(named_type(type_ref))
    if referenced is not None and referenced.marks.inaccessible:
        message = f'"{coordinate}" can be seen by clients, but its type "{type_ref}" is @inaccessible'
        findings.error(Code.REFERENCED_INACCESSIBLE, message, coordinate)
