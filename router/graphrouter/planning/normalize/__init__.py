"""Normalisation: from a client's document to the one form that everything later works on.

The first step reads the document; each pass after it takes an operation and gives one that means the same.
"""

from __future__ import annotations

from collections.abc import Callable

from graphql import DocumentNode

from graphrouter.planning.normalize.drop_repeated import drop_repeated
from graphrouter.planning.normalize.flatten import flatten_fragments
from graphrouter.planning.normalize.merge import merge_equal
from graphrouter.planning.normalize.place_deferrals import place_deferrals
from graphrouter.planning.normalize.place_streams import place_streams
from graphrouter.planning.normalize.read import read_operation
from graphrouter.planning.normalize.separate_root_fields import separate_root_fields
from graphrouter.planning.selection import Operation
from graphrouter.supergraph import Supergraph

PASSES: tuple[Callable[[Operation, Supergraph], Operation], ...] = (
    flatten_fragments,
    separate_root_fields,
    merge_equal,
    place_deferrals,
    place_streams,
    drop_repeated,
)


def normalize(
    document: DocumentNode,
    operation_name: str | None,
    supergraph: Supergraph,
    max_selections: int,
    max_depth: int,
) -> Operation:
    """The operation asked for, normalised; PlanningError if there is none or if it is too large."""
    operation = read_operation(document, operation_name, supergraph, max_selections, max_depth)
    for run in PASSES:
        operation = run(operation, supergraph)
    return operation
