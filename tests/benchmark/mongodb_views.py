"""Filling the views in MongoDB from their logs, against the driver writing the same documents in bulk.

Run with `python -m tests.benchmark.mongodb_views [EVENTS …]` (10,000 and 100,000 where none are given) and MONGODB_URL
in the environment. The logs are those of `bench_rebuild`; the projector fills a new build as it does after a new
release, and then the driver alone inserts what that has written, into collections with the same indexes, in messages of
the same size, with the same concerns. The ratio says what loading, folding, guarding and the past cost.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from pymongo import InsertOne

from eventkernel.adapters.mongodb.connection import Database, MongoConnection, MongoSettings
from eventkernel.adapters.mongodb.progress import AT_ONCE, chunks
from eventkernel.adapters.mongodb.views import MongoView, MongoViewBuild
from eventkernel.codec import Codec
from eventkernel.projector import Projector, Source
from eventkernel.views import Projection
from subgraphs.friends.adapters.mongodb import MongoFriendView
from subgraphs.friends.app import EVENT_TYPES as FRIEND_EVENTS
from subgraphs.friends.events import EVENT_TYPES as REPLICATED_EVENTS
from subgraphs.friends.projection import projection as friends_projection
from subgraphs.users.adapters.mongodb import MongoUserView
from subgraphs.users.app import EVENT_TYPES as USER_EVENTS
from subgraphs.users.projection import projection as users_projection
from tests.benchmark.bench_rebuild import reader
from tests.benchmark.histories import opened, write_logs

TARGET = 0.5


async def filled(
    database: Database, build: type[MongoViewBuild[Any]], projection: Projection[Any], sources: Sequence[Source]
) -> tuple[float, str]:
    """Seconds until a new build is live, and its name."""
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
        return taken, f"{view.name}.{view.live().name}"


async def inserted(database: Database, build: str, collections: Sequence[str]) -> tuple[float, int]:
    """Seconds that the driver needs for the same documents, and how many they are."""
    taken, documents = 0.0, 0
    for name in collections:
        written = await database[f"{build}.{name}"].find({}).to_list(None)
        indexes = await database[f"{build}.{name}"].index_information()
        copy = database[f"raw.{name}"]
        await copy.drop()
        for index, options in indexes.items():
            if index != "_id_":
                await copy.create_index(options["key"], name=index, sparse=options.get("sparse", False))
        begun = time.perf_counter()
        for some in chunks(written, AT_ONCE):
            await copy.bulk_write([InsertOne(document) for document in some], ordered=False)
        taken += time.perf_counter() - begun
        documents += len(written)
    return taken, documents


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
                    taken, name = await filled(database, build, projection, sources)
                    bare, documents = await inserted(database, name, list(build.collections))
                finally:
                    await database.client.drop_database(database.name)
                sys.stdout.write(
                    f"fill {projection.name:8} {events:>9,} events: {events / taken:8,.0f} events/s, "
                    f"{documents / taken:8,.0f} documents/s; the driver {documents / bare:8,.0f} documents/s "
                    f"(ratio {bare / taken:.2f}, target {TARGET}), {taken / events * 1e6:,.0f} µs an event\n"
                )
                sys.stdout.flush()
            for log in (users, replicated, friends):
                await log.aclose()


def main(sizes: Sequence[int] = (10_000, 100_000)) -> None:
    for events in sizes:
        asyncio.run(measured(events))


if __name__ == "__main__":
    main([int(size.replace(",", "")) for size in sys.argv[1:]] or (10_000, 100_000))
