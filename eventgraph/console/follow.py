"""New records of some logs, as they come, as Server-Sent Events to one browser.

What a browser does not read stays unread on the logs: a bounded number of records is in memory for it.
https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Final

import msgspec

from eventgraph.console.event_filter import Wanted
from eventkernel.errors import KernelError
from eventkernel.events import Position, Record
from eventkernel.writing.store import Checkpoint, LogReader

_AT_ONCE: Final = 100
"""Records in one event."""
_WAITING: Final = 4
"""Such events that wait to be sent."""
_QUIET_SECONDS: Final = 15.0
"""After so long without a record a comment is sent: a browser that is gone is noticed by it."""

_Found = Sequence[Record] | KernelError


async def followed(
    logs: Sequence[LogReader],
    wanted: Wanted,
    after: Position,
    tell: Callable[[Record], object],
    until: float | None = None,
) -> AsyncGenerator[bytes]:
    """The events to send, until a moment (seconds since 1970 UTC) or for ever; after one named `failed`, which says why
    a log cannot be read on, no more."""
    found: asyncio.Queue[_Found] = asyncio.Queue(_WAITING)
    tasks = [asyncio.create_task(_follow(log, wanted, after, found)) for log in logs]
    try:
        yield b": follows\n\n"
        while (left := _QUIET_SECONDS if until is None else min(_QUIET_SECONDS, until - time.time())) > 0:
            try:
                async with asyncio.timeout(left):
                    some = await found.get()
            except TimeoutError:
                yield b": quiet\n\n"
                continue
            if isinstance(some, KernelError):
                yield b"event: failed\ndata: " + msgspec.json.encode({"error": str(some)[:200]}) + b"\n\n"
                return
            yield b"data: " + msgspec.json.encode([tell(record) for record in some]) + b"\n\n"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _follow(log: LogReader, wanted: Wanted, after: Position, found: asyncio.Queue[_Found]) -> None:
    try:
        async with aclosing(log.subscribe(Checkpoint(after.within([log.log])))) as batches:
            async for batch in batches:
                records = [record for record in batch.records if wanted.has(record)]
                for start in range(0, len(records), _AT_ONCE):
                    await found.put(records[start : start + _AT_ONCE])
    except KernelError as error:
        await found.put(error)
