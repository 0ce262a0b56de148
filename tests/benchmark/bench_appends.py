"""Durable appends per second at the kernel, against bare sqlite3 that writes the same rows in groups.

Run with `python -m tests.benchmark.bench_appends [FOLDER]`. The bare side is the least that answers waiting writers:
the same file, tables, indexes and settings, rows that are ready, and a thread that takes whatever waits, `executemany`,
COMMIT, and tells all of them at once. It looks nothing up and refuses nothing. The ceiling beside it has no writers at
all: one loop over groups of as many rows. Both sides run in turns, and the middle ratio is printed, because a disk's
fsync is not the same from one second to the next.

Beside them run the recorder of the PyPI library `eventsourcing` (SQLite, synchronous=FULL) and the event store UmaDB
(its server and its Python client), with 64 writing threads each; `rivals.py` says what they do. They are installed into
an environment that lasts as long as the benchmark; one that cannot be had is named and left out.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import timeit
import venv
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TypeAlias

from eventkernel.adapters.sqlite.connection import open_writer
from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.clock import SystemClock
from eventkernel.decider import Decider
from eventkernel.events import DomainEvent, Metadata, Record
from eventkernel.writing.codec import Codec
from eventkernel.writing.commands import CommandHandler
from eventkernel.writing.store import Checkpoint

APPENDS = 20_000
ROUNDS = 3
METADATA = Metadata(actor="actor-0189f6e4", correlation="0af7651916cd43dd8448eb211c80319c")


class Opened(DomainEvent, frozen=True, tag="doors.Opened"):
    first_name: str
    last_name: str
    username: str | None = None


EVENT = Opened(first_name="Ada", last_name="Lovelace", username="ada.lovelace.1815")
CODEC = Codec([Opened])


async def opened(folder: Path) -> SqliteEventStore:
    return await SqliteEventStore.open(folder / "doors.sqlite", name="doors", clock=SystemClock())


async def kernel_appends(folder: Path, writers: int, appends: int) -> float:
    """Appends a second: each writer waits for its acknowledgement before it goes on."""
    store = await opened(folder)
    numbers = iter(range(appends))

    async def write() -> None:
        for number in numbers:
            stream = f"door-{number:08}"
            await store.append(
                stream,
                [CODEC.encode(EVENT, stream)],
                expected_version=0,
                command_id=f"{number:032x}",
                fingerprint="f" * 64,
                metadata=METADATA,
            )

    start = time.perf_counter()
    await asyncio.gather(*(write() for _ in range(writers)))
    rate = appends / (time.perf_counter() - start)
    await store.aclose()
    return rate


Row: TypeAlias = tuple[object, ...]


async def bare_appends(folder: Path, rows: Sequence[Row], writers: int) -> float:
    """Rows a second into an empty log, each writer waiting for its row's COMMIT."""
    await (await opened(folder)).aclose()
    connection = open_writer(folder / "doors.sqlite")
    loop = asyncio.get_running_loop()
    waiting: queue.SimpleQueue[tuple[Row, asyncio.Future[None]] | None] = queue.SimpleQueue()

    def acknowledge(futures: Sequence[asyncio.Future[None]]) -> None:
        for future in futures:
            future.set_result(None)

    def commit_groups() -> None:
        while (first := waiting.get()) is not None:
            group = [first]
            while not waiting.empty() and (following := waiting.get()) is not None:
                group.append(following)
            write_group(connection, [row for row, _ in group])
            loop.call_soon_threadsafe(acknowledge, [future for _, future in group])

    remaining = iter(rows)

    async def write() -> None:
        for row in remaining:
            future: asyncio.Future[None] = loop.create_future()
            waiting.put((row, future))
            await future

    thread = threading.Thread(target=commit_groups)
    thread.start()
    start = time.perf_counter()
    await asyncio.gather(*(write() for _ in range(writers)))
    rate = len(rows) / (time.perf_counter() - start)
    waiting.put(None)
    thread.join()
    connection.close()
    return rate


async def ceiling(folder: Path, rows: Sequence[Row], group: int) -> float:
    """Rows a second into an empty log when nobody waits: groups of this size in a loop."""
    await (await opened(folder)).aclose()
    connection = open_writer(folder / "doors.sqlite")
    start = time.perf_counter()
    for first in range(0, len(rows), group):
        write_group(connection, rows[first : first + group])
    rate = len(rows) / (time.perf_counter() - start)
    connection.close()
    return rate


