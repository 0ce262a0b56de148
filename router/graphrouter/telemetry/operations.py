"""What is measured of GraphQL operations, in a router or in a subgraph.

Names of operations are the clients' to choose. Only known ones are labels (`RouterOptions.measured_operations`, trusted
operations, and the playground's examples); all others are one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from graphrouter.telemetry.measures import Counter, Family, Histogram, Known, Metric

_OPERATION: Final = ("graphql.operation.type", "graphql.operation.name", "graphql.subgraph.name")

DURATION: Final = Metric(
    "graphql.server.operation.duration",
    "histogram",
    "s",
    _OPERATION,
    "How long operations took, refused ones too; of those that could not be read the type is empty.",
)
ERRORS: Final = Metric(
    "graphql.server.operation.errors",
    "counter",
    "{operation}",
    (*_OPERATION, "error.type"),
    "Operations whose answer had errors, counted once for each code among them.",
)

METRICS: Final = (DURATION, ERRORS)

_CODES: Final = 200
"""Codes that become labels; subgraphs may have any."""

NOT_READ: Final = ("", "")
"""Type and name of an operation that could not be read."""


class OperationMetrics:
    """Of one router, or of one subgraph, by its name."""

    def __init__(self, subgraph: str = "") -> None:
        self._subgraph = subgraph
        self._duration = Histogram(DURATION)
        self._errors = Counter(ERRORS)
        self._codes = Known(_CODES)

    def executed(self, operation: tuple[str, str], errors: Sequence[Mapping[str, Any]], seconds: float) -> None:
        """An operation, by its type and its name, has come to its end; `errors` are objects with `extensions.code`."""
        labels = (*operation, self._subgraph)
        self._duration.observe(labels, seconds)
        if errors:
            for code in {str(error["extensions"]["code"]) for error in errors}:
                self._errors.add((*labels, self._codes.of(code)))

    def families(self) -> Iterable[Family]:
        yield self._duration.family()
        yield self._errors.family()
