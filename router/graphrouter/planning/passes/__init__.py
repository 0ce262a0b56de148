"""Passes over the fetch graph: each makes it cheaper and leaves what it fetches as it is."""

from __future__ import annotations

from collections.abc import Callable

from graphrouter.planning.fetch_graph import FetchGraph
from graphrouter.planning.passes.divide_streams import divide_streams
from graphrouter.planning.passes.drop_empty import drop_empty
from graphrouter.planning.passes.drop_redundant_waits import drop_redundant_waits
from graphrouter.planning.passes.merge_same_place import merge_same_place
from graphrouter.planning.passes.mutate_in_order import mutate_in_order
from graphrouter.planning.passes.set_depths import set_depths

PASSES: tuple[Callable[[FetchGraph], None], ...] = (
    drop_empty,
    merge_same_place,
    mutate_in_order,
    drop_redundant_waits,
    set_depths,
    divide_streams,
)


def optimize(graph: FetchGraph) -> None:
    """Run all passes, in their order."""
    for run in PASSES:
        run(graph)
