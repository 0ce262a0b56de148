"""`@authenticated`, `@requiresScopes`, `@policy`: not on interfaces, which need what the types behind them need."""

from __future__ import annotations

from collections.abc import Iterator

from graphrouter.composition.diagnostics import Code, Findings
from graphrouter.composition.model import CompositeType, InterfaceType, Marks, ObjectType, Subgraph


def check_access(subgraph: Subgraph, findings: Findings) -> None:
    """Check every interface with its fields, and every interface object."""
    for definition in subgraph.types.values():
        for coordinate, what, marks in _elements(definition) if isinstance(definition, CompositeType) else ():
            if marks.access:
                message = f'"{coordinate}" of subgraph "{subgraph.name}" is {what}, which may not have directives about'
                message += " access: they belong on the types that implement it"
                findings.error(Code.AUTH_REQUIREMENTS_APPLIED_ON_INTERFACE, message, coordinate, subgraph.name)


def _elements(definition: CompositeType) -> Iterator[tuple[str, str, Marks]]:
    if isinstance(definition, InterfaceType):
        yield definition.name, "an interface", definition.marks
        for field in definition.fields.values():
            yield f"{definition.name}.{field.name}", "a field of an interface", field.marks
    elif isinstance(definition, ObjectType) and definition.interface_object:
        yield definition.name, "an interface object", definition.marks
