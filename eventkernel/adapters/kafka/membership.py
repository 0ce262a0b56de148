"""A process's place in a group that shares the partitions of some logs, told by Kafka's group protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.log import KafkaLog
from eventkernel.membership import Assignment


class KafkaMembership:
    """The port `Membership`. The group only assigns: nothing is fetched through it, and no offset is committed."""

    def __init__(self, connection: KafkaConnection, group: str, logs: Sequence[KafkaLog]) -> None:
        """A member of `group` (such as `kithgraph.users-view`); who has partition 0 of the first log leads.

        Made inside a running event loop; joins at once, in the background, for as long as it takes.
        """
        raise NotImplementedError

    def assignment(self) -> Assignment:
        raise NotImplementedError

    async def changed(self, seen: Assignment) -> Assignment:
        raise NotImplementedError

    async def aclose(self) -> None:
        """Leave the group, so that the others take over at once."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
