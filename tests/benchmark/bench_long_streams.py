"""One long stream: commands at once on it, what one costs by its length, and what a neighbour notices of it."""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from eventkernel.adapters.sqlite.event_store import SqliteEventStore
from eventkernel.adapters.sqlite.snapshots import SqliteSnapshotStore
from eventkernel.clock import SystemClock
from eventkernel.writing.codec import Codec
from eventkernel.writing.commands import CommandHandler
from eventkernel.writing.snapshots import Snapshots
from subgraphs.users.domain import (
    EVENT_TYPES,
    UNCHANGED,
    UpdateUser,
    UserCommand,
    UserCreated,
    UserEvent,
    UserState,
    UserUpdated,
    decider,
)
from subgraphs.users.domain import claims as users_claims
from subgraphs.users.projection import UserDoc, evolve

Users = CommandHandler[UserState, UserCommand, UserEvent]

SHORT: Final = 100
LONG: Final = 100_000
AT_ONCE: Final = 20
WARM: Final = 400
"""Commands on a warm stream."""
NEIGHBOURS: Final = 300
"""Commands of a stranger, beside commands on a short stream and beside those on the long one."""


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="kith-bench-") as folder:
        store = await SqliteEventStore.open(Path(folder) / "users.sqlite", name="users", clock=SystemClock())
        kept = await SqliteSnapshotStore.open(Path(folder) / "snapshots.sqlite")
        for stream, length in (("user-short", SHORT), ("user-long", LONG), ("user-other", 1)):
            await _fill(store, stream, length)

        def process(snapshots: bool) -> Users:
            keeping = Snapshots(kept, 1, UserState, UserDoc | None) if snapshots else None
            return CommandHandler(store, Codec(EVENT_TYPES), decider, users_claims, answer=evolve, snapshots=keeping)

        numbers = iter(range(10**9))

        async def update(users: Users, stream: str) -> None:
            number = next(numbers)
            command = UpdateUser(first_name=f"a{number}", last_name=UNCHANGED)
            outcome = await users.execute(stream, command, command_id=f"c{number}", fingerprint="f")
            outcome.folded(evolve)

        cold, warm = process(snapshots=False), process(snapshots=True)
        _say(f"{AT_ONCE} at once on {LONG:,} events, cold", await _at_once(cold, update))
        await update(warm, "user-long")  # leaves a snapshot behind
        await asyncio.sleep(1)
        _say(f"{AT_ONCE} at once on {LONG:,} events, from a snapshot", await _at_once(process(snapshots=True), update))
        await _by_length(warm, update)
        await _beside(warm, update)
        await kept.aclose()
        await store.aclose()


async def _fill(store: SqliteEventStore, stream: str, length: int) -> None:
    codec = Codec(EVENT_TYPES)
    first = codec.encode(UserCreated(first_name="a", last_name="b"), stream)
    for version in range(0, length, 1_000):
        updated = (
            codec.encode(UserUpdated(first_name=f"a{number}"), stream)
            for number in range(version, min(version + 1_000, length))
        )
        events = [first if version + at == 0 else event for at, event in enumerate(updated)]
        await store.append(stream, events, expected_version=version, command_id=f"{stream} {version}", fingerprint="f")


Update = Callable[[Users, str], Awaitable[None]]


async def _at_once(users: Users, update: Update) -> str:
    wall, cpu = time.perf_counter(), time.process_time()
    outcomes = await asyncio.gather(*(update(users, "user-long") for _ in range(AT_ONCE)), return_exceptions=True)
    refused = sum(isinstance(outcome, Exception) for outcome in outcomes)
    return f"{time.perf_counter() - wall:.2f} s, {time.process_time() - cpu:.2f} s CPU, {refused} refused"


async def _by_length(users: Users, update: Update) -> None:
    """Alternating, so that both meet the same machine."""
    spent: dict[str, list[float]] = {"user-short": [], "user-long": []}
    for _ in range(WARM // 20):
        for stream, samples in spent.items():
            await update(users, stream)
            begun = time.process_time()
            for _ in range(20):
                await update(users, stream)
            samples.append((time.process_time() - begun) / 20)
    short, long = (statistics.median(samples) * 1e6 for samples in spent.values())
    _say("CPU of a warm command", f"{short:.0f} µs on {SHORT} events, {long:.0f} µs on {LONG:,}: {long / short:.2f} ×")


async def _beside(users: Users, update: Update) -> None:
    """How long a stranger's command takes beside commands on a short and on the long stream, in turns of ten."""
    taken: dict[str, list[float]] = {"user-short": [], "user-long": []}
    for number in range(2 * NEIGHBOURS // 10):
        stream = ("user-short", "user-long")[number % 2]
        busy = asyncio.create_task(_for_ever(users, update, stream))
        for _ in range(10):
            begun = time.perf_counter()
            await update(users, "user-other")
            taken[stream].append(time.perf_counter() - begun)
        busy.cancel()
        await asyncio.wait((busy,))
    short, long = (statistics.median(samples) * 1e3 for samples in taken.values())
    _say("a stranger's command beside others", f"{short:.2f} ms (on the short), {long:.2f} ms: {long / short:.2f} ×")


async def _for_ever(users: Users, update: Update, stream: str) -> None:
    while True:
        await update(users, stream)


def _say(what: str, found: str) -> None:
    sys.stdout.write(f"  {what:<52} {found}\n")


if __name__ == "__main__":
    asyncio.run(main())
