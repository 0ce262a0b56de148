"""`@interfaceObject`: an entity without its types.

https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/entities/interfaces
"""

from __future__ import annotations

from graphrouter.composition.diagnostics import Code, Findings
from graphrouter.composition.model import ObjectType, Subgraph


def check_interface_objects(subgraph: Subgraph, findings: Findings) -> None:
    """An interface object needs a key, for its values are found by it."""
    for definition in subgraph.types.values():
        if isinstance(definition, ObjectType) and definition.interface_object and not definition.keys:
            message = f'"{definition.name}" of subgraph "{subgraph.name}" has @interfaceObject, but no @key'
            findings.error(Code.INTERFACE_OBJECT_USAGE_ERROR, message, definition.name, subgraph.name)
