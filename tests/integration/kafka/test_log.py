"""A log on a topic is read as the port says: nothing skipped, nothing of an older generation, no fence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.log import KafkaLog, first_fences
from eventkernel.adapters.kafka.producer import connected_producer
from eventkernel.adapters.kafka.publisher import Publisher
from eventkernel.adapters.kafka.records import to_message
from eventkernel.errors import CannotOpen, CorruptData, Unavailable
from eventkernel.events import FENCE, Partition, Position, Record
from eventkernel.writing.fences import fence
from eventkernel.writing.store import Batch, Checkpoint
from infra.patience import seconds
from tests.support.kafka_log import CLAIMS_KEY, LOG, NOW_US, administration, commit, put_fences, record

pytestmark = pytest.mark.engines


async def until(batches: AsyncGenerator[Batch], log: KafkaLog, head: Position) -> list[Batch]:
    """The batches up to this position."""
    found: list[Batch] = []
    reached = Position()
    async with aclosing(batches):
        async for batch in batches:
            found.append(batch)
            reached = reached.join(Position.of(log.log, batch.partition, batch.next_offset))
            if reached.covers(head):
                return found
    raise AssertionError("a subscription has ended")


async def after(log: KafkaLog, checkpoint: Checkpoint, partition: int = 0) -> list[Batch]:
    head = await log.head()
    wanted = Position({Partition(log.log, partition): head[Partition(log.log, partition)]})
    return await until(log.subscribe(checkpoint, frozenset({partition})), log, wanted)


def versions(batches: list[Batch]) -> list[int]:
    return [found.version for batch in batches for found in batch.records]


def at(offset: int, generation: int | None = None, partition: int = 0) -> Checkpoint:
    generations = () if generation is None else ((LOG, partition, generation),)
    return Checkpoint(Position.of(LOG, partition, offset), generations)


async def test_a_log_is_known_by_the_fences_that_it_begins_with(log: KafkaLog) -> None:
    assert (log.log, log.partitions, log.claims_key_fingerprint) == (LOG, 3, CLAIMS_KEY)


async def test_every_record_of_every_partition_comes_in_order(log: KafkaLog, publisher: Publisher) -> None:
    await asyncio.gather(
        *(publisher.publish(part, commit(f"door-{part}", 1 + 3 * n, 3)) for n in range(500) for part in range(3))
    )
    batches = await until(log.subscribe(Checkpoint()), log, await log.head())
    for partition in range(3):
        own = [batch for batch in batches if batch.partition == partition]
        records = [found for batch in own for found in batch.records]
        assert [found.version for found in records] == list(range(1, 1501))
        assert [found.offset for found in records] == list(range(1, 1501))
        assert {found.partition for found in records} == {partition}
        assert own[-1].next_offset == 1501
        assert {batch.generation for batch in own} == {1}


async def test_new_records_come_as_soon_as_they_are_there(log: KafkaLog, publisher: Publisher) -> None:
    async with aclosing(log.subscribe(Checkpoint())) as batches:
        for version in range(1, 6):
            await publisher.publish(1, [record("door", version)])
            async for batch in batches:
                if batch.records:
                    assert [found.version for found in batch.records] == [version]
                    break


async def test_only_the_partitions_asked_for_are_read(log: KafkaLog, publisher: Publisher) -> None:
    for partition in range(3):
        await publisher.publish(partition, [record(f"door-{partition}", 1)])
    head = await log.head()
    wanted = Position({Partition(LOG, number): head[Partition(LOG, number)] for number in (0, 2)})
    batches = await until(log.subscribe(Checkpoint(), frozenset({0, 2})), log, wanted)
    assert {batch.partition for batch in batches} == {0, 2}


async def test_reading_goes_on_after_the_checkpoint(log: KafkaLog, publisher: Publisher) -> None:
    await publisher.publish(0, commit("door", 1, 10))
    for offset in (0, 1, 2, 7, 10):
        assert versions(await after(log, at(offset, 1))) == list(range(max(offset, 1), 11))


async def test_a_checkpoint_past_the_end_says_that_something_was_lost(log: KafkaLog) -> None:
    with pytest.raises(CorruptData, match=rf"{LOG}/2: the log ends at 1, and its reader is at 5"):
        await anext(log.subscribe(at(5, partition=2)))


async def test_records_that_were_deleted_are_missed(
    connection: KafkaConnection, log: KafkaLog, publisher: Publisher
) -> None:
    await publisher.publish(0, commit("door", 1, 10))
    async with administration(connection) as admin:
        await admin.delete_records({TopicPartition(log.topic, 0): RecordsToDelete(4)})
    with pytest.raises(CorruptData, match="records that were there are gone"):
        await after(log, Checkpoint())


async def test_behind_a_fence_nothing_of_older_generations_comes(log: KafkaLog, publisher: Publisher) -> None:
    await publisher.publish(0, commit("door", 1, 2))
    await put_fences(publisher, 2)
    await publisher.publish(0, commit("door", 3, 2, data="late"))
    await publisher.publish(0, commit("door", 3, 2, generation=2))
    await put_fences(publisher, 1)  # a late fence opens nothing again
    await publisher.publish(0, commit("door", 5, 2, data="late"))
    batches = await after(log, Checkpoint())
    assert versions(batches) == [1, 2, 3, 4]
    assert not [found for batch in batches for found in batch.records if b"late" in found.data]
    assert not [found for batch in batches for found in batch.records if found.type == FENCE]
    assert (batches[-1].next_offset, batches[-1].generation) == (11, 2)


async def test_a_checkpoint_moves_over_what_is_dropped(log: KafkaLog, publisher: Publisher) -> None:
    await put_fences(publisher, 2)
    await publisher.publish(0, commit("door", 1, 2, data="late"))
    (batch,) = await after(log, at(1, 1))
    assert (list(batch.records), batch.next_offset, batch.generation) == ([], 4, 2)


async def test_a_checkpoint_keeps_the_generation_that_was_seen(log: KafkaLog, publisher: Publisher) -> None:
    await put_fences(publisher, 2)
    await publisher.publish(0, commit("door", 1, 1, data="late"))
    await publisher.publish(0, commit("door", 1, 1, generation=2))
    assert versions(await after(log, at(2, 2))) == [1]
    assert versions(await after(log, at(2, 1))) == [1, 1]


@pytest.mark.parametrize("chunk", [1, 3, 2_000])
async def test_a_checkpoint_without_a_generation_looks_for_the_last_fence_before_it(
    log: KafkaLog, publisher: Publisher, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr("eventkernel.adapters.kafka.log._LOOK_BACK", chunk)
    await put_fences(publisher, 2)
    await publisher.publish(0, commit("door", 1, 20, generation=2))
    await publisher.publish(0, commit("door", 21, 1, data="late"))
    await put_fences(publisher, 3)
    assert versions(await after(log, at(20))) == [19, 20]
    assert versions(await after(log, at(1))) == list(range(1, 21))


@pytest.mark.parametrize("chunk", [1, 3, 2_000])
async def test_a_late_fence_is_not_taken_for_the_last_one(
    log: KafkaLog, publisher: Publisher, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr("eventkernel.adapters.kafka.log._LOOK_BACK", chunk)
    await put_fences(publisher, 2)
    await publisher.publish(0, commit("door", 1, 8, generation=2))
    await put_fences(publisher, 1)
    await publisher.publish(0, commit("door", 9, 1, generation=2))
    await publisher.publish(0, commit("door", 10, 1, data="late"))
    assert versions(await after(log, at(12))) == []


async def test_a_version_that_is_there_twice_comes_twice(log: KafkaLog, publisher: Publisher) -> None:
    """Readers know the streams' versions, and drop the later one."""
    await publisher.publish(0, commit("door", 1, 2))
    await publisher.publish(0, commit("door", 1, 2))
    assert versions(await after(log, Checkpoint())) == [1, 2, 1, 2]


