"""Transfers of the bank per second: with all five events of the saga, embedded; and replayed into both views.

Run with `python -m tests.benchmark.bench_bank [TRANSFERS …]` (1,000, 10,000 and 100,000 where none are given). The
saga: 2,000 transfers are asked for, 64 at a time, by the command handlers; the clock stops when each is completed on
the log. In turns with it, to tell what the saga costs beside its events: the same without views; the same five commands
sent one after the other by who asks, without process managers and views; and as many appends of one event on such a
store, in chains of five, 64 chains at a time.

The replay: both views are filled from logs that have so many completed transfers, two events in the accounts' log and
three in the transfers' for each. Each size has a process of its own, whose memory at its peak is told beside what it
had before the replay.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, aclosing
from enum import Enum
from functools import partial
from pathlib import Path

from bank.accounts.domain import (
    AccountCredited,
    AccountDebited,
    AccountOpened,
    Credit,
    CreditByTransfer,
    DebitForTransfer,
)
from bank.accounts.limit import OWNERS_ACCOUNTS, OpenForOwner
from bank.money import Money
from bank.saga import ACCOUNT, TRANSFER
from bank.system import BANK
from bank.transfers.domain import (
    RecordCredit,
    RecordDebit,
    Request,
    TransferCompleted,
    TransferDebited,
    TransferRequested,
)
from eventgraph.running.data_folder import DataFolder
from eventgraph.running.embedded import opened
from eventgraph.serving.served import ServedSubgraph, running
from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.clock import SystemClock
from eventkernel.events import DomainEvent
from eventkernel.reading.projector import Source
from eventkernel.writing.aggregates import CommandHandlers
from eventkernel.writing.store import Checkpoint
from tests.benchmark.bench_rebuild import rebuilt

ROUNDS = 3
AT_ONCE = 64
MOVED = 2_000
ACCOUNTS = 200


async def side_by_side(works: Iterator[Callable[[], Awaitable[object]]], at_once: int = AT_ONCE) -> None:
    async def work() -> None:
        for one in works:
            await one()

    await asyncio.gather(*(work() for _ in range(at_once)))


class Parts(Enum):
    """What of the bank is at work."""

    ALL = "the whole saga"
    NO_VIEWS = "the saga without views"
    COMMANDS = "its five commands alone"


class Sending:
    """Sends the commands of transfers between accounts that it has opened, and sees on the log when they are over."""

    def __init__(
        self, accounts: ServedSubgraph, transfers: ServedSubgraph, *, at_once: int = AT_ONCE, count: int = ACCOUNTS
    ) -> None:
        assert accounts.store is not None
        assert transfers.store is not None
        codecs = BANK.subgraph("accounts").codecs, BANK.subgraph("transfers").codecs
        self._log = transfers.store
        self._accounts = CommandHandlers(accounts.store, codecs[0]["accounts"], [ACCOUNT, OWNERS_ACCOUNTS], None)
        self._transfers = CommandHandlers(transfers.store, codecs[1]["transfers"], [TRANSFER], None).of(TRANSFER)
        self._numbers = itertools.count()
        self._at_once = at_once
        self._count = count

    async def open_accounts(self) -> None:
        await side_by_side((partial(self._open, number) for number in range(self._count)), self._at_once)

    async def _open(self, number: int) -> None:
        stream, command = ACCOUNT.stream(str(number)), OpenForOwner(str(number), "Ada", "daily", "EUR")
        opening, booking = self._accounts.across(OWNERS_ACCOUNTS), self._accounts.of(ACCOUNT)
        await opening.execute(stream, command, command_id=f"o{number}", fingerprint="-")
        await booking.execute(stream, Credit(Money(10**9, "EUR")), command_id=f"c{number}", fingerprint="-")

    async def moved(self, count: int, parts: Parts = Parts.ALL) -> tuple[float, float]:
        """Seconds on the clock and of CPU time until so many more transfers are completed."""
        head = await self._log.head()
        clock, cpu = time.perf_counter(), time.process_time()
        asked = asyncio.create_task(side_by_side(itertools.repeat(partial(self._ask, parts), count), self._at_once))
        completed = 0
        async with aclosing(self._log.subscribe(Checkpoint(head))) as batches:
            async for batch in batches:
                completed += sum(record.type == "transfers.TransferCompleted" for record in batch.records)
                if completed == count:
                    break
        await asked
        return time.perf_counter() - clock, time.process_time() - cpu

    async def _ask(self, parts: Parts) -> None:
        number = next(self._numbers)
        source, target, amount = str(number % self._count), str((number + 7) % self._count), Money(100, "EUR")
        stream, id = TRANSFER.stream(str(number)), str(number)
        asking, booking = self._transfers, self._accounts.of(ACCOUNT)
        await asking.execute(stream, Request(source, target, amount), command_id=f"t{number}", fingerprint="-")
        if parts is Parts.COMMANDS:
            debit, credit = DebitForTransfer(amount, "", id), CreditByTransfer(amount, "", id)
            await booking.execute(ACCOUNT.stream(source), debit, command_id=f"d{id}", fingerprint="-")
            await asking.execute(stream, RecordDebit(), command_id=f"rd{id}", fingerprint="-")
            await booking.execute(ACCOUNT.stream(target), credit, command_id=f"c-{id}", fingerprint="-")
            await asking.execute(stream, RecordCredit(), command_id=f"rc{id}", fingerprint="-")


async def saga(data: Path, parts: Parts) -> tuple[float, float]:
    """Seconds on the clock and of CPU time until all transfers are completed."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(DataFolder.open(data, BANK))
        subgraphs = await stack.enter_async_context(opened(BANK, folder, SystemClock()))
        for subgraph in subgraphs:
            workers = {Parts.ALL: subgraph.workers, Parts.NO_VIEWS: subgraph.processes, Parts.COMMANDS: ()}
            await stack.enter_async_context(running(workers[parts]))
        sending = Sending(*subgraphs)
        await sending.open_accounts()
        return await sending.moved(MOVED, parts)


