"""`@cost` and `@listSize`: they stand where they count something. https://specs.apollo.dev/cost/v0.1/"""

from __future__ import annotations

from graphrouter.composition.diagnostics import Code, Findings
from graphrouter.composition.model import (
    CompositeType,
    Field,
    InterfaceType,
    ListOf,
    Named,
    NonNull,
    Subgraph,
    TypeRef,
    named_type,
)
from graphrouter.supergraph.model import ListSize


def check_costs(subgraph: Subgraph, findings: Findings) -> None:
    """Check every field of objects and interfaces."""
    for definition in subgraph.types.values():
        for field in definition.fields.values() if isinstance(definition, CompositeType) else ():
            coordinate = f"{definition.name}.{field.name}"
            where = f'"{coordinate}" of subgraph "{subgraph.name}"'
            if field.marks.cost is not None and isinstance(definition, InterfaceType):
                message = f"@cost is not allowed on {where}, a field of an interface"
                findings.error(Code.COST_APPLIED_TO_INTERFACE_FIELD, message, coordinate, subgraph.name)
            if field.list_size is not None:
                for code, message in _problems(subgraph, field, field.list_size):
                    findings.error(code, f"@listSize on {where}: {message}", coordinate, subgraph.name)


def _problems(subgraph: Subgraph, field: Field, size: ListSize) -> list[tuple[Code, str]]:
    found: list[tuple[Code, str]] = []
    if not size.sized_fields and not _is_list(field.type):
        found.append((Code.LIST_SIZE_APPLIED_TO_NON_LIST, f'its type "{field.type}" is no list'))
    if size.assumed_size is not None and size.assumed_size < 0:
        found.append((Code.LIST_SIZE_INVALID_ASSUMED_SIZE, f"assumedSize is {size.assumed_size}, which is below 0"))
    for name in size.slicing_arguments:
        argument = field.arguments.get(name)
        if argument is None:
            message = f'the slicing argument "{name}" is no argument of the field'
        elif argument.type in {Named("Int"), NonNull(Named("Int"))}:
            continue
        else:
            message = f'the slicing argument "{name}" is of type "{argument.type}", not Int'
        found.append((Code.LIST_SIZE_INVALID_SLICING_ARGUMENT, message))
    parent = subgraph.composite(named_type(field.type))
    for name in size.sized_fields:
        sized = parent.fields.get(name) if parent is not None else None
        if sized is None:
            message = f'"{named_type(field.type)}" does not have the sized field "{name}"'
            found.append((Code.LIST_SIZE_INVALID_SIZED_FIELD, message))
        elif not _is_list(sized.type):
            message = f'the sized field "{name}" is of type "{sized.type}", which is no list'
            found.append((Code.LIST_SIZE_APPLIED_TO_NON_LIST, message))
    return found


def _is_list(type_ref: TypeRef) -> bool:
    return isinstance(type_ref.of if isinstance(type_ref, NonNull) else type_ref, ListOf)
