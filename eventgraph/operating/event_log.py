"""The command `events`: the logs as CloudEvents JSON lines, filtered, and followed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import BinaryIO

from eventgraph.console.event_filter import EVERYTHING, Wanted
from eventgraph.errors import StartError
from eventgraph.operating.installation import Installation
from eventkernel.events import Partition, Position, Record
from eventkernel.writing.envelope import to_json
from eventkernel.writing.store import Checkpoint, LogReader


async def recorded(logs: Sequence[LogReader], ends: Sequence[Position]) -> AsyncGenerator[Record, None]:
    """Every record of these logs up to their ends; each log in its order, between them the earlier one first."""
    async with AsyncExitStack() as stack:
        readers = [
            await stack.enter_async_context(aclosing(_up_to(log, end))) for log, end in zip(logs, ends, strict=True)
        ]
        waiting = [(reader, record) for reader in readers if (record := await anext(reader, None)) is not None]
        while waiting:
            earliest = min(range(len(waiting)), key=lambda index: waiting[index][1].time_us)
            reader, record = waiting.pop(earliest)
            yield record
            following = await anext(reader, None)
            if following is not None:
                waiting.insert(earliest, (reader, following))


async def print_events(
    installation: Installation,
    names: Sequence[str] | None,
    output: BinaryIO,
    wanted: Wanted = EVERYTHING,
    *,
    follow: bool = False,
) -> None:
    """Write the records of these logs (None: all) as CloudEvents JSON lines; with `follow` new ones, too, for ever.

    Raises:
        StartError: as for `Installation.logs`, or no end is to be expected of what has one.
    """
    if follow and wanted.until is not None:
        raise StartError("--follow goes on for ever, --until has an end: leave one of them out")
    async with installation.logs(names or installation.system.logs) as logs:
        ends = [await log.head() for log in logs]
        async with aclosing(recorded(logs, ends)) as records:
            async for record in records:
                _write(record, wanted, output)
        output.flush()
        if follow:
            await asyncio.gather(*(_follow(log, end, wanted, output) for log, end in zip(logs, ends, strict=True)))


async def _follow(log: LogReader, after: Position, wanted: Wanted, output: BinaryIO) -> None:
    async with aclosing(log.subscribe(Checkpoint(after))) as batches:
        async for batch in batches:
            for record in batch.records:
                _write(record, wanted, output)
            output.flush()


def _write(record: Record, wanted: Wanted, output: BinaryIO) -> None:
    if wanted.has(record):
        output.write(to_json(record) + b"\n")


async def _up_to(log: LogReader, end: Position) -> AsyncGenerator[Record, None]:
    position = Position()
    async with aclosing(log.subscribe(Checkpoint())) as batches:
        while not position.covers(end):
            batch = await anext(batches)
            position = position.join(Position.of(batch.log, batch.partition, batch.next_offset))
            for record in batch.records:
                if record.offset < end.get(Partition(record.log, record.partition), 0):
                    yield record
