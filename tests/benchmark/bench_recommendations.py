"""Recommendations in networks of users with 20 friends on average, few of them with very many.

Run with `python -m tests.benchmark.bench_recommendations [USERS …]` (1,000 and 10,000 where none are given). It prints
the percentiles of the SQLite view's answers, the ratio of their median to that of a count over Python sets in memory,
how many answers would be too costly within the bound that clients meet, and the plan of the query.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.errors import TooCostly
from eventkernel.events import Record
from eventkernel.reading.folding import ParkedStreams, fold, streams_of
from eventkernel.writing.codec import Codec
from eventkernel.writing.store import Batch
from subgraphs.friends.domain import EVENT_TYPES as FRIEND_EVENTS
from subgraphs.friends.domain import FriendAdded, Pair
from subgraphs.recommendations.adapters.sqlite import RECOMMENDED, SqliteRecommendationView
from subgraphs.recommendations.events import EVENT_TYPES
from subgraphs.recommendations.projection import projection
from subgraphs.recommendations.schema import STEPS_LIMIT
from subgraphs.users.domain import EVENT_TYPES as USER_EVENTS
from subgraphs.users.domain import UserCreated
from tests.benchmark.histories import History

FRIENDS = 20
QUESTIONS = 1_000
FIRST = 10
NO_BOUND = 10**9


def network(count: int, chance: random.Random) -> dict[str, set[str]]:
    """Each new user makes friends, mostly with those who have many (preferential attachment)."""
    ids = [f"01{chance.getrandbits(120):030x}" for _ in range(count)]
    friends: dict[str, set[str]] = {user: set() for user in ids}
    ends = [ids[0]]
    for number, user in enumerate(ids[1:], start=1):
        while len(friends[user]) < min(FRIENDS // 2, number):
            other = chance.choice(ends) if chance.random() < 0.9 else ids[chance.randrange(number)]
            if other != user and other not in friends[user]:
                friends[user].add(other)
                friends[other].add(user)
                ends += [user, other]
    return friends


async def percentiles(ask: Callable[[str], Awaitable[object]], users: list[str]) -> tuple[float, float, float]:
    """The median, the 95th and the 99th percentile, in milliseconds."""
    taken: list[float] = []
    for user in users:
        start = time.perf_counter()
        await ask(user)
        taken.append((time.perf_counter() - start) * 1_000)
    taken.sort()
    return taken[len(taken) // 2], taken[len(taken) * 95 // 100], taken[len(taken) * 99 // 100]


def drawn(friends: dict[str, set[str]], chance: random.Random) -> Iterator[Record]:
    codec = Codec((*USER_EVENTS, *FRIEND_EVENTS))
    users, friendships = History("users.a", codec, chance), History("friends.b", codec, chance)
    for user in friends:
        yield users.record(f"user-{user}", UserCreated(first_name="Ada", last_name="Lovelace"))
    for user, others in friends.items():
        for friend in others:
            if user < friend:
                yield friendships.record(Pair(user, friend).stream, FriendAdded(users=(user, friend)))


async def filled(build: SqliteRecommendationView, records: Iterator[Record]) -> float:
    """Events per second of CPU time."""
    codec, events, cpu = Codec(EVENT_TYPES), 0, 0.0
    while some := list(islice(records, 2_000)):
        start = time.process_time()
        by_log = {log: [record for record in some if record.log == log] for log in {record.log for record in some}}
        batches = [Batch(log, 0, found, found[-1].offset + 1, 0) for log, found in by_log.items()]
        stored = await build.load(streams_of(batches))
        await build.save(fold(projection, dict.fromkeys(by_log, codec), batches, stored, ParkedStreams()))
        events += len(some)
        cpu += time.process_time() - start
    await build.finish()
    return events / cpu


async def measured(size: int) -> None:
    chance = random.Random(1)
    friends = network(size, chance)
    users = chance.choices(list(friends), k=QUESTIONS)

    async def count(user: str) -> object:
        mine = friends[user]
        shared = Counter(other for friend in mine for other in friends[friend] if other != user and other not in mine)
        return sorted(shared.items(), key=lambda found: (-found[1], found[0]))[:FIRST]

    with tempfile.TemporaryDirectory() as folder:
        view = await SqliteView.open(Path(folder), SqliteRecommendationView, shape=1, logs=["any"])
        build = await view.create()
        rate = await filled(build, drawn(friends, chance))
        sys.stdout.write(f"{size:,} users, filled with {rate:,.0f} events per second of a core\n")
        for user in users[:100]:
            found = (await build.recommended([user], FIRST, NO_BOUND))[user]
            assert [(one.id, one.mutual_friends) for one in found] == await count(user)
        medians: list[float] = []
        asked: dict[str, Callable[[str], Awaitable[object]]] = {
            "Python sets": count,
            "SQLite view": lambda user: build.recommended([user], FIRST, NO_BOUND),
        }
        for name, ask in asked.items():
            p50, p95, p99 = await percentiles(ask, users)
            medians.append(p50)
            sys.stdout.write(f"{name}: p50 {p50:.2f} ms, p95 {p95:.2f} ms, p99 {p99:.2f} ms\n")
        sys.stdout.write(f"ratio of the medians: {medians[1] / medians[0]:.1f}\n")
        refused = 0
        for user in users:
            try:
                await build.recommended([user], FIRST, STEPS_LIMIT)
            except TooCostly:
                refused += 1
        sys.stdout.write(f"too costly within {STEPS_LIMIT:,} steps: {refused} of {QUESTIONS:,} users\n")
        if size == 1_000:
            sys.stdout.writelines(f"    {step}\n" for step in await build.read(plan))
        await view.aclose()


def plan(connection: sqlite3.Connection) -> list[str]:
    steps = connection.execute(f"EXPLAIN QUERY PLAN {RECOMMENDED}", {"user": 1, "limit": FIRST})
    return [detail for *_, detail in steps]


def main(sizes: Sequence[int] = (1_000, 10_000)) -> None:
    for size in sizes:
        asyncio.run(measured(size))


if __name__ == "__main__":
    main([int(size.replace(",", "")) for size in sys.argv[1:]] or (1_000, 10_000))
