"""An acknowledgement means every replica in sync, and a batch that is sent again stands on the log once."""

from __future__ import annotations

from importlib import import_module
from typing import Any
from unittest.mock import patch

import pytest

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.kafka.publisher import Publisher
from tests.support.kafka_log import commit

pytestmark = pytest.mark.engines


async def test_a_batch_has_a_producer_and_a_number_by_which_brokers_know_it_again(
    connection: KafkaConnection, log: KafkaLog
) -> None:
    sent: list[Any] = []
    client_class: Any = import_module("aiokafka.client").AIOKafkaClient  # the stubs leave these modules out
    original = client_class.send

    async def send(client: Any, node: int, request: Any, **options: Any) -> Any:
        if type(request).__name__ == "ProduceRequest":
            sent.append(request)
        return await original(client, node, request, **options)

    with patch.object(client_class, "send", send):
        async with Publisher(connection, log.topic, partitions=3) as publisher:
            for version in (1, 2):
                await publisher.publish(0, commit("door-1", version, 1))
    numbers: list[tuple[int, int]] = []
    for request in sent:
        [(_, [(_, data)])] = request._topics
        batch = import_module("aiokafka.record").MemoryRecords(bytes(data)).next_batch()
        assert request.required_acks == -1, "all in sync"
        numbers.append((batch.producer_id, batch.base_sequence))
    (producer, first), (again, second) = numbers
    assert producer == again >= 0
    assert (first, second) == (0, 1)
