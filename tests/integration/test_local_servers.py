"""Servers without containers: what they keep, how they fail, how several sessions get along."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection
from neo4j import AsyncDriver, AsyncGraphDatabase, TrustCustomCAs
from neo4j.exceptions import AuthError
from pymongo.errors import OperationFailure

from infra.local import KafkaAddress, MissingTool, Neo4jAddress, ServerError, kafka, mongodb, neo4j, s3, shared
from infra.local import install as installing
from infra.local.ports import free_ports, taken
from infra.local.process import ServerProcess, processes_in
from infra.patience import seconds

REPOSITORY = Path(__file__).parents[2]
TOPIC = "kept"


async def send(bootstrap: str, value: bytes, **security: Any) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, **security)
    try:
        await producer.start()
        batch = producer.create_batch()
        batch.append(key=None, value=value, timestamp=None)
        await asyncio.wait_for(await producer.send_batch(batch, TOPIC, partition=0), seconds(30))
    finally:
        await producer.stop()


async def received(bootstrap: str, count: int) -> list[bytes | None]:
    """So many values from the topic's beginning, in order."""
    consumer = AIOKafkaConsumer(TOPIC, bootstrap_servers=bootstrap, auto_offset_reset="earliest", group_id=None)
    values: list[bytes | None] = []
    try:
        await consumer.start()
        async with asyncio.timeout(seconds(30)):
            while len(values) < count:
                for records in (await consumer.getmany(timeout_ms=1000)).values():
                    values += [record.value for record in records]
    finally:
        await consumer.stop()
    return values


