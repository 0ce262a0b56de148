"""Every fetch learns how many others have to come before it, one after the other."""

from __future__ import annotations

from graphrouter.planning.fetch_graph import Fetch, FetchGraph


def set_depths(graph: FetchGraph) -> None:
    """Set the depths, and put the fetches into an order in which each comes after those that it waits for."""
    depths: dict[Fetch, int] = {}

    def depth(fetch: Fetch) -> int:
        if fetch not in depths:
            depths[fetch] = 1 + max((depth(before) for before in fetch.depends_on), default=-1)
        return depths[fetch]

    for fetch in graph.fetches:
        fetch.depth = depth(fetch)
    graph.fetches.sort(key=lambda fetch: (fetch.depth, fetch.id))
