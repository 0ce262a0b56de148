"""The configuration's model: every key with its default, its rule and what it is for.

What the library has as options is named once, there: a section that is one of the library's own dataclasses (`limits`,
`server.connections`) has that class's fields as its keys, and their docstrings describe them.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema

from graphrouter.authentication import Authentication
from graphrouter.configuration.extensions import load_hooks
from graphrouter.http.actors import ActorKeys
from graphrouter.http.connections import ConnectionLimits
from graphrouter.http.hosts import check_hosts
from graphrouter.http.origins import check_origins
from graphrouter.http.rates import RateLimit
from graphrouter.http.websocket import WebSocketSettings
from graphrouter.limits import Limits
from graphrouter.options import Example, PersistedOperations, RouterOptions, Traffic
from graphrouter.pipeline.persisted import read_operations
from graphrouter.transport.http import HttpTransport, check_header
from graphrouter.transport.websocket import WebSocketStreams

_DEFAULTS = RouterOptions()


class _NumbersAboveZero:
    """For a dataclass of bounds, and those in it: no number is 0 or less."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        cls._bound(schema, handler)
        return schema

    @classmethod
    def _bound(cls, schema: CoreSchema, handler: GetCoreSchemaHandler) -> None:
        found = cast("dict[str, Any]", handler.resolve_ref_schema(schema))
        match found["type"]:
            case "int" | "float":
                found["gt"] = 0
            case "dataclass":
                for entry in found["schema"]["fields"]:
                    cls._bound(entry["schema"], handler)
            case "default" | "nullable":
                cls._bound(found["schema"], handler)
            case _:
                pass


Bounds = _NumbersAboveZero()
Count = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """A part of the configuration: keys that it does not have are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False, hide_input_in_errors=True
    )


class Tls(Section):
    """How a subgraph behind `https` and the router know each other."""

    ca: Path | None = None
    """A PEM file of certificate authorities to trust, beside the system's."""
    certificate: Path | None = None
    """A PEM file with the certificate that the router shows, and those between it and its authority."""
    key: Path | None = None
    """A PEM file with the key of `certificate`."""

    @field_validator("ca")
    @classmethod
    def _certificates(cls, value: Path | None) -> Path | None:
        if value is not None:
            _trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), value)
        return value

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.key is not None and self.certificate is None:
            raise ValueError("expected a certificate beside the key, found a key alone")
        if self.certificate is not None:
            _show(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), self.certificate, self.key)
        return self

    def context(self) -> ssl.SSLContext | None:
        """None where nothing is set; ValueError where a file has changed for the worse since it was checked."""
        if self.ca is None and self.certificate is None:
            return None
        context = ssl.create_default_context()
        if self.ca is not None:
            _trust(context, self.ca)
        if self.certificate is not None:
            _show(context, self.certificate, self.key)
        return context


def _trust(context: ssl.SSLContext, file: Path) -> None:
    try:
        context.load_verify_locations(cafile=file)
    except ssl.SSLError as error:
        raise ValueError(f"expected certificates in PEM, found none that can be read in {file}") from error
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror}") from error


