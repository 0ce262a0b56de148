"""A log of several partitions that delivers as badly as `LogReader` allows: in any cuts, repeatedly, with failures."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Mapping, Sequence

import msgspec

from eventkernel.errors import Unavailable
from eventkernel.events import COMMAND_REMEMBERED, STREAM_RESUMED, DomainEvent, Partition, Position, Record
from eventkernel.writing.codec import Codec
from eventkernel.writing.store import Batch, Checkpoint
from tests.support.doors import CODEC, Hung


class ScriptedLog:
    """Records stand in `partitions`; what is delivered when follows from the seed."""

    def __init__(self, log: str, partitions: int = 1, seed: int | None = None, codec: Codec = CODEC) -> None:
        self.log = log
        self._codec = codec
        self.partitions: list[list[Record]] = [[] for _ in range(partitions)]
        self._random = None if seed is None else random.Random(seed)
        self._grown = asyncio.Event()
        self.available = True

    def put(self, stream: str, version: int, event: DomainEvent | None, partition: int = 0) -> Position:
        """One record more; without an event, one that remembers a command. Gives the position just past it."""
        records = self.partitions[partition]
        encoded = None if event is None else self._codec.encode(event, stream)
        offset = len(records)
        record = Record(
            log=self.log,
            partition=partition,
            offset=offset,
            id=f"{self.log}-{partition}-{offset}",
            type=COMMAND_REMEMBERED if encoded is None else encoded.type,
            time_us=1_700_000_000_000_000 + offset,
            stream=stream,
            version=version if encoded else 0,
            first_version=version,
            commit_size=1,
            command_id=f"command {partition} {offset}",
            fingerprint="a print",
            data=b"" if encoded is None else encoded.data,
        )
        records.append(record)
        self._grown.set()
        self._grown = asyncio.Event()
        return Position.of(self.log, partition, offset + 1)

    def resume(self, stream: str, version: int) -> None:
        """An operator lets a stream go on that waits behind a gap."""
        self.put(stream, version, Hung(name=""))
        record = self.partitions[0].pop()
        self.partitions[0].append(msgspec.structs.replace(record, type=STREAM_RESUMED, data=b'{"reason":"gap"}'))

    async def head(self) -> Position:
        if not self.available:
            raise Unavailable(f"{self.log} is set to be unavailable")
        return Position({Partition(self.log, n): len(records) for n, records in enumerate(self.partitions) if records})

    async def records_before(self, offsets: Mapping[int, int]) -> Mapping[int, Record]:
        if not self.available:
            raise Unavailable(f"{self.log} is set to be unavailable")
        before = {number: self.partitions[number][:offset] for number, offset in offsets.items()}
        return {number: records[-1] for number, records in before.items() if records}

    async def subscribe(
        self, after: Checkpoint, partitions: frozenset[int] | None = None
    ) -> AsyncGenerator[Batch, None]:
        wanted = [number for number in range(len(self.partitions)) if partitions is None or number in partitions]
        offsets = [after.position.get(Partition(self.log, number), 0) for number in range(len(self.partitions))]
        if self._random is not None:
            offsets = [max(0, offset - self._random.choice((0, 0, 3))) for offset in offsets]
        while True:
            grown = self._grown
            behind = [number for number in wanted if offsets[number] < len(self.partitions[number])]
            if not behind:
                await grown.wait()
                continue
            if not self.available or (self._random is not None and self._random.random() < 0.05):
                raise Unavailable(f"{self.log} is set to be unavailable")
            number = behind[0] if self._random is None else self._random.choice(behind)
            size = 1_000 if self._random is None else self._random.choice((1, 2, 5, 50))
            start = offsets[number]
            records: Sequence[Record] = self.partitions[number][start : start + size]
            offsets[number] = start + len(records)
            yield Batch(self.log, number, records, offsets[number], 0)
            if self._random is not None and self._random.random() < 0.1:
                offsets[number] = max(0, offsets[number] - self._random.randint(0, 6))
