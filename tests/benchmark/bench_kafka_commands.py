"""Commands per second on Kafka and MongoDB, through the kernel, against the bare drivers doing what a command needs.

Run with `python -m tests.benchmark.bench_kafka_commands [COMMANDS]`; KAFKA_BOOTSTRAP and MONGODB_URL say where the
servers are. Without them it starts its own: a broker and the MongoDB-wire server of the tests, whose writes are slow,
so that they are what is measured there on both sides.

A command through the kernel reads its stream, decides, and appends. The bare side has its documents and messages ready,
and for each command inserts one into a collection with the same indexes, produces, and marks the document; each client
waits for every answer, as a service without batching of its own would. It looks nothing up and checks nothing. Both
sides run in turns; the middle ratio is printed. Then the kernel is given half of its best rate, evenly, for the
latencies.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaProducer
from pymongo.errors import DuplicateKeyError

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.event_store import KafkaEventStore
from eventkernel.adapters.kafka.records import Message, to_message
from eventkernel.adapters.kafka.topic import TopicSettings, make_topic
from eventkernel.adapters.mongodb.connection import Document, MongoConnection, MongoSettings
from eventkernel.adapters.mongodb.ledger_entry import Entry
from eventkernel.clock import SystemClock
from eventkernel.decider import Decider
from eventkernel.events import DomainEvent, Metadata, Record
from eventkernel.writing.claims import ClaimsKey
from eventkernel.writing.codec import Codec
from eventkernel.writing.commands import CommandHandler
from infra.local import kafka, mongodb

ROUNDS = 3
SETTINGS = TopicSettings(partitions=3, replication_factor=1, min_in_sync_replicas=1)
METADATA = Metadata(actor="actor-0189f6e4", correlation="0af7651916cd43dd8448eb211c80319c")


class Opened(DomainEvent, frozen=True, tag="doors.Opened"):
    first_name: str
    last_name: str
    username: str | None = None


EVENT = Opened(first_name="Ada", last_name="Lovelace", username="ada.lovelace.1815")
CODEC = Codec([Opened])


@dataclass(frozen=True)
class Engines:
    connection: KafkaConnection
    mongo: MongoConnection


@asynccontextmanager
async def fresh_store(engines: Engines) -> AsyncGenerator[KafkaEventStore]:
    name = f"bench-{secrets.token_hex(4)}"
    database = engines.mongo.database(name)
    async with await KafkaEventStore.open(
        engines.connection, database, name=name, key=ClaimsKey.draw(), clock=SystemClock(), settings=SETTINGS
    ) as store:
        yield store
    await database.client.drop_database(name)


async def of_many(clients: int, count: int, run: Callable[[int], Awaitable[None]]) -> float:
    """How many a second, where each client goes on when it has its answer."""
    numbers = iter(range(count))

    async def client() -> None:
        for number in numbers:
            await run(number)

    start = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return count / (time.perf_counter() - start)


def handler(store: KafkaEventStore) -> CommandHandler[int, Opened, Opened]:
    decider: Decider[int, Opened, Opened] = Decider(lambda: 0, lambda command, _: [command], lambda state, _: state + 1)
    return CommandHandler(store, CODEC, decider)


async def through_the_kernel(engines: Engines, clients: int, count: int) -> float:
    async with fresh_store(engines) as store:
        commands = handler(store)

        async def run(number: int) -> None:
            command_id = f"{number:032x}"
            await commands.execute(
                f"door-{number:08}", EVENT, command_id=command_id, fingerprint="f" * 64, metadata=METADATA
            )

        return await of_many(clients, count, run)


def commit(number: int) -> tuple[Document, Message, int]:
    encoded = CODEC.encode(EVENT, "")
    record = Record(
        log="doors.x7f3k2q9", partition=number % 3, offset=-1, id=f"door-{number:08}@1", type=encoded.type,
        time_us=1_700_000_000_000_000, stream=f"door-{number:08}", version=1, first_version=1, commit_size=1,
        command_id=f"{number:032x}", fingerprint="f" * 64, generation=1, actor=METADATA.actor,
        correlation=METADATA.correlation, data=encoded.data,
    )  # fmt: skip
    return Entry.of([record], number % 3, ()).document(), to_message(record), number % 3


async def with_bare_drivers(engines: Engines, clients: int, count: int) -> float:
    name = f"bench-{secrets.token_hex(4)}"
    collection = engines.mongo.database(name)["commits"]
    await collection.create_index("keys", unique=True)
    await collection.create_index([("stream", 1), ("first", 1)])
    await collection.create_index("pending", sparse=True)
    commits = [commit(number) for number in range(count)]
    await make_topic(engines.connection, name, SETTINGS)
    producer = AIOKafkaProducer(**engines.connection.client_settings("bench"), acks="all", enable_idempotence=True)
    await producer.start()

    async def run(number: int) -> None:
        document, message, partition = commits[number]
        with suppress(DuplicateKeyError):  # by the driver's own repetition
            await collection.insert_one(document)
        sent = await producer.send(name, message.value, message.key, partition, headers=list(message.headers))
        mark = {"$set": {"offset": (await sent).offset}, "$unset": {"pending": ""}}
        await collection.update_one({"_id": document["_id"], "pending": True}, mark)

    try:
        return await of_many(clients, count, run)
    finally:
        await producer.stop()
        await engines.mongo.database(name).client.drop_database(name)


async def latencies(engines: Engines, rate: float, count: int) -> Sequence[float]:
    """Milliseconds of each command, sent evenly at this rate, whatever the answers do."""
    async with fresh_store(engines) as store:
        commands = handler(store)
        taken: list[float] = []

        async def run(number: int) -> None:
            start = time.perf_counter()
            await commands.execute(f"door-{number:08}", EVENT, command_id=f"{number:032x}", fingerprint="f" * 64)
            taken.append((time.perf_counter() - start) * 1_000)

        start, tasks = time.perf_counter(), list[asyncio.Task[None]]()
        for number in range(count):
            await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
            tasks.append(asyncio.create_task(run(number)))
        await asyncio.gather(*tasks)
        return sorted(taken)


async def measure(bootstrap: str, url: str, count: int) -> None:
    async with MongoConnection(MongoSettings(url)) as mongo:
        engines = Engines(KafkaConnection(bootstrap), mongo)
        best = 0.0
        for clients in (1, 64, 256):
            sent = count if clients > 1 else count // 10
            rounds = [
                (await through_the_kernel(engines, clients, sent), await with_bare_drivers(engines, clients, sent))
                for _ in range(ROUNDS)
            ]
            kernel, bare = sorted(rounds, key=lambda rates: rates[0] / rates[1])[ROUNDS // 2]
            best = max(best, kernel)
            print(
                f"{clients:4} clients: {kernel / bare:5.2f} of the bare drivers ({kernel:,.0f}/s, bare {bare:,.0f}/s)"
            )
        taken = await latencies(engines, best / 2, count)
        print(
            f"at {best / 2:,.0f}/s: median {statistics.median(taken):.0f} ms, "
            f"p99 {taken[int(len(taken) * 0.99)]:.0f} ms, slowest {taken[-1]:.0f} ms"
        )


def main(count: int) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bootstrap, url = os.environ.get("KAFKA_BOOTSTRAP"), os.environ.get("MONGODB_URL")
        if not bootstrap:
            bootstrap = stack.enter_context(kafka(folder / "kafka")).address.bootstrap
        if not url:
            url = stack.enter_context(mongodb(folder / "mongodb")).address.url
        asyncio.run(measure(bootstrap, url, count))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)
