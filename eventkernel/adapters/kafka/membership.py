"""A process's place in a group that shares the partitions of some logs, told by Kafka's group protocol.

The group only assigns. Its consumer pauses every partition as soon as it is assigned, so that nothing is fetched
through it, and commits no offset: how far a view is, the view says. While a group is being arranged anew, each member
keeps what it had; who works on a partition that is another's by then does something twice, and nothing wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.lifecycle import let_go, started
from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.events import Partition
from eventkernel.reading.membership import NOTHING, Assignment
from eventkernel.retrying import Backoff, Troubles

_HEARTBEAT_MS: Final = 500
"""How soon a member hears that the group is being arranged anew."""
_SESSION_MS: Final = 6_000
"""How soon a member that is silent is taken for dead: the shortest time that brokers allow unless told otherwise."""
_NEVER_MS: Final = 2**31 - 1
"""Fetching nothing is no sign of idleness here."""
_LOOK_MS: Final = 1_000


class KafkaMembership:
    """The port `Membership`. Made inside a running event loop; joins in the background, for as long as it takes."""

    def __init__(self, connection: KafkaConnection, group: str, logs: Sequence[KafkaLog]) -> None:
        """A member of `group` (such as `library.books-view`); who has partition 0 of the first log leads."""
        self._connection = connection
        self._group = group
        self._logs = {log.topic: log.log for log in logs}
        self._leader = Partition(logs[0].log, 0)
        self._assignment = NOTHING
        self._moved = asyncio.Event()
        self._doing = f"being a member of {group}"
        self._troubles = Troubles(Backoff())
        self._task = asyncio.create_task(self._belong(), name=f"member of {group}")

    def assignment(self) -> Assignment:
        return self._assignment

    async def changed(self, seen: Assignment) -> Assignment:
        while self._assignment == seen:
            await self._moved.wait()
        return self._assignment

    async def aclose(self) -> None:
        """Leave the group, so that the others take over at once."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _belong(self) -> None:
        while True:
            try:
                await self._take_part()
            except Exception as error:  # noqa: BLE001 -- whatever it is is shown, and tried again
                await self._troubles.failed(self._doing, error)

    async def _take_part(self) -> None:
        consumer = AIOKafkaConsumer(
            **self._connection.client_settings("eventkernel-member"),
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            partition_assignment_strategy=(RoundRobinPartitionAssignor,),
            heartbeat_interval_ms=_HEARTBEAT_MS,
            session_timeout_ms=_SESSION_MS,
            rebalance_timeout_ms=_SESSION_MS,
            max_poll_interval_ms=_NEVER_MS,
        )
        try:
            consumer.subscribe(list(self._logs), listener=_Listener(consumer, self._assigned))
            await started(consumer.start(), None)
            while True:  # the group's errors are told to those who ask for messages
                await consumer.getmany(timeout_ms=_LOOK_MS)
        finally:
            await let_go(consumer)  # where it cannot tell the group, that takes it for dead in a while

    def _assigned(self, assigned: Iterable[TopicPartition]) -> None:
        partitions = frozenset(Partition(self._logs[topic], number) for topic, number in assigned)
        self._assignment = Assignment(partitions, leads=self._leader in partitions)
        self._troubles.over(self._doing)
        self._moved.set()
        self._moved = asyncio.Event()


class _Listener(ConsumerRebalanceListener):
    """Hears what is assigned before anything of it can be fetched."""

    def __init__(self, consumer: AIOKafkaConsumer, tell: Callable[[Iterable[TopicPartition]], None]) -> None:
        self._consumer = consumer
        self._tell = tell

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """What comes instead is told at once after this."""

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._consumer.pause(*assigned)
        self._tell(assigned)
