"""An idempotent producer that can be given up: connected in bounded time, and let go of without waiting for a broker.

aiokafka's idempotent producer never gives a batch up by itself: it sends it again and again, and its `stop` waits for
that. After an error or a missed deadline nobody waits for the batch any more, and it must not be sent an hour later
either; so the producer is cut off from its brokers and its sender is cancelled. What was on its way may still arrive.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, ProducerClosed

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.topic import LARGEST_BATCH

_log: Final = logging.getLogger(__name__)

_CLOSING_SECONDS: Final = 1.0


async def connected_producer(connection: KafkaConnection) -> AIOKafkaProducer:
    """A producer that brokers have given an id to.

    Raises:
        KafkaError, OSError, TimeoutError: there is none to be had now.
    """
    producer = AIOKafkaProducer(
        **connection.client_settings("kithgraph-publisher"),
        acks="all",
        enable_idempotence=True,
        max_batch_size=LARGEST_BATCH,
        max_request_size=LARGEST_BATCH,
    )
    try:
        async with asyncio.timeout(connection.patience):
            await producer.start()
    except BaseException:
        await give_up(producer)
        raise
    return producer


async def give_up(producer: AIOKafkaProducer) -> None:
    """Close a producer at once: whoever waits for one of its batches gets `ProducerClosed`."""
    # aiokafka has no public way to this end; the three private names are in its stub.
    producer._message_accumulator.fail_all(ProducerClosed())  # noqa: SLF001
    with suppress(TimeoutError, KafkaError, OSError):
        async with asyncio.timeout(_CLOSING_SECONDS):
            await producer.client.close()
    sender = producer._sender.sender_task  # noqa: SLF001
    # The first cancellation lets the sender wait for its requests, the second ends these too.
    for _ in range(3):
        if sender is None or sender.done():
            break
        sender.cancel()
        await asyncio.wait([sender], timeout=_CLOSING_SECONDS / 4)
    try:
        async with asyncio.timeout(_CLOSING_SECONDS):
            await producer.stop()
    except (TimeoutError, KafkaError, OSError) as error:
        _log.warning("a producer did not close: %s", type(error).__name__)
