"""A log that has lost its end gets back what its ledger has, before a command is taken."""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import patch

import pytest

from eventkernel.adapters.kafka.consumer import consuming
from eventkernel.adapters.kafka.opening import Opener
from eventkernel.adapters.kafka.publisher import Publisher
from eventkernel.adapters.kafka.topic import make_topic
from eventkernel.adapters.mongodb.ledger import LedgerChanged
from eventkernel.errors import ClaimTaken, Unavailable
from eventkernel.events import Partition, Record
from eventkernel.testing.event_store_contract import everything, put
from eventkernel.writing.store import ClaimHolder
from tests.support.kafka_log import delete_topic
from tests.support.kafka_store import ONE_BROKER, Died, KafkaLogOnServers, effects, until

pytestmark = pytest.mark.engines


async def cut(servers: KafkaLogOnServers, without: Sequence[str], then: Sequence[str] = ()) -> None:
    """A power cut: from the first of these commands on each partition has lost its records. `then` have come since."""
    (store,) = servers.stores
    kept: dict[int, list[Record]] = {}
    later: list[Record] = []
    for partition, end in (await store.reader.head()).items():
        records = [record async for piece in store.reader.read(partition.number, 0, end) for record in piece]
        lost = next((at for at, record in enumerate(records) if record.command_id in without), len(records))
        kept[partition.number] = records[:lost]
        later += [record for record in records[lost:] if record.command_id in then]
    await servers.close_stores()
    await delete_topic(servers.connection, servers.name)
    await make_topic(servers.connection, servers.name, ONE_BROKER)

    async def is_there() -> bool:
        """Brokers may have forgotten the old topic later than they know the new one."""
        try:
            async with consuming(servers.connection, servers.name) as consumer:
                await consumer.ends(ONE_BROKER.partitions)
        except Unavailable:
            return False
        return True

    await until(is_there)
    async with Publisher(servers.connection, servers.name, partitions=3) as publisher:
        for number, records in kept.items():
            for record in records:
                await publisher.publish(number, [record])
        for record in later:
            offset = await publisher.publish(record.partition, [record])
            generation = await servers.database[f"{servers.name}.generation"].find_one({"_id": "generation"})
            assert generation is not None
            commits = servers.database[f"{servers.name}.commits.{generation['collection']}"]
            await commits.update_one({"_id": record.command_id}, {"$set": {"offset": offset}})


async def test_the_last_acknowledged_commits_are_put_on_the_log_again(servers: KafkaLogOnServers) -> None:
    store = await servers.open()
    await put(store, "door-1", "a", command="c1", claims={"red"})
    await put(store, "door-1", "b", after=1, command="c2")
    await put(store, "door-2", "a", command="d1", claims={"blue"})
    await put(store, "door-1", "c", "d", after=2, command="c3", claims={"green"})
    before = [(record.stream, record.version, record.data) for record in await everything(store)]
    await cut(servers, ["c3", "d1"])
    again = await servers.open()
    assert (await put(again, "door-1", "e", after=4, command="c4")).version == 5
    assert await again.find_claim("green") == ClaimHolder("door-1", 4)
    assert await again.find_claim("red") is None
    with pytest.raises(ClaimTaken):
        await put(again, "door-3", "a", claims={"blue"})
    repeated = await put(again, "door-1", "c", "d", after=2, command="c3", claims={"green"})
    assert repeated.version == 4
    found = [(record.stream, record.version, record.data) for record in await everything(again)]
    assert sorted(one for one in found if one[:2] != ("door-1", 5)) == sorted(before)
    assert {effect.command for effect in await effects(again.reader)} == {"c1", "c2", "c3", "c4", "d1"}
    assert repeated.position[Partition(again.log, again.reader.partition_of("door-1"))] > 0


async def test_what_was_built_on_a_lost_commit_comes_again_behind_it(servers: KafkaLogOnServers) -> None:
    """Versions 1, 2, 4 on the log: the next command got the lost one's offset."""
    store = await servers.open()
    for version, command in enumerate(["c1", "c2", "c3", "c4"]):
        await put(store, "door-1", command, after=version, command=command)
    await cut(servers, ["c3"], then=["c4"])
    again = await servers.open()
    await servers.close_stores()
    await servers.database.client.drop_database(servers.name)
    again = await servers.open()
    assert [record.command_id for record in await again.read_stream("door-1")] == ["c1", "c2", "c3", "c4"]
    assert not (await again.writing()).waiting


@pytest.mark.parametrize("publishes", [1, 4, 5], ids=["at the fences", "before", "between"])
async def test_another_one_finishes_where_an_opener_dies(servers: KafkaLogOnServers, publishes: int) -> None:
    store = await servers.open()
    for version, command in enumerate(["c1", "c2", "c3"]):
        await put(store, "door-1", command, after=version, command=command)
    await cut(servers, ["c2"])
    original, calls = Publisher.publish, 0

    async def dies(publisher: Publisher, partition: int, records: Sequence[Record]) -> int:
        nonlocal calls
        calls += 1
        if calls == publishes:
            raise Died
        return await original(publisher, partition, records)

    with patch.object(Publisher, "publish", dies), pytest.raises(Died):
        await servers.open()
    with patch("eventkernel.adapters.kafka.opening._SILENCE_SECONDS", 0.5):
        again = await servers.open()
    assert [record.command_id for record in await again.read_stream("door-1")] == ["c1", "c2", "c3"]
    assert [effect.command for effect in await effects(again.reader)] == ["c1", "c2", "c3"]


async def test_a_log_that_ends_earlier_than_it_did_is_compared_before_anything_is_answered(
    servers: KafkaLogOnServers,
) -> None:
    store = await servers.open()
    await put(store, "door-1", "a", command="c1")
    lane = store._publisher._lanes[store.reader.partition_of("door-1")]
    lane.end += 5  # this process has seen the log to be longer
    opened: list[str] = []
    original = Opener.open

    async def opening(opener: Opener) -> object:
        opened.append("again")
        return await original(opener)

    with patch.object(Opener, "open", opening):
        with pytest.raises(LedgerChanged, match="the log ended at"):
            await put(store, "door-1", "b", after=1, command="c2")

        async def compared() -> bool:
            return opened == ["again"] and not (await store.writing()).refused

        await until(compared)
    assert (await put(store, "door-1", "b", after=1, command="c2")).version == 2
