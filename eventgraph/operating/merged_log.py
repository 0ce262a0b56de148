"""A log of several partitions as a data folder could have it: in one partition, with an id of its own."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Self

import msgspec

from eventkernel.adapters.sqlite.log_statements import GENERATION
from eventkernel.clock import SystemClock
from eventkernel.events import Position, Record, log_name
from eventkernel.writing.appending import record_id
from eventkernel.writing.claims import ClaimsKey
from eventkernel.writing.copying import CopiedLog, commits_in_order
from eventkernel.writing.fences import fence

_BATCH: Final = 1_000


@dataclass(frozen=True, slots=True)
class MergedLog:
    """The log up to an end, as `ExportedLog` has it."""

    source: CopiedLog
    end: Position
    log: str
    key: ClaimsKey

    @classmethod
    def of(cls, source: CopiedLog, end: Position, key: ClaimsKey) -> Self:
        return cls(source, end, f"{log_name(source.log)}.{secrets.token_hex(4)}", key)

    @property
    def size(self) -> int:
        return sum(self.end.values())

    async def batches(self) -> AsyncGenerator[Sequence[Record], None]:
        opening = fence(self.log, 0, GENERATION, self.key.fingerprint, SystemClock().now_us())
        yield [msgspec.structs.replace(opening, offset=0, id=record_id("", 0))]
        offset = 1
        batch: list[Record] = []
        async with aclosing(commits_in_order(self.source, self.end)) as commits:
            async for commit in commits:
                for record in commit:
                    batch.append(
                        msgspec.structs.replace(record, log=self.log, partition=0, offset=offset, generation=GENERATION)
                    )
                    offset += 1
                if len(batch) >= _BATCH:
                    yield batch
                    batch = []
        yield batch
