"""What the HTTP front measures, of a router or of a subgraph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol
from weakref import ReferenceType, WeakSet, ref

from graphrouter.telemetry.measures import OTHER, Counter, Family, Histogram, Labels, Metric, looked_up

_SUBGRAPH: Final = "graphql.subgraph.name"

REQUEST_DURATION: Final = Metric(
    "http.server.request.duration",
    "histogram",
    "s",
    ("http.request.method", "http.route", "http.response.status_code", _SUBGRAPH),
    "How long requests by HTTP took, from their head to the end of their answer; without streams, and without "
    "requests whose client has gone.",
)
ACTIVE_REQUESTS: Final = Metric(
    "http.server.active_requests",
    "gauge",
    "{request}",
    (_SUBGRAPH,),
    "Requests that are executed, by HTTP or WebSocket.",
)
REQUEST_LIMIT: Final = Metric(
    "http.server.request_limit",
    "gauge",
    "{request}",
    (_SUBGRAPH,),
    "Requests that are admitted at the same time; an adaptive limit is lower while the event loop is never idle.",
)
ACTIVE_STREAMS: Final = Metric(
    "graphql.server.active_streams", "gauge", "{stream}", (_SUBGRAPH,), "Open streams of answers: subscriptions."
)
LIMIT_HITS: Final = Metric(
    "graphql.server.limit_hits",
    "counter",
    "{request}",
    ("error.type", _SUBGRAPH),
    "Requests that met a limit, by the code that they were told.",
)

OPEN_CONNECTIONS: Final = Metric(
    "http.server.open_connections", "gauge", "{connection}", (), "Connections of clients, on all ports of the process."
)
CONNECTION_LIMIT: Final = Metric(
    "http.server.connection_limit", "gauge", "{connection}", (), "Connections that are admitted, on all ports together."
)
REFUSED_CONNECTIONS: Final = Metric(
    "http.server.refused_connections", "counter", "{connection}", (), "Connections that were one too many."
)

METRICS: Final = (
    REQUEST_DURATION, ACTIVE_REQUESTS, REQUEST_LIMIT, ACTIVE_STREAMS, LIMIT_HITS, OPEN_CONNECTIONS, CONNECTION_LIMIT,
    REFUSED_CONNECTIONS,
)  # fmt: skip

LIMITS: Final = frozenset(
    {
        "OVERLOADED", "RATE_LIMITED", "REQUEST_TOO_LARGE", "REQUEST_TIMEOUT", "OPERATION_TOO_LARGE", "PLANNING_LIMIT",
        "COST_ESTIMATED_TOO_EXPENSIVE", "SLICING_ARGUMENT_REQUIRED", "TOO_COSTLY", "TOO_DEEP", "TOO_MANY_ALIASES",
        "TOO_MANY_ERRORS", "TOO_MANY_FIELDS", "TOO_MANY_INTROSPECTIONS", "TOO_MANY_OBJECTS", "TOO_MANY_ROOT_FIELDS",
        "TOO_MANY_TOKENS", "FRAGMENT_CYCLE", "SUBREQUEST_TIMEOUT", "SUBREQUEST_TOO_LARGE", "SUBREQUEST_NOT_SENT",
        "OUT_OF_DATE", "SLOW_CONSUMER",
    }
)  # fmt: skip
"""The codes that a limit of time, size or number has."""

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "QUERY"})


ROUTE: Final = "/graphql"


def known_method(method: str) -> str:
    """A request's method; `OTHER` for one that is not known, because clients may send any word."""
    return method if method in _METHODS else OTHER


class Running(Protocol):
    """What runs at this moment."""

    @property
    def running(self) -> int: ...

    @property
    def limit(self) -> int: ...


class Capacity(Protocol):
    """What is taken of an endpoint's limits, as far as it is counted."""

    @property
    def requests(self) -> Running: ...

    @property
    def streams(self) -> Running: ...


class Connections(Protocol):
    """The connections of one server, as far as they are counted."""

    @property
    def open(self) -> int: ...

    @property
    def most(self) -> int: ...

    @property
    def refused(self) -> int: ...


def connections(servers: Callable[[], Iterable[Connections]]) -> Callable[[], Iterable[Family]]:
    """Those of all servers of a process."""

    def families() -> Iterable[Family]:
        found = list(servers())
        yield looked_up(OPEN_CONNECTIONS, [((), sum(one.open for one in found))])
        yield looked_up(CONNECTION_LIMIT, [((), sum(one.most for one in found))])
        yield looked_up(REFUSED_CONNECTIONS, [((), sum(one.refused for one in found))])

    return families


class HttpMetrics:
    """Of the endpoints of one router, or of one subgraph, by its name."""

    def __init__(self, subgraph: str = "") -> None:
        self._subgraph = subgraph
        self._duration = Histogram(REQUEST_DURATION)
        self._limits = Counter(LIMIT_HITS)
        self._labels: dict[tuple[str, int], Labels] = {}
        """By method and status, which are few."""
        self._capacities: WeakSet[Capacity] = WeakSet()
        self._latest: ReferenceType[Capacity] | None = None
        """The one that new requests go to."""

    def watch(self, capacity: Capacity) -> None:
        """From now on, what is taken of a capacity is told, as long as somebody has it."""
        self._capacities.add(capacity)
        self._latest = ref(capacity)

    def answered(self, method: str, status: int, errors: Sequence[Mapping[str, Any]], seconds: float) -> None:
        """A request was answered."""
        if errors:
            self.told(errors)
        labels = self._labels.get((method, status))
        if labels is None:
            known = known_method(method)
            labels = (known, ROUTE, str(status), self._subgraph)
            if known is method:
                self._labels[method, status] = labels
        self._duration.observe(labels, seconds)

    def told(self, errors: Sequence[Mapping[str, Any]]) -> None:
        """An answer had these errors."""
        for code in {str(error["extensions"]["code"]) for error in errors} & LIMITS:
            self._limits.add((code, self._subgraph))

    def families(self) -> Iterable[Family]:
        here: Labels = (self._subgraph,)
        yield self._duration.family()
        yield looked_up(ACTIVE_REQUESTS, [(here, sum(one.requests.running for one in self._capacities))])
        if self._latest is not None and (latest := self._latest()) is not None:
            yield looked_up(REQUEST_LIMIT, [(here, latest.requests.limit)])
        yield looked_up(ACTIVE_STREAMS, [(here, sum(one.streams.running for one in self._capacities))])
        yield self._limits.family()
