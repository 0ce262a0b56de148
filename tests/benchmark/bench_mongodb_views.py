"""Filling the views in MongoDB from their logs, against the driver writing the same documents in bulk.

Run with `python -m tests.benchmark.bench_mongodb_views [EVENTS …]` (10,000 and 100,000 where none are given) and
MONGODB_URL in the environment. The logs are those of `bench_rebuild`; the projector fills a new build as it does after
a new release, and then the driver alone writes the same documents once more: the same messages, inserts and updates
without a guard, into collections with the same indexes. The ratio says what reading the log, loading, folding, guarding
and the checkpoints cost.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, aclosing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pymongo
from pymongo import InsertOne, UpdateOne

from eventkernel.adapters.mongodb.connection import Collection, Database, MongoConnection, MongoSettings
from eventkernel.adapters.mongodb.progress import AT_ONCE, Write, write
from eventkernel.adapters.mongodb.views import MongoView, MongoViewBuild
from eventkernel.reading.projector import Projector, Source
from eventkernel.reading.views import Projection
from eventkernel.writing.codec import Codec
from subgraphs.friends.adapters.mongodb import MongoFriendView
from subgraphs.friends.domain import EVENT_TYPES as FRIEND_EVENTS
from subgraphs.friends.events import EVENT_TYPES as REPLICATED_EVENTS
from subgraphs.friends.projection import projection as friends_projection
from subgraphs.users.adapters.mongodb import MongoUserView
from subgraphs.users.domain import EVENT_TYPES as USER_EVENTS
from subgraphs.users.projection import projection as users_projection
from tests.benchmark.bench_rebuild import reader
from tests.benchmark.histories import opened, write_logs

TARGET = 0.5
PATIENCE = 600


async def filled(
    database: Database, build: type[MongoViewBuild[Any]], projection: Projection[Any], sources: Sequence[Source]
) -> float:
    """Seconds until a new build is live."""
    logs = [source.log.log for source in sources]
    view = await MongoView[MongoViewBuild[Any]].open(
        database, projection.name, build, shape=projection.shape, logs=logs
    )
    async with aclosing(view):
        projector = Projector(projection, sources, view)
        begun = time.perf_counter()
        await projector.start()
        taken = time.perf_counter() - begun
        await projector.stop()
    return taken


class Written:
    """What the projector writes, to be written once more by the driver alone."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, Sequence[Write]]] = []

    def noted(self) -> AbstractContextManager[object]:
        """While this lasts everything that builds write is noted."""

        async def note(collection: Collection, operations: Sequence[Write], *, ordered: bool = False) -> None:
            self.messages.append((collection.name, operations))
            await write(collection, operations, ordered=ordered)

        return patch("eventkernel.adapters.mongodb.build.write", note)

    @property
    def documents(self) -> int:
        return sum(len(operations) for _, operations in self.messages)

    async def again(self, database: Database) -> float:
        """Seconds that the driver needs for the same documents: inserts, and updates without a guard."""
        names = {name for name, _ in self.messages}
        for name in names:
            for index, options in (await database[name].index_information()).items():
                if index != "_id_":
                    sparse = options.get("sparse", False)
                    await database[_copy(name)].create_index(options["key"], name=index, sparse=sparse)
        messages = [(database[_copy(name)], [_bare(one) for one in operations]) for name, operations in self.messages]
        begun = time.perf_counter()
        for collection, operations in messages:
            await collection.bulk_write(operations, ordered=False)
        return time.perf_counter() - begun

    async def inserted(self, database: Database) -> tuple[float, int]:
        """Seconds that the driver needs for what stands there in the end, as inserts only, and how many these are."""
        taken, documents = 0.0, 0
        for name in {name for name, _ in self.messages}:
            documents += (written := len(found := await database[name].find({}).to_list(None)))
            await database[_copy(name)].delete_many({})
            begun = time.perf_counter()
            for start in range(0, written, AT_ONCE):
                some = [InsertOne(document) for document in found[start : start + AT_ONCE]]
                await database[_copy(name)].bulk_write(some, ordered=False)
            taken += time.perf_counter() - begun
        return taken, documents


def _copy(name: str) -> str:
    return f"copy.{name}"


def _bare(operation: Write) -> Write:
    if isinstance(operation, UpdateOne):
        return UpdateOne({"_id": operation._filter["_id"]}, operation._doc)
    return operation


async def measured(events: int) -> None:
    async with MongoConnection(MongoSettings(os.environ["MONGODB_URL"])) as connection:
        with tempfile.TemporaryDirectory() as root:
            folder = Path(root)
            await write_logs(folder, events * 7 // 10, events, events * 7 // 10)
            friends_folder = folder / "friends"
            friends_folder.mkdir()
            await write_logs(friends_folder, events // 11, events // 11, events - events // 11)
            users = await opened(folder, "users")
            replicated, friends = await opened(friends_folder, "users"), await opened(friends_folder, "friends")
            of_users = [Source(users, Codec(USER_EVENTS))]
            of_friends = [Source(replicated, reader(REPLICATED_EVENTS)), Source(friends, Codec(FRIEND_EVENTS))]
            for build, projection, sources in (
                (MongoUserView, users_projection, of_users),
                (MongoFriendView, friends_projection, of_friends),
            ):
                database = connection.database(f"bench_{projection.name}_{os.getpid()}")
                try:
                    written = Written()
                    with written.noted():
                        taken = await filled(database, build, projection, sources)
                    with pymongo.timeout(PATIENCE):
                        bare = await written.again(database)
                        inserts, documents = await written.inserted(database)
                finally:
                    with pymongo.timeout(PATIENCE):
                        await database.client.drop_database(database.name)
                sys.stdout.write(
                    f"fill {projection.name:8} {events:>9,} events: {events / taken:8,.0f} events/s, "
                    f"{taken / events * 1e6:,.0f} µs an event, {written.documents / taken:8,.0f} documents/s;"
                    f" the driver {written.documents / bare:8,.0f} (ratio {bare / taken:.2f}, target {TARGET}),"
                    f" and inserting the {documents:,} that are left {documents / inserts:8,.0f}\n"
                )
                sys.stdout.flush()
            for log in (users, replicated, friends):
                await log.aclose()


def main(sizes: Sequence[int] = (10_000, 100_000)) -> None:
    for events in sizes:
        asyncio.run(measured(events))


if __name__ == "__main__":
    main([int(size.replace(",", "")) for size in sys.argv[1:]] or (10_000, 100_000))
