"""How long a replica takes to be ready, by how many events are on its log; and how long a ledger takes to be filled.

Run with `python -m tests.benchmark.bench_replica_start [EVENTS …]` (10,000 and 100,000 where none are given) with
KAFKA_BOOTSTRAP and MONGODB_URL in the environment. A log of users is copied onto a topic. Its ledger is dropped, and
filled anew by the first store that is opened. Then a store is opened, as every replica does before it takes commands,
and the first command is sent through it. The peak of the memory counts from what the process had before any filling.
"""

from __future__ import annotations

import asyncio
import random
import resource
import secrets
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from itertools import islice

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.event_store import KafkaEventStore
from eventkernel.adapters.kafka.log_copy import copy_into
from eventkernel.adapters.kafka.topic import TopicSettings
from eventkernel.adapters.mongodb.connection import Database, MongoConnection, MongoSettings
from eventkernel.clock import SystemClock
from eventkernel.events import EncodedEvent, Record
from eventkernel.writing.claims import ClaimsKey
from eventkernel.writing.codec import Codec
from infra.local.environment import given_kafka, given_mongodb
from subgraphs.users.domain import EVENT_TYPES
from tests.benchmark.histories import History, user_ids, users

TOPIC = TopicSettings(partitions=3, replication_factor=1, min_in_sync_replicas=1)
STARTS = 5


async def main() -> None:
    kafka, mongodb = given_kafka(), given_mongodb()
    if kafka is None or mongodb is None:
        raise SystemExit("bench_replica_start: expected servers in KAFKA_BOOTSTRAP and MONGODB_URL, found none")
    connection = KafkaConnection(kafka.bootstrap)
    sys.stdout.write("   events  filling s  events/s  CPU us/event  grown MB  start ms (of 5)  first command ms\n")
    for count in map(int, sys.argv[1:] or ("10000", "100000")):
        name = f"bench_{secrets.token_hex(4)}"
        async with MongoConnection(MongoSettings(mongodb.url)) as mongo:
            await measure(connection, mongo.database(name), name, count)


async def measure(connection: KafkaConnection, database: Database, name: str, count: int) -> None:
    key, clock, log = ClaimsKey.draw(), SystemClock(), f"users.{name}"
    await copy_into(connection, database, drawn(log, count), log=log, key=key, clock=clock, topic=name, settings=TOPIC)
    await database.client.drop_database(name)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun, cpu = time.perf_counter(), time.process_time()
    await (
        await KafkaEventStore.open(connection, database, name="users", key=key, clock=clock, topic=name, settings=TOPIC)
    ).aclose()
    filling, cpu = time.perf_counter() - begun, time.process_time() - cpu
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    starts: list[float] = []
    commands: list[float] = []
    for number in range(STARTS):
        begun = time.perf_counter()
        async with await KafkaEventStore.open(
            connection, database, name="users", key=key, clock=clock, topic=name, settings=TOPIC
        ) as store:
            starts.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            event = EncodedEvent("users.UserCreated", 1, b'{"first_name":"Ada","last_name":"Lovelace"}')
            await store.append(
                f"user-{number}", [event], expected_version=0, command_id=f"c{number}", fingerprint="new"
            )
            commands.append(time.perf_counter() - begun)
    sys.stdout.write(
        f"{count:9,} {filling:10.1f} {count / filling:9,.0f} {1_000_000 * cpu / count:12.0f} {grown:9.1f}"
        f" {1_000 * statistics.median(starts):16.0f} {1_000 * statistics.median(commands):17.1f}\n"
    )
    sys.stdout.flush()


async def drawn(log: str, count: int) -> AsyncGenerator[Sequence[Record], None]:
    history = History(log, Codec(EVENT_TYPES), random.Random(1))
    records = users(history, user_ids(count // 2, random.Random(2)), count)
    while batch := list(islice(records, 1_000)):
        yield batch


if __name__ == "__main__":
    asyncio.run(main())
