"""Recommendations in a network of 10⁴ users with 20 friends on average, few of them with very many.

Run with `python -m tests.benchmark.bench_recommendations`. It prints the percentiles of the SQLite view's answers, and
the ratio of its median to that of a count over Python sets in memory.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from eventkernel.adapters.sqlite.views import SqliteView
from eventkernel.codec import Codec
from subgraphs.recommendations.adapters.sqlite import SqliteRecommendationView
from subgraphs.recommendations.events import EVENT_TYPES
from subgraphs.recommendations.projection import projection
from tests.support.feeding import Feed

USERS = 10_000
FRIENDS = 20
QUESTIONS = 1_000
FIRST = 10
NO_BOUND = 10**9


def network(chance: random.Random) -> dict[str, set[str]]:
    """Each new user makes friends, mostly with those who have many (preferential attachment)."""
    ids = [f"01{chance.getrandbits(120):030x}" for _ in range(USERS)]
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


async def main() -> None:
    chance = random.Random(1)
    friends = network(chance)
    users = chance.choices(list(friends), k=QUESTIONS)

    async def count(user: str) -> object:
        mine = friends[user]
        shared = Counter(other for friend in mine for other in friends[friend] if other != user and other not in mine)
        return sorted(shared.items(), key=lambda found: (-found[1], found[0]))[:FIRST]

    with tempfile.TemporaryDirectory() as folder:
        view = await SqliteView.open(Path(folder), SqliteRecommendationView, shape=1, logs=["any"])
        build = await view.create()
        feed = Feed(build, projection, Codec(EVENT_TYPES))
        feed.create(*friends)
        for user in friends:
            for friend in friends[user]:
                if user < friend:
                    feed.add(user, friend)
        start = time.perf_counter()
        await feed.deliver()
        events = sum(map(len, feed.logs.values()))
        sys.stdout.write(f"filled: {events / (time.perf_counter() - start):,.0f} events/s\n")
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
        await view.aclose()


if __name__ == "__main__":
    asyncio.run(main())
