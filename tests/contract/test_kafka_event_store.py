"""The event store on Kafka and MongoDB passes the contract of event stores."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from eventkernel.testing.boundary_contract import BoundaryContract
from eventkernel.testing.event_store_contract import EventStoreContract, LogUnderTest
from infra.local import KafkaAddress, MongodbAddress
from tests.support.kafka_store import KafkaLogOnServers
from tests.support.mongodb_views import DRIVERS

pytestmark = pytest.mark.engines


class TestKafkaEventStore(EventStoreContract, BoundaryContract):
    @pytest.fixture(params=DRIVERS)
    async def log(
        self,
        kafka_server: KafkaAddress,
        mongodb_server: MongodbAddress,
        engine_name: str,
        request: pytest.FixtureRequest,
    ) -> AsyncIterator[LogUnderTest]:
        log = KafkaLogOnServers(kafka_server.bootstrap, mongodb_server.url, engine_name, driver=request.param)
        yield log
        await log.aclose()
