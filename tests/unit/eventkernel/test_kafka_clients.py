"""What the Kafka driver does that its own clients must not pass on."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer

from eventkernel.adapters.kafka import publisher as publishing
from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.lifecycle import let_go, started
from eventkernel.adapters.kafka.publisher import Publisher
from eventkernel.errors import Unavailable
from tests.support.kafka_log import record


class Connections:
    closed = False

    async def close(self) -> None:
        self.closed = True


class Leaking:
    """A consumer whose `stop` lets the cancellation of its own task out, as aiokafka's does while brokers are away."""

    def __init__(self) -> None:
        self._client = Connections()

    async def stop(self) -> None:
        raise asyncio.CancelledError


async def test_closing_a_consumer_is_no_cancellation_of_whoever_closes_it() -> None:
    consumer = Leaking()
    await let_go(cast("AIOKafkaConsumer", consumer))
    assert consumer._client.closed


class LeakingConnections(Connections):
    """As aiokafka's are whose closing somebody has waited for already, and was cancelled."""

    async def close(self) -> None:
        await super().close()
        raise asyncio.CancelledError


async def test_closing_its_connections_again_is_no_cancellation_either() -> None:
    consumer = Leaking()
    consumer._client = LeakingConnections()
    await let_go(cast("AIOKafkaConsumer", consumer))
    assert consumer._client.closed


async def test_a_start_that_nobody_waits_for_any_more_ends_by_itself() -> None:
    """Cancelled in the middle, it would forget a connection that it has opened."""
    opened, answered, closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def start() -> None:
        opened.set()
        await answered.wait()
        closed.set()

    starting = asyncio.create_task(started(start(), None))
    await opened.wait()
    starting.cancel()
    asyncio.get_running_loop().call_soon(answered.set)
    await asyncio.wait([starting])
    assert starting.cancelled()
    assert closed.is_set()


async def test_a_start_without_an_answer_is_given_up_in_time() -> None:
    async def start() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(TimeoutError):
        await started(start(), 0.01)


async def test_an_acknowledgement_without_an_offset_is_an_unknown_outcome_and_the_producer_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Brokers answer so when a batch was sent again that they had, and do not remember where."""
    made: list[Answering] = []

    async def connected(_: KafkaConnection) -> Any:
        made.append(Answering(-1 if not made else 7))
        return made[-1]

    async def given_up(producer: Answering) -> None:
        producer.left = True

    monkeypatch.setattr(publishing, "connected_producer", connected)
    monkeypatch.setattr(publishing, "give_up", given_up)
    async with Publisher(KafkaConnection("broker:9092"), "doors", partitions=1) as publisher:
        with pytest.raises(Unavailable, match="topic doors: the brokers gave no offset"):
            await publisher.publish(0, [record("door", 1)])
        assert await publisher.publish(0, [record("door", 1)]) == 7
    assert [producer.left for producer in made] == [True, True]


class Answering:
    """A producer whose every batch is acknowledged at this offset."""

    def __init__(self, offset: int) -> None:
        self._offset = offset
        self.left = False

    def create_batch(self) -> Any:
        return SimpleNamespace(append=lambda **_: True)

    async def send_batch(self, batch: object, topic: str, *, partition: int) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        answer.set_result(SimpleNamespace(offset=self._offset))
        return answer
