"""What waits costs those who ask for something else the same, however much it is: counted in requests and documents."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from eventkernel.adapters.mongodb.connection import Database, Document, MongoConnection, MongoSettings
from eventkernel.adapters.mongodb.ledger_entry import Entry
from eventkernel.adapters.mongodb.views import MongoView
from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.events import Partition, Position
from eventkernel.reading.views import Fold, ParkedRecord
from eventkernel.testing.event_store_contract import put
from eventkernel.testing.view_contract import LOG, record, upto
from infra.local import KafkaAddress, MongodbAddress
from infra.patience import seconds
from tests.support.doors import SqliteDoors
from tests.support.kafka_store import KafkaLogOnServers
from tests.support.mongodb_commands import counted
from tests.support.mongodb_views import MongoDoors, database_of

SIZES = (10, 1_000, 10_000)
ON_SERVERS = (10, 300, 3_000)
SOON = seconds(30.0)


def parked(number: int) -> ParkedRecord:
    return ParkedRecord(record(f"door-{number}", 1), "why")


@pytest.fixture
async def database(mongodb_server: MongodbAddress, engine_name: str) -> AsyncIterator[Database]:
    async with database_of(mongodb_server.url, engine_name) as database:
        yield database


@pytest.mark.timeout(600)  # it writes thousands of documents
async def test_a_request_asks_mongodb_the_same_however_much_another_process_has_parked(
    mongodb_server: MongodbAddress, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventkernel.adapters.mongodb.build.RELEASED_SECONDS", 0.0)
    found: list[tuple[int, int]] = []
    async with AsyncExitStack() as stack:
        builds: list[MongoDoors] = []
        for _ in range(2):
            connection = await stack.enter_async_context(MongoConnection(MongoSettings(mongodb_server.url)))
            opening = MongoView.open(connection.database(database.name), "doors", MongoDoors, shape=1, logs=[LOG])
            view = await stack.enter_async_context(aclosing(await opening))
            if not builds:
                await view.switch((await view.create()).name)
            builds.append(await view.ready(SOON))
        here, there = builds
        collection = database[here.collection_name("parked")]
        await there.save(Fold([], upto(1), [parked(0)]))
        template = await collection.find_one({}) or {}
        known = 1
        for offset, many in enumerate(ON_SERVERS, start=2):
            more = [_another(template, number) for number in range(known, many)]
            for start in range(0, len(more), 50):
                await collection.insert_many(more[start : start + 50])
            known = many + 1
            await there.save(Fold([], upto(offset), [parked(many)]))  # one stream more, by another process
            assert await here.reached(Position.of(LOG, 0, offset), SOON)
            with counted(collection.name) as asked:
                for _ in range(3):
                    assert await here.parked_streams(["door-5", "nobody"]) == {"door-5": Partition(LOG, 0)}
                    assert await here.parked_streams(["nobody"]) == {}
            found.append((asked.commands, asked.documents))
    assert found == [found[0]] * len(ON_SERVERS)


def _another(template: Document, number: int) -> Document:
    stream = f"door-{number}"
    return {
        **template,
        "_id": f"{template['reader']}/{stream}/1",
        "stream": stream,
        "record": {**template["record"], "stream": stream},
    }


async def test_a_save_that_parks_takes_the_same_memory_however_many_streams_wait_in_sqlite(tmp_path: Path) -> None:
    peaks: list[int] = []
    async with aclosing(await SqliteView.open(tmp_path / "doors", SqliteDoors, shape=1, logs=[LOG])) as view:
        build = await view.create()
        known = 0
        for many in SIZES:
            await build.save(Fold([], upto(1), [parked(number) for number in range(known, many)]))
            known = many
            await build.save(Fold([], upto(1), [parked(many)]))  # whatever is made once
            tracemalloc.start()
            try:
                await build.save(Fold([], upto(1), [parked(many)]))
                assert (await build.parked_streams([f"door-{many}", "nobody"])).keys() == {f"door-{many}"}
                peaks.append(tracemalloc.get_traced_memory()[1])
            finally:
                tracemalloc.stop()
            await build.save(Fold([], upto(1), (), {f"door-{many}": 1}))
            assert len(await build.parked_streams()) == many
    assert max(peaks) < 100_000, "a copy of ten thousand takes some hundred thousand bytes"


@pytest.mark.timeout(600)  # it writes thousands of documents
async def test_where_a_stream_of_the_ledger_waits_is_one_look_up_however_many_do(
    kafka_server: KafkaAddress, mongodb_server: MongodbAddress, engine_name: str
) -> None:
    servers = KafkaLogOnServers(kafka_server.bootstrap, mongodb_server.url, engine_name)
    try:
        store = await servers.open()
        await put(store, "door-0", "a", command="c")
        documents = store._documents
        assert documents is not None
        (commit,) = await documents.whole(["c"])
        known = 0
        for many in ON_SERVERS:
            stops = [_stop(commit, number) for number in range(known, many)]
            for start in range(0, len(stops), 50):
                assert all(await documents.insert_documents([one.document() for one in stops[start : start + 50]]))
            known = many
            with counted(documents.collection.name) as asked:
                found = await documents.waiting_at(f"door-{many - 1}", 1)
                assert await documents.waiting_at("nobody", 1) is None
            assert found is not None
            assert found.stops_at == 1
            own = [looked_for for looked_for in asked.filters if "keys" in looked_for]  # the replica looks, too
            assert len(own) == 2
            for looked_for in own:
                question = {"find": documents.collection.name, "filter": looked_for}
                plan = await servers.database.command("explain", question, verbosity="executionStats")
                assert plan["executionStats"]["totalDocsExamined"] <= 1
            assert len(await documents.waiting(20)) == min(20, many)
    finally:
        await servers.aclose()


def _stop(commit: Entry, number: int) -> Entry:
    return replace(
        commit, stream=f"door-{number}", command_id=f"behind a gap at {number}", offset=None, stops_at=1, claims=()
    )
