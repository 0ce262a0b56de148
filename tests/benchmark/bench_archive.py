"""Events per second of CPU time and on the clock that an archiver takes out of a log, and that are restored.

Run with `python -m tests.benchmark.bench_archive [EVENTS]` (100,000 where none is given). The archive is a folder; with
a bucket, the way to it comes on top.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from pathlib import Path

from eventkernel.adapters.objects.folder import FolderStore
from eventkernel.adapters.sqlite.event_store import SqliteLog
from eventkernel.adapters.sqlite.log_copy import LogImport
from eventkernel.adapters.sqlite.log_file import claims_key_path, read_key
from eventkernel.archiving.archived_log import archived_logs
from eventkernel.archiving.archiver import Archiver
from eventkernel.clock import SystemClock
from eventkernel.writing.store import Checkpoint
from tests.support.appending import main as append

_WRITERS = 50


async def restore(store: FolderStore, source: Path, target: Path) -> None:
    (log,) = await archived_logs(store)
    copy = LogImport(target, log.log, read_key(claims_key_path(source)))
    copy.add(log.archive.fence())
    async for batch in log.subscribe(Checkpoint()):
        for record in batch.records:
            copy.add(record)
    copy.flush()
    copy.close()


async def bench(events: int, folder: Path) -> None:
    path, store = folder / "doors.sqlite", FolderStore(folder / "archive")
    await append(path, _WRITERS, 0, events // _WRITERS // 2)
    clock, cpu = time.perf_counter(), time.process_time()
    async with await SqliteLog.open_read_only(path) as log:
        manifest = await Archiver(store, [log], SystemClock()).run()
    tell("archived", events, clock, cpu)
    size = sum(segment.bytes for segment in manifest.segments)
    print(f"{len(manifest.segments)} segments, {size / events:.0f} bytes an event", file=sys.stderr)
    clock, cpu = time.perf_counter(), time.process_time()
    await restore(store, path, folder / "copy.sqlite")
    tell("restored", events, clock, cpu)


def tell(what: str, events: int, clock: float, cpu: float) -> None:
    seconds, busy = time.perf_counter() - clock, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rates = f"{events / busy:,.0f} events/s of CPU, {events / seconds:,.0f} on the clock"
    print(f"{what}: {rates}, peak {peak:.0f} MiB", file=sys.stderr)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(bench(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, Path(place)))
