"""Which requests of a router are recorded, what is told of them, and what its subgraphs are told."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from graphrouter import GraphRouter, RouterOptions
from graphrouter.http.capacity import Capacity, EndpointLimits
from graphrouter.http.websocket import WebSocketEndpoint, WebSocketSettings
from graphrouter.pipeline.traced import document_hash
from graphrouter.request import GraphQLAnswer, error_object
from graphrouter.server.app import create_app
from graphrouter.server.logs import log_to_stderr, set_access_log
from graphrouter.telemetry.settings import TracingSettings, TracingUnavailable
from graphrouter.telemetry.tracing import CURRENT, Span, TraceContext, Tracing
from graphrouter.transport import SubgraphRequest, SubgraphResponse, SubgraphUnreachable
from graphrouter.transport.inprocess import InProcessTransport
from tests.support.dict_subgraph import router_over
from tests.support.spans import Spans
from tests.support.tiny_subgraph import reviews_subgraph, users_subgraph
from tests.support.websockets import connected
from tests.unit.router_server.test_subscriptions import CHANGED, COMPLETE, Friends, Streamed, event
from tests.unit.router_server.test_websocket import FOREVER, Scripted

TRACE, SPAN = "1234567890abcdef" * 2, "fedcba0987654321"
RECORDED, PASSED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"
BOTH = "query Both { reviews { author { name } } }"


class Asked:
    """A subgraph that keeps the headers of what it is asked, and may be held up, or down."""

    def __init__(self, app: Any) -> None:
        self.inner = InProcessTransport(app)
        self.requests: list[Mapping[str, str]] = []
        self.may = asyncio.Event()
        self.may.set()
        self.down = False

    async def start(self) -> None:
        await self.inner.start()

    async def aclose(self) -> None:
        await self.inner.aclose()

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        if b"_service" not in request.body:
            names = [name for name, _ in request.headers]
            assert len(names) == len(set(names)), "no header is there twice"
            self.requests.append(dict(request.headers))
        await self.may.wait()
        if self.down:
            raise SubgraphUnreachable("the subgraph is down")
        return await self.inner.send(request)


class Served:
    def __init__(self, client: httpx.AsyncClient, users: Asked, reviews: Asked) -> None:
        self.client = client
        self.users = users
        self.reviews = reviews

    async def ask(self, query: str = BOTH, **headers: str) -> Any:
        return (await self.client.post("/graphql", json={"query": query}, headers=headers)).json()


def sent_by(router: Served) -> list[str]:
    """The `traceparent` of each request to a subgraph."""
    return [request["traceparent"] for request in (*router.users.requests, *router.reviews.requests)]


@asynccontextmanager
async def served(tracing: Tracing | None, **options: Any) -> AsyncGenerator[Served]:
    users, reviews = Asked(users_subgraph()), Asked(reviews_subgraph())
    chosen = RouterOptions(tracing=tracing, **options)
    router = await GraphRouter.compose({"users": users, "reviews": reviews}, chosen)
    app = create_app(router, chosen)
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://r") as client:
        yield Served(client, users, reviews)


# What is recorded


async def test_a_recorded_request_is_a_span_with_its_plan_and_its_fetches_below() -> None:
    spans = Spans()
    async with served(Tracing(spans), measured_operations=frozenset({"Both"})) as router:
        assert "errors" not in await router.ask()
    server, plan = spans.one("server"), spans.one("internal")
    reviews, users = (span for span in spans.kept if span.kind == "client")
    assert [span.parent for span in (server, plan, reviews, users)] == [None, *[server.context] * 3]
    assert all(span.ended and not span.failed for span in spans.kept)
    assert (server.name, plan.name, users.name) == ("POST /graphql", "graphql.plan", "POST /graphql")
    assert server.attributes == {
        "http.request.method": "POST",
        "http.route": "/graphql",
        "url.path": "/graphql",
        "url.scheme": "http",
        "graphql.operation.type": "query",
        "graphql.operation.name": "Both",
        "graphql.document.hash": document_hash(BOTH),
        "http.response.status_code": 200,
    }
    assert users.attributes == {
        "graphql.subgraph.name": "users",
        "http.request.method": "POST",
        "graphql.operation.type": "query",
        "graphql.router.fetch.id": 1,
        "graphql.router.fetch.kind": "entities",
        "http.response.status_code": 200,
    }
    assert reviews.attributes["graphql.router.fetch.kind"] == "root"
    assert router.users.requests[0]["traceparent"] == users.context.traceparent
    assert router.reviews.requests[0]["traceparent"] == reviews.context.traceparent


async def test_names_that_only_a_client_knows_are_not_told() -> None:
    spans = Spans()
    async with served(Tracing(spans)) as router:
        await router.ask("query AdaLovelace { reviews { author { name } } }")
    assert spans.one("server").attributes["graphql.operation.name"] == "_OTHER"
    assert "Ada" not in str(spans.kept)


async def test_what_is_not_recorded_has_a_place_in_a_trace_all_the_same() -> None:
    spans = Spans()
    async with served(Tracing(spans, ratio=0)) as router:
        for _ in range(2):
            await router.ask()
    assert spans.kept == []
    sent = [TraceContext.read(request["traceparent"]) for request in (*router.users.requests, *router.reviews.requests)]
    assert None not in sent
    assert [context.sampled for context in sent if context] == [False] * 4
    traces = [context.trace_id for context in sent if context]
    assert traces[:2] == traces[2:], "all requests of one operation are in one trace"
    assert len(set(traces)) == 2


@pytest.mark.parametrize("asked_first", ["context", "headers"])
def test_the_ids_of_what_is_not_recorded_are_drawn_once_for_log_lines_and_subgraphs(asked_first: str) -> None:
    span, other = Span(None), Span(None)
    getattr(span, asked_first)
    assert span.headers == (("traceparent", span.context.traceparent),)
    assert TraceContext.read(span.context.traceparent) == span.context
    assert span.context.trace_id != other.context.trace_id
    assert not span.context.sampled


async def test_a_request_without_subgraphs_that_is_not_recorded_draws_no_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphrouter.telemetry.tracing.random.randbytes", None)
    async with served(Tracing(Spans(), ratio=0)) as router:
        await router.ask("{ __typename }")


async def test_a_part_of_the_traces_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = iter([0.24, 0.26, 0.99, 0.0])
    monkeypatch.setattr("graphrouter.telemetry.tracing.random.random", lambda: next(draws))
    spans = Spans()
    async with served(Tracing(spans, ratio=0.25)) as router:
        for _ in range(4):
            await router.ask("{ __typename }")
    assert len([span for span in spans.kept if span.kind == "server"]) == 2


@pytest.mark.parametrize(("sent", "recorded"), [(RECORDED, True), (PASSED, False)])
async def test_a_trusted_parent_is_gone_on_with_and_decides(sent: str, recorded: bool) -> None:
    spans = Spans()
    async with served(Tracing(spans, ratio=0 if recorded else 1, trusts_parents=True)) as router:
        await router.ask(traceparent=sent, tracestate="vendor=1")
    asked = router.reviews.requests[0]
    assert asked["tracestate"] == "vendor=1"
    assert asked["traceparent"].startswith(f"00-{TRACE}-")
    if recorded:
        parent = spans.one("server").parent
        assert parent == TraceContext(TRACE, SPAN, sampled=True, state="vendor=1")
        assert asked["traceparent"].endswith("-01")
    else:
        assert spans.kept == []
        assert asked["traceparent"] == PASSED


@pytest.mark.parametrize(("sent", "ratio"), [(RECORDED, 0), (PASSED, 1)])
async def test_a_trusted_parent_is_gone_on_with_also_where_the_sampler_does_not_ask_it(sent: str, ratio: int) -> None:
    spans = Spans()
    tracing = Tracing(spans, ratio, trusts_parents=True, follows_parents=False)
    async with served(tracing) as router:
        await router.ask(traceparent=sent)
    assert [span.trace_id for span in map(TraceContext.read, sent_by(router)) if span] == [TRACE] * 2
    assert [span.parent is not None for span in spans.kept if span.kind == "server"] == [True] * ratio
    assert all(traceparent.endswith(f"-0{ratio}") for traceparent in sent_by(router))


async def test_a_strangers_parent_is_a_link_and_decides_nothing() -> None:
    spans = Spans()
    async with served(Tracing(spans)) as router:
        await router.ask(traceparent=PASSED, tracestate="vendor=1")
    server = spans.one("server")
    assert (server.parent, server.link) == (None, TraceContext(TRACE, SPAN, sampled=False, state="vendor=1"))
    assert TRACE not in router.reviews.requests[0]["traceparent"]
    assert "tracestate" not in router.reviews.requests[0]
    async with served(Tracing(Spans(), ratio=0)) as router:
        await router.ask(traceparent=RECORDED)
    assert router.reviews.requests[0]["traceparent"].endswith("-00")


async def test_without_tracing_a_traceparent_is_forwarded_as_it_came() -> None:
    async with served(None) as router:
        await router.ask(traceparent=RECORDED, tracestate="vendor=1")
    asked = router.reviews.requests[0]
    assert (asked["traceparent"], asked["tracestate"]) == (RECORDED, "vendor=1")
    assert CURRENT.get() is None


@pytest.mark.parametrize(
    "sent",
    [
        "", "nonsense", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more", f"00-{TRACE.upper()}-{SPAN}-01", f"00-{TRACE}-{SPAN}", f"00-{TRACE}-{SPAN}-0g",
        f"00-{TRACE}-{SPAN}-01\n",
    ],
)  # fmt: skip
def test_a_traceparent_that_is_none_is_not_read(sent: str) -> None:
    assert TraceContext.read(sent) is None


def test_later_versions_of_the_header_are_read_as_far_as_they_are_known() -> None:
    assert TraceContext.read(f"01-{TRACE}-{SPAN}-03-more") == TraceContext(TRACE, SPAN, sampled=True)
    assert TraceContext.read(f"00-{TRACE}-{SPAN}-02") == TraceContext(TRACE, SPAN, sampled=False)
    assert TraceContext.read(RECORDED, "a=1\nb") == TraceContext(TRACE, SPAN, sampled=True)


# Joining


async def test_requests_of_several_traces_are_joined_all_the_same() -> None:
    spans = Spans()
    async with served(Tracing(spans)) as router:
        await router.ask()  # from now on the plan is known, and nothing waits for a thread
        router.reviews.may.clear()
        asking = [asyncio.create_task(router.ask(traceparent=RECORDED)) for _ in range(3)]
        for _ in range(200):
            await asyncio.sleep(0)
        router.reviews.may.set()
        assert not any("errors" in answer for answer in await asyncio.gather(*asking))
    assert len(router.reviews.requests) == len(router.users.requests) == 1 + 1
    assert len([span for span in spans.kept if span.kind == "server"]) == 1 + 3
    assert len([span for span in spans.kept if span.kind == "client"]) == 2 + 2


# Failures


async def test_a_subgraph_that_is_down_fails_its_fetch_and_the_request() -> None:
    spans = Spans()
    async with served(Tracing(spans)) as router:
        router.reviews.down = True
        assert "errors" in await router.ask()
    client, server = spans.one("client"), spans.one("server")
    assert (client.failed, client.attributes["error.type"]) == (True, "SUBREQUEST_FAILED")
    assert (server.failed, server.attributes["error.type"]) == (True, "SUBREQUEST_FAILED")
    assert "http.response.status_code" not in client.attributes


async def test_what_a_client_does_wrong_is_told_and_is_no_failure_of_the_router() -> None:
    spans = Spans()
    async with served(Tracing(spans)) as router:
        await router.ask("{ unknown }")
        await router.client.put("/graphql")
        await router.client.request("NONSENSE", "/graphql")
    invalid, put, unknown = (span for span in spans.kept if span.kind == "server")
    assert (invalid.failed, invalid.attributes["error.type"]) == (False, "GRAPHQL_VALIDATION_FAILED")
    assert (put.failed, put.attributes["error.type"]) == (False, "METHOD_NOT_ALLOWED")
    assert put.attributes["http.response.status_code"] == 405
    plan = spans.one("internal")
    assert (plan.failed, plan.attributes["error.type"]) == (False, "GRAPHQL_VALIDATION_FAILED")
    assert (unknown.name, unknown.attributes["http.request.method"]) == ("HTTP /graphql", "_OTHER")
    assert all(span.ended for span in spans.kept)


async def test_a_router_that_is_not_ready_has_failed() -> None:
    spans = Spans()
    options = RouterOptions(tracing=Tracing(spans))

    async def never() -> GraphRouter:
        await asyncio.Event().wait()
        raise AssertionError

    client = httpx.AsyncClient(transport=httpx.ASGITransport(create_app(never, options)), base_url="http://r")
    assert (await client.post("/graphql", json={"query": BOTH})).status_code == 503
    await client.aclose()
    assert (spans.one("server").failed, spans.one("server").attributes["error.type"]) == (True, "NOT_READY")


# Subscriptions


async def test_the_opening_of_a_subscription_is_recorded_and_its_messages_are_not() -> None:
    """It may have no end: a trace of it would neither."""
    spans = Spans()
    users = Streamed([event(1), event(2), COMPLETE])
    options = RouterOptions(tracing=Tracing(spans))
    app = create_app(router_over({"users": users, "friends": Friends()}, options), options)
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://r") as client:
        headers = {"accept": "text/event-stream"}
        answer = await client.post("/graphql", json={"query": CHANGED}, headers=headers)
    assert answer.text.count("event: next") == 2
    server = spans.one("server")
    assert server.ended
    assert dict(users.asked[0].headers)["traceparent"] == server.context.traceparent
    assert len([span for span in spans.kept if span.kind == "client"]) == 1, "that of the first message"


def traced_websockets(executor: Scripted, spans: Spans) -> WebSocketEndpoint:
    capacity, settings = Capacity(EndpointLimits(1_000, 10)), WebSocketSettings(init_seconds=FOREVER)
    return WebSocketEndpoint(lambda: executor, capacity, settings, tracing=Tracing(spans))


async def test_each_operation_over_a_websocket_is_a_request_of_its_own() -> None:
    spans = Spans()
    async with connected(traced_websockets(Scripted(GraphQLAnswer({"n": 1}, [], {})), spans)) as socket:
        await socket.opened()
        for name in ("1", "2"):
            socket.subscribe(name)
            await socket.of("complete")
    assert [(span.name, span.parent, span.ended) for span in spans.kept] == [("GET /graphql", None, True)] * 2


async def test_a_subscription_that_its_client_ends_has_not_failed() -> None:
    spans = Spans()
    async with connected(traced_websockets(Scripted(GraphQLAnswer({"n": 1}, [], {}), held=True), spans)) as socket:
        await socket.opened()
        socket.subscribe("1")
        await socket.of("next")
        socket.say(id="1", type="complete")
    (span,) = spans.kept
    assert (span.ended, span.failed) == (True, False)
    assert "error.type" not in span.attributes


@pytest.mark.parametrize(
    ("code", "failed"), [("GRAPHQL_VALIDATION_FAILED", False), ("REQUEST_TIMEOUT", True), ("INTERNAL_ERROR", True)]
)
async def test_what_is_refused_over_a_websocket_is_told_as_over_http(code: str, failed: bool) -> None:
    spans = Spans()
    refused = GraphQLAnswer(None, [error_object("it is refused", code)], {}, refused=True)
    async with connected(traced_websockets(Scripted(refused), spans)) as socket:
        await socket.opened()
        socket.subscribe("1")
        await socket.of("error")
    (span,) = spans.kept
    assert (span.failed, span.attributes["error.type"]) == (failed, code)


# What is told of documents


def test_a_documents_hash_says_nothing_of_the_values_in_it() -> None:
    texts = [
        'query A { user(name: "ada", age: 3) { id } } # a remark',
        'query A { user(name: "grace \\" hopper", age: -4.5e3) { id } } # another',
        'query A { user(name: """ada "of" \\""" it""", age: 0) { id } } #',
    ]
    assert len({document_hash(text) for text in texts}) == 1
    assert document_hash("{ user1 }") != document_hash("{ user2 }")


