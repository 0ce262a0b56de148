"""`@external` stands only where it means something: on fields that another directive or an interface uses."""

from __future__ import annotations

from graphrouter.composition.diagnostics import Code, Findings
from graphrouter.composition.model import CompositeType, InterfaceType, Subgraph
from graphrouter.composition.selected import used_fields


def check_externals(subgraph: Subgraph, findings: Findings) -> None:
    """Report external fields that are unused, on interfaces, or carry a directive that an external field cannot."""
    used = used_fields(subgraph.types)
    for definition in subgraph.types.values():
        if not isinstance(definition, CompositeType):
            continue
        for field in definition.fields.values():
            if not field.external:
                continue
            coordinate = f"{definition.name}.{field.name}"
            where = f'"{coordinate}" of subgraph "{subgraph.name}"'
            colliding = {"@override": field.override, "@requires": field.requires, "@provides": field.provides}
            collision = next((name for name, present in colliding.items() if present is not None), None)
            if isinstance(definition, InterfaceType):
                message = f"@external is not allowed on {where}, a field of an interface"
                findings.error(Code.EXTERNAL_ON_INTERFACE, message, coordinate, subgraph.name)
            elif collision is not None:
                message = f"{where} is @external, so this subgraph does not resolve it, but it has {collision}"
                code = Code.EXTERNAL_COLLISION_WITH_ANOTHER_DIRECTIVE
                findings.error(code, message, coordinate, subgraph.name)
            elif (definition.name, field.name) not in used:
                message = f"{where} is @external, but no @key, @requires, @provides or interface uses it there"
                findings.error(Code.EXTERNAL_UNUSED, message, coordinate, subgraph.name)
