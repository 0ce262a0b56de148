"""A record that does not follow its stream on the log stops that stream, for writers too, and nothing else."""

from __future__ import annotations

import msgspec
import pytest

from eventkernel.adapters.kafka.event_store import KafkaEventStore
from eventkernel.errors import ConcurrencyConflict, NotFound, StreamWaits, Unavailable
from eventkernel.events import STREAM_RESUMED
from eventkernel.testing.event_store_contract import put
from tests.support.kafka_log import record
from tests.support.kafka_store import KafkaLogOnServers, until

pytestmark = pytest.mark.engines


async def intrude(store: KafkaEventStore, stream: str, version: int, command: str = "intruder") -> None:
    """Somebody else's program writes a well-formed record."""
    intruder = msgspec.structs.replace(
        record(stream, version, data="somebody else"),
        log=store.log,
        command_id=command,
        generation=generation_of(store),
    )
    await store._publisher.publish(store.reader.partition_of(stream), [intruder])


def generation_of(store: KafkaEventStore) -> int:
    assert store._documents is not None
    return store._documents.generation.number


async def waits(store: KafkaEventStore, stream: str) -> None:
    async def refused() -> bool:
        try:
            await store.read_stream(stream)
        except StreamWaits:
            return True
        except Unavailable:
            return False
        return False

    await until(refused)


@pytest.mark.parametrize("opened_anew", [False, True], ids=["a running replica", "a ledger that is filled anew"])
async def test_a_gap_stops_its_stream_and_no_other(servers: KafkaLogOnServers, opened_anew: bool) -> None:
    store = await servers.open()
    for version in range(3):
        await put(store, "door-1", "a", after=version)
    await put(store, "door-2", "a")
    if opened_anew:
        await intrude(store, "door-1", 13)
        await servers.close_stores()
        await servers.database.client.drop_database(servers.name)
        store = await servers.open()
    else:
        await intrude(store, "door-1", 13)
    await waits(store, "door-1")
    with pytest.raises(StreamWaits, match="door-1 waits behind a gap: it ends at version 3, and version 13 came"):
        await put(store, "door-1", "b", after=3)
    with pytest.raises(ConcurrencyConflict):
        await put(store, "door-1", "b", after=13)
    assert len(await store.read_stream("door-1", up_to=3)) == 3, "what it was can be read"
    assert (await put(store, "door-2", "b", after=1)).version == 2
    assert (await put(store, "door-3", "a")).version == 1
    assert generation_of(store) == (2 if opened_anew else 1)


async def test_an_operator_sees_the_stream_and_lets_it_go_on(servers: KafkaLogOnServers) -> None:
    store = await servers.open()
    for version in range(3):
        await put(store, "door-1", "a", after=version)
    await intrude(store, "door-1", 13)
    await waits(store, "door-1")

    async def told() -> bool:
        return [line for line in (await store.writing()).waiting if "door-1 waits behind a gap" in line] != []

    await until(told)
    with pytest.raises(NotFound):
        await store.resume("door-2", "no such stream")
    resumed = await store.resume("door-1", "a foreign program")
    assert resumed.version == 4
    assert (await put(store, "door-1", "b", after=4)).version == 5

    async def over() -> bool:
        return not (await store.writing()).waiting

    await until(over)
    await servers.close_stores()
    await servers.database.client.drop_database(servers.name)
    again = await servers.open()
    records = await again.read_stream("door-1")
    assert [record.version for record in records] == [1, 2, 3, 4, 5]
    assert [record.type for record in records][3] == STREAM_RESUMED
    assert b"a foreign program" in records[3].data
    assert not (await again.writing()).waiting


async def test_a_second_gap_and_a_known_command_behind_a_gap_change_nothing(servers: KafkaLogOnServers) -> None:
    store = await servers.open()
    await put(store, "door-1", "a", command="c1")
    await intrude(store, "door-1", 7, command="c7")
    await waits(store, "door-1")
    await intrude(store, "door-1", 9, command="c9")
    await intrude(store, "door-1", 11, command="c1")
    await servers.close_stores()
    await servers.database.client.drop_database(servers.name)
    again = await servers.open()
    await waits(again, "door-1")
    await again.resume("door-1", "all of them are foreign")
    assert (await put(again, "door-1", "b", after=2)).version == 3
    assert generation_of(again) == 2
