"""The topic of a log: made with settings that lose nothing, and refused where it has others."""

from __future__ import annotations

from dataclasses import dataclass

from eventkernel.adapters.kafka.connection import KafkaConnection


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """What is asked of a topic. The number of partitions never changes once the topic is made."""

    partitions: int = 3
    replication_factor: int = 3
    min_in_sync_replicas: int = 2


async def make_topic(connection: KafkaConnection, topic: str, settings: TopicSettings) -> None:
    """Make the topic where it is missing, then check it. Several processes may do so at once.

    Raises:
        CannotOpen: it exists with settings that would lose data or with another number of partitions, or the cluster
            cannot make it as asked; the message names the setting, what was expected and what was found.
        Unavailable: the cluster cannot be asked now.
    """
    raise NotImplementedError


async def check_topic(connection: KafkaConnection, topic: str, settings: TopicSettings) -> None:
    """As `make_topic`, without making it: a missing topic is `Unavailable`."""
    raise NotImplementedError
