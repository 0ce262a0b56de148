"""A fetch waits for another one directly only where no fetch between them does."""

from __future__ import annotations

from graphrouter.planning.fetch_graph import FetchGraph


def drop_redundant_waits(graph: FetchGraph) -> None:
    """Reduce the dependencies to those that the others do not imply."""
    for fetch in graph.fetches:
        implied = {far for near in fetch.depends_on for far in near.ancestors()}
        fetch.depends_on -= implied
