"""The port of planning, so that tests can plan otherwise."""

from __future__ import annotations

from typing import Protocol

from graphql import DocumentNode

from graphrouter.planning.plan import QueryPlan


class Planner(Protocol):
    """Plans one operation of a document that was validated against the API schema."""

    def plan(self, document: DocumentNode, operation_name: str | None) -> QueryPlan: ...

    def under(self, labels: frozenset[str]) -> Planner:
        """The planner while these labels of `@override`, and no others, are on."""
        ...

    def labels_of(self, document: DocumentNode) -> frozenset[str]:
        """The labels that plans of this document can depend on."""
        ...