async def make_topic(bootstrap: str, replicas: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        settings = {"min.insync.replicas": str(min(2, replicas))}
        await admin.create_topics([NewTopic(TOPIC, 1, replicas, topic_configs=settings)])
    finally:
        await admin.close()


def tls_to_kafka(address: KafkaAddress, password: str) -> dict[str, Any]:
    assert address.login
    return {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": address.login.user,
        "sasl_plain_password": password,
        "ssl_context": ssl.create_default_context(cafile=str(address.login.authority)),
    }


@pytest.mark.engines
async def test_kafka_keeps_what_it_acknowledged_when_killed_and_takes_tls_with_a_password(tmp_path: Path) -> None:
    with kafka(tmp_path / "kafka", secure=True, short_lived=True) as server:
        address = server.address
        assert address.secured_bootstrap
        assert address.login
        await make_topic(address.bootstrap, 1)
        await send(address.secured_bootstrap, b"one", **tls_to_kafka(address, address.login.password))
        server.kill()
        assert not server.running
        server.start()
        await send(address.secured_bootstrap, b"two", **tls_to_kafka(address, address.login.password))
        assert await received(address.bootstrap, 2) == [b"one", b"two"]
        with pytest.raises(KafkaConnectionError):
            await send(address.secured_bootstrap, b"three", **tls_to_kafka(address, "guessed"))


@pytest.mark.engines
@pytest.mark.slow
async def test_three_brokers_go_on_without_one_and_take_it_back(tmp_path: Path) -> None:
    with kafka(tmp_path / "kafka", brokers=3, short_lived=True) as server:
        bootstrap = server.address.bootstrap
        await make_topic(bootstrap, 3)
        await send(bootstrap, b"one")
        server.processes[0].kill()
        await send(bootstrap, b"two")
        server.start()
        assert await received(bootstrap, 2) == [b"one", b"two"]


def neo4j_driver(address: Neo4jAddress, password: str) -> AsyncDriver:
    trust = TrustCustomCAs(str(address.authority))
    return AsyncGraphDatabase.driver(
        address.url, auth=(address.user, password), encrypted=True, trusted_certificates=trust
    )


@pytest.mark.engines
async def test_neo4j_takes_a_password_that_looks_like_an_option(tmp_path: Path) -> None:
    """One that was drawn by an earlier release, of which one in 64 began with a dash."""
    password = "-in-a-folder-of-before"
    store = {"port": free_ports(1)[0], "secure": False, "password": password}
    (tmp_path / "server.json").write_text(json.dumps(store))
    with neo4j(tmp_path, short_lived=True) as server:
        async with AsyncGraphDatabase.driver(server.address.url, auth=(server.address.user, password)) as driver:
            await driver.verify_connectivity()


@pytest.mark.engines
async def test_neo4j_keeps_what_it_acknowledged_when_killed_and_takes_tls_with_a_password(tmp_path: Path) -> None:
    with neo4j(tmp_path / "neo4j", secure=True, short_lived=True) as server:
        async with neo4j_driver(server.address, server.address.password) as driver:
            await driver.execute_query("CREATE (:Kept {name: 'one'})")
        server.kill()
        server.start()
        async with neo4j_driver(server.address, server.address.password) as driver:
            found = await driver.execute_query("MATCH (kept:Kept) RETURN kept.name AS name")
            assert [record["name"] for record in found.records] == ["one"]
        async with neo4j_driver(server.address, "guessed") as driver:
            with pytest.raises(AuthError):
                await driver.verify_connectivity()


@contextmanager
def things(url: str) -> Generator[AsyncIOMotorCollection[dict[str, Any]]]:
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(url, journal=True)
    try:
        yield client["kept"]["things"]
    finally:
        client.close()


@pytest.mark.engines
async def test_mongodb_keeps_what_it_acknowledged_when_killed_and_takes_tls_with_a_password(tmp_path: Path) -> None:
    with mongodb(tmp_path / "mongodb", secure=True) as server:
        url = server.address.url
        with things(url) as collection:
            await collection.insert_one({"_id": 1})
        server.kill()
        server.start()
        with things(url) as collection:
            assert await collection.find_one() == {"_id": 1}
        nobody, intruder = (re.sub(r"(?<=//).*@", name, url) for name in ("", "kithgraph:guessed@"))
        with things(nobody) as collection, pytest.raises(OperationFailure, match="requires authentication"):
            await collection.find_one()
        with things(intruder) as collection, pytest.raises(OperationFailure, match=r"[Aa]uthentication failed"):
            await collection.find_one()


@pytest.mark.engines
async def test_a_paused_server_does_not_answer_until_it_is_resumed(tmp_path: Path) -> None:
    with mongodb(tmp_path / "mongodb") as server:
        process = server.processes[0]
        server.pause()
        with pytest.raises(ServerError, match=r"SecantusDB does not answer after"):
            process.wait_until_ready(0.1)
        assert server.running
        server.resume()
        process.wait_until_ready()


@pytest.mark.engines
def test_a_folder_started_again_has_its_port_and_a_taken_port_is_named(tmp_path: Path) -> None:
    with mongodb(tmp_path / "one") as first:
        address = first.address
        port = first.processes[0].ports[0]
        with pytest.raises(ServerError, match=f"SecantusDB cannot start: port {port} is in use by another process"):
            mongodb(tmp_path / "two", port=port).start()
        assert processes_in(tmp_path / "two") == []
    with mongodb(tmp_path / "one") as again:
        assert again.address == address


@pytest.mark.engines
def test_two_sessions_that_ask_at_once_share_one_server(tmp_path: Path) -> None:
    both = threading.Barrier(2)

    def ask(_: int) -> object:
        both.wait()
        return shared(tmp_path / "mongodb", mongodb)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(ask, range(2))
    running = processes_in(tmp_path)
    for process in running:
        process.kill()
    assert first == second
    assert [process.name for process in running] == ["mongodb"]


@pytest.mark.engines
def test_a_server_is_stopped_when_the_session_that_wanted_it_is_killed(tmp_path: Path) -> None:
    shared(tmp_path / "mongodb", mongodb)
    [server] = processes_in(tmp_path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as session:
        keeper = [sys.executable, "-m", "infra.local", "down", "--data", str(tmp_path), "--after", str(session.pid)]
        with subprocess.Popen(keeper, cwd=REPOSITORY) as keeping:
            with pytest.raises(subprocess.TimeoutExpired):
                keeping.wait(1)
            mongodb(tmp_path / "mongodb").processes[0].wait_until_ready(0.1)
            session.kill()
            session.wait()
            assert keeping.wait(30) == 0
    assert server.pid is None


def test_a_server_that_ends_while_it_starts_shows_the_end_of_its_log(tmp_path: Path) -> None:
    ended = ServerProcess(
        "Broken",
        tmp_path,
        [sys.executable, "-c", "print('the disk is on fire')", str(tmp_path)],
        ports=(),
        answers=lambda: False,
    )
    with pytest.raises(ServerError, match=r"Broken ended while it started.*\n +the disk is on fire"):
        ended.start()


@pytest.mark.parametrize("server", [kafka, neo4j])
def test_without_java_the_error_says_what_to_install(
    server: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool, match=r"needs `java`, which is not on the PATH: install a Java runtime, 17"):
        server(tmp_path / "server")


def test_without_maven_a_first_start_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "java"
    java.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(
        MissingTool, match=r"Fetching kafka-[\d.]+ needs `mvn`, which is not on the PATH: install Maven"
    ):
        kafka(tmp_path / "server")
    assert list((tmp_path / "cache").rglob("*")) == [tmp_path / "cache/kithgraph", tmp_path / "cache/kithgraph/servers"]


def test_without_go_a_first_start_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(
        MissingTool, match=r"Building versitygw needs `go`, which is not on the PATH: install Go, 1\.26"
    ):
        s3(tmp_path / "server")
    assert list((tmp_path / "cache").rglob("*")) == [tmp_path / "cache/kithgraph", tmp_path / "cache/kithgraph/servers"]


def test_of_two_installations_at_once_one_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    both = threading.Barrier(2)

    def fill(folder: Path) -> None:
        (folder / "half").touch()
        assert not (tmp_path / "kithgraph" / "servers" / "thing-1").exists()
        both.wait()
        (folder / "whole").touch()

    with ThreadPoolExecutor(2) as pool:
        places = list(pool.map(lambda _: installing._installed("thing-1", fill), range(2)))
    assert places[0] == places[1]
    assert sorted(tmp_path.rglob("thing-1*")) == [places[0]]
    assert {file.name for file in places[0].iterdir()} == {"half", "whole"}


def test_a_folder_of_another_shape_is_not_started(tmp_path: Path) -> None:
    (tmp_path / "server.json").write_text("[]")
    with pytest.raises(ServerError, match=r"server\.json is not what a local server writes"):
        mongodb(tmp_path)


def test_free_ports_differ_and_nobody_listens_on_them() -> None:
    ports = free_ports(50)
    assert len(set(ports)) == 50
    assert not any(taken(port) for port in ports)