# Settings


def settings(**environment: str) -> TracingSettings:
    return TracingSettings.read(environment={f"OTEL_{name}": value for name, value in environment.items()})


def test_an_endpoint_turns_tracing_on_and_the_usual_variables_are_followed() -> None:
    there = {"EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    assert not settings().enabled
    assert settings(**there) == TracingSettings(enabled=True, ratio=1, follows_parents=True)
    assert settings(EXPORTER_OTLP_TRACES_ENDPOINT="http://127.0.0.1:4318/v1/traces").enabled
    assert not settings(**there, SDK_DISABLED="true").enabled
    assert not settings(**there, TRACES_EXPORTER="none").enabled
    assert settings(**there, TRACES_SAMPLER="always_off") == TracingSettings(True, None, 0, False)
    ratio = {"TRACES_SAMPLER_ARG": "0.01"}
    assert settings(**there, **ratio, TRACES_SAMPLER="traceidratio") == TracingSettings(True, None, 0.01, False)
    assert settings(**there, **ratio, TRACES_SAMPLER="parentbased_traceidratio").follows_parents
    with pytest.raises(TracingUnavailable, match="expected http/protobuf, found 'grpc'"):
        settings(**there, EXPORTER_OTLP_PROTOCOL="grpc")


def test_what_is_configured_wins_over_the_environment() -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "OTEL_TRACES_SAMPLER": "always_off"}
    found = TracingSettings.read(endpoint="http://b/v1/traces", ratio=0.5, environment=environment)
    assert (found.endpoint, found.ratio) == ("http://b/v1/traces", 0.5)
    assert TracingSettings.read(endpoint="http://b", environment={}).enabled


