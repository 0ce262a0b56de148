"""`/metrics` of every process of both modes, after a load that is known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support import promtool
from tests.support.distributed import Engines, distributed_parts, part
from tests.support.kith import RunningKith, kith_up, running_kith

CREATE = 'mutation { createUser(input: {firstName: "Ada", lastName: "Lovelace", username: "NAME"}) { user { id } } }'

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]

PROCESS = {
    "process_cpu_time_seconds_total",
    "process_memory_usage_bytes",
    "process_uptime_seconds",
    "process_open_file_descriptor_count",
    "cpython_gc_collections_total",
    "cpython_gc_collected_objects_total",
    "asyncio_eventloop_delay_seconds",
    "http_server_open_connections",
    "http_server_refused_connections_total",
    "http_server_connection_limit",
}
REQUESTS = {
    "http_server_request_duration_seconds_count",
    "http_server_active_requests",
    "http_server_request_limit",
    "graphql_server_active_streams",
    "graphql_server_operation_duration_seconds_count",
    "graphql_server_operation_errors_total",
    "graphql_server_limit_hits_total",
}
ROUTER = REQUESTS | {
    "graphql_router_operation_fetches_count",
    "http_client_request_duration_seconds_count",
    "http_client_active_requests",
    "graphql_router_subscription_messages_total",
    "graphql_router_cache_requests_total",
    "graphql_router_cache_evictions_total",
    "graphql_router_cache_entries",
    "graphql_router_cache_size_bytes",
    "graphql_router_cache_miss_duration_seconds_total",
    "graphql_router_configuration_generation",
    "graphql_router_configuration_refused",
}
APPENDS = {
    "messaging_client_operation_duration_seconds_count",
    "messaging_client_sent_messages_total",
    "eventgraph_log_events_total",
    "eventgraph_subgraph_ready",
    "eventkernel_append_group_size_count",
    "eventkernel_ledger_backlog",
    "graphql_server_document_cache_requests_total",
    "graphql_server_document_cache_evictions_total",
    "graphql_server_document_cache_entries",
    "graphql_server_document_cache_size",
    "graphql_server_document_cache_miss_duration_seconds_total",
}
VIEWS = {
    "messaging_client_consumed_messages_total",
    "eventgraph_reader_lag",
    "eventgraph_reader_lag_duration_seconds",
    "eventgraph_reader_parked_streams",
    "eventgraph_reader_parked_records",
    "eventgraph_reader_troubles",
    "eventgraph_view_live",
    "eventgraph_view_rebuilds_total",
    "eventgraph_view_flaws",
    "eventgraph_view_log_damage",
    "eventgraph_status_readable",
}
PROCESS_MANAGERS = {"eventgraph_process_manager_reactions_total"}


async def samples(running: RunningKith, origin: str | None = None) -> Samples:
    """Values by name and labels, without the empty ones."""
    response = await running.client.get(f"{origin or running.origin}/metrics")
    assert response.status_code == 200
    return {
        (sample.name, frozenset((name, value) for name, value in sample.labels.items() if value)): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float | None:
    return found.get((name, frozenset(labels.items())))


def names(found: Samples) -> set[str]:
    return {name.replace("delay_seconds_count", "delay_seconds") for name, _ in found}


async def loaded(running: RunningKith) -> None:
    """Two users are made, a third is refused for the name of one; then something too deep, and something invalid."""
    bookmarks = [(await running.ask(CREATE.replace("NAME", name))).bookmark for name in ("ada", "grace")]
    assert (await running.ask(CREATE.replace("NAME", "ada"))).codes == ["USERNAME_TAKEN"]
    for bookmark in bookmarks:
        assert "errors" not in (await running.ask("{ users { edges { node { id } } } }", bookmark=bookmark)).body
    assert (await running.ask("{" + "a {" * 200 + "b" + "}" * 201)).codes == ["TOO_DEEP"]
    assert (await running.ask("{ nothing }")).codes == ["GRAPHQL_VALIDATION_FAILED"]


def check_router(found: Samples) -> None:
    assert names(found) >= ROUTER | PROCESS - {"asyncio_eventloop_delay_seconds"}
    duration = "graphql_server_operation_duration_seconds_count"
    assert value(found, duration, graphql_operation_type="mutation") == 3
    assert value(found, duration, graphql_operation_type="query") == 2
    assert value(found, duration) == 2
    errors = "graphql_server_operation_errors_total"
    assert value(found, errors, graphql_operation_type="mutation", error_type="USERNAME_TAKEN") == 1
    assert value(found, "graphql_server_limit_hits_total", error_type="TOO_DEEP") == 1
    assert value(found, "graphql_router_configuration_generation") == 1
    assert value(found, "graphql_router_configuration_refused") == 0
    asked = {"graphql_subgraph_name": "users", "http_response_status_code": "200"}
    assert value(found, "http_client_request_duration_seconds_count", **asked) == 5


def check_users(found: Samples, system: str) -> None:
    assert names(found) >= REQUESTS - {"graphql_server_limit_hits_total"} | APPENDS
    log = {"messaging_system": system, "messaging_destination_name": "users"}
    assert value(found, "messaging_client_sent_messages_total", **log) == 2
    types = {"messaging_destination_name": "users", "cloudevents_event_type": "users.UserCreated"}
    assert value(found, "eventgraph_log_events_total", **types) == 2
    assert value(found, "eventgraph_subgraph_ready", graphql_subgraph_name="users") == 1
    appends = "messaging_client_operation_duration_seconds_count"
    assert value(found, appends, messaging_operation_name="append", **log) == 2
    assert value(found, "eventkernel_ledger_backlog", messaging_destination_name="users") == 0
    assert value(found, "eventkernel_append_group_size_sum", **log) in {2, 3}  # a refusal may come before the group
    operations = "graphql_server_operation_duration_seconds_count"
    assert value(found, operations, graphql_subgraph_name="users", graphql_operation_type="mutation") == 3


def check_view(found: Samples, view: str) -> None:
    reader = {"messaging_consumer_group_name": view}
    assert names(found) >= VIEWS
    assert value(found, "eventgraph_view_live", **reader) == 1
    assert value(found, "eventgraph_reader_parked_streams", **reader) == 0
    assert value(found, "eventgraph_status_readable", graphql_subgraph_name=view) == 1


async def test_the_embedded_mode_tells_everything_in_one_place(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data") as running:
        await loaded(running)
        await samples(running)
        found = await samples(running)
        check_router(found)
        check_users(found, "sqlite")
        for view in ("users", "friends", "recommendations"):
            check_view(found, view)
        assert names(found) >= PROCESS_MANAGERS
        assert await promtool.remarks((await running.client.get(f"{running.origin}/metrics")).text) == ""
        consumed = "messaging_client_consumed_messages_total"
        assert value(found, consumed, messaging_consumer_group_name="users") == 2
        assert await running.stop() == 0


async def test_metrics_have_an_address_of_their_own_or_none(tmp_path: Path) -> None:
    config = tmp_path / "router.yaml"
    config.write_text("metrics: {operations: [Known]}\n")
    environment = {"KITH_PORT": "0", "KITH_DATA": str(tmp_path / "data"), "KITH_METRICS_PORT": "0"}
    environment["KITH_ROUTER_CONFIG"] = str(config)
    async with running_kith("up", environment=environment) as running:
        assert (await running.client.get(f"{running.origin}/metrics")).status_code == 404
        assert (await running.ask("query Known { __typename }")).status == 200
        found = await samples(running, running.line("metrics").removesuffix("/metrics"))
        operation = {"graphql_operation_name": "Known", "graphql_operation_type": "query"}
        assert value(found, "graphql_server_operation_duration_seconds_count", **operation) == 1
        assert await running.stop() == 0
    environment |= {"KITH_METRICS": "false"}
    async with running_kith("up", environment=environment) as running:
        assert (await running.client.get(f"{running.origin}/metrics")).status_code == 404
        assert await running.stop() == 0


@pytest.mark.engines
@pytest.mark.timeout(600)
async def test_every_process_of_the_distributed_mode_tells_what_it_does(engines: Engines) -> None:
    async with (
        part(engines, "project", "users") as keeping,
        distributed_parts(engines) as (router, parts),
    ):
        await loaded(router)
        check_router(await samples(router))
        check_users(await samples(parts["users"]), "kafka")
        for name, running in parts.items():
            check_view(await samples(running), name)
        assert names(await samples(parts["friends"])) >= PROCESS_MANAGERS
        origin = keeping.line("health").removesuffix("/health/ready")
        kept = await samples(keeping, origin)
        check_view(kept, "users")
        assert "eventgraph_subgraph_ready" not in names(kept), "it answers nobody"
