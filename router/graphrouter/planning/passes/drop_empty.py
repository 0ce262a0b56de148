"""Where all that is asked for is deferred, or only what stands elsewhere, nothing is fetched."""

from __future__ import annotations

from graphrouter.planning.fetch_graph import FetchGraph, Selected


def drop_empty(graph: FetchGraph) -> None:
    """Remove fetches that select nothing, which only deferred fragments make; what waits for them waits no longer."""
    if not any(fetch.deferrals for fetch in graph.fetches):
        return
    empty = {fetch for fetch in graph.fetches if not _selects(fetch.selected)}
    graph.fetches = [fetch for fetch in graph.fetches if fetch not in empty]
    for fetch in graph.fetches:
        for before in fetch.depends_on & empty:
            fetch.depends_on |= before.depends_on
        fetch.depends_on -= empty


def _selects(selected: Selected) -> bool:
    return bool(selected.fields) or any(map(_selects, selected.fragments.values()))
