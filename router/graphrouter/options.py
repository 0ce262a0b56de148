"""Everything that can be set on a router, with its default."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from graphrouter.authentication.issuers import Authentication
from graphrouter.hooks import Hooks
from graphrouter.http.actors import ActorKeys
from graphrouter.http.rates import RateLimit
from graphrouter.http.websocket import WebSocketSettings
from graphrouter.limits import Limits
from graphrouter.override_labels import LabelChoice
from graphrouter.telemetry.recent import RecentRequests
from graphrouter.telemetry.router import RouterMetrics
from graphrouter.telemetry.tracing import Tracing
from graphrouter.transport.breaker import Breaker
from graphrouter.transport.port import MAX_RESPONSE_BYTES
from graphrouter.transport.retrying import Retries


@dataclass(frozen=True, slots=True)
class Find:
    """A query that finds values which an example's variables lack."""

    query: str
    """An operation without variables."""
    values: Mapping[str, str]
    """Where each value is in the answer's data, by its name: `{"a user": "users.edges.0.node.id"}`. The example's
    variables have `{{a user}}` in its place."""
    missing: str
    """What the playground says where the answer has no such value."""


@dataclass(frozen=True, slots=True)
class Example:
    """A prepared operation that the playground opens as a tab."""

    title: str
    """What the tab is called."""
    query: str
    """The operation's text."""
    variables: Mapping[str, object] = field(default_factory=dict[str, object])
    """Its variables."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Headers that the playground sends with it."""
    finds: Find | None = None
    """How the playground finds the values that the variables lack."""


DEFAULT_FORWARDED_HEADERS = frozenset({"authorization", "traceparent", "tracestate", "bookmark-timeout", "as-of"})


@dataclass(frozen=True, slots=True)
class Traffic:
    """How requests go to a subgraph."""

    retries: Retries | None = None
    """Which queries are sent again where they were not answered; None: none, except over a kept connection that broke
    before the subgraph heard of the query."""
    breaker: Breaker | None = None
    """When a subgraph that keeps failing is left alone; None: never."""
    connections: int = 256
    """Open at the same time; more requests wait for one. It is for subgraphs that are given by their URL."""


@dataclass(frozen=True, slots=True)
class PersistedOperations:
    """Operations that clients ask for by an id, and whether others are allowed."""

    automatic: bool = False
    """Whether clients may register operations by their hashes (Apollo's automatic persisted queries)."""
    automatic_entries: int = 2_000
    """How many of these are kept."""
    automatic_characters: int = 8_000_000
    """Their total length."""
    trusted: Mapping[str, str] | None = None
    """The texts of trusted operations, by their ids (`graphrouter.read_operations`)."""
    mode: Literal["off", "report", "enforce"] = "enforce"
    """Whether an operation that is not among the trusted ones is refused, or executed and told in the log. With `off`
    their ids are known, and nothing else follows."""
    only_by_id: bool = False
    """Whether a trusted operation has to be asked for by its id, too."""

    def __post_init__(self) -> None:
        if self.automatic and self.trusted is not None and self.mode == "enforce":
            raise ValueError("expected automatic or trusted operations that are enforced, found both")


