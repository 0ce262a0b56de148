"""A log that has lost its end gets back what its ledger has, before a command is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from unittest.mock import patch

import msgspec
import pytest

from eventkernel.adapters.kafka.consumer import consuming
from eventkernel.adapters.kafka.event_store import KafkaEventStore
from eventkernel.adapters.kafka.ledger_filler import Filler
from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.kafka.opening import Opener
from eventkernel.adapters.kafka.publisher import Publisher
from eventkernel.adapters.kafka.restoring import compare_with_log
from eventkernel.adapters.kafka.sweeper import Sweeper
from eventkernel.adapters.kafka.topic import make_topic
from eventkernel.adapters.mongodb.ledger_documents import Documents
from eventkernel.adapters.mongodb.ledger_entry import Entry
from eventkernel.adapters.mongodb.ledger_generation import Generation, LedgerChanged, LogCut
from eventkernel.errors import ClaimTaken, Unavailable
from eventkernel.events import Partition, Record
from eventkernel.testing.event_store_contract import everything, put
from eventkernel.writing.store import ClaimHolder
from tests.support.kafka_log import delete_topic
from tests.support.kafka_store import ONE_BROKER, Died, KafkaLogOnServers, effects, patiently, until

pytestmark = pytest.mark.engines

OPENING = "eventkernel.adapters.kafka.opening"
SWEEPER = "eventkernel.adapters.kafka.sweeper"


async def cut(servers: KafkaLogOnServers, without: Sequence[str], then: Sequence[str] = ()) -> None:
    """A power cut: from the first of these commands on each partition has lost its records. `then` have come since, and
    nobody has noticed: the ledger is of a release that does not look at places."""
    (store,) = servers.stores
    kept, later = await without_end(store, without, then)
    await servers.close_stores()
    await make_anew(servers, kept)
    async with Publisher(servers.connection, servers.name, partitions=3) as publisher:
        for record in later:
            offset = await publisher.publish(record.partition, [record])
            generation = await servers.database[f"{servers.name}.generation"].find_one({"_id": "generation"})
            assert generation is not None
            commits = servers.database[f"{servers.name}.commits.{generation['collection']}"]
            await commits.drop_index("places")
            await commits.update_one({"_id": record.command_id}, {"$set": {"offset": offset}})


async def without_end(
    store: KafkaEventStore, without: Sequence[str], then: Sequence[str] = ()
) -> tuple[dict[int, list[Record]], list[Record]]:
    """What is left of a log, by partition, and of the rest the records of some commands."""
    kept: dict[int, list[Record]] = {}
    later: list[Record] = []
    for partition, end in (await store.reader.head()).items():
        records = [record async for piece in store.reader.read(partition.number, 0, end) for record in piece]
        lost = next((at for at, record in enumerate(records) if record.command_id in without), len(records))
        kept[partition.number] = records[:lost]
        later += [record for record in records[lost:] if record.command_id in then]
    return kept, later


async def all_records(log: KafkaLog) -> dict[int, list[Record]]:
    """What is on a log, by partition, as it stands there."""
    return {
        partition.number: [record async for piece in log.read(partition.number, 0, end) for record in piece]
        for partition, end in (await log.head()).items()
    }


async def make_anew(servers: KafkaLogOnServers, kept: Mapping[int, Sequence[Record]]) -> None:
    """The topic with these records alone."""
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
    with patch("eventkernel.adapters.kafka.opening.SILENCE_SECONDS", 0.5):
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


async def forever(_: Sweeper) -> None:
    await asyncio.get_running_loop().create_future()


def stream_beside(store: KafkaEventStore, stream: str) -> str:
    """Another stream of the same partition."""
    number = store.reader.partition_of(stream)
    return next(name for name in (f"door-{n}" for n in range(2, 100)) if store.reader.partition_of(name) == number)


async def test_a_commit_at_a_place_that_another_one_had_is_not_answered_before_the_log_is_whole_again(
    servers: KafkaLogOnServers,
) -> None:
    """This process has not written to the partition before, and no reader of it has seen the log shorter."""
    other = await servers.open()
    with patch.object(Sweeper, "run", forever):
        store = await servers.another()
        for version, command in enumerate(["c1", "c2", "c3"]):
            await put(other, "door-1", command, after=version, command=command)
        kept, _ = await without_end(other, ["c2"])
        await other.aclose()
        servers.stores.remove(other)
        await make_anew(servers, kept)
        beside = stream_beside(store, "door-1")
        with pytest.raises(LedgerChanged):
            await put(store, beside, "a", command="new")
    assert (await patiently(put, store, beside, "a", command="new")).version == 1
    assert (await patiently(put, store, "door-1", "d", after=3, command="c4")).version == 4
    assert [record.command_id for record in await store.read_stream("door-1")] == ["c1", "c2", "c3", "c4"]
    assert {effect.command for effect in await effects(store.reader)} == {"c1", "c2", "c3", "c4", "new"}


async def lost_at(store: KafkaEventStore, stream: str, behind_the_end: int) -> None:
    """The ledger knows of a commit of this stream that stood at or behind the end that the log has now."""
    assert store._documents is not None
    await put(store, stream, "a", command="kept")
    entry = await store._documents.find_command("kept")
    head = await store.head()
    assert entry is not None
    offset = head[Partition(store.log, entry.partition)] + behind_the_end
    lost: Entry = replace(entry, command_id="lost", first_version=2, version=2, offset=offset)
    assert await store._documents.insert(lost)


@pytest.mark.parametrize("behind_the_end", [0, 1, 2])
async def test_a_commit_of_several_records_is_looked_for_at_all_of_its_places(
    servers: KafkaLogOnServers, behind_the_end: int
) -> None:
    store = await servers.open()
    await lost_at(store, "door-1", behind_the_end)
    beside = stream_beside(store, "door-1")
    assert store._documents is not None
    if behind_the_end == 2:
        assert (await put(store, beside, "a", "b", command="new")).version == 2
        assert not await store._documents.contested()
        return
    documents = store._documents
    with pytest.raises(LogCut, match="two commits were put at offset"):
        await put(store, beside, "a", "b", command="new")
    assert await documents.contested(), "whoever opens next looks as far back as this"
    with pytest.raises(LedgerChanged, match="the log was cut"):
        await documents.check()


async def test_a_commit_that_was_published_twice_is_looked_for_at_its_second_place(servers: KafkaLogOnServers) -> None:
    with patch.object(Sweeper, "run", forever):
        store = await servers.open()
        await lost_at(store, "door-1", 0)
        assert store._documents is not None
        (entry,) = await store._documents.whole(["kept"])
        with pytest.raises(LogCut):
            await store._finish(store._documents, entry)


async def late(servers: KafkaLogOnServers, like: Record, number: int) -> None:
    """A record of an older generation comes onto the log: of a process that nobody hears of again."""
    async with Publisher(servers.connection, servers.name, partitions=3) as publisher:
        await publisher.publish(number, [msgspec.structs.replace(like, generation=0, command_id="late")])


@pytest.mark.parametrize("where", ["behind the restored commits", "at their places"])
async def test_what_is_lost_again_while_the_ledger_is_opened_comes_again(
    servers: KafkaLogOnServers, where: str
) -> None:
    """The power comes back, and goes once more: before the fences of the next generation are put."""
    store = await servers.open()
    for version, command in enumerate(["c1", "c2", "c3"]):
        await put(store, "door-1", command, after=version, command=command)
    number = store.reader.partition_of("door-1")
    (like, *_) = await store.read_stream("door-1")
    await cut(servers, ["c2"])
    original, ends = Opener.put_fences, list[Mapping[int, int]]()

    async def put_fences(opener: Opener, generation: Generation) -> Sequence[int]:
        if not ends:
            offsets = await original(opener, generation)
            ends.append({partition: offset + 1 for partition, offset in enumerate(offsets)})
            return offsets
        if len(ends) == 1:
            ends.append({})
            kept = await all_records(opener.log)
            await make_anew(servers, {partition: kept[partition][:end] for partition, end in ends[0].items()})
            if where == "at their places":
                await late(servers, like, number)
                await late(servers, like, number)
        return await original(opener, generation)

    with patch.object(Opener, "put_fences", put_fences), patch(f"{OPENING}.SILENCE_SECONDS", 0.5):
        again = await patiently(servers.open)
        assert (await patiently(put, again, "door-1", "d", after=3, command="c4")).version == 4
    assert len(ends) == 2
    assert [record.command_id for record in await again.read_stream("door-1")] == ["c1", "c2", "c3", "c4"]
    assert [effect.command for effect in await effects(again.reader)] == ["c1", "c2", "c3", "c4"]


async def test_a_ledger_is_not_opened_whose_fences_the_log_has_lost(servers: KafkaLogOnServers) -> None:
    store = await servers.open()
    for version, command in enumerate(["c1", "c2", "c3"]):
        await put(store, "door-1", command, after=version, command=command)
    await cut(servers, ["c2"])
    original, seen = Filler.fill, list[int]()

    async def fill(filler: Filler) -> int:
        newest = await original(filler)
        if not seen:  # all that was put there again goes, and the fences with it
            seen.append(newest)
            kept = await all_records(filler._log)
            await make_anew(servers, {partition: records[:1] for partition, records in kept.items()})
        return newest

    with patch.object(Filler, "fill", fill), patch(f"{OPENING}.SILENCE_SECONDS", 0.5):
        again = await patiently(servers.open)
    assert [record.command_id for record in await again.read_stream("door-1")] == ["c1", "c2", "c3"]
    assert [effect.command for effect in await effects(again.reader)] == ["c1", "c2", "c3"]


@pytest.mark.parametrize("lost", ["a commit", "a fence"])
async def test_a_place_that_a_late_record_has_taken_is_found_by_comparing_again(
    servers: KafkaLogOnServers, lost: str
) -> None:
    """The log is as long as before, nobody marks the late record, no command comes, and no reader of the log has to
    begin again."""
    with ExitStack() as stack:
        stack.enter_context(patch(f"{SWEEPER}._COMPARED_SECONDS", 0.1))
        for other in ("_follow_shares", "_watch_ends", "_publish_left"):
            stack.enter_context(patch.object(Sweeper, other, forever))
        store = await servers.open()
        for version, command in enumerate(["c1", "c2"]):
            await put(store, "door-1", command, after=version, command=command)
        if lost == "a fence":
            documents = store._documents
            assert documents is not None
            await documents.contest({0: 0})
            await until(partial(another_ledger, store, documents))
        documents, number = store._documents, store.reader.partition_of("door-1")
        assert documents is not None
        (like, *_) = await store.read_stream("door-1")
        kept = await all_records(store.reader)
        kept[number].pop()
        await make_anew(servers, kept)
        await late(servers, like, number)
        await until(partial(another_ledger, store, documents))
    assert [record.command_id for record in await store.read_stream("door-1")] == ["c1", "c2"]
    assert [effect.command for effect in await effects(store.reader)] == ["c1", "c2"]


async def another_ledger(store: KafkaEventStore, than: Documents) -> bool:
    return store._documents not in (None, than)


async def test_commits_that_come_while_the_ledger_is_compared_are_not_taken_for_lost(
    servers: KafkaLogOnServers,
) -> None:
    with patch.object(Sweeper, "run", forever):
        store = await servers.open()
        documents, version = store._documents, 0
        assert documents is not None
        original = documents.last_placed

        async def last_placed(partition: int, before: int | None = None, most: int = 50) -> Sequence[Entry]:
            nonlocal version
            await put(store, "door-1", "a", after=version, command=f"c{version}")
            version += 1
            return await original(partition, before, most)

        with patch.object(documents, "last_placed", last_placed):
            compared = await compare_with_log(store.reader, documents)
    assert version >= 3
    assert (compared.lost, compared.cut) == ([], {})


async def test_a_ledger_of_an_older_release_gets_its_missing_indexes_in_place(servers: KafkaLogOnServers) -> None:
    store = await servers.open()
    await put(store, "door-1", "a", command="c1", claims={"red"})
    assert store._documents is not None
    generation, commits = store._documents.generation, store._documents.collection
    await servers.close_stores()
    for name in ("claims", "places"):
        await commits.drop_index(name)
    again = await servers.open()
    assert again._documents is not None
    assert again._documents.generation == generation, "it is not filled anew"
    assert {"claims", "places", "keys_1"} <= (await commits.index_information()).keys()
