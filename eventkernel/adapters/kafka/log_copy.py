"""Another log's records onto a new topic, so that it is the same log there: its id, its commits, its claims, its key.

What differs is where a record stands, and its generation: the copy begins with the first. The ledger is filled from the
copy, as it is from any log. As long as it is not, the ledger says that the log is being copied, and nobody opens it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import Final

import msgspec

from eventkernel.adapters.kafka.connection import KafkaConnection
from eventkernel.adapters.kafka.log import KafkaLog, first_fences
from eventkernel.adapters.kafka.opening import Opener
from eventkernel.adapters.kafka.publisher import Publisher
from eventkernel.adapters.kafka.topic import TopicSettings, make_topic
from eventkernel.adapters.mongodb.connection import Database
from eventkernel.adapters.mongodb.ledger import Ledger
from eventkernel.adapters.mongodb.ledger_generation import Generation
from eventkernel.clock import Clock
from eventkernel.errors import CannotOpen, InvalidInput
from eventkernel.events import FENCE, Record, log_name
from eventkernel.writing.claims import ClaimsKey

_AT_ONCE: Final = 2_000
"""Commits on their way to the brokers."""
_LARGEST_AT_ONCE: Final = 8 * 1024 * 1024
"""Bytes of their data, about."""
_FIRST: Final = 1


async def copy_into(
    connection: KafkaConnection,
    database: Database,
    records: AsyncIterable[Sequence[Record]],
    *,
    log: str,
    key: ClaimsKey,
    clock: Clock,
    topic: str | None = None,
    settings: TopicSettings | None = None,
) -> int:
    """Copy a log onto a topic that is made for it, and fill its ledger; how many records it has then, without fences.

    `records` are all of the log `log`, in pieces, each stream in its order; fences are left out, and so is what comes
    a second time. When this was broken off, topic and database have to be deleted before it is tried again.

    Raises:
        CannotOpen: the topic or the ledger is not empty, or the topic has settings that would lose data.
        InvalidInput: a record belongs to another log, or a commit is not whole.
        Unavailable: a server cannot be reached.
    """
    asked, name = settings or TopicSettings(), log_name(log)
    topic = topic or name
    await make_topic(connection, topic, asked)
    ledger = Ledger(database, name)
    copying = Generation.next(log, _FIRST, copying=True)
    if await first_fences(connection, topic, asked.partitions):
        raise CannotOpen(f"topic {topic}: expected an empty topic to copy the log {log} to, found records")
    if not await ledger.replace(None, copying):
        raise CannotOpen(f"topic {topic}: expected no ledger of the log {name}, found one")
    async with Publisher(connection, topic, partitions=asked.partitions) as publisher:
        opener = Opener(
            connection, topic, publisher, ledger, name=name, partitions=asked.partitions, key=key, clock=clock
        )
        try:
            await opener.put_fences(copying)
            copied = await _publish_all(records, publisher, opener.log)
            if await opener.open_after(copying) is None:
                raise CannotOpen(f"topic {topic}: somebody else has opened the ledger while the log was copied")
        finally:
            await opener.aclose()
    return copied


async def _publish_all(records: AsyncIterable[Sequence[Record]], publisher: Publisher, log: KafkaLog) -> int:
    copied, size = 0, 0
    waiting: list[asyncio.Future[int]] = []
    try:
        async for commit in _commits(records, log.log):
            # The publisher keeps the order in which it is asked, partition by partition.
            waiting.append(asyncio.ensure_future(publisher.publish(log.partition_of(commit[0].stream), commit)))
            copied += len(commit)
            size += sum([len(record.data) for record in commit])
            if len(waiting) == _AT_ONCE or size > _LARGEST_AT_ONCE:
                await asyncio.gather(*waiting)
                waiting, size = [], 0
        await asyncio.gather(*waiting)
    finally:
        await asyncio.gather(*waiting, return_exceptions=True)  # where something else has failed meanwhile
    return copied


async def _commits(pieces: AsyncIterable[Sequence[Record]], log: str) -> AsyncIterator[Sequence[Record]]:
    """The commits, each once, in generation 1; those of one stream in order."""
    begun: dict[str, list[Record]] = {}
    ends: dict[str, int] = {}
    async for records in pieces:
        for record in records:
            if record.log != log:
                raise InvalidInput(f"{record.id}: expected a record of the log {log}, found one of {record.log}")
            if record.type == FENCE or (record.version and record.version <= ends.get(record.stream, 0)):
                continue
            commit = begun.setdefault(record.stream, [])
            if record.version not in (0, record.first_version + len(commit)):
                raise InvalidInput(f"{record.id}: expected the stream's version {record.first_version + len(commit)}")
            commit.append(msgspec.structs.replace(record, generation=_FIRST))
            if record.version:
                ends[record.stream] = record.version
            if len(commit) == record.commit_size:
                yield begun.pop(record.stream)
    if begun:
        raise InvalidInput(f"{next(iter(begun))}: the log ends within a commit of this stream")