def _show(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    try:
        # Without a password OpenSSL asks for one at the terminal.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        expected = "expected a certificate and its key in PEM, without a password"
        raise ValueError(f"{expected}, found none that can be read in {key or certificate}") from error
    except OSError as error:
        raise ValueError(f"cannot read {certificate} or {key or 'a key in it'}: {error.strerror}") from error


Headers = dict[str, SecretStr]


class Subgraph(Section):
    """One subgraph, by its name."""

    url: str | None = None
    """Where it is: http:// or https://. Without one, where the supergraph says that it is."""
    subscriptions_url: str | None = None
    """Where its subscriptions are asked for: ws:// or wss:// for GraphQL over WebSocket. Without it at `url`, as
    Server-Sent Events."""
    timeout_seconds: Seconds | None = None
    """How long one request may take; without it, as for all subgraphs."""
    headers: Headers = Field(default_factory=dict)
    """Headers that each request to it has, such as its own key; they go before those that clients send."""
    tls: Tls | None = None
    """Its certificates; without them, as for all subgraphs."""
    traffic: Annotated[Traffic, Bounds] | None = None
    """Retries, circuit breaker and connections; without it, as for all subgraphs."""
    health_path: str | None = None
    """A path of its own that readiness asks by GET, instead of the query `{__typename}`."""

    @field_validator("url")
    @classmethod
    def _http(cls, value: str | None) -> str | None:
        if value is not None:
            HttpTransport(value)
        return value

    @field_validator("subscriptions_url")
    @classmethod
    def _streams(cls, value: str | None) -> str | None:
        if value is not None and value.startswith(("http://", "https://")):
            HttpTransport(value)
        elif value is not None:
            WebSocketStreams(value)
        return value

    @field_validator("headers")
    @classmethod
    def _sendable(cls, value: Headers) -> Headers:
        for name, secret in value.items():
            check_header(name, secret.get_secret_value())
        return value


class AllSubgraphs(Section):
    """What holds for every subgraph that has nothing else of its own."""

    timeout_seconds: Seconds = _DEFAULTS.subgraph_seconds
    """How long one request to a subgraph may take."""
    response_bytes: Count = _DEFAULTS.subgraph_response_bytes
    """The largest answer that is read."""
    tls: Tls = Field(default_factory=Tls)
    """Certificates for subgraphs behind `https`."""
    traffic: Annotated[Traffic, Bounds] = Field(default_factory=Traffic)
    """Retries, circuit breaker and connections."""


class Composition(Section):
    """Composing, where no supergraph is given: the subgraphs are asked for their schemas."""

    poll_seconds: Seconds = 10.0
    """How often the subgraphs are asked again, to notice that a schema has changed."""


class Server(Section):
    """The HTTP server."""

    host: str = "127.0.0.1"
    """The address to listen on; read at the start only."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 4000
    """The port; 0 takes any free one. Read at the start only."""
    allow_anonymous: bool = False
    """Serve at another address than loopback although nobody has to prove who they are."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """How much is logged to standard error."""
    log_format: Literal["text", "json"] = "text"
    """Lines for people, or JSON objects for machines; read at the start only."""
    access_log: bool | None = None
    """Whether each request has a line in the log, whatever the level; without it, where `server.log_level` is `info` or
    `debug`."""
    hosts: tuple[str, ...] = ()
    """Host names to answer to: `api.example.com`, `*.example.com` for all below, `*` for any. Without any, connections
    to a loopback address are answered by addresses and `localhost` only, others by all."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may read answers: `https://app.example.com`, or `*` for any."""
    concurrent_requests: Count = _DEFAULTS.concurrent_requests
    """Requests that are executed at the same time; one more is refused at once (`OVERLOADED`)."""
    concurrent_streams: Count = _DEFAULTS.concurrent_streams
    """Subscriptions that are open at the same time; one more is refused at once (`OVERLOADED`). Each takes one of the
    connections that `server.connections` allows."""
    adaptive_concurrency: bool = _DEFAULTS.adaptive_concurrency
    """Whether fewer requests are executed at the same time while the event loop has no idle moment: those that are
    accepted are then answered soon, and the others refused at once."""
    rate_limit: RateLimit | None = None
    """What one client may send to this process; one more is refused at once (`RATE_LIMITED`). A reload begins anew."""
    health_seconds: Seconds = _DEFAULTS.health_seconds
    """How long readiness waits for each subgraph."""
    drain_seconds: Annotated[float, Field(ge=0)] = 0.0
    """How long clients can go elsewhere between SIGTERM and the end: health says not ready, and each answer ends its
    connection. Read at the start only."""
    websockets: Annotated[WebSocketSettings, Bounds] = Field(default_factory=WebSocketSettings)
    """GraphQL over WebSocket, at the same path."""
    playground: bool = _DEFAULTS.playground
    """Whether `/` serves GraphiQL."""
    examples: tuple[Example, ...] = ()
    """The playground's tabs."""
    connections: Annotated[ConnectionLimits, Bounds] = Field(default_factory=ConnectionLimits)
    """The bounds of clients' connections. After a reload they hold for new connections."""

    @field_validator("hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        check_hosts(value)
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        check_origins(value)
        return value


class Persisted(Section):
    """Operations that clients ask for by an id, and whether others are allowed."""

    automatic: bool = False
    """Whether clients may register operations by their hashes (Apollo's automatic persisted queries)."""
    automatic_entries: Count = PersistedOperations().automatic_entries
    """How many of these are kept."""
    automatic_characters: Count = PersistedOperations().automatic_characters
    """Their total length."""
    trusted: tuple[Path, ...] = ()
    """Files with trusted operations by their ids, in Apollo's or Relay's format."""
    mode: Literal["off", "report", "enforce"] = "enforce"
    """Whether an operation that is not among the trusted ones is refused (`OPERATION_NOT_TRUSTED`), or executed and
    told in the log. With `off` their ids are known, and nothing else follows."""
    only_by_id: bool = False
    """Whether a trusted operation has to be asked for by its id, too."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        self.options()
        return self

    def options(self) -> PersistedOperations | None:
        """None where nothing is set; ValueError where a file cannot be used, or two settings do not agree."""
        trusted: dict[str, str] = {}
        for file in self.trusted:
            trusted |= _operations_in(file)
        if not (self.automatic or trusted):
            return None
        return PersistedOperations(
            automatic=self.automatic,
            automatic_entries=self.automatic_entries,
            automatic_characters=self.automatic_characters,
            trusted=trusted if self.trusted else None,
            mode=self.mode,
            only_by_id=self.only_by_id,
        )


def _operations_in(file: Path) -> Mapping[str, str]:
    try:
        return read_operations(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


class Operations(Section):
    """How operations are executed."""

    introspection: bool = _DEFAULTS.introspection
    """Whether `__schema` and `__type` are answered."""
    defer: bool = _DEFAULTS.defer
    """Whether `@defer` and `@stream` are in the schema, and answers come in parts for clients that take them so."""
    query_plans: bool = _DEFAULTS.expose_query_plan
    """Whether a request that asks for it gets its plan in `extensions.queryPlan`, and what came of it in
    `extensions.explain`."""
    costs: bool = _DEFAULTS.expose_cost
    """Whether each answer tells in `extensions.cost` what its operation was estimated to cost, and what it did."""
    persisted: Persisted = Field(default_factory=Persisted)
    """Operations that clients ask for by an id."""
    join_equal_queries: bool = _DEFAULTS.join_equal_queries
    """Whether equal subgraph queries in flight at the same time are one request."""
    join_equal_requests: bool = _DEFAULTS.join_equal_requests
    """Whether equal queries of clients in flight at the same time are executed once."""
    override_labels: dict[str, Annotated[float, Field(ge=0, le=100)]] = Field(default_factory=dict)
    """Per label of `@override` the percentage of requests for which it is on."""


class Forwarding(Section):
    """What of a request reaches the subgraphs. Entries are added to the defaults."""

    headers: dict[str, bool] = Field(default_factory=dict)
    """Request headers, each `true` to forward it or `false` not to. Forwarded by default: `authorization`,
    `traceparent`, `tracestate`, `bookmark-timeout` and `as-of`."""
    extensions: dict[str, str | None] = Field(default_factory=dict)
    """Entries of the request's `extensions`, each with the header that carries it, or null not to forward it. Forwarded
    by default: `asOf` as `as-of`, `bookmarkTimeout` as `bookmark-timeout`."""
    actor_keys: SecretStr | None = None
    """Keys that sign who asks for subgraphs, in the header `Actor`: in base64url, separated by commas; the first one
    signs. Without any, subgraphs are not told."""

    @field_validator("actor_keys")
    @classmethod
    def _keys(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            ActorKeys.read(value.get_secret_value())
        return value

    @property
    def actors(self) -> ActorKeys | None:
        return None if self.actor_keys is None else ActorKeys.read(self.actor_keys.get_secret_value())

    @field_validator("headers")
    @classmethod
    def _names(cls, value: dict[str, bool]) -> dict[str, bool]:
        for name in value:
            check_header(name, "")
        return value

    @field_validator("extensions")
    @classmethod
    def _carried(cls, value: dict[str, str | None]) -> dict[str, str | None]:
        for name in value.values():
            check_header(name or "x", "")
        return value


class Caches(Section):
    """The sizes of the caches."""

    documents: Count = _DEFAULTS.cached_documents
    """Documents that are kept parsed and validated."""
    document_characters: Count = _DEFAULTS.cached_document_characters
    """Their total length."""
    plans: Count = _DEFAULTS.cached_plans
    """Plans that are kept."""
    bytes: Count = _DEFAULTS.cached_bytes
    """Memory that the caches may take, estimated."""


class Reload(Section):
    """What happens before a new configuration, or a new supergraph, takes the place of the one that serves."""

    prepared_operations: Annotated[int, Field(ge=0, le=1_000_000)] = 200
    """So many of the operations that were asked for most are planned first."""
    prepared_seconds: Seconds = 10.0
    """How long that may take."""


class Metrics(Section):
    """What the router counts, in Prometheus' format at `/metrics`."""

    enabled: bool = True
    """Whether it is counted, and told; read at the start only."""
    host: str = "127.0.0.1"
    """The address of `metrics.port`; read at the start only."""
    port: Annotated[int, Field(ge=0, le=65_535)] | None = None
    """A port that has `/metrics` alone; without one it is at the server's. Read at the start only."""
    operations: tuple[str, ...] = ()
    """Names of operations that are counted by themselves, beside trusted ones and the playground's examples. All others
    are counted as one, because clients choose names."""


class Tracing(Section):
    """Traces, exported by OTLP over HTTP (the extra `tracing`). What is not set here OpenTelemetry's environment
    variables say, such as `OTEL_EXPORTER_OTLP_ENDPOINT`; with neither nothing is traced. All of it is read at the start
    only."""

    enabled: bool = True
    """Whether spans are exported where there is an endpoint."""
    endpoint: Annotated[str, Field(pattern="^https?://")] | None = None
    """The URL that spans go to: `http://127.0.0.1:4318/v1/traces`."""
    ratio: Annotated[float, Field(ge=0, le=1)] | None = None
    """The part of traces begun here that is recorded; without it `OTEL_TRACES_SAMPLER` says so, and by default all
    are."""
    trust_clients: bool = False
    """Whether a client's `traceparent` is gone on with: it then says whether its request is recorded. Otherwise each
    request begins a trace, which has a link to the client's."""


class Configuration(Section):
    """The configuration of a router."""

    supergraph: Path | None = None
    """The supergraph's file. Without one, the schemas of `subgraphs` are asked of them and composed."""
    subgraphs: dict[str, Subgraph] = Field(default_factory=dict)
    """The subgraphs by name: all of them where they are to be composed, else those of which something is to be set."""
    all_subgraphs: AllSubgraphs = Field(default_factory=AllSubgraphs)
    composition: Composition = Field(default_factory=Composition)
    server: Server = Field(default_factory=Server)
    limits: Annotated[Limits, Bounds] = Field(default_factory=Limits)
    operations: Operations = Field(default_factory=Operations)
    forwarding: Forwarding = Field(default_factory=Forwarding)
    authentication: Authentication | None = None
    """Whose tokens prove who asks (the extra `jwt`); without it, everybody asks as nobody in particular."""
    hooks: str | None = None
    """Functions of one's own for the stages of a request, as `package.module:name`: a `graphrouter.hooks.Hooks` in a
    module that Python finds (installed, or in `PYTHONPATH`). A reload reads the name again, not the module's code."""
    caches: Caches = Field(default_factory=Caches)
    reload: Reload = Field(default_factory=Reload)
    metrics: Metrics = Field(default_factory=Metrics)
    tracing: Tracing = Field(default_factory=Tracing)

    @field_validator("hooks")
    @classmethod
    def _importable(cls, value: str | None) -> str | None:
        if value is not None:
            load_hooks(value)
        return value

    def urls(self) -> dict[str, str]:
        """Where the subgraphs are whose URL is set."""
        return {name: subgraph.url for name, subgraph in self.subgraphs.items() if subgraph.url is not None}

    def options(self, of: RouterOptions = _DEFAULTS) -> RouterOptions:
        """The library's options; what has no key here is as in `of`.

        Raises:
            ValueError: a file that is named cannot be used any more.
        """
        subgraphs, server, operations = self.subgraphs.items(), self.server, self.operations
        headers = dict.fromkeys(of.forwarded_headers, True) | {
            name.lower(): forward for name, forward in self.forwarding.headers.items()
        }
        extensions = {**of.forwarded_extensions, **self.forwarding.extensions}
        paths = {name: subgraph.health_path for name, subgraph in subgraphs if subgraph.health_path}
        contexts = {name: subgraph.tls.context() for name, subgraph in subgraphs if subgraph.tls}
        return replace(
            of,
            limits=self.limits,
            concurrent_requests=server.concurrent_requests,
            concurrent_streams=server.concurrent_streams,
            adaptive_concurrency=server.adaptive_concurrency,
            rate_limit=server.rate_limit or of.rate_limit,
            websockets=server.websockets,
            hosts=server.hosts or of.hosts,
            cors_origins=server.cors_origins or of.cors_origins,
            introspection=operations.introspection,
            playground=server.playground,
            examples=server.examples or of.examples,
            persisted=operations.persisted.options() or of.persisted,
            defer=operations.defer,
            expose_query_plan=operations.query_plans,
            expose_cost=operations.costs,
            join_equal_queries=operations.join_equal_queries,
            join_equal_requests=operations.join_equal_requests,
            forwarded_headers=frozenset(name for name, forward in headers.items() if forward),
            forwarded_extensions={name: header for name, header in extensions.items() if header},
            authentication=self.authentication or of.authentication,
            actor_keys=self.forwarding.actors or of.actor_keys,
            hooks=load_hooks(self.hooks) if self.hooks else of.hooks,
            override_labels=operations.override_labels or of.override_labels,
            subgraph_seconds=self.all_subgraphs.timeout_seconds,
            subgraph_timeouts={name: one.timeout_seconds for name, one in subgraphs if one.timeout_seconds is not None},
            subgraph_headers={name: _plain(one.headers) for name, one in subgraphs if one.headers},
            subgraph_subscriptions={name: one.subscriptions_url for name, one in subgraphs if one.subscriptions_url},
            subgraph_tls=self.all_subgraphs.tls.context(),
            subgraph_tls_of={name: context for name, context in contexts.items() if context is not None},
            traffic=self.all_subgraphs.traffic,
            traffic_to={name: one.traffic for name, one in subgraphs if one.traffic is not None},
            subgraph_response_bytes=self.all_subgraphs.response_bytes,
            cached_documents=self.caches.documents,
            cached_document_characters=self.caches.document_characters,
            cached_plans=self.caches.plans,
            cached_bytes=self.caches.bytes,
            health_paths={**of.health_paths, **paths},
            health_seconds=server.health_seconds,
            measured_operations=of.measured_operations.union(self.metrics.operations),
        )

    def files(self) -> frozenset[Path]:
        """The files that it names."""
        return frozenset(_paths(self))


def _plain(headers: Headers) -> Mapping[str, str]:
    return {name.lower(): secret.get_secret_value() for name, secret in headers.items()}


def _paths(value: object) -> list[Path]:
    match value:
        case Path():
            return [value]
        case BaseModel():
            inner = [getattr(value, name) for name in type(value).model_fields]
        case dict():
            inner = list(cast("dict[str, object]", value).values())
        case tuple():
            inner = list(cast("tuple[object, ...]", value))
        case _:
            return []
    return [path for one in inner for path in _paths(one)]
