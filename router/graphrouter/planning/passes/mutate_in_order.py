"""A mutation's root fields happen one after the other, each with everything below it.

https://spec.graphql.org/October2021/#sec-Mutation. Neighbours of one subgraph that need nothing else stay one request:
the subgraph keeps their order itself. In a document, fields come before fragments, so a field does not join one that is
under a condition.
"""

from __future__ import annotations

from itertools import groupby

from graphrouter.planning.fetch_graph import Fetch, FetchGraph, Selected


def mutate_in_order(graph: FetchGraph) -> None:
    """Let the first fetch of each root field wait for all fetches of the one before."""
    if graph.kind != "mutation":
        return
    _join_neighbours(graph)
    before: list[Fetch] = []
    for fetches in _by_order(graph):
        for fetch in fetches:
            if not fetch.depends_on:
                fetch.depends_on.update(before)
        before = fetches


def _by_order(graph: FetchGraph) -> list[list[Fetch]]:
    ordered = sorted(graph.fetches, key=lambda fetch: fetch.order)
    return [list(fetches) for _, fetches in groupby(ordered, key=lambda fetch: fetch.order)]


def _join_neighbours(graph: FetchGraph) -> None:
    last: list[Fetch] = []
    for fetches in _by_order(graph):
        root = next(fetch for fetch in fetches if not fetch.depends_on)
        joinable = len(last) == 1 and last[0].subgraph == root.subgraph
        if joinable and _keep_order(last[0].selected, root.selected):
            last[0].selected.merge(root.selected)
            graph.replace(root, last[0])
            fetches.remove(root)
            for fetch in fetches:
                fetch.order = last[0].order
            last = [*last, *fetches]
        else:
            last = fetches


def _keep_order(before: Selected, after: Selected) -> bool:
    """Whether both, written as one, stay in this order."""
    if not before.fragments:
        return True
    *earlier, _ = before.fragments
    return not after.fields and not after.fragments.keys() & set(earlier)