@dataclass(frozen=True, slots=True)
class RouterOptions:
    """The options of one router; all of them have defaults that suit a server on the open internet."""

    limits: Limits = field(default_factory=Limits)
    concurrent_requests: int = 256
    """Requests that are executed at the same time; one more is refused at once (HTTP 503)."""
    adaptive_concurrency: bool = False
    """Whether fewer requests are executed at the same time while the event loop has no idle moment: those that are
    accepted are then answered soon, and the others refused at once."""
    rate_limit: RateLimit | None = None
    """What one client may send to this process; one more is refused at once (HTTP 429)."""
    concurrent_streams: int = 10_000
    """Subscriptions that are open at the same time; one more is refused at once (HTTP 503)."""
    websockets: WebSocketSettings = field(default_factory=WebSocketSettings)
    """GraphQL over WebSocket, at the same path."""
    hosts: tuple[str, ...] = ()
    """Names that the server may be asked by (`Host`): `example.com`, `*.example.com` for all below, `*` for any.
    Without any, connections to a loopback address are answered by addresses and `localhost` only, others by all."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may ask (`https://app.example.com`; `*`: any); without any, only the router's own."""
    introspection: bool = True
    """Whether `__schema` and `__type` are answered."""
    playground: bool = True
    """Whether `/` serves GraphiQL."""
    examples: tuple[Example, ...] = ()
    """The playground's tabs."""
    playground_links: Mapping[str, str] = field(default_factory=dict[str, str])
    """Pages that the playground leads to: a path from the playground by what the link says."""
    story_page: str = ""
    """A page of this server that tells what a mutation has led to, by `?correlation=…`: the playground leads there."""
    persisted: PersistedOperations | None = None
    """Operations that clients ask for by an id; without it, all operations are asked for by their text."""
    defer: bool = True
    """Whether `@defer` and `@stream` are in the schema, and answers come in parts for clients that take them so."""
    expose_query_plan: bool = True
    """Whether a request that asks for it gets its plan in `extensions.queryPlan`, and what came of it in
    `extensions.explain`."""
    expose_cost: bool = False
    """Whether each answer tells in `extensions.cost` what its operation was estimated to cost, and what it did."""
    join_equal_queries: bool = True
    """Whether equal subgraph queries in flight at the same time become one request."""
    join_equal_requests: bool = False
    """Whether equal queries of clients in flight at the same time are executed once: equal also in their variables,
    bookmark, and what is forwarded to subgraphs. An answer may have been begun a little before its request came."""
    forwarded_headers: frozenset[str] = DEFAULT_FORWARDED_HEADERS
    """Request headers, in lower case, that every subgraph gets. Others stay here."""
    forwarded_extensions: Mapping[str, str] = field(
        default_factory=lambda: {"asOf": "as-of", "bookmarkTimeout": "bookmark-timeout"}
    )
    """Entries of the request's `extensions` that go to subgraphs as the header named here."""
    authentication: Authentication | None = None
    """Whose tokens prove who asks (the extra `jwt`); without it, everybody asks as nobody in particular."""
    actor_keys: ActorKeys | None = None
    """Keys that sign who asks for subgraphs, in the header `Actor`; without any, subgraphs are not told."""
    hooks: Hooks = field(default_factory=Hooks)
    """Functions of one's own that are called at the stages of a request; one decides policies, `@policy`."""
    override_labels: LabelChoice | None = None
    """Which labels of `@override` are on for a request: a function of its headers (names in lower case), or per label
    the percentage of requests. By default `percent(n)` is drawn for every request, and other labels are off."""
    subgraph_seconds: float = 30.0
    """How long one request to a subgraph may take."""
    subgraph_timeouts: Mapping[str, float] = field(default_factory=dict[str, float])
    """The same for single subgraphs, by name."""
    subgraph_headers: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]], repr=False)
    """Per subgraph at a URL, headers (names in lower case) of each request to it; they go before what is forwarded."""
    subgraph_subscriptions: Mapping[str, str] = field(default_factory=dict[str, str])
    """Per subgraph, the URL where its subscriptions are asked for: ws:// or wss:// for GraphQL over WebSocket. Without
    one it is where all else is asked for, as Server-Sent Events."""
    subgraph_tls: ssl.SSLContext | None = None
    """What subgraphs behind `https` have to show, and are shown; without it, a certificate that the system trusts."""
    subgraph_tls_of: Mapping[str, ssl.SSLContext] = field(default_factory=dict[str, ssl.SSLContext])
    """The same for single subgraphs, by name."""
    traffic: Traffic = field(default_factory=Traffic)
    """Retries, circuit breaker and connections of each subgraph."""
    traffic_to: Mapping[str, Traffic] = field(default_factory=dict[str, Traffic])
    """The same for single subgraphs, by name."""
    subgraph_response_bytes: int = MAX_RESPONSE_BYTES
    """The largest answer that is read from a subgraph."""
    cached_documents: int = 2_000
    """Documents that are kept parsed and validated."""
    cached_document_characters: int = 8_000_000
    """Their total length."""
    cached_plans: int = 2_000
    """Plans that are kept."""
    cached_bytes: int = 512 * 1024 * 1024
    """Memory that the caches may take, as far as it can be told: half of it for documents, a quarter for plans, an
    eighth each for answers to introspection and for the structs that subgraphs' answers are read into."""
    health_paths: Mapping[str, str] = field(default_factory=dict[str, str])
    """Per subgraph, a path that readiness asks by GET, instead of the query `{__typename}`."""
    health_seconds: float = 2.0
    """How long readiness waits for each subgraph."""
    metrics: RouterMetrics | None = None
    """Counts what happens, to be read by `metrics_route`; without it nothing is counted."""
    recent: RecentRequests | None = None
    """Keeps the last requests, to be looked at; each mutation then has a correlation (`Correlation-Id`), which its
    answer tells in `extensions.correlation`. Without it nothing is kept."""
    tracing: Tracing | None = None
    """Gives requests their places in traces, and records some; without it `traceparent` is forwarded as it came."""
    measured_operations: frozenset[str] = frozenset()
    """Names of operations by which they are counted, and told in traces, beside those of trusted operations and of the
    playground's examples. All others are one, because clients choose names."""