async def test_what_is_no_record_of_this_log_is_an_alarm_and_passed_over(
    connection: KafkaConnection, log: KafkaLog, publisher: Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    await publisher.publish(0, [record("door", 1)])
    await put_raw(connection, log.topic, None, b"hello", [])
    await publisher.publish(0, [fence("cats.aaaaaaaa", 0, 9, CLAIMS_KEY, NOW_US)])
    await publisher.publish(0, [record("door", 2)])
    with caplog.at_level(logging.ERROR, "eventkernel"):
        batches = await after(log, Checkpoint())
    assert versions(batches) == [1, 2]
    where = f"topic {log.topic}, partition 0, offset"
    assert [message.partition(": ")[0] for message in caplog.messages] == [f"{where} 2", f"{where} 3"]
    assert "a record of the log cats.aaaaaaaa" in caplog.messages[1]


async def test_a_record_of_a_newer_release_stops_the_reading(connection: KafkaConnection, log: KafkaLog) -> None:
    message = to_message(record("door", 1))
    headers = [(name, b"2" if name == "ce_envelopeversion" else value) for name, value in message.headers]
    await put_raw(connection, log.topic, message.key, message.value, headers)
    with pytest.raises(CorruptData, match="envelopeversion: expected at most 1, found 2"):
        await after(log, Checkpoint())


async def put_raw(
    connection: KafkaConnection, topic: str, key: bytes | None, value: bytes, headers: list[tuple[str, bytes]]
) -> None:
    """What anybody's producer may put into partition 0."""
    producer = await connected_producer(connection)
    batch = producer.create_batch()
    batch.append(timestamp=None, key=key, value=value, headers=headers)
    await (await producer.send_batch(batch, topic, partition=0))
    await producer.stop()


async def test_a_topic_without_all_its_fences_is_a_log_in_the_making(
    connection: KafkaConnection, topic: str, publisher: Publisher
) -> None:
    assert not await first_fences(connection, topic, 3)
    await publisher.publish(1, [fence(LOG, 1, 1, CLAIMS_KEY, NOW_US)])
    with pytest.raises(Unavailable, match="the log is being made"):
        await KafkaLog.open(connection, topic)
    assert {number: found.log for number, found in (await first_fences(connection, topic, 3)).items()} == {1: LOG}


async def test_a_topic_that_begins_with_something_else_is_no_log(
    connection: KafkaConnection, topic: str, publisher: Publisher
) -> None:
    await publisher.publish(2, [record("door", 1)])
    with pytest.raises(CannotOpen, match=r"expected a log's fence at the start of partition 2, found doors\.Opened"):
        await KafkaLog.open(connection, topic)


async def test_a_topic_of_two_logs_is_no_log(connection: KafkaConnection, topic: str, publisher: Publisher) -> None:
    await put_fences(publisher, 1, partitions=2)
    await publisher.publish(2, [fence("doors.another0", 2, 1, CLAIMS_KEY, NOW_US)])
    with pytest.raises(CannotOpen, match="its partitions begin with fences of different logs"):
        await KafkaLog.open(connection, topic)


async def test_a_missing_topic_is_unavailable_and_is_not_made(connection: KafkaConnection, engine_name: str) -> None:
    with pytest.raises(Unavailable, match="it does not exist yet"):
        await KafkaLog.open(connection, engine_name)
    async with administration(connection) as admin:
        assert engine_name not in await admin.list_topics()


async def test_the_head_names_every_partition_and_covers_what_was_acknowledged(
    log: KafkaLog, publisher: Publisher
) -> None:
    assert dict(await log.head()) == {Partition(LOG, number): 1 for number in range(3)}

    async def write_and_look(number: int) -> None:
        base = await publisher.publish(number % 3, [record(f"door-{number}", 1)])
        assert (await log.head())[Partition(LOG, number % 3)] > base

    await asyncio.gather(*(write_and_look(number) for number in range(200)))


async def test_a_closed_log_is_unavailable(connection: KafkaConnection, log: KafkaLog) -> None:
    other = await KafkaLog.open(connection, log.topic)
    asked = asyncio.gather(*(other.head() for _ in range(3)), return_exceptions=True)
    closing = asyncio.create_task(other.aclose())
    assert [type(answer) for answer in await asked] == 3 * [Unavailable]
    await closing
    for _ in range(2):
        with pytest.raises(Unavailable, match="the log is closed"):
            await other.head()
    with pytest.raises(Unavailable, match="the log is closed"):
        await anext(other.subscribe(Checkpoint()))


async def test_a_piece_of_a_partition_is_read_as_it_stands(log: KafkaLog, publisher: Publisher) -> None:
    await publisher.publish(0, commit("door", 1, 4))
    await put_fences(publisher, 2)
    await publisher.publish(0, commit("door", 5, 4, data="late"))

    async def piece(start: int, stop: int) -> list[Record]:
        return [found async for records in log.read(0, start, stop) for found in records]

    assert [found.offset for found in await piece(0, 10)] == list(range(10))
    assert [found.type == FENCE for found in await piece(4, 7)] == [False, True, False]
    assert await piece(3, 3) == []
    with pytest.raises(CorruptData, match="/0: the log ends at 10"):
        await piece(0, 11)


async def test_all_fences_are_found(log: KafkaLog, publisher: Publisher) -> None:
    await publisher.publish(1, commit("door", 1, 700))
    await put_fences(publisher, 2)
    found = [(each.partition, each.offset, each.generation) for each in await log.fences()]
    assert found == [(0, 0, 1), (0, 1, 2), (1, 0, 1), (1, 701, 2), (2, 0, 1), (2, 1, 2)]


async def test_many_subscriptions_live_beside_each_other_and_end_when_they_are_closed(
    log: KafkaLog, publisher: Publisher
) -> None:
    await publisher.publish(0, commit("door", 1, 5))
    for batches in await asyncio.gather(*(after(log, Checkpoint()) for _ in range(5))):
        assert versions(batches) == [1, 2, 3, 4, 5]
    tasks = {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
    subscription = log.subscribe(Checkpoint())
    await anext(subscription)
    await subscription.aclose()
    left = {task for task in asyncio.all_tasks() if task is not asyncio.current_task()} - tasks
    if left:
        await asyncio.wait(left, timeout=seconds(5))
    assert all(task.done() for task in left)
