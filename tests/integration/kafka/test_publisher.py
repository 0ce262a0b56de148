"""Commits go onto a topic whole, in bounded time, many of them at once."""

from __future__ import annotations

import asyncio
from itertools import groupby

import pytest

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.kafka.publisher import Publisher
from eventkernel.errors import InvalidInput, Unavailable
from eventkernel.events import Partition, Record
from eventkernel.writing.appending import LARGEST_COMMIT, MOST_EVENTS
from tests.support.kafka_log import commit, record

pytestmark = pytest.mark.engines


async def everything(log: KafkaLog, partition: int) -> list[Record]:
    end = (await log.head())[Partition(log.log, partition)]
    return [found async for piece in log.read(partition, 0, end) for found in piece]


async def events(log: KafkaLog, partition: int) -> list[Record]:
    return [found for found in await everything(log, partition) if found.version]


async def test_each_commit_is_told_where_its_first_record_stands(log: KafkaLog, publisher: Publisher) -> None:
    commits = [commit(f"door-{number}", 1, 1 + number % 4) for number in range(200)]
    bases = await asyncio.gather(*(publisher.publish(number % 3, each) for number, each in enumerate(commits)))
    found = {(each.partition, each.offset): each.id for partition in range(3) for each in await events(log, partition)}
    for number, (base, each) in enumerate(zip(bases, commits, strict=True)):
        assert [found.pop((number % 3, base + index)) for index in range(len(each))] == [one.id for one in each]
    assert not found


async def test_the_commits_of_a_partition_stand_in_the_order_in_which_they_were_given(
    log: KafkaLog, publisher: Publisher
) -> None:
    given = [commit("door", 1 + 2 * number, 2) for number in range(100)]
    bases = await asyncio.gather(*(publisher.publish(1, each) for each in given))
    assert bases == sorted(bases)
    assert [found.version for found in await events(log, 1)] == list(range(1, 201))


async def test_the_records_of_a_commit_are_never_apart(log: KafkaLog, publisher: Publisher) -> None:
    await asyncio.gather(*(publisher.publish(0, commit(f"door-{number}", 1, 1 + number % 7)) for number in range(300)))
    for _, together in groupby(await events(log, 0), key=lambda found: found.command_id):
        whole = list(together)
        assert [found.version for found in whole] == list(range(1, whole[0].commit_size + 1))


async def test_the_largest_commit_of_the_kernel_fits(log: KafkaLog, publisher: Publisher) -> None:
    largest = commit("door", 1, MOST_EVENTS, data="x" * (LARGEST_COMMIT // MOST_EVENTS - 10))
    base = await publisher.publish(2, largest)
    assert base == 1
    assert len(await events(log, 2)) == MOST_EVENTS


async def test_large_commits_that_come_together_go_one_after_the_other(log: KafkaLog, publisher: Publisher) -> None:
    sizes = [900_000, 4_000_000, 300_000, 4_000_000]
    commits = [[record(f"door-{number}", 1, data="x" * size)] for number, size in enumerate(sizes)]
    assert await asyncio.gather(*(publisher.publish(0, each) for each in commits)) == [1, 2, 3, 4]
    assert [found.stream for found in await events(log, 0)] == [f"door-{number}" for number in range(4)]


async def test_a_commit_that_is_too_large_is_refused_and_does_no_harm(log: KafkaLog, publisher: Publisher) -> None:
    too_large = commit("door", 1, 9, data="x" * 500_000)
    with pytest.raises(InvalidInput, match="events: expected at most 4194304 bytes in one commit with its envelopes"):
        Publisher.check(too_large)
    refused, accepted = await asyncio.gather(
        publisher.publish(0, too_large), publisher.publish(0, commit("door", 1, 2)), return_exceptions=True
    )
    assert isinstance(refused, InvalidInput)
    assert accepted == 1
    assert len(await events(log, 0)) == 2


async def test_closing_puts_on_the_log_what_was_given(connection: KafkaConnection, log: KafkaLog) -> None:
    publisher = Publisher(connection, log.topic, partitions=3)
    given = [asyncio.create_task(publisher.publish(0, [record(f"door-{number}", 1)])) for number in range(500)]
    await asyncio.sleep(0)  # all of them have asked
    await publisher.aclose()
    assert all(task.done() for task in given)
    assert len(await events(log, 0)) == 500
    with pytest.raises(Unavailable, match="this process is stopping"):
        await publisher.publish(0, [record("door", 1)])


async def test_who_stops_waiting_harms_nobody_else(log: KafkaLog, publisher: Publisher) -> None:
    given = [asyncio.create_task(publisher.publish(0, [record(f"door-{number}", 1)])) for number in range(50)]
    await asyncio.sleep(0)
    for impatient in given[::2]:
        impatient.cancel()
    answers = await asyncio.gather(*given, return_exceptions=True)
    found = {each.offset: each.stream for each in await events(log, 0)}
    assert [found[base] for base in answers[1::2] if isinstance(base, int)] == [f"door-{n}" for n in range(1, 50, 2)]


async def test_more_than_memory_should_hold_is_turned_away(
    connection: KafkaConnection, log: KafkaLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventkernel.adapters.kafka.publisher._MOST_WAITING", 10_000)
    async with Publisher(connection, log.topic, partitions=3) as publisher:
        answers = await asyncio.gather(
            *(publisher.publish(0, [record(f"door-{number}", 1)]) for number in range(100)), return_exceptions=True
        )
    turned_away = [answer for answer in answers if isinstance(answer, Unavailable)]
    assert 0 < len(turned_away) < 100
    assert {str(answer) for answer in turned_away} == {f"topic {log.topic}: too much is waiting to be written"}
    assert len(await events(log, 0)) == 100 - len(turned_away)


async def test_without_a_broker_it_is_unavailable_at_once() -> None:
    async with Publisher(KafkaConnection("127.0.0.1:1"), "doors", partitions=1) as publisher:
        with pytest.raises(Unavailable, match="topic doors: KafkaConnectionError"):
            await publisher.publish(0, [record("door", 1)])
