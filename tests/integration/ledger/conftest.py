"""A log of one's own on the session's servers."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from infra.local import KafkaAddress, MongodbAddress
from tests.support.kafka_store import KafkaLogOnServers


@pytest.fixture
async def servers(
    kafka_server: KafkaAddress, mongodb_server: MongodbAddress, engine_name: str
) -> AsyncGenerator[KafkaLogOnServers]:
    log = KafkaLogOnServers(kafka_server.bootstrap, mongodb_server.url, engine_name)
    yield log
    await log.aclose()
