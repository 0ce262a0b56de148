"""A log on Kafka for tests: its topic, its fences, records for it, and what an administrator does to topics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.adapters.kafka.membership import KafkaMembership
from eventkernel.adapters.kafka.publisher import Publisher
from eventkernel.adapters.kafka.topic import TopicSettings, make_topic
from eventkernel.events import Partition, Record
from eventkernel.writing.fences import fence

LOG = "doors.x7f3k2q9"
CLAIMS_KEY = "ab" * 32
NOW_US = 1_700_000_000_000_000


def one_broker(partitions: int = 3) -> TopicSettings:
    return TopicSettings(partitions, replication_factor=1, min_in_sync_replicas=1)


def record(stream: str, version: int, *, generation: int = 1, size: int = 1, index: int = 0, data: str = "") -> Record:
    """The record of a version, the one with this index in a commit of this size."""
    return Record(
        log=LOG,
        partition=-1,
        offset=-1,
        id=f"{stream}@{version}",
        type="doors.Opened",
        time_us=NOW_US + version,
        stream=stream,
        version=version,
        first_version=version - index,
        commit_size=size,
        command_id=f"open {stream} to {version - index}",
        fingerprint="cd" * 32,
        generation=generation,
        data=f'{{"by":"{data}"}}'.encode(),
    )


def commit(stream: str, first: int, size: int, *, generation: int = 1, data: str = "") -> list[Record]:
    """The records of one commit, from version `first` on."""
    return [
        record(stream, first + index, generation=generation, size=size, index=index, data=data) for index in range(size)
    ]


async def put_fences(publisher: Publisher, generation: int, *, partitions: int = 3, log: str = LOG) -> None:
    for number in range(partitions):
        await publisher.publish(number, [fence(log, number, generation, CLAIMS_KEY, NOW_US)])


@asynccontextmanager
async def new_log(connection: KafkaConnection, topic: str, partitions: int = 3) -> AsyncGenerator[KafkaLog]:
    """A log without events in generation 1; its topic is deleted at the end."""
    await make_topic(connection, topic, one_broker(partitions))
    try:
        async with Publisher(connection, topic, partitions=partitions) as publisher:
            await put_fences(publisher, 1, partitions=partitions)
        async with await KafkaLog.open(connection, topic) as log:
            yield log
    finally:
        await delete_topic(connection, topic)


@asynccontextmanager
async def administration(connection: KafkaConnection) -> AsyncGenerator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**connection.client_settings("test"))
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def delete_topic(connection: KafkaConnection, topic: str) -> None:
    async with administration(connection) as admin:
        await admin.delete_topics([topic])


async def alter_topic(connection: KafkaConnection, topic: str, settings: Mapping[str, str]) -> None:
    """Give the topic these settings and the brokers' own for all others; returns when brokers say so too."""
    async with administration(connection) as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, dict(settings))])
    while not (await topic_settings(connection, topic)).items() >= settings.items():
        pass


async def topic_settings(connection: KafkaConnection, topic: str) -> Mapping[str, str]:
    """The settings of a topic, also those that are not its own."""
    async with administration(connection) as admin:
        (response,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    (resource,) = response.to_object()["resources"]
    return {entry["config_names"]: entry["config_value"] for entry in resource["config_entries"]}


async def settled(
    members: Sequence[KafkaMembership], expected: frozenset[Partition], seconds: float = 15
) -> list[frozenset[Partition]]:
    """What each has, as soon as together they have everything, nothing is with two, and nobody has nothing."""
    async with asyncio.timeout(seconds):
        while True:
            seen = [member.assignment() for member in members]
            parts = [each.partitions or frozenset() for each in seen]
            if frozenset().union(*parts) == expected and sum(map(len, parts)) == len(expected) and all(parts):
                return parts
            waiting = [asyncio.ensure_future(member.changed(each)) for member, each in zip(members, seen, strict=True)]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for future in waiting:
                future.cancel()


def all_of(log: KafkaLog) -> frozenset[Partition]:
    return frozenset(Partition(log.log, number) for number in range(log.partitions))
