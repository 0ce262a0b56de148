"""A program that appends to a log and says on its standard output what was acknowledged, to be killed or watched.

    python -m tests.support.appending FILE WRITERS FIRST COUNT

Each of WRITERS appends two events at a time to a stream of its own, commands FIRST, FIRST + 1, …, COUNT of them, and
writes a line `STREAM VERSION COMMAND` after each acknowledgement.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.clock import SystemClock
from eventkernel.events import EncodedEvent

DATA = b'{"text":"' + b"x" * 200 + b'"}'


async def write(store: SqliteEventStore, stream: str, first: int, count: int) -> None:
    version = len(await store.read_stream(stream))
    for number in range(first, first + count):
        commit = await store.append(
            stream,
            [EncodedEvent("doors.Opened", 1, DATA), EncodedEvent("doors.Shut", 1, DATA)],
            expected_version=version,
            command_id=f"{stream}:{number}",
            fingerprint="f",
            claims=frozenset({f"{stream}:{number % 2}"}),
        )
        version = commit.version
        os.write(1, f"{stream} {version} {stream}:{number}\n".encode())


async def main(path: Path, writers: int, first: int, count: int) -> None:
    store = await SqliteEventStore.open(path, name="doors", clock=SystemClock())
    await asyncio.gather(*(write(store, f"door-{number}", first, count) for number in range(writers)))
    await store.aclose()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *map(int, sys.argv[2:])))
