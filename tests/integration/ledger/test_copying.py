"""A log of an embedded system is copied onto Kafka, and is the same log there."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest

from eventkernel.adapters.kafka.log_copy import copy_into
from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.adapters.sqlite.log_file import claims_key_path, read_key
from eventkernel.errors import CannotOpen, ClaimTaken, InvalidInput
from eventkernel.events import Record
from eventkernel.testing.event_store_contract import everything, put
from eventkernel.writing.claims import ClaimsKey
from eventkernel.writing.store import Checkpoint, ClaimHolder, EventStore
from tests.support.kafka_store import ONE_BROKER, KafkaLogOnServers

pytestmark = pytest.mark.engines


@pytest.fixture
async def source(servers: KafkaLogOnServers, tmp_path: Path) -> AsyncGenerator[SqliteEventStore]:
    path = tmp_path / "log.sqlite"
    store = await SqliteEventStore.open(path, name=servers.name, clock=servers.clock)
    servers.key = read_key(claims_key_path(path))
    for number in range(20):
        await put(store, f"door-{number}", "a", "b", command=f"c{number}", claims={f"key:{number}"})
        servers.clock.advance(1)
    await put(store, "door-0", "c", after=2, command="gives up", claims=())
    await put(store, "door-1", "c", after=2, command="takes", claims={"key:0", "key:1"})
    await put(store, "door-2", after=2, command="nothing")
    yield store
    await store.aclose()


async def pieces(store: EventStore) -> AsyncIterator[Sequence[Record]]:
    end = await store.head()
    async with aclosing(store.subscribe(Checkpoint())) as batches:
        async for batch in batches:
            yield batch.records
            if batch.next_offset == next(iter(end.values())):
                return


async def copy(servers: KafkaLogOnServers, log: str, records: AsyncIterator[Sequence[Record]], key: ClaimsKey) -> int:
    return await copy_into(
        servers.connection, servers.database, records, log=log, key=key, clock=servers.clock, settings=ONE_BROKER
    )


def without_place(records: Sequence[Record]) -> dict[str, Record]:
    return {record.id: msgspec.structs.replace(record, partition=0, offset=0, generation=0) for record in records}


async def test_a_copied_log_is_the_same_log(servers: KafkaLogOnServers, source: SqliteEventStore) -> None:
    assert await copy(servers, source.log, pieces(source), servers.key) == 43
    store = await servers.open()
    assert store.log == source.log
    assert without_place(await everything(store)) == without_place(await everything(source))
    for number in range(20):
        mine, theirs = await store.read_stream(f"door-{number}"), await source.read_stream(f"door-{number}")
        assert [record.id for record in mine] == [record.id for record in theirs]
    assert await store.find_claim("key:0") == ClaimHolder("door-1", 3)
    assert await store.find_claim("key:7") == ClaimHolder("door-7", 2)
    with pytest.raises(ClaimTaken):
        await put(store, "door-99", "a", claims={"key:7"})
    repeated = await put(store, "door-99", "a", command="takes")
    assert (repeated.stream, repeated.version) == ("door-1", 3)
    assert (await put(store, "door-2", "c", after=2)).version == 3


async def test_a_copy_that_was_broken_off_is_not_opened(servers: KafkaLogOnServers, source: SqliteEventStore) -> None:
    async def broken() -> AsyncIterator[Sequence[Record]]:
        async for records in pieces(source):
            yield records[:1]
            raise InvalidInput("line 2 is damaged")

    with pytest.raises(InvalidInput):
        await copy(servers, source.log, broken(), servers.key)
    with pytest.raises(CannotOpen, match="broken off"):
        await servers.open()
    with pytest.raises(CannotOpen):
        await copy(servers, source.log, pieces(source), servers.key)


async def test_nothing_is_copied_onto_a_log_that_has_records(
    servers: KafkaLogOnServers, source: SqliteEventStore
) -> None:
    await servers.open()
    with pytest.raises(CannotOpen, match="expected an empty topic"):
        await copy(servers, source.log, pieces(source), servers.key)
