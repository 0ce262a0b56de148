"""Writes doors to a log and projects them, until it is killed: `python -m tests.support.projecting_child FOLDER`.

Prints a line for each commit that the view has reached.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.clock import SystemClock
from eventkernel.reading.bookmark import Bookmark
from eventkernel.reading.gate import BookmarkGate
from eventkernel.reading.projector import Projector, Source
from tests.support.doors import CODEC, DOORS, DoorEvent, Hung, Opened, Painted, SqliteDoors


async def main(folder: Path) -> None:
    store = await SqliteEventStore.open(folder / "doors.sqlite", name="doors", clock=SystemClock())
    view = await SqliteView.open(folder / "doors", SqliteDoors, shape=1, logs=[store.log])
    projector = Projector(DOORS, [Source(store, CODEC)], view, grace=0)
    await projector.start()
    gate = BookmarkGate(view, [store], {"doors"})

    async def keep_writing(number: int) -> None:
        stream = f"door-{number}"
        while True:
            version = len(await store.read_stream(stream))
            events: Sequence[DoorEvent] = (Painted(colour="red"), Opened(), Opened())[: random.randint(1, 3)]
            commit = await store.append(
                stream,
                [CODEC.encode(event, stream) for event in ([Hung(name="oak")] if version == 0 else events)],
                expected_version=version,
                command_id=f"{stream} {version}",
                fingerprint="a print",
            )
            await gate.wait(Bookmark.of_commit(commit), 30)
            sys.stdout.write(f"{stream} {commit.version}\n")
            sys.stdout.flush()

    async def keep_rebuilding() -> None:
        while True:
            await projector.rebuild()

    await asyncio.gather(*(keep_writing(number) for number in range(8)), keep_rebuilding())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
