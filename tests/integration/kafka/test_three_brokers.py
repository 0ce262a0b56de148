"""Three brokers, each record on at least two: one of them may die at any moment, and work goes on by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import aclosing

import pytest

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.kafka.publisher import Publisher
from eventkernel.adapters.kafka.topic import TopicSettings, make_topic
from eventkernel.errors import Unavailable
from eventkernel.events import Record
from eventkernel.reading.folding import checkpoint_after, further
from eventkernel.writing.store import Checkpoint
from infra.local import KafkaAddress, MissingTool, Server, kafka
from infra.patience import seconds
from tests.support.kafka_log import commit, put_fences

pytestmark = [pytest.mark.engines, pytest.mark.slow, pytest.mark.timeout(300)]

WRITERS = 8
COMMITS = 60


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server[KafkaAddress]]:
    try:
        server = kafka(tmp_path_factory.mktemp("cluster") / "kafka", brokers=3)
    except MissingTool as missing:
        pytest.skip(str(missing))
    with server:
        yield server


async def test_nothing_acknowledged_is_lost_and_reading_goes_on_while_each_broker_dies_in_turn(
    cluster: Server[KafkaAddress],
) -> None:
    connection = KafkaConnection(cluster.address.bootstrap, patience=3.0)
    await make_topic(connection, "doors", TopicSettings(3, 3, 2))
    acknowledged: dict[str, tuple[int, int]] = {}
    seen: dict[tuple[int, int], Record] = {}
    async with Publisher(connection, "doors", partitions=3, patience=5.0) as publisher:
        await put_fences(publisher, 1)
        async with await KafkaLog.open(connection, "doors") as log:

            async def write(writer: int, dying: int) -> None:
                for number in range(COMMITS):
                    stream = f"door-{dying}-{writer}-{number}"
                    partition = log.partition_of(stream)
                    while stream not in acknowledged:
                        try:
                            base = await publisher.publish(partition, commit(stream, 1, 2))
                        except Unavailable:
                            continue
                        acknowledged[stream] = (partition, base)

            reader = asyncio.create_task(read(log, seen))
            for dying, broker in enumerate(cluster.processes):
                writers = asyncio.gather(*(write(writer, dying) for writer in range(WRITERS)))
                broker.kill()
                await writers
                await asyncio.to_thread(broker.start)
            await publisher.publish(0, commit("last", 1, 1))
            async with asyncio.timeout(seconds(60)):
                await reader
    assert len(acknowledged) == 3 * WRITERS * COMMITS
    for stream, (partition, base) in acknowledged.items():
        assert [(seen[partition, base + index].stream, index) for index in (0, 1)] == [(stream, 0), (stream, 1)]


async def read(log: KafkaLog, seen: dict[tuple[int, int], Record]) -> None:
    """Everything up to the record "last", and whatever stands in the other partitions by then."""
    after, end = Checkpoint(), None
    while end is None or not after.position.covers(end):
        try:
            async with aclosing(log.subscribe(after)) as batches:
                async for batch in batches:
                    seen.update({(batch.partition, found.offset): found for found in batch.records})
                    after = further(after, checkpoint_after((batch,)))
                    if any(found.stream == "last" for found in batch.records):
                        end = await log.head()
                    if end is not None and after.position.covers(end):
                        return
        except Unavailable:
            continue
