"""A system's router takes the configuration of any router, except for what the system says itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from eventgraph.errors import StartError
from eventgraph.running.routing import SystemRouter
from eventgraph.running.settings import Settings, load
from graphrouter.transport.inprocess import Lifespan
from kithgraph.system import SOCIAL_NETWORK

URLS = dict.fromkeys(SOCIAL_NETWORK.names, "http://127.0.0.1:9/graphql")


def routed(tmp_path: Path, text: str, **settings: Any) -> SystemRouter:
    file = tmp_path / "router.yaml"
    file.write_text(text)
    return SystemRouter(URLS, load(SOCIAL_NETWORK, data=tmp_path, **settings), SOCIAL_NETWORK, file)


def test_the_systems_own_settings_win_and_the_rest_is_the_files(tmp_path: Path) -> None:
    text = (
        "server: {hosts: [a.example], cors_origins: ['https://a.example'], playground: false,"
        " concurrent_streams: 5}\n"
        "limits: {depth: 7}\n"
        "subgraphs: {users: {timeout_seconds: 2, headers: {x-key: a}}}\n"
        "forwarding: {headers: {x-tenant: true}}\n"
    )
    options = routed(tmp_path, text).read().options
    assert (options.limits.depth, options.playground, options.concurrent_streams) == (7, False, 5)
    assert (options.hosts, options.cors_origins) == (("a.example",), ("https://a.example",))
    assert (options.subgraph_timeouts, options.subgraph_headers) == ({"users": 2}, {"users": {"x-key": "a"}})
    assert {"x-tenant", "correlation-id"} <= options.forwarded_headers
    assert options.examples == tuple(SOCIAL_NETWORK.examples())
    assert options.health_paths == dict.fromkeys(SOCIAL_NETWORK.names, "/health/ready")
    own = routed(tmp_path, text, allow_hosts="b.example", cors_origins="https://b.example").read().options
    assert (own.hosts, own.cors_origins) == (("b.example",), ("https://b.example",))
    assert routed(tmp_path, text, concurrent_streams=6).read().options.concurrent_streams == 6


async def test_no_configuration_is_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its models are left alone where there is none: then their defaults have to be the options' own."""
    reach = load(SOCIAL_NETWORK, data=tmp_path, concurrent_streams=3, allow_hosts="a.example")
    without = SystemRouter(URLS, reach, SOCIAL_NETWORK).read()
    empty = routed(tmp_path, "{}\n", concurrent_streams=3, allow_hosts="a.example").read()
    assert without.options == empty.options
    assert (without.prepared, without.prepared_seconds) == (empty.prepared, empty.prepared_seconds)
    assert (without.options.hosts, without.options.concurrent_streams) == (("a.example",), 3)
    monkeypatch.setenv("GRAPHROUTER_LIMITS__DEPTH", "7")
    assert SystemRouter(URLS, reach, SOCIAL_NETWORK).read().options.limits.depth == 7


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("supergraph: a.graphql\n", "router.yaml:1: supergraph: expected keys of a system's router"),
        ("server: {port: 1}\n", "router.yaml:1: server.port: expected keys of a system's router"),
        ("subgraphs:\n  nobody: {}\n", "router.yaml:2: subgraphs: expected one of friends, recommendations, users"),
        ("subgraphs:\n  users: {url: 'http://a/'}\n", "router.yaml:2: subgraphs.users.url: expected no URL"),
        ("limits: {dept: 1}\n", "limits.dept: no such key; did you mean limits.depth?"),
    ],
)
async def test_what_a_systems_router_cannot_be_told_stops_the_start(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(StartError) as error:
        await routed(tmp_path, text).app()
    assert told in str(error.value)


async def test_a_systems_router_tells_its_statistics_and_its_configuration(tmp_path: Path) -> None:
    router = routed(tmp_path, "limits: {depth: 1}\n")
    assert router.statistics() == {}
    app = await router.app()
    lifespan = Lifespan(app)
    await lifespan.start()
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        refused = await client.post("/graphql", json={"query": "{ users { nodes { id } } }"})
        ready = (await client.get("/health/ready")).json()
    await lifespan.stop()
    assert refused.json()["errors"][0]["extensions"]["code"] == "TOO_DEEP"
    assert (ready["status"], ready["configuration"]["generation"]) == ("not ready", 1)


def test_the_file_is_a_setting_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KITH_ROUTER_CONFIG", str(tmp_path / "router.yaml"))
    assert load(SOCIAL_NETWORK).router_config == tmp_path / "router.yaml"
    assert isinstance(load(SOCIAL_NETWORK, router_config=tmp_path), Settings)