async def bare(data: Path) -> tuple[float, float]:
    """The same for chains of five appends."""
    store = await SqliteEventStore.open(data / "log.sqlite", name="transfers", clock=SystemClock())
    codec = BANK.subgraph("transfers").codecs["transfers"]
    encoded = codec.encode(TransferCompleted(), "transfer-0")
    numbers = itertools.count()

    async def chain() -> None:
        number = next(numbers)
        for version in range(5):
            await store.append(
                f"transfer-{number}",
                [encoded],
                expected_version=version,
                command_id=f"{number}-{version}",
                fingerprint="-",
            )

    async with aclosing(store):
        clock, cpu = time.perf_counter(), time.process_time()
        await side_by_side(itertools.repeat(chain, MOVED))
        return time.perf_counter() - clock, time.process_time() - cpu


async def written(data: Path, log: str, streams: Iterator[tuple[str, list[DomainEvent]]]) -> None:
    """A log of these streams, in commits of up to ten events."""
    store = await SqliteEventStore.open(data / f"{log}.sqlite", name=log, clock=SystemClock())
    codec = BANK.subgraph(log).codecs[log]

    async def write() -> None:
        for stream, events in streams:
            for start in range(0, len(events), 10):
                encoded = [codec.encode(event, stream) for event in events[start : start + 10]]
                await store.append(
                    stream, encoded, expected_version=start, command_id=f"{stream}-{start}", fingerprint="-"
                )

    async with aclosing(store):
        await asyncio.gather(*(write() for _ in range(AT_ONCE)))


def of_accounts(transfers: int) -> Iterator[tuple[str, list[DomainEvent]]]:
    for account in range(1000):
        events: list[DomainEvent] = [
            AccountOpened(owner_id=str(account), owner="Ada", name="daily", currency="EUR"),
            AccountCredited(minor=10**9),
        ]
        for number in range(account, transfers, 1000):
            events.append(AccountDebited(minor=1, memo="rent", transfer=str(number)))
            events.append(AccountCredited(minor=1, memo="rent", transfer=str(number)))
        yield ACCOUNT.stream(str(account)), events


def of_transfers(transfers: int) -> Iterator[tuple[str, list[DomainEvent]]]:
    for number in range(transfers):
        source, target = str(number % 1000), str((number + 7) % 1000)
        yield (
            TRANSFER.stream(str(number)),
            [
                TransferRequested(source=source, target=target, minor=1, currency="EUR", memo="rent"),
                TransferDebited(target=target, minor=1, currency="EUR", memo="rent"),
                TransferCompleted(),
            ],
        )


async def replayed(count: int) -> None:
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        await written(folder, "accounts", of_accounts(count))
        await written(folder, "transfers", of_transfers(count))
        async with AsyncExitStack() as stack:
            logs = {
                name: await stack.enter_async_context(
                    aclosing(await SqliteEventStore.open(folder / f"{name}.sqlite", name=name, clock=SystemClock()))
                )
                for name in BANK.logs
            }
            for subgraph in BANK.subgraphs:
                sources = [Source(logs[name], codec) for name, codec in subgraph.codecs.items()]
                before = peak()
                clock, cpu = await rebuilt(
                    folder / subgraph.name, subgraph.view.embedded(), subgraph.projection, sources
                )
                rates = f"{count / cpu:8,.0f} transfers per second of a core, {count / clock:8,.0f}/s on the clock"
                memory = f"{before:.0f} MiB before, {peak():.0f} MiB at the peak"
                sys.stdout.write(f"replay  {subgraph.name:9} {count:>9,} transfers: {rates}; {memory}\n")


def peak() -> float:
    """The most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def replay(count: int) -> None:
    asyncio.run(replayed(count))


def main(sizes: list[int]) -> None:
    taken: dict[str, list[tuple[float, float]]] = {}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as root:
            folder = Path(root)
            for parts in Parts:
                taken.setdefault(parts.value, []).append(asyncio.run(saga(folder / parts.name, parts)))
            taken.setdefault("its five appends alone", []).append(asyncio.run(bare(folder)))
    appends = statistics.median(cpu for _, cpu in taken["its five appends alone"])
    for what, rounds in taken.items():
        clock, cpu = (statistics.median(one) for one in zip(*rounds, strict=True))
        sys.stdout.write(
            f"{what:24} {MOVED / cpu:8,.0f} transfers per second of a core, {MOVED / clock:8,.0f}/s on the clock, "
            f"{1000 * cpu / MOVED:.2f} ms of CPU each: {cpu / appends:.1f} times the appends\n"
        )
    sys.stdout.flush()
    for count in sizes:
        process = multiprocessing.get_context("spawn").Process(target=replay, args=(count,))
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(f"the replay of {count:,} transfers failed")


if __name__ == "__main__":
    main([int(size.replace(",", "")) for size in sys.argv[1:]] or [1_000, 10_000, 100_000])
