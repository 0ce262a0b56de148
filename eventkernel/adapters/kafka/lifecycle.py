"""Starting and ending aiokafka's clients in bounded time, whatever the brokers do, and with every connection closed.

What aiokafka 0.14 does by itself, and what is done about it here:

- `start`, when it is cancelled, forgets a connection that it has opened. So it runs in a task of its own, which may end
  first: each of its steps has a deadline.
- A consumer's `stop` cancels its own tasks and awaits them: a cancellation may come out of it, as if its caller were
  meant, before the connections are closed. So it runs in a task of its own, and they are closed again.
- An idempotent producer never gives a batch up: it sends it again and again, and its `stop` waits for that. After an
  error or a missed deadline nobody waits for the batch any more, and it must not be sent an hour later either. So the
  producer is cut off from its brokers and its sender is cancelled. What was on its way may still arrive.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Final, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError, ProducerClosed

_log: Final = logging.getLogger(__name__)

_CLOSING_SECONDS: Final = 2.0


class Connections(Protocol):
    """What aiokafka's producers and consumers have inside."""

    async def close(self) -> None: ...


async def started(start: Coroutine[object, object, None], seconds: float | None) -> None:
    """Await a client's `start()`, at most so many seconds where they are given.

    Raises:
        KafkaError, OSError, TimeoutError: there is no broker to be had now.
    """
    task = asyncio.create_task(start)
    try:
        async with asyncio.timeout(seconds):
            await asyncio.shield(task)
    finally:
        await _end(task)


async def let_go(consumer: AIOKafkaConsumer) -> None:
    """Close a consumer."""
    stopping = asyncio.create_task(consumer.stop())
    await _end(stopping)
    if not stopping.done() or stopping.cancelled() or stopping.exception() is not None:
        await _disconnect(consumer._client)  # noqa: SLF001 -- the name is in aiokafka's stub


async def give_up(producer: AIOKafkaProducer) -> None:
    """Close a producer at once: whoever waits for one of its batches gets `ProducerClosed`."""
    # aiokafka has no public way to this end; the private names are in its stub.
    producer._message_accumulator.fail_all(ProducerClosed())  # noqa: SLF001
    await _disconnect(producer.client)
    sender = producer._sender.sender_task  # noqa: SLF001
    if sender is not None:
        # Whose batches it would fail once more, and then itself, having no transaction to fail.
        sender.remove_done_callback(producer._sender._fail_all)  # noqa: SLF001
        # The first cancellation lets the sender wait for its requests, the second ends these too.
        for _ in range(3):
            sender.cancel()
            await asyncio.wait([sender], timeout=_CLOSING_SECONDS / 4)
        await _end(sender)
    try:
        async with asyncio.timeout(_CLOSING_SECONDS):
            await producer.stop()
    except (TimeoutError, KafkaError, OSError) as error:
        _log.warning("a producer did not close: %s", type(error).__name__)


async def _disconnect(client: Connections) -> None:
    """Close a client's connections, in a task of its own: where a wait for one of them was cancelled before, this one
    ends in a cancellation that nobody has asked for."""
    await _end(asyncio.create_task(client.close()))


async def _end(task: asyncio.Task[None]) -> None:
    """Let the task end, or else cancel it; whatever comes of it is for somebody else."""
    if not task.done():
        await asyncio.wait([task], timeout=_CLOSING_SECONDS)
    if not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_CLOSING_SECONDS)
    if task.done() and not task.cancelled():
        task.exception()
