"""What a router counts, after a load that is known."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from graphrouter import Example, GraphRouter, Limits, PersistedOperations, RouterOptions
from graphrouter.error_codes import GROUPS
from graphrouter.http.capacity import Capacity, EndpointLimits
from graphrouter.http.connections import ConnectionLimits, Connections
from graphrouter.http.endpoint import GraphQLEndpoint
from graphrouter.request import GraphQLAnswer, GraphQLRequest, StreamItem, error_object
from graphrouter.server.app import create_app
from graphrouter.telemetry.exposition import Source, metrics_app, metrics_route
from graphrouter.telemetry.http import HttpMetrics, connections
from graphrouter.telemetry.measures import Distribution, Family, Labels, Metric, looked_up
from graphrouter.telemetry.process import ProcessMetrics
from graphrouter.telemetry.router import RouterMetrics, caches
from graphrouter.transport import SubgraphRequest, SubgraphResponse, SubgraphUnreachable
from graphrouter.transport.inprocess import InProcessTransport
from tests.support.tiny_subgraph import reviews_subgraph, users_subgraph

ME = "query Me { me { id } }"
BOTH = "query Both { reviews { author { name } } }"


class Gated:
    """The reviews, which answer when they may, or not at all."""

    def __init__(self) -> None:
        self.inner = InProcessTransport(reviews_subgraph())
        self.may = asyncio.Event()
        self.may.set()
        self.asked = asyncio.Event()
        self.down = False

    async def start(self) -> None:
        await self.inner.start()

    async def aclose(self) -> None:
        await self.inner.aclose()

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        self.asked.set()
        await self.may.wait()
        if self.down:
            raise SubgraphUnreachable("the subgraph is down")
        return await self.inner.send(request)


class Serving:
    """A router that counts, and its clients."""

    def __init__(self, client: httpx.AsyncClient, reviews: Gated, metrics: RouterMetrics) -> None:
        self.client = client
        self.reviews = reviews
        self.metrics = metrics

    async def ask(self, query: str, **more: Any) -> Any:
        return (await self.client.post("/graphql", json={"query": query, **more})).json()

    async def samples(self) -> Mapping[tuple[str, frozenset[tuple[str, str]]], float]:
        """Values by name and labels, without the empty ones."""
        response = await self.client.get("/metrics")
        assert response.status_code == 200
        return {
            (sample.name, frozenset((name, value) for name, value in sample.labels.items() if value)): sample.value
            for family in text_string_to_metric_families(response.text)
            for sample in family.samples
        }

    async def value(self, name: str, **labels: str) -> float | None:
        return (await self.samples()).get((name, frozenset(labels.items())))


@contextlib.asynccontextmanager
async def serving(options: RouterOptions | None = None) -> AsyncGenerator[Serving]:
    reviews, metrics = Gated(), RouterMetrics()
    options = options or RouterOptions(metrics=metrics)
    metrics = options.metrics or metrics
    router = await GraphRouter.compose({"users": users_subgraph(), "reviews": reviews}, options)
    sources = (ProcessMetrics().families, metrics.families, caches(router.statistics))
    app = create_app(router, options, [metrics_route(*sources)])
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://r") as client:
        yield Serving(client, reviews, metrics)


async def test_requests_operations_and_fetches_are_counted() -> None:
    options = RouterOptions(metrics=RouterMetrics(), measured_operations=frozenset({"Me", "Both"}))
    async with serving(options) as router:
        for _ in range(2):
            assert "errors" not in await router.ask(ME)
        assert "errors" not in await router.ask(BOTH)
        await router.ask("{ unknown }")
        await router.ask("{ unclosed")
        get = await router.client.get("/graphql", params={"query": ME})
        assert get.status_code == 200
        found = await router.samples()

        def value(name: str, **labels: str) -> float | None:
            return found.get((name, frozenset(labels.items())))

        answered = {"http_route": "/graphql", "http_response_status_code": "200"}
        assert value("http_server_request_duration_seconds_count", http_request_method="POST", **answered) == 5
        assert value("http_server_request_duration_seconds_count", http_request_method="GET", **answered) == 1
        duration, query = "graphql_server_operation_duration_seconds_count", {"graphql_operation_type": "query"}
        assert value(duration, graphql_operation_name="Me", **query) == 3
        assert value(duration, graphql_operation_name="Both", **query) == 1
        assert value(duration) == 2
        assert value("graphql_server_operation_errors_total", error_type="GRAPHQL_VALIDATION_FAILED") == 1
        assert value("graphql_server_operation_errors_total", error_type="GRAPHQL_PARSE_FAILED") == 1
        assert value("graphql_router_operation_fetches_count", **query) == 4
        assert value("graphql_router_operation_fetches_sum", **query) == 5
        asked = "http_client_request_duration_seconds_count"
        assert value(asked, graphql_subgraph_name="reviews", http_response_status_code="200") == 1
        assert value(asked, graphql_subgraph_name="users", http_response_status_code="200") == 4
        assert value("http_client_active_requests", graphql_subgraph_name="users") == 0
        assert value("graphql_router_cache_requests_total", cache="documents", result="hit") == 2
        assert value("graphql_router_cache_requests_total", cache="documents", result="miss") == 4
        assert value("graphql_router_cache_entries", cache="plans") == 2
        assert (value("graphql_router_cache_size_bytes", cache="documents") or 0) > 0
        assert value("http_server_active_requests") == 0


async def test_an_operation_that_is_answered_in_parts_is_counted_once() -> None:
    options = RouterOptions(metrics=RouterMetrics(), measured_operations=frozenset({"Later"}))
    async with serving(options) as router:
        query = "query Later { reviews { body ... @defer { author { name } } } }"
        for _ in range(2):
            response = await router.client.post(
                "/graphql", json={"query": query}, headers={"accept": "multipart/mixed"}
            )
            assert response.headers["content-type"].startswith("multipart/mixed")
        query_labels = {"graphql_operation_type": "query", "graphql_operation_name": "Later"}
        assert await router.value("graphql_server_operation_duration_seconds_count", **query_labels) == 2
        assert await router.value("graphql_router_operation_fetches_count", graphql_operation_type="query") == 2
        answered = {"http_route": "/graphql", "http_response_status_code": "200", "http_request_method": "POST"}
        assert await router.value("http_server_request_duration_seconds_count", **answered) == 2


async def test_what_is_under_way_is_told() -> None:
    async with serving() as router:
        router.reviews.may.clear()
        router.reviews.asked.clear()
        asking = asyncio.create_task(router.ask(BOTH))
        await router.reviews.asked.wait()
        assert await router.value("http_server_active_requests") == 1
        assert await router.value("http_client_active_requests", graphql_subgraph_name="reviews") == 1
        router.reviews.may.set()
        await asking
        assert await router.value("http_server_active_requests") == 0
        assert await router.value("http_client_active_requests", graphql_subgraph_name="reviews") == 0


async def test_a_subgraph_that_does_not_answer_is_told_by_its_code() -> None:
    async with serving() as router:
        router.reviews.down = True
        answer = await router.ask("{ reviews { body } }")
        assert answer["errors"][0]["extensions"]["code"] == "SUBREQUEST_FAILED"
        asked = "http_client_request_duration_seconds_count"
        assert await router.value(asked, graphql_subgraph_name="reviews", error_type="SUBREQUEST_FAILED") == 1
        errors = "graphql_server_operation_errors_total"
        assert await router.value(errors, graphql_operation_type="query", error_type="SUBREQUEST_FAILED") == 1


async def test_names_that_clients_invent_are_one() -> None:
    async with serving() as router:
        for number in range(50):
            await router.ask(f"query N{number} {{ me {{ id }} }}")
        names = {
            dict(labels).get("graphql_operation_name")
            for name, labels in await router.samples()
            if name == "graphql_server_operation_duration_seconds_count"
        }
        assert names == {"_OTHER"}
        other = {"graphql_operation_name": "_OTHER", "graphql_operation_type": "query"}
        assert await router.value("graphql_server_operation_duration_seconds_count", **other) == 50


async def test_trusted_operations_and_examples_are_told_by_their_names() -> None:
    options = RouterOptions(
        metrics=RouterMetrics(),
        persisted=PersistedOperations(trusted={"1": BOTH}, mode="report"),
        examples=(Example("One", "query Shown { me { id } } query Second { me { name } }"), Example("Two", "{ broken")),
    )
    async with serving(options) as router:
        await router.ask(BOTH)
        await router.ask("query Both { me { id } }")  # another operation of that name
        await router.ask("query Second { me { id } }")
        duration, query = "graphql_server_operation_duration_seconds_count", {"graphql_operation_type": "query"}
        assert await router.value(duration, graphql_operation_name="Both", **query) == 1
        assert await router.value(duration, graphql_operation_name="_OTHER", **query) == 1
        assert await router.value(duration, graphql_operation_name="Second", **query) == 1


async def test_limits_that_are_met_are_counted_wherever_they_are_checked() -> None:
    options = RouterOptions(
        metrics=RouterMetrics(), limits=Limits(depth=2, body_bytes=1000, tokens=100), concurrent_requests=1
    )
    async with serving(options) as router:
        await router.ask("{ me { reviews { author { id } } } }")
        await router.ask("{ a b c d e f g h " + "i " * 100 + "}")
        assert (await router.client.post("/graphql", json={"query": "#" * 2000})).status_code == 413
        router.reviews.may.clear()
        router.reviews.asked.clear()
        asking = asyncio.create_task(router.ask("{ reviews { body } }"))
        await router.reviews.asked.wait()
        assert (await router.client.post("/graphql", json={"query": ME})).status_code == 503
        router.reviews.may.set()
        await asking
        for code in ("TOO_DEEP", "TOO_MANY_TOKENS", "REQUEST_TOO_LARGE", "OVERLOADED"):
            assert await router.value("graphql_server_limit_hits_total", error_type=code) == 1


def test_every_code_of_a_limit_is_counted_as_one() -> None:
    (limits,) = (group.codes for group in GROUPS if group.title == "Errors of limits")
    metrics = HttpMetrics()
    metrics.told([error_object("over a limit", one.code) for one in limits])
    told = next(family for family in metrics.families() if family.metric.name == "graphql.server.limit_hits")
    assert told.values == {(one.code, ""): 1 for one in limits}


async def test_a_method_that_nobody_knows_makes_no_label() -> None:
    async with serving() as router:
        await router.client.request("BREW", "/graphql")
        labels = {"http_route": "/graphql", "http_response_status_code": "405", "http_request_method": "_OTHER"}
        assert await router.value("http_server_request_duration_seconds_count", **labels) == 1


async def test_the_process_is_told_as_well() -> None:
    async with serving() as router:
        await router.samples()
        found = {name for name, _ in await router.samples()}
        assert found >= {
            "process_cpu_time_seconds_total",
            "process_memory_usage_bytes",
            "process_uptime_seconds",
            "cpython_gc_collections_total",
            "cpython_gc_collected_objects_total",
        }


async def test_without_metrics_nothing_is_counted() -> None:
    async with serving(RouterOptions()) as router:
        assert "errors" not in await router.ask(BOTH)
        families = list(router.metrics.families())
        assert not any(value for family in families for value in family.values.values())


@pytest.mark.parametrize("host", ["evil.example", "r"])
async def test_the_rules_for_hosts_hold_for_metrics(host: str) -> None:
    async with serving(RouterOptions(metrics=RouterMetrics(), hosts=("r",))) as router:
        status = (await router.client.get("/metrics", headers={"host": host})).status_code
        assert status == (200 if host == "r" else 421)


async def test_those_who_have_metrics_are_asked_at_once() -> None:
    began: list[str] = []

    def waiting(name: str) -> Source:
        async def families() -> Sequence[Family]:
            began.append(name)
            await asyncio.sleep(0)
            began.append(f"{name} has told")
            return [looked_up(Metric(f"a.{name}", "gauge", "1", (), "."), [((), 1)])]

        return families

    transport = httpx.ASGITransport(metrics_app(waiting("x"), waiting("y")))
    async with httpx.AsyncClient(transport=transport, base_url="http://r") as client:
        text = (await client.get("/metrics")).text
    assert began[:2] == ["x", "y"]
    assert "a_x_ratio 1.0" in text
    assert "a_y_ratio 1.0" in text


class Connection:
    deadline = 0.0

    def expire(self) -> None: ...
    def evict(self) -> None: ...


async def test_connections_that_are_open_or_turned_away_are_counted() -> None:
    held = Connections(ConnectionLimits(connections=1))
    limits = {"http.server.connection_limit": {(): 1}, "http.server.refused_connections": {(): 1}}
    one, two = Connection(), Connection()
    assert held.admit(one)
    assert not held.admit(two)
    told = {family.metric.name: dict(family.values) for family in connections(lambda: [held])()}
    assert told == {"http.server.open_connections": {(): 1}, **limits}
    held.leave(one)
    held.leave(two)
    told = {family.metric.name: dict(family.values) for family in connections(lambda: [held])()}
    assert told == {"http.server.open_connections": {(): 0}, **limits}


class Streaming:
    """An executor whose one stream ends when it may."""

    def __init__(self) -> None:
        self.began, self.may_end = asyncio.Event(), asyncio.Event()

    async def answer(self, _request: GraphQLRequest) -> GraphQLAnswer:
        return GraphQLAnswer({}, [], {})

    async def stream(self, _request: GraphQLRequest) -> AsyncGenerator[StreamItem, None]:
        yield GraphQLAnswer({"n": 1}, [], {})
        self.began.set()
        await self.may_end.wait()


async def test_an_open_stream_is_no_request_under_way_and_has_no_duration() -> None:
    executor, metrics = Streaming(), HttpMetrics()
    endpoint = GraphQLEndpoint(lambda: executor, EndpointLimits(1000, 10), metrics=metrics)

    def told() -> dict[str, object]:
        return {
            family.metric.name: family.values["",] for family in metrics.families() if "active" in family.metric.name
        }

    transport = httpx.ASGITransport(endpoint)
    async with httpx.AsyncClient(transport=transport, base_url="http://r") as client:
        params, headers = {"query": "subscription { n }"}, {"accept": "text/event-stream"}
        asking = asyncio.create_task(client.get("/graphql", params=params, headers=headers))
        await executor.began.wait()
        assert told() == {"http.server.active_requests": 0, "graphql.server.active_streams": 1}
        executor.may_end.set()
        await asking
    assert told() == {"http.server.active_requests": 0, "graphql.server.active_streams": 0}
    assert not any(family.values for family in metrics.families() if family.metric.kind == "histogram")


async def test_an_event_loop_that_is_late_is_told() -> None:
    process = ProcessMetrics()

    def delays() -> Mapping[Labels, float | Distribution]:
        return next(family.values for family in process.families() if family.metric.name == "asyncio.eventloop.delay")

    assert delays() == {}
    process._beat(asyncio.get_running_loop().time() - 10)
    found = delays()[()]
    assert isinstance(found, Distribution)
    assert found.counts[-1] == sum(found.counts) == 1
    assert found.sum >= 10


def test_the_limit_of_requests_is_that_of_the_app_that_serves() -> None:
    metrics = HttpMetrics()

    def limit() -> dict[tuple[str, ...], object]:
        return {
            labels: value
            for family in metrics.families()
            if family.metric.name == "http.server.request_limit"
            for labels, value in family.values.items()
        }

    assert limit() == {}
    former = Capacity(EndpointLimits(1_000, 10), metrics)
    assert limit() == {("",): 10}
    former.begin_request()
    following = Capacity(EndpointLimits(1_000, 20), metrics)
    assert limit() == {("",): 20}, "the former one finishes what it has begun and takes nothing more"
    assert former.requests.running + following.requests.running == 1