def write_group(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(f"INSERT INTO records VALUES ({', '.join('?' * len(rows[0]))})", rows)  # noqa: S608 -- marks
    connection.execute("COMMIT")


def rows_of(folder: Path) -> Sequence[Row]:
    """The rows that the kernel wrote."""
    connection = open_writer(folder / "doors.sqlite")
    rows = connection.execute("SELECT * FROM records WHERE offset > 0 ORDER BY offset").fetchall()
    connection.close()
    return rows


async def scanned(folder: Path, records: int) -> float:
    """Records a second that a subscriber gets, from the log's start."""
    store = await opened(folder)
    count, start = 0, time.perf_counter()
    async with aclosing(store.subscribe(Checkpoint())) as batches:
        async for batch in batches:
            count += len(batch.records)
            if count >= records:
                break
    rate = count / (time.perf_counter() - start)
    await store.aclose()
    return rate


async def commands(folder: Path, writers: int, count: int) -> float:
    """Commands a second, each with its reading and the append."""
    store = await opened(folder)
    decider: Decider[int, Opened, Opened] = Decider(lambda: 0, lambda command, _: [command], lambda state, _: state + 1)
    handler = CommandHandler(store, CODEC, decider)
    numbers = iter(range(count))

    async def run() -> None:
        for number in numbers:
            await handler.execute(f"command-{number}", EVENT, command_id=f"command {number}", fingerprint="f")

    start = time.perf_counter()
    await asyncio.gather(*(run() for _ in range(writers)))
    rate = count / (time.perf_counter() - start)
    await store.aclose()
    return rate


RIVALS = {"eventsourcing": "eventsourcing==9.5.6", "umadb": "umadb==0.7.8"}
RIVAL_APPENDS = 5_000


def against_rivals(parent: Path | None, writers: int = 64) -> None:
    with tempfile.TemporaryDirectory(dir=parent) as root:
        environment = Path(root, "environment")
        venv.create(environment, with_pip=True)
        python = environment / "bin" / "python"
        for name, requirement in RIVALS.items():
            install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement]
            if subprocess.run(install, capture_output=True, check=False).returncode:
                print(f"{name}: left out, {requirement} cannot be installed")
                continue
            rates: list[tuple[float, float]] = []
            for number in range(3):
                folders = [Path(root, f"{name}-{side}-{number}") for side in ("kernel", "rival")]
                for folder in folders:
                    folder.mkdir()
                kernel = asyncio.run(kernel_appends(folders[0], writers, RIVAL_APPENDS))
                program, sizes = Path(__file__).with_name("rivals.py"), [str(writers), str(RIVAL_APPENDS)]
                asked = [str(python), str(program), name, str(folders[1]), *sizes]
                answer = subprocess.run(asked, capture_output=True, text=True, check=True)
                rates.append((kernel, float(answer.stdout)))
            kernel, rival = sorted(rates, key=lambda rate: rate[0] / rate[1])[1]
            print(
                f"{writers:4} writers: {kernel / rival:5.2f} × {requirement} ({kernel:,.0f}/s against {rival:,.0f}/s)"
            )


def codec_microseconds() -> tuple[float, float]:
    """To encode an event and to decode it, each."""
    encoded = CODEC.encode(EVENT, "door-1")
    record = Record(
        log="doors.1", partition=0, offset=1, id="door-1@1", type=encoded.type, time_us=0, stream="door-1", version=1,
        first_version=1, commit_size=1, command_id="c", fingerprint="f", data=encoded.data,
    )  # fmt: skip
    count = 100_000
    encoding = timeit.timeit(lambda: CODEC.encode(EVENT, "door-1"), number=count)
    decoding = timeit.timeit(lambda: CODEC.decode(record), number=count)
    return encoding / count * 1e6, decoding / count * 1e6


def main(parent: Path | None = None) -> None:
    for writers, appends in ((1, 1_000), (8, APPENDS // 4), (64, APPENDS), (256, APPENDS)):
        rates: list[tuple[float, float, float]] = []
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory(dir=parent) as root:
                folders = [Path(root, name) for name in ("kernel", "bare", "ceiling")]
                for folder in folders:
                    folder.mkdir()
                kernel = asyncio.run(kernel_appends(folders[0], writers, appends))
                rows = rows_of(folders[0])
                bare = asyncio.run(bare_appends(folders[1], rows, writers))
                rates.append((kernel, bare, asyncio.run(ceiling(folders[2], rows, writers))))
        kernel, bare, most = sorted(rates, key=lambda rate: rate[0] / rate[1])[ROUNDS // 2]
        print(
            f"{writers:4} writers: {kernel / bare:5.2f} of bare sqlite3 group commit "
            f"({kernel:,.0f}/s, bare {bare:,.0f}/s, nobody waiting {most:,.0f}/s)"
        )
    with tempfile.TemporaryDirectory(dir=parent) as root:
        asyncio.run(kernel_appends(Path(root), 64, APPENDS))
        print(f"subscribing: {asyncio.run(scanned(Path(root), APPENDS)):,.0f} records/s")
        print(f"commands, 64 at once: {asyncio.run(commands(Path(root), 64, 5_000)):,.0f}/s")
    against_rivals(parent)
    encoding, decoding = codec_microseconds()
    print(f"codec: {encoding:.2f} µs to encode an event, {decoding:.2f} µs to decode it")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
