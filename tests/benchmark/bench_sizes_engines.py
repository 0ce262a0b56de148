"""Bytes of an event and of a user on the engines: Kafka's segments, MongoDB's documents, Neo4j's store.

Run with `python -m tests.benchmark.bench_sizes_engines [USERS …]` (250 and 1,000 where none are given), which starts
servers of its own, because the files of Kafka and Neo4j are measured. What is measured is the network of `bench_sizes`,
moved there by `migrate`. MongoDB's figures are those of the documents (`dataSize`): what its storage engine makes of
them, smaller by its compression and larger by its indexes, is not measured.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import bson

from eventgraph.operating.migration import migrate
from eventgraph.running.data_folder import DataFolder
from eventgraph.running.engines import Opened, Work, mongodb_settings, opened
from eventgraph.running.settings import EngineSettings, engine_settings
from eventgraph.serving.served import running
from eventkernel.adapters.mongodb.connection import MongoConnection
from eventkernel.clock import SystemClock
from infra.local import kafka, mongodb, neo4j
from kithgraph.system import SOCIAL_NETWORK
from tests.benchmark.bench_sizes import FRIEND_EVENTS, USER_EVENTS, say, size
from tests.benchmark.histories import write_logs
from tests.support.distributed import Engines

_LOOK_SECONDS = 0.5


async def fill_views(settings: EngineSettings) -> None:
    """Every view at the end of its logs."""
    async with AsyncExitStack() as stack:
        parts: list[Opened] = []
        for name in SOCIAL_NETWORK.names:
            part = await stack.enter_async_context(opened(SOCIAL_NETWORK, settings, name, Work.KEEPING, SystemClock()))
            await stack.enter_async_context(running(part.workers))
            parts.append(part)
        for part in parts:
            await _caught_up(part)


async def _caught_up(part: Opened) -> None:
    while True:
        live = (await part.subgraph.projector.status()).live
        if live is not None and not any(partition.lag_events for partition in live.partitions):
            return
        await asyncio.sleep(_LOOK_SECONDS)


async def documents(settings: EngineSettings) -> Mapping[str, tuple[int, int, int]]:
    """By collection: how many documents, their bytes, and how many indexes it has."""
    found: dict[str, tuple[int, int, int]] = {}
    async with MongoConnection(mongodb_settings(settings)) as connection:
        for name in SOCIAL_NETWORK.names:
            database = connection.database(f"{settings.name}_{name}")
            for collection in await database.list_collection_names():
                sizes = [len(bson.encode(document)) async for document in database[collection].find()]
                indexes = await database[collection].index_information()
                found[f"{name}.{collection}"] = len(sizes), sum(sizes), len(indexes)
    return found


def measure(users: int, root: Path, engines: Engines) -> None:
    data, store = root / f"data-{users}", root / "neo4j" / "home" / "data" / "databases"
    os.environ |= {name: value for name, value in engines.environment.items() if name != "KITH_CLAIMS_KEYS"}
    with DataFolder.open(data, SOCIAL_NETWORK):
        asyncio.run(write_logs(data / "logs", users, users * USER_EVENTS, users * FRIEND_EVENTS))
    os.environ["KITH_CLAIMS_KEYS_FILE"] = str(root / f"{users}.keys")
    settings = engine_settings(SOCIAL_NETWORK)
    before = size(store)
    migrate(SOCIAL_NETWORK, data, settings)
    asyncio.run(fill_views(settings))
    say(f"{users:,} users, {users * (USER_EVENTS + FRIEND_EVENTS):,} events")
    for name, events in (("users", users * USER_EVENTS), ("friends", users * FRIEND_EVENTS)):
        segments = sum(file.stat().st_size for file in root.glob(f"kafka/broker-*/**/{settings.name}.{name}-*/*.log"))
        say(f"  topic {name}: {segments:,} bytes of segments, {segments / events:,.0f} an event")
    for name, (count, taken, indexes) in sorted(asyncio.run(documents(settings)).items()):
        if count >= users // 10:
            each = f"{taken / count:,.0f} a document, {taken / users:,.0f} a user"
            say(f"  {name}: {count:,} documents, {taken:,} bytes, {each}, {indexes} indexes")
    say(f"  neo4j: {(size(store) - before) / users:,.0f} a user, {size(store):,} bytes in all")


def main(sizes: list[int]) -> None:
    with tempfile.TemporaryDirectory(prefix="kith-sizes-") as folder:
        root = Path(folder)
        with kafka(root / "kafka") as broker, mongodb(root / "mongodb") as documents, neo4j(root / "neo4j") as graph:
            for users in sizes:
                name = f"sizes_{secrets.token_hex(4)}"
                measure(users, root, Engines(broker.address, documents.address, graph.address, name))


if __name__ == "__main__":
    main([int(one.replace(",", "")) for one in sys.argv[1:]] or [250, 1_000])
