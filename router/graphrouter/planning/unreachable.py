"""Says why a field cannot be had: per subgraph, what is missing."""

from __future__ import annotations

from graphrouter.planning.query_graph import QueryGraph
from graphrouter.planning.steps import Step
from graphrouter.supergraph import FieldInSubgraph, TypeInSubgraph


def explain(graph: QueryGraph, type_name: str, field: str, tails: tuple[Step, ...]) -> str:
    """One sentence per subgraph about `type_name.field`, asked for from these tails."""
    found = ", ".join(dict.fromkeys(f'"{tail.subgraph}"' for tail in tails))
    reasons = [f'"{name}": {_reason(graph, type_name, field, name)}' for name in graph.supergraph.subgraphs]
    spelled = field if field.startswith("...") else f"{type_name}.{field}"
    return f"{spelled} cannot be answered, coming from {found}. " + "; ".join(reasons) + "."


def _reason(graph: QueryGraph, type_name: str, field: str, subgraph: str) -> str:
    known = graph.supergraph.in_subgraph(type_name, subgraph)
    if known is None:
        return f"does not have {type_name}"
    if field.startswith("..."):
        return "cannot tell the object types apart or cannot be entered"
    if known.is_interface_object and field == "__typename":
        return f"has {type_name} as an interface object and does not know its object types"
    found = known.fields.get(field)
    return _why_not(known, found) if found else "does not define it"


def _why_not(known: TypeInSubgraph, found: FieldInSubgraph) -> str:
    if found.external:
        return "only mentions it (@external)"
    if found.overridden and found.label:
        return f'does not have it while the label "{found.label.name}" is {"off" if found.label.takes_over else "on"}'
    if found.overridden:
        return "has lost it to another subgraph (@override)"
    keys = [key for key in known.keys if key.resolvable]
    if not keys:
        return f"defines it, but has no resolvable @key of {known.name}"
    texts = " or ".join(f"{{{key.text}}}" for key in keys)
    needs = " and what the field requires" if found.requires else ""
    return f"defines it, but {texts}{needs} cannot be had from there"
