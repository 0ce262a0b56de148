"""Bytes of an event and of a user in a data folder, an archive and a back-up, and how fast these are made.

Run with `python -m tests.benchmark.bench_sizes [USERS …]` (1,000, 4,000 and 16,000 where none are given). Each user has
two events of its own and eleven of friendships (one of eleven ends one), so 20 friends less what was ended; logs are
those of `histories.py`, in the social network's data folder, whose views are filled as by its first start. The first
user's bytes are the files' own; so what counts is the growth from one size to the next.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from eventgraph.operating.archive import run as archive
from eventgraph.operating.backup import create, restore
from eventgraph.operating.installation import FolderInstallation
from eventgraph.running.data_folder import DataFolder
from eventgraph.running.embedded import opened
from eventkernel.adapters.objects.folder import FolderStore
from eventkernel.clock import SystemClock
from kithgraph.system import SOCIAL_NETWORK
from tests.benchmark.histories import write_logs

T = TypeVar("T")

USER_EVENTS, FRIEND_EVENTS = 2, 11
"""Of each user."""

_TABLES = "SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC"


async def fill_views(data: Path) -> None:
    with DataFolder.open(data, SOCIAL_NETWORK) as folder:
        async with opened(SOCIAL_NETWORK, folder, SystemClock()) as subgraphs:
            for subgraph in subgraphs:
                await subgraph.projector.start()
            for subgraph in subgraphs:
                await subgraph.projector.stop()


def size(place: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in (place, *place.rglob("*")) if file.is_file())


def databases(data: Path) -> list[Path]:
    return [file for file in sorted(data.rglob("*")) if file.is_file() and file.open("rb").read(6) == b"SQLite"]


def tables(file: Path) -> Mapping[str, int]:
    """Bytes by table and index."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return dict(connection.execute(_TABLES))


def timed(what: str, work: Callable[[], T], bytes_of: Callable[[], int], users: int) -> T:
    clock, cpu = time.perf_counter(), time.process_time()
    result = work()
    clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    moved = bytes_of()
    rate = f"{moved / clock / 1e6:.1f} MB/s on the clock, {moved / cpu / 1e6:.1f} MB/s of CPU"
    say(f"  {what}: {moved:,} bytes, {moved / users:,.0f} a user; {clock:.1f} s, {cpu:.1f} s of CPU: {rate}")
    return result


def measure(users: int, root: Path) -> None:
    data = root / "data"
    with DataFolder.open(data, SOCIAL_NETWORK):
        asyncio.run(write_logs(data / "logs", users, users * USER_EVENTS, users * FRIEND_EVENTS))
    events = users * (USER_EVENTS + FRIEND_EVENTS)
    say(f"{users:,} users, {events:,} events")
    timed("views filled", lambda: asyncio.run(fill_views(data)), lambda: size(data / "views"), users)
    of = {"users": users * USER_EVENTS, "friends": users * FRIEND_EVENTS}
    for file in databases(data):
        found = tables(file)
        name, total = file.relative_to(data).as_posix(), sum(found.values())
        each = f"{total / of[file.stem]:,.0f} an event, " if "logs" in name else ""
        parts = ", ".join(f"{part} {taken / users:,.0f}" for part, taken in found.items() if taken > total // 50)
        say(f"  {name}: {total:,} bytes, {each}{total / users:,.0f} a user: {parts}")
    place = root / "archive"
    installation = FolderInstallation(SOCIAL_NETWORK, data)
    timed("archive", lambda: archive(installation, FolderStore(place)), lambda: size(place), users)
    timed("back-up", lambda: create(SOCIAL_NETWORK, data, root / "backup"), lambda: size(root / "backup"), users)
    other = root / "other"
    timed("restore", lambda: restore(SOCIAL_NETWORK, root / "backup", other), lambda: size(other), users)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(sizes: list[int]) -> None:
    for users in sizes:
        with tempfile.TemporaryDirectory(prefix="kith-sizes-") as root:
            measure(users, Path(root))


if __name__ == "__main__":
    main([int(one.replace(",", "")) for one in sys.argv[1:]] or [1_000, 4_000, 16_000])
