"""A connection to the session's broker, a topic of one's own, and a broker of one's own that may be broken."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator

import pytest

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.kafka.publisher import Publisher
from eventkernel.adapters.kafka.topic import make_topic
from infra.local import KafkaAddress, MissingTool, Server, kafka
from tests.support.kafka_log import delete_topic, new_log, one_broker


@pytest.fixture
def connection(kafka_server: KafkaAddress) -> KafkaConnection:
    return KafkaConnection(kafka_server.bootstrap)


@pytest.fixture
async def topic(connection: KafkaConnection, engine_name: str) -> AsyncGenerator[str]:
    """An empty topic of three partitions."""
    await make_topic(connection, engine_name, one_broker())
    yield engine_name
    await delete_topic(connection, engine_name)


@pytest.fixture
async def log(connection: KafkaConnection, engine_name: str) -> AsyncGenerator[KafkaLog]:
    """A log of three partitions, without events, in generation 1."""
    async with new_log(connection, engine_name) as opened:
        yield opened


@pytest.fixture
async def publisher(connection: KafkaConnection, engine_name: str) -> AsyncGenerator[Publisher]:
    """Writes to the test's topic."""
    async with Publisher(connection, engine_name, partitions=3) as opened:
        yield opened


@pytest.fixture(scope="session")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server[KafkaAddress]]:
    """A broker that tests may pause and kill; whoever does leaves it running. Takes TLS with SCRAM, too."""
    try:
        server = kafka(tmp_path_factory.mktemp("own") / "kafka", secure=True)
    except MissingTool as missing:
        pytest.skip(str(missing))
    with server:
        yield server
