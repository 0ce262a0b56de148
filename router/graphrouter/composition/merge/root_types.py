"""Root types: every subgraph can be asked, whether or not it defines queries of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from graphrouter.composition.diagnostics import Code, Findings
from graphrouter.composition.model import CompositeType, ObjectType, Subgraph


def with_query_everywhere(subgraphs: Sequence[Subgraph], findings: Findings) -> list[Subgraph]:
    """Give subgraphs without queries an empty root type, for the router enters them by `Query._entities`."""
    roots = [subgraph.types.get("Query") for subgraph in subgraphs]
    if not any(isinstance(root, CompositeType) and root.fields for root in roots):
        names = ", ".join(f'"{subgraph.name}"' for subgraph in subgraphs) or "none"
        message = f"no subgraph defines a query; the subgraphs are: {names}"
        findings.error(Code.NO_QUERIES, message, None, *(subgraph.name for subgraph in subgraphs))
    return [
        subgraph
        if "Query" in subgraph.types
        else replace(subgraph, types={**subgraph.types, "Query": ObjectType("Query", {})})
        for subgraph in subgraphs
    ]
