"""A broker that hangs or dies: everything is `Unavailable` in bounded time, and goes on by itself afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.kafka.membership import KafkaMembership
from eventkernel.adapters.kafka.publisher import Publisher
from eventkernel.errors import Unavailable
from eventkernel.events import Partition, Record
from eventkernel.reading.membership import NOTHING
from eventkernel.writing.store import Checkpoint
from infra.local import KafkaAddress, Server
from tests.support.kafka_log import all_of, commit, new_log, record, settled

pytestmark = pytest.mark.engines

PATIENCE = 1.0
BOUND = 8 * PATIENCE
"""Connecting anew, asking and closing each have their own deadline."""


@pytest.fixture
async def log(own_kafka: Server[KafkaAddress], engine_name: str) -> AsyncGenerator[KafkaLog]:
    async with new_log(KafkaConnection(own_kafka.address.bootstrap, patience=PATIENCE), engine_name) as opened:
        yield opened


@pytest.fixture
async def publisher(own_kafka: Server[KafkaAddress], log: KafkaLog) -> AsyncGenerator[Publisher]:
    connection = KafkaConnection(own_kafka.address.bootstrap, patience=PATIENCE)
    async with Publisher(connection, log.topic, partitions=3, patience=PATIENCE) as opened:
        yield opened


@contextmanager
def hanging(server: Server[KafkaAddress]) -> Generator[None]:
    server.pause()
    try:
        yield
    finally:
        server.resume()


async def published(publisher: Publisher, partition: int, records: list[Record]) -> int:
    """As a patient client does it: the same again until it is acknowledged."""
    while True:
        try:
            return await publisher.publish(partition, records)
        except Unavailable:
            continue


async def the_head(log: KafkaLog) -> int:
    while True:
        try:
            return sum((await log.head()).values())
        except Unavailable:
            continue


async def everything(log: KafkaLog, partition: int) -> list[Record]:
    end = (await log.head())[Partition(log.log, partition)]
    return [found async for piece in log.read(partition, 1, end) for found in piece]


async def test_a_commit_is_unavailable_while_the_broker_hangs_and_is_whole_wherever_it_lands(
    own_kafka: Server[KafkaAddress], log: KafkaLog, publisher: Publisher
) -> None:
    await publisher.publish(0, commit("before", 1, 2))
    with hanging(own_kafka):
        started = asyncio.get_running_loop().time()
        answers = await asyncio.gather(
            *(publisher.publish(number % 3, commit(f"door-{number}", 1, 2)) for number in range(12)),
            return_exceptions=True,
        )
        assert all(isinstance(answer, Unavailable) for answer in answers)
        again = await asyncio.gather(publisher.publish(0, commit("door-0", 1, 2)), return_exceptions=True)
        assert isinstance(again[0], Unavailable)
        assert asyncio.get_running_loop().time() - started < BOUND
    base = await published(publisher, 0, commit("after", 1, 2))
    found = await everything(log, 0)
    assert [(each.stream, each.version) for each in found if each.offset >= base][:2] == [("after", 1), ("after", 2)]
    for first, second in zip(found[::2], found[1::2], strict=True):
        assert (first.stream, first.version, second.version) == (second.stream, 1, 2)


async def test_nothing_is_sent_any_more_of_what_nobody_waits_for(
    own_kafka: Server[KafkaAddress], log: KafkaLog, publisher: Publisher
) -> None:
    """The driver by itself would send it again and again, also when the broker is back after an hour."""
    await publisher.publish(0, commit("before", 1, 1))
    assert len(sending()) == 1
    with hanging(own_kafka):
        with pytest.raises(Unavailable):
            await publisher.publish(0, commit("door", 1, 1))
        await asyncio.wait(sending(), timeout=BOUND)
        assert not sending()
    await published(publisher, 0, commit("after", 1, 1))
    assert len(sending()) == 1


def sending() -> list[asyncio.Task[Any]]:
    """The tasks with which the driver sends batches."""
    return [task for task in asyncio.all_tasks() if "_sender_routine" in repr(task.get_coro())]


async def test_the_head_and_opening_are_unavailable_while_the_broker_hangs(
    own_kafka: Server[KafkaAddress], log: KafkaLog
) -> None:
    connection = KafkaConnection(own_kafka.address.bootstrap, patience=PATIENCE)
    assert await the_head(log) == 3
    with hanging(own_kafka):
        started = asyncio.get_running_loop().time()
        answers = await asyncio.gather(
            log.head(), log.head(), KafkaLog.open(connection, log.topic), return_exceptions=True
        )
        assert all(isinstance(answer, Unavailable) for answer in answers), answers
        assert asyncio.get_running_loop().time() - started < BOUND
    assert await the_head(log) == 3


async def test_a_subscription_ends_as_unavailable_while_the_broker_hangs_and_another_goes_on(
    own_kafka: Server[KafkaAddress], log: KafkaLog, publisher: Publisher
) -> None:
    await publisher.publish(0, [record("door", 1)])
    async with aclosing(log.subscribe(Checkpoint())) as batches:
        async for batch in batches:
            if batch.records:
                break
        with hanging(own_kafka):
            started = asyncio.get_running_loop().time()
            with pytest.raises(Unavailable):
                async for _ in batches:
                    pass
            assert asyncio.get_running_loop().time() - started < BOUND
    await published(publisher, 0, [record("door", 2)])
    async with aclosing(log.subscribe(Checkpoint())) as batches:
        seen: list[int] = []
        async for batch in batches:
            seen += [found.version for found in batch.records]
            if 2 in seen:
                break
    assert seen[:2] == [1, 2]


async def test_what_was_acknowledged_survives_a_broker_that_is_killed_and_nothing_is_torn(
    own_kafka: Server[KafkaAddress], log: KafkaLog, publisher: Publisher
) -> None:
    acknowledged: dict[str, int] = {}
    under_way = asyncio.Event()

    async def write(name: str) -> None:
        for number in range(150):
            stream = f"{name}-{number}"
            acknowledged[stream] = await published(publisher, log.partition_of(stream), commit(stream, 1, 3))
            if len(acknowledged) == 300:
                under_way.set()

    writers = asyncio.gather(*(write(f"writer-{name}") for name in range(10)))
    await under_way.wait()
    own_kafka.kill()
    await asyncio.to_thread(own_kafka.start)
    await writers
    found = [each for partition in range(3) for each in await everything(log, partition)]
    at = {(each.partition, each.offset): each for each in found}
    for stream, base in acknowledged.items():
        whole = [at[log.partition_of(stream), base + index] for index in range(3)]
        assert [(each.stream, each.version) for each in whole] == [(stream, 1), (stream, 2), (stream, 3)]
    for first, second, third in zip(found[::3], found[1::3], found[2::3], strict=True):
        assert (first.version, second.version, third.version) == (1, 2, 3)
        assert first.command_id == second.command_id == third.command_id


async def test_a_member_takes_part_again_when_the_broker_is_back(
    own_kafka: Server[KafkaAddress], log: KafkaLog, engine_name: str
) -> None:
    connection = KafkaConnection(own_kafka.address.bootstrap, patience=PATIENCE)
    async with KafkaMembership(connection, engine_name, [log]) as first:
        await settled([first], all_of(log))
        own_kafka.kill()
        # Cut off, it keeps what it had; and one that comes now has nothing yet.
        async with KafkaMembership(connection, engine_name, [log]) as late:
            assert (first.assignment().partitions, late.assignment()) == (all_of(log), NOTHING)
            await asyncio.to_thread(own_kafka.start)
            await settled([first, late], all_of(log), seconds=60)


async def test_each_commit_lies_in_one_record_batch_on_the_brokers_disk(
    own_kafka: Server[KafkaAddress], log: KafkaLog, publisher: Publisher
) -> None:
    sizes = [1 + number % 5 for number in range(400)]
    bases = await asyncio.gather(
        *(publisher.publish(0, commit(f"door-{number}", 1, size)) for number, size in enumerate(sizes))
    )
    batches = batches_on_disk(own_kafka.processes[0].folder / "data" / f"{log.topic}-0")
    assert len(batches) < len(sizes)
    for base, size in zip(bases, sizes, strict=True):
        assert [first <= base and base + size <= after for first, after in batches].count(True) == 1


def batches_on_disk(folder: Path) -> list[tuple[int, int]]:
    """The first offset of each record batch of a partition, and the one after its last.

    https://kafka.apache.org/documentation/#recordbatch
    """
    found: list[tuple[int, int]] = []
    for segment in sorted(folder.glob("*.log")):
        data = segment.read_bytes()
        at = 0
        while at + 27 <= len(data) and (length := int.from_bytes(data[at + 8 : at + 12], "big")):
            base = int.from_bytes(data[at : at + 8], "big")
            found.append((base, base + int.from_bytes(data[at + 23 : at + 27], "big") + 1))
            at += 12 + length
    return found


async def test_a_connection_with_tls_and_credentials_works_and_a_wrong_password_is_not_told(
    own_kafka: Server[KafkaAddress], log: KafkaLog
) -> None:
    login = own_kafka.address.login
    assert login is not None
    assert own_kafka.address.secured_bootstrap is not None

    def secured(password: str) -> KafkaConnection:
        return KafkaConnection(
            own_kafka.address.secured_bootstrap or "",
            security_protocol="SASL_SSL",
            user=login.user,
            password=password,
            ca_file=login.authority,
            patience=5.0,
        )

    connection = secured(login.password)
    async with Publisher(connection, log.topic, partitions=3) as publisher:
        await publisher.publish(0, [record("door", 1)])
    async with await KafkaLog.open(connection, log.topic) as again:
        assert again.log == log.log
        assert [found.stream for found in await everything(again, 0)] == ["door"]
    with pytest.raises(Unavailable) as refused:
        await KafkaLog.open(secured("not " + login.password), log.topic)
    assert login.password not in str(refused.value)
