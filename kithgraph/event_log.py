"""Reading the logs of a data folder from outside, also while another process writes them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import BinaryIO

from eventkernel.adapters.sqlite.event_store import SqliteLog
from eventkernel.envelope import to_json
from eventkernel.errors import KernelError
from eventkernel.events import Position, Record
from eventkernel.store import Checkpoint, LogReader
from kithgraph.data_folder import LOG_NAMES, log_file
from kithgraph.errors import StartError


async def recorded(data: Path, names: Sequence[str] = LOG_NAMES) -> AsyncGenerator[Record, None]:
    """Every record of these logs that is there now; each log in its order, between them the earlier one first.

    Raises:
        StartError: the folder holds no such log, or one that cannot be read.
    """
    async with AsyncExitStack() as stack:
        try:
            logs = [
                await stack.enter_async_context(await SqliteLog.open_read_only(log_file(data, name))) for name in names
            ]
        except KernelError as error:
            raise StartError(f"the data folder {data} cannot be read: {error}") from error
        readers = [await stack.enter_async_context(aclosing(_until_now(log))) for log in logs]
        waiting = [(reader, record) for reader in readers if (record := await anext(reader, None)) is not None]
        while waiting:
            earliest = min(range(len(waiting)), key=lambda index: waiting[index][1].time_us)
            reader, record = waiting.pop(earliest)
            yield record
            following = await anext(reader, None)
            if following is not None:
                waiting.insert(earliest, (reader, following))


async def print_events(data: Path, names: Sequence[str] | None, output: BinaryIO) -> None:
    """Write the records of these logs (None: all) as CloudEvents JSON lines.

    Raises:
        StartError: a name is no log's, or as for `recorded`.
    """
    unknown = sorted(set(names or ()) - set(LOG_NAMES))
    if unknown:
        raise StartError(f"there is no log {unknown[0]!r}, only {' and '.join(LOG_NAMES)}")
    async for record in recorded(data, names or LOG_NAMES):
        output.write(to_json(record) + b"\n")
    output.flush()


async def _until_now(log: LogReader) -> AsyncGenerator[Record, None]:
    """The records up to the log's present end."""
    end = await log.head()
    position = Position()
    async with aclosing(log.subscribe(Checkpoint())) as batches:
        while not position.covers(end):
            batch = await anext(batches)
            position = position.join(Position.of(batch.log, batch.partition, batch.next_offset))
            for record in batch.records:
                yield record
