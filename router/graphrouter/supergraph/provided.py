"""Completes what version 0.1 of the join specification leaves out: fields that a subgraph has only to provide them.

From version 0.2 on such a field stands in its subgraph as external; in version 0.1 the `provides` alone tells of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

from graphrouter.supergraph.field_set import FieldSet, RequiredField
from graphrouter.supergraph.model import FieldInSubgraph, TypeInSubgraph

Types: TypeAlias = Mapping[str, Mapping[str, TypeInSubgraph]]


def with_provided(types: Types) -> Types:
    """The types, each with all fields that its subgraph provides on some path."""
    missing: dict[tuple[str, str], dict[str, FieldInSubgraph]] = {}
    for by_graph in types.values():
        for graph, known in by_graph.items():
            for field in known.fields.values():
                for type_name, provided in _provided(types, field.named_type, field.provides):
                    if graph in types[type_name] and provided.name not in types[type_name][graph].fields:
                        missing.setdefault((type_name, graph), {})[provided.name] = provided
    return {
        name: {
            graph: replace(known, fields={**known.fields, **missing.get((name, graph), {})})
            for graph, known in by_graph.items()
        }
        for name, by_graph in types.items()
    }


def _provided(types: Types, type_name: str, selections: FieldSet) -> Iterator[tuple[str, FieldInSubgraph]]:
    """Each field of a field set with its type's name, as a subgraph has it that only mentions the field."""
    for part in selections:
        if not isinstance(part, RequiredField):
            yield from _provided(types, part.type_condition, part.selections)
            continue
        told = (known.fields.get(part.name) for known in types.get(type_name, {}).values())
        field = next((one for one in told if one is not None), None)
        if field is not None:
            yield type_name, FieldInSubgraph(field.name, field.type, field.named_type, resolvable=False, external=True)
            yield from _provided(types, field.named_type, part.selections)
