"""Interfaces of one subgraph: what their fields may carry, and that their keys are their implementations' keys."""

from __future__ import annotations

from graphrouter.composition.diagnostics import Code, Findings
from graphrouter.composition.field_set import canonical
from graphrouter.composition.model import CompositeType, InterfaceType, Subgraph


def check_interfaces(subgraph: Subgraph, findings: Findings) -> None:
    """Check the interfaces of a subgraph."""
    for definition in subgraph.types.values():
        if isinstance(definition, InterfaceType):
            _check_shareable(subgraph, definition, findings)
            _check_keys(subgraph, definition, findings)


def _check_shareable(subgraph: Subgraph, definition: InterfaceType, findings: Findings) -> None:
    for field in definition.fields.values():
        if field.shareable:
            coordinate = f"{definition.name}.{field.name}"
            message = (
                f'@shareable is not allowed on "{coordinate}" of subgraph "{subgraph.name}", a field of an interface'
            )
            findings.error(Code.INVALID_SHAREABLE_USAGE, message, coordinate, subgraph.name)


def _check_keys(subgraph: Subgraph, definition: InterfaceType, findings: Findings) -> None:
    """An entity found as the interface must also be found as what it is."""
    for key in definition.keys:
        for name in sorted(subgraph.possible_types.get(definition.name, frozenset())):
            implementation = subgraph.types.get(name)
            if not isinstance(implementation, CompositeType):
                continue
            if all(canonical(own.fields.selections) != canonical(key.fields.selections) for own in implementation.keys):
                message = (
                    f'in subgraph "{subgraph.name}" the interface "{definition.name}" has '
                    f'@key(fields: "{key.fields}"), but "{name}", which implements it, has not'
                )
                findings.error(Code.INTERFACE_KEY_NOT_ON_IMPLEMENTATION, message, definition.name, subgraph.name)
