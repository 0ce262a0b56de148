"""An event store in memory: forgotten at the end of the process; for tests and experiments."""

from __future__ import annotations

import asyncio
import secrets
import zlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Final

import msgspec

from eventkernel.clock import Clock
from eventkernel.errors import NotFound, Unavailable
from eventkernel.events import FENCE, NO_METADATA, EncodedEvent, Metadata, Partition, Position, Record
from eventkernel.reading.landmarks import compare
from eventkernel.writing.appending import Append, Ledger, prepared, resuming, settle
from eventkernel.writing.boundary import AppendCondition, Query, Reading, TaggedBatch
from eventkernel.writing.claims import ClaimsKey
from eventkernel.writing.fences import fence
from eventkernel.writing.refusals import Refused
from eventkernel.writing.store import Batch, Checkpoint, ClaimHolder, Commit, Correlated, Writing

_LARGEST_BATCH: Final = 1_000


class MemoryEventStore:
    """Everything in dictionaries; one step of the event loop is its transaction.

    A stream's name says which of the partitions it is in. `available` set to False makes every call fail with
    `Unavailable`, as a lost disk or server would.
    """

    def __init__(self, name: str, clock: Clock, partitions: int = 1) -> None:
        self._clock = clock
        self._key = ClaimsKey.draw()
        log = f"{name}.{secrets.token_hex(4)}"
        self._ledger = Ledger(log, next_offset=1)
        # A partition begins as others do, so that offsets count from 1 here too.
        fences = [fence(log, number, 0, self._key.fingerprint, clock.now_us()) for number in range(partitions)]
        self._partitions = [[msgspec.structs.replace(one, offset=0)] for one in fences]
        self._streams: dict[str, list[Record]] = {}
        self._tagged: dict[str, list[Record]] = {}
        self._grown = asyncio.Event()
        self.available = True

    @property
    def log(self) -> str:
        return self._ledger.log

    async def append(  # noqa: PLR0913 -- the port's
        self,
        stream: str,
        events: Sequence[EncodedEvent],
        *,
        expected_version: int | None,
        command_id: str,
        fingerprint: str,
        claims: frozenset[str] | None = None,
        metadata: Metadata = NO_METADATA,
        refusal: Refused | None = None,
        condition: AppendCondition | None = None,
    ) -> Commit:
        asked = Append(stream, events, expected_version, command_id, fingerprint, None, metadata, refusal, condition)
        append = prepared(asked, self._key, claims)
        self._check_available()
        number = zlib.crc32(stream.encode()) % len(self._partitions)
        partition = self._partitions[number]
        self._ledger.partition, self._ledger.next_offset = number, len(partition)
        commit, records = settle(append, self._ledger, self._clock.now_us())
        if records:
            partition += records
            if commit.events:
                self._streams.setdefault(stream, []).extend(records)
            for record in records:
                for tag in record.tags:
                    self._tagged.setdefault(tag, []).append(record)
            self._grown.set()
            self._grown = asyncio.Event()
        return commit

    async def writing(self) -> Writing:
        return Writing()

    async def backlog(self) -> int:
        self._check_available()
        return 0

    async def resume(self, stream: str, reason: str) -> Commit:
        records = await self.read_stream(stream)
        if not records:
            raise NotFound(f"{self.log}: there is no stream {stream[:200]!r}")
        return await self.append(
            stream,
            [resuming(reason)],
            expected_version=len(records),
            command_id=f"resume {stream} at {len(records)}",
            fingerprint="resume",
        )

    async def find_command(self, command_id: str) -> Commit | None:
        self._check_available()
        return self._ledger.commits.get(command_id)

    async def read_command(self, command_id: str) -> Sequence[Record]:
        self._check_available()
        return [record for records in self._partitions for record in records if record.command_id == command_id != ""]

    async def read_correlated(self, correlation: str, back: int, most: int) -> Correlated:
        self._check_available()
        found: list[Record] = []
        since_us, more = None, False
        for records in self._partitions:
            looked_at = records[-back:]
            ours = [record for record in looked_at if record.correlation == correlation]
            found += ours[-most:]
            more = more or len(ours) > most
            if len(looked_at) < len(records):
                since_us = max(looked_at[0].time_us, since_us or 0)
        return Correlated(found, since_us, more)

    async def find_claim(self, claim: str) -> ClaimHolder | None:
        self._check_available()
        return self._ledger.holders.get(self._key.seal(claim))

    async def read_stream(self, stream: str, up_to: int | None = None, after: int = 0) -> Sequence[Record]:
        self._check_available()
        return self._streams.get(stream, [])[after:up_to]

    async def read_tagged(self, query: Query, after: tuple[int, ...] = ()) -> AsyncGenerator[TaggedBatch, None]:
        self._check_available()
        reading = Reading(self._key, query, after)
        guarded = [self._tagged.get(item.guard, ()) for item in reading.items]
        found = {record.id: record for records in guarded for record in records}
        records = sorted(found.values(), key=lambda record: (record.time_us, record.offset))
        until = [max((record.time_us for record in records), default=0) for records in guarded]
        for start in range(0, len(records) or 1, _LARGEST_BATCH):
            yield reading.batch(records[start : start + _LARGEST_BATCH], until)

    async def opening(self) -> Record:
        """The fence that the first partition begins with."""
        return self._partitions[0][0]

    async def head(self) -> Position:
        self._check_available()
        return Position({Partition(self.log, number): len(self._partitions[number]) for number in self._numbers()})

    async def subscribe(
        self, after: Checkpoint, partitions: frozenset[int] | None = None
    ) -> AsyncGenerator[Batch, None]:
        await compare(self, after, partitions)
        offsets = {number: after.position.get(Partition(self.log, number), 0) for number in self._numbers(partitions)}
        while True:
            behind = [number for number, offset in offsets.items() if offset < len(self._partitions[number])]
            if not behind:
                await self._grown.wait()
            for number in behind:
                self._check_available()
                records = self._partitions[number][offsets[number] : offsets[number] + _LARGEST_BATCH]
                offsets[number] += len(records)
                given = [record for record in records if record.type != FENCE]
                yield Batch(self.log, number, given, offsets[number], generation=0)

    async def records_before(self, offsets: Mapping[int, int]) -> Mapping[int, Record]:
        self._check_available()
        before = {number: self._partitions[number][:offset] for number, offset in offsets.items()}
        return {number: found[-1] for number, found in before.items() if found and found[-1].type != FENCE}

    def _numbers(self, wanted: frozenset[int] | None = None) -> Sequence[int]:
        return [number for number in range(len(self._partitions)) if wanted is None or number in wanted]

    def _check_available(self) -> None:
        if not self.available:
            raise Unavailable(f"{self.log} is not available")
