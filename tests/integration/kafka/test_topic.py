"""A log's topic is made with settings that lose nothing, and a topic with others is refused."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.topic import LARGEST_BATCH, TopicSettings, check_topic, make_topic
from eventkernel.errors import CannotOpen, Unavailable
from tests.support.kafka_log import administration, alter_topic, delete_topic, one_broker, topic_settings

pytestmark = pytest.mark.engines

DURABLE = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "min.insync.replicas": "1",
    "unclean.leader.election.enable": "false",
    "max.message.bytes": str(LARGEST_BATCH),
    "message.timestamp.type": "LogAppendTime",
}


async def test_a_topic_is_made_with_every_durable_setting_of_its_own(connection: KafkaConnection, topic: str) -> None:
    assert (await topic_settings(connection, topic)).items() >= DURABLE.items()
    async with administration(connection) as admin:
        (described,) = await admin.describe_topics([topic])
    assert len(described["partitions"]) == 3


async def test_making_it_again_changes_nothing(connection: KafkaConnection, topic: str) -> None:
    before = await topic_settings(connection, topic)
    await make_topic(connection, topic, one_broker())
    assert await topic_settings(connection, topic) == before


async def test_many_processes_may_make_it_at_once(connection: KafkaConnection, engine_name: str) -> None:
    await asyncio.gather(*(make_topic(connection, engine_name, one_broker()) for _ in range(5)))
    await delete_topic(connection, engine_name)


@pytest.mark.parametrize("asked", ["describe_configs", "describe_topics"])
async def test_a_broker_that_has_not_heard_of_the_new_topic_is_asked_again(
    connection: KafkaConnection, engine_name: str, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one of several brokers may, for a moment; here the first answers after the topic is made are those of a topic
    that is not there."""
    answering, created = getattr(AIOKafkaAdminClient, asked), AIOKafkaAdminClient.create_topics
    ignorant: list[None] = []

    async def create(admin: AIOKafkaAdminClient, topics: list[NewTopic]) -> Any:
        ignorant.extend([None] * 2)
        return await created(admin, topics)

    async def answer(admin: AIOKafkaAdminClient, about: list[Any]) -> Any:
        if not ignorant:
            return await answering(admin, about)
        ignorant.pop()
        unknown = "nobody-has-made-it"
        return await answering(admin, [unknown if asked == "describe_topics" else _config_of(unknown)])

    monkeypatch.setattr(AIOKafkaAdminClient, "create_topics", create)
    monkeypatch.setattr(AIOKafkaAdminClient, asked, answer)
    await make_topic(connection, engine_name, one_broker())
    assert ignorant == []
    await delete_topic(connection, engine_name)


def _config_of(topic: str) -> ConfigResource:
    return ConfigResource(ConfigResourceType.TOPIC, topic)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("cleanup.policy", "compact", "delete"),
        ("cleanup.policy", "compact,delete", "delete"),
        ("retention.ms", "604800000", "-1 (never expired)"),
        ("retention.bytes", "1073741824", "-1 (never expired)"),
        ("unclean.leader.election.enable", "true", "false"),
        ("max.message.bytes", "1048588", f"at least {LARGEST_BATCH}"),
        ("message.timestamp.type", "CreateTime", "LogAppendTime"),
    ],
)
async def test_a_topic_that_would_lose_data_is_refused(
    connection: KafkaConnection, topic: str, name: str, value: str, expected: str
) -> None:
    await alter_topic(connection, topic, DURABLE | {name: value})
    with pytest.raises(CannotOpen, match=re.escape(f"topic {topic}: {name}: expected {expected}, found {value}")):
        await make_topic(connection, topic, one_broker())
    assert (await topic_settings(connection, topic))[name] == value


async def test_fewer_replicas_in_sync_than_asked_are_refused(connection: KafkaConnection, topic: str) -> None:
    with pytest.raises(CannotOpen, match=r"min\.insync\.replicas: expected at least 2, found 1"):
        await check_topic(connection, topic, TopicSettings(3, 2, 2))


async def test_fewer_replicas_than_asked_are_refused(connection: KafkaConnection, topic: str) -> None:
    with pytest.raises(CannotOpen, match="replication factor: expected at least 2, found 1"):
        await check_topic(connection, topic, TopicSettings(3, 2, 1))


async def test_more_replicas_in_sync_than_asked_are_welcome(connection: KafkaConnection, topic: str) -> None:
    await alter_topic(connection, topic, DURABLE | {"min.insync.replicas": "2"})
    await check_topic(connection, topic, one_broker())


@pytest.mark.parametrize("asked", [2, 4])
async def test_another_number_of_partitions_is_refused_and_never_made(
    connection: KafkaConnection, topic: str, asked: int
) -> None:
    with pytest.raises(CannotOpen, match=rf"partitions: expected {asked}, found 3; their number never changes"):
        await make_topic(connection, topic, one_broker(asked))
    await check_topic(connection, topic, one_broker(3))


async def test_partitions_that_an_administrator_added_are_noticed(connection: KafkaConnection, topic: str) -> None:
    async with administration(connection) as admin:
        await admin.create_partitions({topic: NewPartitions(5)})
    with pytest.raises(CannotOpen, match="partitions: expected 3, found 5"):
        await check_topic(connection, topic, one_broker())


async def test_a_cluster_that_is_too_small_is_refused(connection: KafkaConnection, engine_name: str) -> None:
    with pytest.raises(CannotOpen, match=f"topic {engine_name}: it cannot be made as asked: .*replicate"):
        await make_topic(connection, engine_name, TopicSettings(3, 99, 2))


async def test_a_name_that_no_topic_can_have_is_refused(connection: KafkaConnection) -> None:
    with pytest.raises(CannotOpen, match="topic a topic: that is no name for a topic"):
        await make_topic(connection, "a topic", one_broker())


async def test_a_missing_topic_is_not_there_yet_and_asking_does_not_make_it(
    connection: KafkaConnection, engine_name: str
) -> None:
    with pytest.raises(Unavailable, match=f"topic {engine_name}: it does not exist yet"):
        await check_topic(connection, engine_name, one_broker())
    async with administration(connection) as admin:
        assert engine_name not in await admin.list_topics()


async def test_without_a_broker_it_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="topic users: KafkaConnectionError"):
        await make_topic(KafkaConnection("127.0.0.1:1", patience=1), "users", one_broker())
