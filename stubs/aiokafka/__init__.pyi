# What this project uses of aiokafka 0.14, which has no type information of its own.

import asyncio
import ssl
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.producer.message_accumulator import BatchBuilder

__version__: str

class TopicPartition(NamedTuple):
    topic: str
    partition: int

class RecordMetadata(NamedTuple):
    topic: str
    partition: int
    topic_partition: TopicPartition
    offset: int
    timestamp: int | None
    timestamp_type: int
    log_start_offset: int | None

class ConsumerRecord:
    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]

class _Client:
    async def close(self) -> None: ...

class _MessageAccumulator:
    def fail_all(self, exception: Exception) -> None: ...

class _Sender:
    @property
    def sender_task(self) -> asyncio.Task[None] | None: ...
    def _fail_all(self, task: asyncio.Task[None]) -> None: ...

class AIOKafkaProducer:
    client: _Client
    _message_accumulator: _MessageAccumulator
    _sender: _Sender
    def __init__(
        self,
        *,
        bootstrap_servers: str | list[str] = ...,
        client_id: str | None = ...,
        metadata_max_age_ms: int = ...,
        request_timeout_ms: int = ...,
        acks: int | str = ...,
        enable_idempotence: bool = ...,
        max_batch_size: int = ...,
        max_request_size: int = ...,
        retry_backoff_ms: int = ...,
        security_protocol: str = ...,
        ssl_context: ssl.SSLContext | None = ...,
        sasl_mechanism: str = ...,
        sasl_plain_username: str | None = ...,
        sasl_plain_password: str | None = ...,
    ) -> None: ...
    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def send(
        self,
        topic: str,
        value: bytes | None = ...,
        key: bytes | None = ...,
        partition: int | None = ...,
        timestamp_ms: int | None = ...,
        headers: list[tuple[str, bytes]] | None = ...,
    ) -> asyncio.Future[RecordMetadata]: ...
    def create_batch(self) -> BatchBuilder: ...
    async def send_batch(
        self, batch: BatchBuilder, topic: str, *, partition: int
    ) -> asyncio.Future[RecordMetadata]: ...

class _Assignor(Protocol):
    name: str

class AIOKafkaConsumer:
    _client: _Client
    def __init__(
        self,
        *topics: str,
        bootstrap_servers: str | list[str] = ...,
        client_id: str = ...,
        group_id: str | None = ...,
        metadata_max_age_ms: int = ...,
        request_timeout_ms: int = ...,
        fetch_max_wait_ms: int = ...,
        max_partition_fetch_bytes: int = ...,
        retry_backoff_ms: int = ...,
        auto_offset_reset: str = ...,
        enable_auto_commit: bool = ...,
        partition_assignment_strategy: Sequence[type[_Assignor]] = ...,
        max_poll_interval_ms: int = ...,
        rebalance_timeout_ms: int | None = ...,
        session_timeout_ms: int = ...,
        heartbeat_interval_ms: int = ...,
        security_protocol: str = ...,
        ssl_context: ssl.SSLContext | None = ...,
        sasl_mechanism: str = ...,
        sasl_plain_username: str | None = ...,
        sasl_plain_password: str | None = ...,
    ) -> None: ...
    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def assign(self, partitions: list[TopicPartition]) -> None: ...
    def seek(self, partition: TopicPartition, offset: int) -> None: ...
    def subscribe(self, topics: Sequence[str] = ..., *, listener: ConsumerRebalanceListener | None = ...) -> None: ...
    def pause(self, *partitions: TopicPartition) -> None: ...
    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = ..., max_records: int | None = ...
    ) -> Mapping[TopicPartition, Sequence[ConsumerRecord]]: ...
    async def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]: ...
    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]: ...
