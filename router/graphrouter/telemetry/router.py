"""What a router measures, beside what its HTTP front does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, cast

from graphrouter.cache import CacheStatistics
from graphrouter.telemetry import http, operations
from graphrouter.telemetry.http import HttpMetrics
from graphrouter.telemetry.measures import COUNTS, Counter, Family, Histogram, Metric, looked_up
from graphrouter.telemetry.operations import OperationMetrics

FETCHES: Final = Metric(
    "graphql.router.operation.fetches",
    "histogram",
    "{request}",
    ("graphql.operation.type",),
    "Requests to subgraphs for each operation that was executed, and for each message of a subscription.",
)
SUBGRAPH_DURATION: Final = Metric(
    "http.client.request.duration",
    "histogram",
    "s",
    ("graphql.subgraph.name", "http.response.status_code", "error.type"),
    "How long requests to subgraphs took, retries each by itself; `error.type` is the code where no answer came.",
)
SUBGRAPH_ACTIVE: Final = Metric(
    "http.client.active_requests", "gauge", "{request}", ("graphql.subgraph.name",), "Requests to subgraphs under way."
)
MESSAGES: Final = Metric(
    "graphql.router.subscription.messages", "counter", "{message}", (), "Messages of subscriptions, to all clients."
)
CACHE_REQUESTS: Final = Metric(
    "graphql.router.cache.requests",
    "counter",
    "{request}",
    ("cache", "result"),
    "Look-ups in the caches of documents and of plans, by whether they found something (`hit`, `miss`). Begins at 0 "
    "again with every reload, as all that is told of caches.",
)
CACHE_EVICTIONS: Final = Metric(
    "graphql.router.cache.evictions", "counter", "{entry}", ("cache",), "Entries that made room for others."
)
CACHE_ENTRIES: Final = Metric("graphql.router.cache.entries", "gauge", "{entry}", ("cache",), "Entries that are kept.")
CACHE_SIZE: Final = Metric("graphql.router.cache.size", "gauge", "By", ("cache",), "Their memory, estimated.")
CACHE_DURATION: Final = Metric(
    "graphql.router.cache.miss_duration",
    "counter",
    "s",
    ("cache",),
    "Time spent on making what was not there: parsing and validating, or planning.",
)

GENERATION: Final = Metric(
    "graphql.router.configuration.generation",
    "gauge",
    "{generation}",
    (),
    "The number of the configuration that serves, counted from 1 since the start; 0: there is no router yet, and "
    "nothing is answered.",
)
REFUSED: Final = Metric(
    "graphql.router.configuration.refused",
    "gauge",
    "{configuration}",
    (),
    "1 where the configuration that was read last was refused, and the one before goes on; else 0.",
)

METRICS: Final = (
    *http.METRICS, *operations.METRICS, FETCHES, SUBGRAPH_DURATION, SUBGRAPH_ACTIVE, MESSAGES, CACHE_REQUESTS,
    CACHE_EVICTIONS, CACHE_ENTRIES, CACHE_SIZE, CACHE_DURATION, GENERATION, REFUSED,
)  # fmt: skip


class SubgraphRequests:
    """The requests to one subgraph."""

    def __init__(self, name: str, durations: Histogram) -> None:
        self._name = name
        self._durations = durations
        self.active = 0

    def ended(self, status: str, error: str, seconds: float) -> None:
        """One has ended."""
        self._durations.observe((self._name, status, error), seconds)


class RouterMetrics:
    """What a router counts while it serves; its successors after a reload go on counting in the same."""

    def __init__(self) -> None:
        self.http = HttpMetrics()
        self.operations = OperationMetrics()
        self._fetches: dict[tuple[str, int], int] = {}
        """How often an operation of this type had so many, which are few numbers."""
        self._asked = Histogram(SUBGRAPH_DURATION)
        self._subgraphs: dict[str, SubgraphRequests] = {}
        self._messages = Counter(MESSAGES)

    def fetched(self, kind: str, requests: int) -> None:
        """An operation of this type was executed by so many requests to subgraphs."""
        key = (kind, requests)
        self._fetches[key] = self._fetches.get(key, 0) + 1

    def subgraph(self, name: str) -> SubgraphRequests:
        """What is counted of the requests to a subgraph."""
        return self._subgraphs.setdefault(name, SubgraphRequests(name, self._asked))

    def message(self) -> None:
        """A client gets a message of its subscription."""
        self._messages.add(())

    def families(self) -> Iterable[Family]:
        yield from self.http.families()
        yield from self.operations.families()
        fetches = Histogram(FETCHES, COUNTS)
        for (kind, requests), times in list(self._fetches.items()):
            fetches.observed((kind,), requests, times)
        yield fetches.family()
        yield self._asked.family()
        yield looked_up(SUBGRAPH_ACTIVE, [((name,), one.active) for name, one in self._subgraphs.items()])
        yield self._messages.family()


def caches(statistics: Callable[[], Mapping[str, object]]) -> Callable[[], Iterable[Family]]:
    """What the caches of a router (`GraphRouter.statistics`) have come to."""

    def families() -> Iterable[Family]:
        found = cast("Mapping[str, CacheStatistics]", statistics())
        yield looked_up(
            CACHE_REQUESTS,
            [
                *(((name, "hit"), one["hits"]) for name, one in found.items()),
                *(((name, "miss"), one["misses"]) for name, one in found.items()),
            ],
        )
        yield looked_up(CACHE_EVICTIONS, [((name,), one["evictions"]) for name, one in found.items()])
        yield looked_up(CACHE_ENTRIES, [((name,), one["entries"]) for name, one in found.items()])
        yield looked_up(CACHE_SIZE, [((name,), one["weight"]) for name, one in found.items()])
        yield looked_up(CACHE_DURATION, [((name,), one["seconds"]) for name, one in found.items()])

    return families