def test_a_sampler_that_is_not_known_is_told_and_the_default_holds(caplog: pytest.LogCaptureFixture) -> None:
    there = {"EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    assert settings(**there, TRACES_SAMPLER="jaeger_remote").ratio == 1
    assert settings(**there, TRACES_SAMPLER="traceidratio", TRACES_SAMPLER_ARG="2").ratio == 1
    assert [record.message for record in caplog.records] == [
        "OTEL_TRACES_SAMPLER: expected a sampler that is known, found 'jaeger_remote'",
        "OTEL_TRACES_SAMPLER_ARG: expected a number from 0 to 1, found '2'",
    ]


@pytest.mark.parametrize(
    ("exporter", "told"),
    [
        ("none", []),
        ("otlp", []),
        ("zipkin", ["OTEL_TRACES_EXPORTER: expected otlp or none, found 'zipkin': nothing is traced"]),
        ("otlp,console", ["OTEL_TRACES_EXPORTER: expected otlp or none, found 'otlp,console': nothing is traced"]),
    ],
)
def test_an_exporter_that_there_is_not_is_told_and_none_means_off(
    exporter: str, told: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    there = {"EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    assert settings(**there, TRACES_EXPORTER=exporter).enabled is (exporter == "otlp")
    assert [record.message for record in caplog.records] == told


def test_a_parent_counts_where_it_is_trusted_and_the_sampler_asks_for_it() -> None:
    spans = Spans()
    followed = TracingSettings(True, None, 1, follows_parents=True)
    own = TracingSettings(True, None, 1, follows_parents=False)
    assert [(one.trusts_parents, one.follows_parents) for one in (
        followed.tracing(spans, trusts_parents=True),
        followed.tracing(spans, trusts_parents=False),
        own.tracing(spans, trusts_parents=True),
    ) if one] == [(True, True), (False, True), (True, False)]  # fmt: skip
    assert followed.tracing(None, trusts_parents=True) is None


# Logs


@pytest.fixture
def logging_anew() -> Any:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    set_access_log(logging.getLogger("graphrouter.access"), None)


def test_lines_have_the_ids_of_their_trace_in_either_format(
    logging_anew: None, capsys: pytest.CaptureFixture[str]
) -> None:
    log_to_stderr("warning", "json", True)
    with Span(TraceContext(TRACE, SPAN, sampled=False)):
        logging.getLogger("graphrouter.access").info("POST %s", "/graphql")
    try:
        int("x")
    except ValueError:
        logging.getLogger("other").exception("failed")
    logging.getLogger("other").info("not told")
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (first["event"], first["level"], first["logger"]) == ("POST /graphql", "info", "graphrouter.access")
    assert (first["trace_id"], first["span_id"]) == (TRACE, SPAN)
    assert "trace_id" not in second
    assert "ValueError: " in second["exception"]
    logging.getLogger().handlers[:] = []
    log_to_stderr("info", "text", False)
    with Span(TraceContext(TRACE, SPAN, sampled=False)):
        logging.getLogger("other").warning("said")
        logging.getLogger("graphrouter.access").info("not told")
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"said trace_id={TRACE} span_id={SPAN}")
