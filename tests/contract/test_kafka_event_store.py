"""The event store on Kafka and MongoDB passes the contract of event stores."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from eventkernel.testing.event_store_contract import EventStoreContract, LogUnderTest
from infra.local import KafkaAddress, MongodbAddress
from tests.support.kafka_store import KafkaLogOnServers

pytestmark = pytest.mark.engines


class TestKafkaEventStore(EventStoreContract):
    @pytest.fixture
    async def log(
        self, kafka_server: KafkaAddress, mongodb_server: MongodbAddress, engine_name: str
    ) -> AsyncIterator[LogUnderTest]:
        log = KafkaLogOnServers(kafka_server.bootstrap, mongodb_server.url, engine_name)
        yield log
        await log.aclose()
