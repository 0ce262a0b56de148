"""The planner: from a client's operation to the requests that answer it, in five stages.

Normalise: one form for all ways to write an operation. Walk: for each leaf, the paths through the subgraphs on which it
can be had. Choose: one path per leaf, so that all together cost least. Fetch graph: the requests that these paths come
to, merged by passes. Plan: their documents, written out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from graphql import DocumentNode

from graphrouter.cache import LruCache
from graphrouter.planning.assemble import assemble
from graphrouter.planning.choose import choose
from graphrouter.planning.demands import Budget, Demands, demands_text
from graphrouter.planning.errors import PlanningError, UnreachableError
from graphrouter.planning.fetch_graph import FetchGraph, build_fetch_graph
from graphrouter.planning.labels import PlanLabels
from graphrouter.planning.normalize import normalize
from graphrouter.planning.passes import optimize
from graphrouter.planning.paths import find_paths
from graphrouter.planning.plan import QueryPlan, Refusal
from graphrouter.planning.query_graph import QueryGraph
from graphrouter.planning.refusals import leave_out
from graphrouter.planning.render import render
from graphrouter.planning.selection import Operation
from graphrouter.planning.steps import Step
from graphrouter.supergraph import Supergraph

__all__ = ["Limits", "PlanningError", "QueryPlanner"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds of one planning: selections and levels (fragments written out), units of work, seconds."""

    max_selections: int = 20_000
    max_depth: int = 100
    max_work: int = 500_000
    max_seconds: float = 5.0


MAX_KEPT = 64
"""Planners that are kept, one for each set of labels that are on."""


class QueryPlanner:
    """Plans operations against one supergraph. It keeps nothing of an operation: any thread may use it.

    Labels of `@override` are off; `under` gives the planner for the time when some are on.
    """

    def __init__(self, supergraph: Supergraph, limits: Limits | None = None) -> None:
        self.supergraph = supergraph
        self.limits = limits or Limits()
        self.query_graph = QueryGraph(supergraph)
        self._labels = PlanLabels(supergraph)
        self._under: LruCache[QueryPlanner] = LruCache(MAX_KEPT)

    def labels_of(self, document: DocumentNode) -> frozenset[str]:
        """The labels of `@override` that plans of this document can depend on; the others make no difference."""
        return self._labels.of(document)

    def under(self, labels: frozenset[str]) -> QueryPlanner:
        """The planner while these labels, and no others, are on."""
        if labels == self.supergraph.labels_on:
            return self
        found = self._under.get(labels)
        if found is None:
            found = QueryPlanner(self.supergraph.with_labels(labels), self.limits)
            self._under.put(labels, found)
        return found

    def plan(self, document: DocumentNode, operation_name: str | None = None) -> QueryPlan:
        """The plan of an operation that is valid against the API schema; PlanningError if there is none."""
        operation, demands, refusals = self._reachable(self.normalize(document, operation_name))
        fetches = self.build_fetch_graph(operation, choose(demands))
        return replace(assemble(self.query_graph, operation, fetches), refusals=refusals, streams=operation.streams)

    def _reachable(self, operation: Operation) -> tuple[Operation, Demands, tuple[Refusal, ...]]:
        """The operation without what nobody can answer, its paths, and when that is asked for all the same."""
        refusals: list[Refusal] = []
        while True:
            try:
                return operation, self.find_paths(operation), tuple(refusals)
            except UnreachableError as error:
                operation, conditions = leave_out(operation, error.at)
                if not conditions:
                    raise
                refusals.append(Refusal(conditions, error.code, error.message))

    def normalize(self, document: DocumentNode, operation_name: str | None = None) -> Operation:
        """The first stage; printed, it is GraphQL."""
        return normalize(document, operation_name, self.supergraph, self.limits.max_selections, self.limits.max_depth)

    def find_paths(self, operation: Operation) -> Demands:
        """The second stage."""
        return find_paths(self.query_graph, operation, Budget(self.limits.max_work, self.limits.max_seconds))

    def build_fetch_graph(self, operation: Operation, chosen: tuple[Step, ...]) -> FetchGraph:
        """The fourth stage, with its passes run."""
        fetches = build_fetch_graph(self.query_graph, operation.kind, chosen)
        fetches.streams = operation.streams
        optimize(fetches)
        return fetches

    def explain(self, document: DocumentNode, operation_name: str | None = None) -> dict[str, str]:
        """Each stage's result as text, by the stage's name: `normalize`, `paths`, `choice`, `fetch graph`, `plan`."""
        operation, demands, _ = self._reachable(self.normalize(document, operation_name))
        chosen = choose(demands)
        fetches = self.build_fetch_graph(operation, chosen)
        return {
            "normalize": str(operation),
            "paths": demands_text(demands),
            "choice": "".join(f"{step}\n" for step in chosen),
            "fetch graph": str(fetches),
            "plan": render(assemble(self.query_graph, operation, fetches)),
        }
