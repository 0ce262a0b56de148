"""The topic of a log: made with settings that lose nothing, and refused where it has others.

Whether a topic exists is asked through its settings: asking for its metadata would let a broker with
`auto.create.topics.enable` make it, with that broker's own settings.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.failures import failures_of
from eventkernel.adapters.kafka.lifecycle import started
from eventkernel.errors import CannotOpen, Unavailable

LARGEST_BATCH: Final = 4 * 1024 * 1024
"""Bytes of a record batch, and so of a commit: with its envelopes, the largest that the kernel takes."""

_POLL_SECONDS: Final = 0.05
_UNKNOWN_TOPIC: Final = 3
_NO_NAME: Final = 17
_TOPIC_EXISTS: Final = 36
_ERRORS_OF_THE_ASKED: Final = frozenset({_NO_NAME, 37, 38, 39, 40, 44})
"""Error codes for a topic that cannot be made as asked: its name, partitions, replicas, settings, or a policy
(https://kafka.apache.org/protocol.html#protocol_error_codes)."""

_NO_LIMIT: Final = "-1"


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """What is asked of a topic. The number of partitions never changes once the topic is made.

    With three replicas of which two are in sync, any one broker may be lost without losing a record or a minute.

    Raises:
        CannotOpen: the numbers do not fit together.
    """

    partitions: int = 3
    replication_factor: int = 3
    min_in_sync_replicas: int = 2

    def __post_init__(self) -> None:
        if self.partitions < 1:
            raise CannotOpen(f"partitions: expected 1 or more, found {self.partitions}")
        if not 1 <= self.min_in_sync_replicas <= self.replication_factor:
            raise CannotOpen(
                f"in-sync replicas: expected 1 to {self.replication_factor} (the replication factor), "
                f"found {self.min_in_sync_replicas}"
            )


async def make_topic(connection: KafkaConnection, topic: str, settings: TopicSettings) -> None:
    """Make the topic where it is missing, then check it. Several processes may do so at once.

    Raises:
        CannotOpen: it exists with settings that would lose data or with another number of partitions, or the cluster
            cannot make it as asked; the message names the setting, what was expected and what was found.
        Unavailable: the cluster cannot be asked now.
    """
    async with _admin(connection, topic) as admin:
        if await _configured(admin, topic) is None:
            await _create(admin, topic, settings)
        while True:
            try:
                return await _check(admin, topic, settings)
            except Unavailable:  # brokers hear of a new topic one after the other, and any of them is asked
                await asyncio.sleep(_POLL_SECONDS)


async def check_topic(connection: KafkaConnection, topic: str, settings: TopicSettings) -> None:
    """As `make_topic`, without making it: a missing topic is `Unavailable`."""
    async with _admin(connection, topic) as admin:
        await _check(admin, topic, settings)


async def count_partitions(connection: KafkaConnection, topic: str) -> int:
    """How many partitions the topic has.

    Raises:
        Unavailable: it is missing, or the cluster cannot be asked now.
    """
    async with _admin(connection, topic) as admin:
        if await _configured(admin, topic) is None:
            raise Unavailable(f"topic {topic}: it does not exist yet")
        return len(await _replicas(admin, topic))


@asynccontextmanager
async def _admin(connection: KafkaConnection, topic: str) -> AsyncGenerator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**connection.client_settings("eventkernel-topics"))
    with failures_of(f"topic {topic}"):
        try:
            async with asyncio.timeout(3 * connection.patience):
                await started(admin.start(), None)
                yield admin
        finally:
            await admin.close()


async def _create(admin: AIOKafkaAdminClient, topic: str, settings: TopicSettings) -> None:
    asked = {
        "cleanup.policy": "delete",
        "retention.ms": _NO_LIMIT,
        "retention.bytes": _NO_LIMIT,
        "min.insync.replicas": str(settings.min_in_sync_replicas),
        "unclean.leader.election.enable": "false",
        "max.message.bytes": str(LARGEST_BATCH),
        "message.timestamp.type": "LogAppendTime",
    }
    new = NewTopic(topic, settings.partitions, settings.replication_factor, topic_configs=asked)
    response = (await admin.create_topics([new])).to_object()
    for answer in response["topic_errors"]:
        code = answer["error_code"]
        if code in _ERRORS_OF_THE_ASKED:
            raise CannotOpen(f"topic {topic}: it cannot be made as asked: {answer['error_message']}")
        if code not in (0, _TOPIC_EXISTS):
            raise for_code(code)


async def _check(admin: AIOKafkaAdminClient, topic: str, settings: TopicSettings) -> None:
    configured = await _configured(admin, topic)
    if configured is None:
        raise Unavailable(f"topic {topic}: it does not exist yet")
    for name, expected, accepts in _expectations(settings):
        found = configured.get(name)
        if found is None or not accepts(found):
            raise CannotOpen(f"topic {topic}: {name}: expected {expected}, found {found}")
    replicas = await _replicas(admin, topic)
    if len(replicas) != settings.partitions:
        raise CannotOpen(
            f"topic {topic}: partitions: expected {settings.partitions}, found {len(replicas)}; "
            "their number never changes: each stream has its place among them"
        )
    if min(replicas) < settings.replication_factor:
        raise CannotOpen(
            f"topic {topic}: replication factor: expected at least {settings.replication_factor}, found {min(replicas)}"
        )


def _expectations(settings: TopicSettings) -> Sequence[tuple[str, str, Callable[[str], bool]]]:
    """Settings by name: what is expected, in words, and whether a value will do.

    The time of appending is what brokers always take. They refuse records that name a moment more than an hour ahead
    of their own clock, and an event's time never goes back: one wrong clock could stop a stream.
    """
    in_sync = settings.min_in_sync_replicas
    return (
        ("cleanup.policy", "delete", lambda found: found == "delete"),
        ("retention.ms", "-1 (never expired)", lambda found: found == _NO_LIMIT),
        ("retention.bytes", "-1 (never expired)", lambda found: found == _NO_LIMIT),
        ("min.insync.replicas", f"at least {in_sync}", lambda found: int(found) >= in_sync),
        ("unclean.leader.election.enable", "false", lambda found: found == "false"),
        ("max.message.bytes", f"at least {LARGEST_BATCH}", lambda found: int(found) >= LARGEST_BATCH),
        ("message.timestamp.type", "LogAppendTime", lambda found: found == "LogAppendTime"),
    )


async def _configured(admin: AIOKafkaAdminClient, topic: str) -> Mapping[str, str] | None:
    """The topic's settings; None where there is no such topic."""
    (response,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    (resource,) = response.to_object()["resources"]
    code: int = resource["error_code"]
    if code == _UNKNOWN_TOPIC:
        return None
    if code == _NO_NAME:
        raise CannotOpen(f"topic {topic}: that is no name for a topic")
    if code:
        raise for_code(code)
    # In aiokafka's answers a setting's own name is called `config_names`.
    return {entry["config_names"]: entry["config_value"] for entry in resource["config_entries"]}


async def _replicas(admin: AIOKafkaAdminClient, topic: str) -> Sequence[int]:
    """How many replicas each partition has."""
    (described,) = await admin.describe_topics([topic])
    code: int = described["error_code"]
    if code == _UNKNOWN_TOPIC:
        raise Unavailable(f"topic {topic}: it does not exist yet")
    if code:
        raise for_code(code)
    return [len(partition["replicas"]) for partition in described["partitions"]]
