"""An acknowledgement means every replica in sync, and a batch that is sent again stands on the log once."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record import MemoryRecords

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.kafka.publisher import Publisher
from tests.support.kafka_log import commit

pytestmark = pytest.mark.engines


async def test_a_batch_has_a_producer_and_a_number_by_which_brokers_know_it_again(
    connection: KafkaConnection, log: KafkaLog
) -> None:
    sent: list[ProduceRequest] = []
    original = AIOKafkaClient.send

    async def send(client: AIOKafkaClient, node: int, request: Any, **options: Any) -> Any:
        if isinstance(request, ProduceRequest):
            sent.append(request)
        return await original(client, node, request, **options)

    with patch.object(AIOKafkaClient, "send", send):
        async with Publisher(connection, log.topic, partitions=3) as publisher:
            for version in (1, 2):
                await publisher.publish(0, commit("door-1", version, 1))
    numbers: list[tuple[int, int]] = []
    for request in sent:
        [(_, [(_, data)])] = request._topics
        batch = MemoryRecords(bytes(data)).next_batch()
        assert request.required_acks == -1, "all in sync"
        numbers.append((batch.producer_id, batch.base_sequence))
    (producer, first), (again, second) = numbers
    assert producer == again >= 0
    assert (first, second) == (0, 1)
