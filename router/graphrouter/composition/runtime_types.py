"""A field that several subgraphs share returns one value, so the types that it can be must meet.

https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/sharing-types
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from graphrouter.composition.diagnostics import Code, Findings, by_what
from graphrouter.composition.merged import Merged, MergedField, MergedObject
from graphrouter.composition.model import named_type
from graphrouter.composition.reach import Place, Reach
from graphrouter.composition.witness import Step, witness_query


def check_runtime_types(
    merged: Merged, reach: Reach, step: Step, field: MergedField, resolvers: Iterable[Place], findings: Findings
) -> None:
    """Report a shared field whose subgraphs have no object type of its abstract type in common, or not all."""
    possible = merged.supergraph.possible_types.get(named_type(field.type))
    if possible is None or not _is_shared(merged, step.parent, field):
        return
    types = _types_by_subgraph(merged, reach, field.name, resolvers, possible)
    if types is None or not any(types.values()):
        return
    common = frozenset[str].intersection(*types.values())
    coordinate = f"{step.parent}.{field.name}"
    texts = by_what((name, _listed(known)) for name, known in types.items())
    if not common:
        lines = (f"  {line}" for line in witness_query(merged.supergraph, step).splitlines())
        message = f'"{coordinate}" is shared, but the types that it can be differ: {texts}; they have none in common.'
        text = "\n".join([f"{message} This query asks for it:", *lines])
        findings.error(Code.SHAREABLE_HAS_MISMATCHED_RUNTIME_TYPES, text, coordinate, *types)
    elif len(set(types.values())) > 1:
        message = f'"{coordinate}" is shared, but the types that it can be differ: {texts}'
        message += f"; it must be {_listed(common)} everywhere"
        findings.hint(Code.INCONSISTENT_RUNTIME_TYPES_FOR_SHAREABLE_RETURN, message, coordinate, *types)


def _is_shared(merged: Merged, parent: str, field: MergedField) -> bool:
    """Whether several subgraphs resolve the field of an object type."""
    definition = merged.supergraph.types.get(parent)
    if not isinstance(definition, MergedObject):
        return False
    if field.joins:
        return sum(not join.external and not join.used_overridden for join in field.joins) > 1
    return len({join.subgraph for join in definition.joins}) > 1


def _types_by_subgraph(
    merged: Merged, reach: Reach, name: str, resolvers: Iterable[Place], possible: frozenset[str]
) -> Mapping[str, frozenset[str]] | None:
    """The object types that each subgraph can return; None unless two of them return an abstract type."""
    subgraphs = {subgraph.name: subgraph for subgraph in merged.subgraphs}
    found: dict[str, frozenset[str]] = {}
    abstract = 0
    for item in (item for place in resolvers for item in reach.returned(place, name)):
        subgraph = subgraphs[item.subgraph]
        abstract += subgraph.is_abstract(item.type)
        types = subgraph.possible_types.get(item.type, frozenset((item.type,)))
        # The single type of an interface object stands for all implementations.
        if len(types) != 1 or types <= possible:
            found[item.subgraph] = found.get(item.subgraph, types) & types
    return found if abstract > 1 else None


def _listed(types: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in sorted(types)) or "no type"
