"""What one subgraph counts while it serves: requests, operations, and appends to its log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from eventgraph.serving.execution import DocumentStatistics
from eventkernel.writing.store import Commit
from graphrouter.telemetry.http import HttpMetrics
from graphrouter.telemetry.measures import Counter, Family, Histogram, Metric, looked_up
from graphrouter.telemetry.operations import OperationMetrics

_LOG: Final = ("messaging.system", "messaging.destination.name")

APPEND_DURATION: Final = Metric(
    "messaging.client.operation.duration",
    "histogram",
    "s",
    ("messaging.operation.name", *_LOG, "error.type"),
    "How long appends to the log took until they were durable; `error.type` is what an append was refused with.",
)
EVENTS: Final = Metric("messaging.client.sent.messages", "counter", "{message}", _LOG, "Events put on the log.")
EVENTS_BY_TYPE: Final = Metric(
    "eventgraph.log.events",
    "counter",
    "{event}",
    ("messaging.destination.name", "cloudevents.event_type"),
    "The same by their types, as the system's declaration names them.",
)
GROUP_SIZE: Final = Metric(
    "eventkernel.append.group_size", "histogram", "{commit}", _LOG,
    "Appends that went to the disk, or to the brokers, together.",
)  # fmt: skip

_CACHE: Final = ("graphql.subgraph.name",)

DOCUMENT_REQUESTS: Final = Metric(
    "graphql.server.document_cache.requests",
    "counter",
    "{request}",
    ("result", *_CACHE),
    "Look-ups in a subgraph's cache of validated documents, by whether they found something (`hit`, `miss`).",
)
DOCUMENT_EVICTIONS: Final = Metric(
    "graphql.server.document_cache.evictions", "counter", "{entry}", _CACHE, "Documents that made room for others."
)
DOCUMENT_ENTRIES: Final = Metric(
    "graphql.server.document_cache.entries", "gauge", "{entry}", _CACHE, "Documents that are kept."
)
DOCUMENT_CHARACTERS: Final = Metric(
    "graphql.server.document_cache.size", "gauge", "{character}", _CACHE, "How long their texts are together."
)
DOCUMENT_DURATION: Final = Metric(
    "graphql.server.document_cache.miss_duration",
    "counter",
    "s",
    _CACHE,
    "Time spent on parsing and validating documents that were not there.",
)

METRICS: Final = (
    APPEND_DURATION, EVENTS, EVENTS_BY_TYPE, GROUP_SIZE, DOCUMENT_REQUESTS, DOCUMENT_EVICTIONS, DOCUMENT_ENTRIES,
    DOCUMENT_CHARACTERS, DOCUMENT_DURATION,
)  # fmt: skip

_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)


class AppendMetrics:
    """Of one log: the kernel's port `AppendMeter`."""

    def __init__(self, system: str, log: str) -> None:
        self._log = (system, log)
        self._duration = Histogram(APPEND_DURATION, _SECONDS)
        self._events = Counter(EVENTS)
        self._types = Counter(EVENTS_BY_TYPE)
        self._sizes = Histogram(GROUP_SIZE, _SIZES)

    def appended(self, commit: Commit | None, seconds: float, error: str) -> None:
        self._duration.observe(("append", *self._log, error), seconds)
        if commit is not None and commit.events and commit.records:
            self._events.add(self._log, commit.events)
            for record in commit.records:
                self._types.add((self._log[1], record.type))

    def grouped(self, commits: int) -> None:
        self._sizes.observe(self._log, commits)

    def families(self) -> Iterable[Family]:
        return (self._duration.family(), self._events.family(), self._types.family(), self._sizes.family())


class SubgraphMetrics:
    """Of one subgraph. `system` says where its log is: `sqlite` or `kafka`."""

    def __init__(self, name: str, system: str) -> None:
        self.http = HttpMetrics(name)
        self.operations = OperationMetrics(name)
        self.appends = AppendMetrics(system, name)
        self._name = name
        self._documents: DocumentStatistics | None = None

    def watch(self, documents: DocumentStatistics) -> None:
        """From now on, what has become of its documents is told."""
        self._documents = documents

    def families(self) -> Iterable[Family]:
        yield from self.http.families()
        yield from self.operations.families()
        yield from self.appends.families()
        if (found := self._documents) is not None:
            here = (self._name,)
            yield looked_up(DOCUMENT_REQUESTS, [(("hit", *here), found.hits), (("miss", *here), found.misses)])
            yield looked_up(DOCUMENT_EVICTIONS, [(here, found.evictions)])
            yield looked_up(DOCUMENT_ENTRIES, [(here, found.entries)])
            yield looked_up(DOCUMENT_CHARACTERS, [(here, found.characters)])
            yield looked_up(DOCUMENT_DURATION, [(here, found.seconds)])
