"""Managed servers are reached by settings alone: the environment and mounted files say what the drivers are told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dns import resolver
from neo4j import AsyncGraphDatabase
from pymongo.asynchronous import srv_resolver

from eventgraph.running.engines import kafka_connection, mongodb_settings, neo4j_settings
from eventgraph.running.settings import EngineSettings, engine_settings
from eventkernel.adapters.mongodb.connection import MongoConnection
from eventkernel.adapters.neo4j.connection import Neo4jConnection
from shop.system import SHOP

KEY, SECRET = "API-KEY", "correct horse battery staple"


@pytest.fixture
def mounted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder that the platform mounts secrets in."""
    monkeypatch.setenv("SHOP_SECRETS", str(tmp_path))
    return tmp_path


def settings(monkeypatch: pytest.MonkeyPatch, **variables: str) -> EngineSettings:
    for name, value in variables.items():
        monkeypatch.setenv(f"SHOP_{name}", value)
    return engine_settings(SHOP)


def test_kafka_gets_key_and_secret_over_tls(monkeypatch: pytest.MonkeyPatch, mounted: Path) -> None:
    (mounted / "shop_kafka_user").write_text(KEY)
    (mounted / "shop_kafka_password").write_text(f"{SECRET}\n")
    found = kafka_connection(
        settings(
            monkeypatch,
            KAFKA_BOOTSTRAP="pkc-12345.example.net:9092",
            KAFKA_SECURITY="SASL_SSL",
            KAFKA_SASL_MECHANISM="PLAIN",
        )
    ).client_settings("shop")
    assert (found["security_protocol"], found["sasl_mechanism"]) == ("SASL_SSL", "PLAIN")
    assert (found["sasl_plain_username"], found["sasl_plain_password"]) == (KEY, SECRET)
    assert found["bootstrap_servers"] == ["pkc-12345.example.net:9092"]
    context = found["ssl_context"]
    assert context is not None
    assert context.check_hostname
    assert context.get_ca_certs() or context.cert_store_stats() is not None


class Names(list[Any]):
    """An answer of the DNS about a service."""

    rrset = SimpleNamespace(ttl=60)


async def test_mongodb_is_found_by_the_dns_and_spoken_to_over_tls(
    monkeypatch: pytest.MonkeyPatch, mounted: Path
) -> None:
    (mounted / "shop_mongodb_password").write_text(SECRET)
    asked: list[tuple[str, str]] = []

    async def resolve(name: str, kind: str, **_: object) -> Names:
        asked.append((str(name), kind))
        if kind == "TXT":
            raise resolver.NoAnswer
        hosts = [f"shard-{number}.example.net" for number in range(3)]
        return Names(
            SimpleNamespace(target=SimpleNamespace(to_text=lambda host=host, **_: host), port=27017) for host in hosts
        )

    monkeypatch.setattr(srv_resolver, "_resolve", resolve)
    found = mongodb_settings(
        settings(monkeypatch, MONGODB_URL="mongodb+srv://cluster0.example.net/?appName=shop", MONGODB_USER="shop")
    )
    async with MongoConnection(found) as connection:
        client: Any = connection.database("shop_orders").client
        await client._resolve_srv()
        assert ("_mongodb._tcp.cluster0.example.net", "SRV") in asked
        assert {host for host, _ in client._topology_settings.seeds} == {f"shard-{it}.example.net" for it in range(3)}
        options = client.options
        credentials = options.pool_options._credentials
        assert (credentials.username, credentials.password) == ("shop", SECRET)
        assert options.pool_options._ssl_context is not None
        assert options.write_concern.document == {"w": "majority", "j": True}


async def test_neo4j_is_routed_to_over_tls_in_the_database_that_is_named(
    monkeypatch: pytest.MonkeyPatch, mounted: Path
) -> None:
    (mounted / "shop_neo4j_password").write_text(SECRET)
    made: list[tuple[str, dict[str, Any]]] = []
    driver = AsyncGraphDatabase.driver

    def recorded(url: str, **options: Any) -> Any:
        made.append((url, options))
        return driver(url, **options)

    monkeypatch.setattr(AsyncGraphDatabase, "driver", recorded)
    found = neo4j_settings(
        settings(monkeypatch, NEO4J_URL="neo4j+s://12345678.example.net", NEO4J_USER="shop", NEO4J_DATABASE="graph")
    )
    async with Neo4jConnection(found) as connection:
        assert connection._database == "graph"
        assert connection._bookmarks is not None
        assert type(connection._driver).__name__ == "AsyncNeo4jDriver", "the one that asks for a routing table"
    ((url, options),) = made
    assert url == "neo4j://12345678.example.net"
    assert options["auth"] == ("shop", SECRET)
    assert options["ssl_context"].check_hostname
