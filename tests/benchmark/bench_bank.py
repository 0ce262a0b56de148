"""Transfers of the bank per second: with all five events of the saga, embedded; and replayed into both views.

Run with `python -m tests.benchmark.bench_bank [TRANSFERS …]` (10,000 and 100,000 where none are given). The saga: 2,000
transfers are asked for, 64 at a time, by the command handlers; the clock stops when each is completed on the log. In
turns with it: as many commits of one event on such a store, in chains of five, 64 chains at a time; that is what the
saga's events cost without the saga. The replay: both views are filled from logs that have so many completed transfers,
two events in the accounts' log and three in the transfers' for each.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

from bank.accounts.domain import AccountCredited, AccountDebited, AccountOpened, Credit
from bank.accounts.limit import OWNERS_ACCOUNTS, OpenForOwner
from bank.money import Money
from bank.saga import ACCOUNT, TRANSFER
from bank.system import BANK
from bank.transfers.domain import Request, TransferCompleted, TransferDebited, TransferRequested
from eventgraph.running.data_folder import DataFolder
from eventgraph.running.embedded import opened
from eventgraph.serving.served import running
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


async def side_by_side(works: Iterator[Callable[[], Awaitable[object]]]) -> None:
    async def work() -> None:
        for one in works:
            await one()

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


async def saga(data: Path) -> tuple[float, float]:
    """Seconds on the clock and of CPU time until all transfers are completed."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(DataFolder.open(data, BANK))
        accounts, transfers = await stack.enter_async_context(opened(BANK, folder, SystemClock()))
        assert accounts.store is not None
        assert transfers.store is not None
        await stack.enter_async_context(running([*accounts.workers, *transfers.workers]))
        codecs = BANK.subgraph("accounts").codecs, BANK.subgraph("transfers").codecs
        handlers = CommandHandlers(accounts.store, codecs[0]["accounts"], [ACCOUNT, OWNERS_ACCOUNTS], None)
        numbers = itertools.count()
        for number in range(ACCOUNTS):
            stream = ACCOUNT.stream(str(number))
            command = OpenForOwner(str(number), "Ada", "daily", "EUR")
            opening, credit = handlers.across(OWNERS_ACCOUNTS), Credit(Money(10**9, "EUR"))
            await opening.execute(stream, command, command_id=f"o{number}", fingerprint="-")
            await handlers.of(ACCOUNT).execute(stream, credit, command_id=f"c{number}", fingerprint="-")
        asking = CommandHandlers(transfers.store, codecs[1]["transfers"], [TRANSFER], None).of(TRANSFER)

        def ask() -> Awaitable[object]:
            number = next(numbers)
            source, target = str(number % ACCOUNTS), str((number + 7) % ACCOUNTS)
            wish = Request(source, target, Money(100, "EUR"))
            return asking.execute(TRANSFER.stream(str(number)), wish, command_id=f"t{number}", fingerprint="-")

        clock, cpu = time.perf_counter(), time.process_time()
        asked = asyncio.create_task(side_by_side(itertools.repeat(ask, MOVED)))
        completed = 0
        async with aclosing(transfers.store.subscribe(Checkpoint())) as batches:
            async for batch in batches:
                completed += sum(record.type == "transfers.TransferCompleted" for record in batch.records)
                if completed == MOVED:
                    break
        await asked
        return time.perf_counter() - clock, time.process_time() - cpu


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
                clock, cpu = await rebuilt(
                    folder / subgraph.name, subgraph.view.embedded(), subgraph.projection, sources
                )
                sys.stdout.write(
                    f"replay  {subgraph.name:9} {count:>9,} transfers: {count / cpu:8,.0f} transfers per second of a "
                    f"core, {count / clock:8,.0f}/s on the clock\n"
                )


def main(sizes: list[int]) -> None:
    taken: list[tuple[float, float, float]] = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as root:
            clock, cpu = asyncio.run(saga(Path(root) / "data"))
            _, bare_cpu = asyncio.run(bare(Path(root)))
            taken.append((clock, cpu, bare_cpu))
    clock, cpu, bare_cpu = sorted(taken, key=lambda one: one[1] / one[2])[ROUNDS // 2]
    sys.stdout.write(
        f"saga    {MOVED:,} transfers: {MOVED / cpu:,.0f} per second of a core, {MOVED / clock:,.0f}/s on the clock; "
        f"{cpu / bare_cpu:.1f} times the CPU of its appends alone\n"
    )
    for count in sizes:
        asyncio.run(replayed(count))


if __name__ == "__main__":
    main([int(size.replace(",", "")) for size in sys.argv[1:]] or [10_000, 100_000])
