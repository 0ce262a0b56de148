from collections.abc import Awaitable, Iterable

from aiokafka import TopicPartition

class ConsumerRebalanceListener:
    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> Awaitable[None] | None: ...
    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> Awaitable[None] | None: ...
