"""The producer that commits travel with: idempotent, and acknowledged by every replica in sync."""

from __future__ import annotations

from aiokafka import AIOKafkaProducer

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.lifecycle import give_up, started
from eventkernel.adapters.kafka.topic import LARGEST_BATCH


async def connected_producer(connection: KafkaConnection) -> AIOKafkaProducer:
    """A producer that brokers have given an id to.

    Raises:
        KafkaError, OSError, TimeoutError: there is none to be had now.
    """
    producer = AIOKafkaProducer(
        **connection.client_settings("eventkernel-publisher"),
        acks="all",
        enable_idempotence=True,
        max_batch_size=LARGEST_BATCH,
        max_request_size=LARGEST_BATCH,
    )
    try:
        await started(producer.start(), connection.patience)
    except BaseException:
        await give_up(producer)
        raise
    return producer
