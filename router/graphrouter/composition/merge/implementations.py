"""Interfaces across subgraphs: what one subgraph's interface asks of the types that others implement it by."""

from __future__ import annotations

from graphrouter.composition.diagnostics import Code, Findings, listed
from graphrouter.composition.merged import MergedComposite, MergedInterface, Supergraph
from graphrouter.composition.model import CompositeType, InterfaceType, ObjectType, Subgraph


def check_implementations(subgraphs: tuple[Subgraph, ...], supergraph: Supergraph, findings: Findings) -> None:
    """Check all interfaces of the supergraph."""
    for definition in supergraph.types.values():
        if isinstance(definition, MergedComposite):
            _check_fields(supergraph, definition, subgraphs, findings)
    for subgraph in subgraphs:
        for own in subgraph.types.values():
            if isinstance(own, InterfaceType) and own.keys:
                _check_knows_all(subgraph, own, supergraph, findings)
            elif isinstance(own, ObjectType) and own.interface_object:
                _check_stands_alone(subgraph, own, supergraph, findings)


def _check_fields(
    supergraph: Supergraph, definition: MergedComposite, subgraphs: tuple[Subgraph, ...], findings: Findings
) -> None:
    """A type has the fields of its interfaces, whichever subgraph asks for them."""
    for name in definition.interfaces:
        interface = supergraph.types.get(name)
        if not isinstance(interface, MergedInterface):
            continue
        for field in interface.fields:
            if field not in definition.fields:
                asking = [s.name for s in subgraphs if field in _fields(s, name)]
                having = [s.name for s in subgraphs if s.composite(definition.name) is not None]
                message = (
                    f'"{name}.{field}" of {listed(asking)} is missing from "{definition.name}", which implements '
                    f'"{name}" and is defined in {listed(having)}'
                )
                code = Code.INTERFACE_FIELD_NO_IMPLEM
                findings.error(code, message, f"{name}.{field}", *asking, *having)


def _fields(subgraph: Subgraph, name: str) -> frozenset[str]:
    definition: CompositeType | None = subgraph.composite(name)
    return frozenset(definition.fields) if definition is not None else frozenset()


def _check_knows_all(subgraph: Subgraph, own: InterfaceType, supergraph: Supergraph, findings: Findings) -> None:
    """A subgraph that finds entities by an interface is asked what they are; so it must know every type."""
    unknown = sorted(supergraph.possible_types[own.name] - subgraph.possible_types[own.name])
    if unknown and any(key.resolvable for key in own.keys):
        types = ", ".join(f'"{name}"' for name in unknown)
        message = f'subgraph "{subgraph.name}" has a @key on the interface "{own.name}", but does not define {types}'
        code = Code.INTERFACE_KEY_MISSING_IMPLEMENTATION_TYPE
        findings.error(code, f"{message}, which implement it elsewhere", own.name, subgraph.name)


def _check_stands_alone(subgraph: Subgraph, own: ObjectType, supergraph: Supergraph, findings: Findings) -> None:
    """An interface object stands for all implementations, so that its subgraph can define none of them."""
    known = sorted(supergraph.possible_types.get(own.name, frozenset()) & set(subgraph.types))
    if known:
        types = ", ".join(f'"{name}"' for name in known)
        message = f'subgraph "{subgraph.name}" has "{own.name}" as @interfaceObject, but also defines {types}'
        code = Code.INTERFACE_OBJECT_USAGE_ERROR
        findings.error(code, f"{message}, which it stands for", own.name, subgraph.name)
