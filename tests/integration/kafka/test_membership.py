"""Processes that share a group share its partitions; nothing is fetched and no offset is committed on its behalf."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

import pytest

from eventkernel.adapters.kafka import membership
from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.kafka.membership import KafkaMembership
from eventkernel.adapters.kafka.publisher import Publisher
from eventkernel.events import Partition
from eventkernel.reading.membership import NOTHING
from eventkernel.writing.store import Checkpoint
from infra.patience import seconds
from tests.support.kafka_log import LOG, administration, all_of, commit, new_log, settled

pytestmark = pytest.mark.engines

SECONDS = 15


@pytest.fixture
async def members() -> AsyncGenerator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def test_one_member_has_everything_and_leads(
    connection: KafkaConnection, log: KafkaLog, engine_name: str, members: AsyncExitStack
) -> None:
    member = await members.enter_async_context(KafkaMembership(connection, engine_name, [log]))
    assert member.assignment() == NOTHING
    await settled([member], all_of(log))
    assert member.assignment().leads
    assert member.assignment().of(LOG) == frozenset({0, 1, 2})
    assert member.assignment().of("cats.aaaaaaaa") == frozenset()


async def test_two_members_share_one_of_them_leads_and_who_leaves_is_replaced_at_once(
    connection: KafkaConnection,
    log: KafkaLog,
    engine_name: str,
    members: AsyncExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(membership, "_SESSION_MS", 120_000)  # so that it is seen that nobody waits for its end
    first = KafkaMembership(connection, engine_name, [log])
    second = await members.enter_async_context(KafkaMembership(connection, engine_name, [log]))
    async with first:
        await settled([first, second], all_of(log))
        assert first.assignment().leads != second.assignment().leads
        leader = first if first.assignment().leads else second
        assert Partition(LOG, 0) in (leader.assignment().partitions or ())
    async with asyncio.timeout(min(seconds(20), 110)):
        await settled([second], all_of(log))
    assert second.assignment().leads


async def test_the_partitions_of_several_logs_are_shared_out(
    connection: KafkaConnection, log: KafkaLog, engine_name: str, members: AsyncExitStack
) -> None:
    other = await members.enter_async_context(new_log(connection, f"{engine_name}_other", partitions=2))
    other._log = "cats.aaaaaaaa"  # both were made with the same id
    group = [
        await members.enter_async_context(KafkaMembership(connection, engine_name, [other, log])) for _ in range(2)
    ]
    parts = await settled(group, all_of(log) | all_of(other))
    assert sorted(map(len, parts)) == [2, 3]
    leaders = [part for part, member in zip(parts, group, strict=True) if member.assignment().leads]
    assert [Partition("cats.aaaaaaaa", 0) in part for part in leaders] == [True]


async def test_groups_have_nothing_to_do_with_each_other(
    connection: KafkaConnection, log: KafkaLog, engine_name: str, members: AsyncExitStack
) -> None:
    for view in ("users-view", "replica"):
        member = await members.enter_async_context(KafkaMembership(connection, f"{engine_name}.{view}", [log]))
        await settled([member], all_of(log))


async def test_reading_goes_on_while_partitions_move(
    connection: KafkaConnection, log: KafkaLog, publisher: Publisher, engine_name: str, members: AsyncExitStack
) -> None:
    first = await members.enter_async_context(KafkaMembership(connection, engine_name, [log]))
    await settled([first], all_of(log))
    arrived: asyncio.Queue[str] = asyncio.Queue()

    async def read() -> None:
        async for batch in log.subscribe(Checkpoint()):
            for found in batch.records:
                arrived.put_nowait(found.stream)

    reader = asyncio.create_task(read())
    second = await members.enter_async_context(KafkaMembership(connection, engine_name, [log]))
    written = 0
    settling = asyncio.create_task(settled([first, second], all_of(log)))
    async with asyncio.timeout(seconds(SECONDS)):
        while not settling.done():
            await publisher.publish(written % 3, commit(f"door-{written}", 1, 1))
            assert await arrived.get() == f"door-{written}"
            written += 1
    await settling
    reader.cancel()


async def test_nothing_is_fetched_and_no_offset_is_kept_for_a_group(
    connection: KafkaConnection,
    log: KafkaLog,
    publisher: Publisher,
    engine_name: str,
    members: AsyncExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fetched: list[object] = []
    monkeypatch.setattr(
        "aiokafka.consumer.fetcher.PartitionRecords.__init__", lambda *arguments, **_: fetched.append(arguments)
    )
    for partition in range(3):
        await publisher.publish(partition, commit(f"door-{partition}", 1, 3))
    member = await members.enter_async_context(KafkaMembership(connection, engine_name, [log]))
    await settled([member], all_of(log))
    other = await members.enter_async_context(KafkaMembership(connection, engine_name, [log]))
    await settled([member, other], all_of(log))
    for partition in range(3):
        await publisher.publish(partition, commit(f"door-{partition}", 4, 3))
    async with administration(connection) as admin:
        assert not await admin.list_consumer_group_offsets(engine_name)
    assert not fetched
