"""Events per second and core while a view is filled: anew from the start of its logs, and live in batches.

Run with `python -m tests.benchmark.bench_rebuild [EVENTS …]` (10,000 and 100,000 where none are given). Users are
filled from a log of that many events (seven in ten are new people); friends from two logs that have as many together
(one in eleven is a person). The projector does it as it does after a new release, all threads together; so a core's
second is a second of CPU time. Live folding is the same without a rebuild's shortcuts: batches of a size that come one
after the other, each durable before the next.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from eventkernel.adapters.sqlite.connection import open_reader
from eventkernel.adapters.sqlite.views import SqliteView, SqliteViewBuild
from eventkernel.reading.folding import ParkedStreams, RecordReader, fold, streams_of
from eventkernel.reading.projector import Projector, Source
from eventkernel.reading.views import Projection
from eventkernel.writing.codec import Codec
from eventkernel.writing.store import Batch, Checkpoint
from subgraphs.friends.adapters.sqlite import SqliteFriendView
from subgraphs.friends.domain import EVENT_TYPES as FRIEND_EVENTS
from subgraphs.friends.events import EVENT_TYPES as REPLICATED_EVENTS
from subgraphs.friends.projection import projection as friends_projection
from subgraphs.users.adapters.sqlite import SqliteUserView
from subgraphs.users.domain import EVENT_TYPES as USER_EVENTS
from subgraphs.users.projection import projection as users_projection
from tests.benchmark.histories import opened, write_logs

ROUNDS = 3
LIVE_BATCHES = (1, 10, 100, 1_000)
_ROWS = "SELECT * FROM {} ORDER BY 1, 2".format
_INSERT = "INSERT INTO {} VALUES ({})".format


async def rebuilt(
    folder: Path, build: type[SqliteViewBuild[Any]], projection: Projection[Any], sources: Sequence[Source]
) -> tuple[float, float]:
    """Seconds on the clock and of CPU time until a new build is live."""
    logs = [source.log.log for source in sources]
    view = await SqliteView[SqliteViewBuild[Any]].open(folder, build, shape=projection.shape, logs=logs)
    async with aclosing(view):
        projector = Projector(projection, sources, view)
        clock, cpu = time.perf_counter(), time.process_time()
        await projector.start()
        taken = time.perf_counter() - clock, time.process_time() - cpu
        await projector.stop()
    return taken


def bare_seconds(folder: Path) -> float:
    """CPU seconds of sqlite3 alone for the rows of the build in this folder."""
    (built,) = [file for file in folder.rglob("*") if file.is_file() and file.open("rb").read(6) == b"SQLite"]
    source = open_reader(built)
    made: list[tuple[str, str, str]] = source.execute(
        "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'kernel%' ORDER BY type DESC"
    ).fetchall()
    rows = {name: source.execute(_ROWS(name)).fetchall() for kind, name, _ in made if kind == "table"}
    source.close()
    connection = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
    connection.executescript("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536")
    start = time.process_time()
    connection.execute("BEGIN")
    for _, name, sql in made:
        connection.execute(sql)
        if rows.get(name):
            connection.executemany(_INSERT(name, ", ".join("?" * len(rows[name][0]))), rows[name])
    connection.execute("COMMIT")
    taken = time.process_time() - start
    connection.close()
    return taken


async def live(
    folder: Path, build_type: type[SqliteViewBuild[Any]], projection: Projection[Any], source: Source, size: int
) -> float:
    """Events per second of CPU time, folded in batches of a size, from the log's start."""
    log, readers = source.log, {source.log.log: source.codec}
    view = await SqliteView[SqliteViewBuild[Any]].open(folder, build_type, shape=projection.shape, logs=[log.log])
    async with aclosing(view), aclosing(log.subscribe(Checkpoint())) as batches:
        build = await view.create()
        await build.finish()
        records = [record for batch in [await anext(batches), await anext(batches)] for record in batch.records]
        records = records[: min(len(records), 500 * size)]
        cpu = time.process_time()
        for start in range(0, len(records), size):
            some = records[start : start + size]
            batch = Batch(log.log, 0, some, some[-1].offset + 1, 0)
            stored = await build.load(streams_of([batch]))
            await build.save(fold(projection, readers, [batch], stored, ParkedStreams()))
        return len(records) / (time.process_time() - cpu)


async def measured(events: int) -> None:
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        await write_logs(folder, events * 7 // 10, events, events * 7 // 10)
        friends_folder = folder / "friends"
        friends_folder.mkdir()
        await write_logs(friends_folder, events // 11, events // 11, events - events // 11)
        users = await opened(folder, "users")
        replicated, friends = await opened(friends_folder, "users"), await opened(friends_folder, "friends")
        of_users = [Source(users, Codec(USER_EVENTS))]
        of_friends = [Source(replicated, reader(REPLICATED_EVENTS)), Source(friends, Codec(FRIEND_EVENTS))]
        for name, build, projection, sources in (
            ("users", SqliteUserView, users_projection, of_users),
            ("friends", SqliteFriendView, friends_projection, of_friends),
        ):
            taken: list[tuple[float, float, float]] = []
            for number in range(ROUNDS):
                place = folder / f"{name}-{number}"
                taken.append((*await rebuilt(place, build, projection, sources), bare_seconds(place)))
            clock, cpu, bare = sorted(taken, key=lambda seconds: seconds[2] / seconds[1])[ROUNDS // 2]
            sys.stdout.write(
                f"rebuild {name:8} {events:>9,} events: {events / cpu:8,.0f} events per second of a core "
                f"({bare / cpu:.2f} of sqlite3 alone), {events / clock:8,.0f}/s on the clock\n"
            )
            if events == 10_000:
                rates = [await live(folder / f"{name}-l{s}", build, projection, sources[-1], s) for s in LIVE_BATCHES]
                told = ", ".join(
                    f"{rate:,.0f} in batches of {s:,}" for s, rate in zip(LIVE_BATCHES, rates, strict=True)
                )
                sys.stdout.write(f"live    {name:8} events per second of a core: {told}\n")
        for log in (users, replicated, friends):
            await log.aclose()


def reader(event_types: Sequence[Any]) -> RecordReader:
    return Codec(event_types, skip_others=True)


def main(sizes: Sequence[int] = (10_000, 100_000)) -> None:
    for events in sizes:
        asyncio.run(measured(events))


if __name__ == "__main__":
    main([int(size.replace(",", "")) for size in sys.argv[1:]] or (10_000, 100_000))
