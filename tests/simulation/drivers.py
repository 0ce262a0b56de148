"""Puts the simulated clients in the place of aiokafka's, for as long as a block lasts."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from unittest.mock import patch

from tests.simulation.broker import Admin, Broker, Consumer, Producer

_KAFKA = "eventkernel.adapters.kafka"


@contextmanager
def simulated_kafka(broker: Broker) -> Generator[None]:
    with ExitStack() as stack:
        for place, client in (
            ("consumer.AIOKafkaConsumer", Consumer),
            ("producer.AIOKafkaProducer", Producer),
            ("topic.AIOKafkaAdminClient", Admin),
        ):
            stack.enter_context(patch(f"{_KAFKA}.{place}", partial(client, broker)))
        yield
