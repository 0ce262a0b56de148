"""The recommendations' view on Neo4j against the driver alone: how fast it is filled, and what an answer costs.

Run with `python -m tests.benchmark.bench_neo4j_view [USERS …]` (1,000 and 10,000 where none are given) with NEO4J_URL,
NEO4J_USER and NEO4J_PASSWORD in the environment. Networks are those of `bench_recommendations`.

Filling: events are folded and saved in batches, as a projector does, against the driver alone putting the same nodes
and relationships, with the same properties and constraints, into another corner of the database in batches of the same
size. Answers: the median over users of the view's `recommended` (which counts the steps first, and refuses), against
the bare Cypher, as anybody would write it, by the driver's cheapest way; the two take turns, so that they have the same
machine.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Any

from eventkernel.adapters.neo4j.connection import Neo4jConnection
from eventkernel.adapters.neo4j.views import Neo4jView
from eventkernel.errors import TooCostly
from eventkernel.events import Record
from eventkernel.reading.folding import ParkedStreams, fold, streams_of
from eventkernel.writing.codec import Codec
from eventkernel.writing.store import Batch
from infra.local.environment import given_neo4j
from subgraphs.recommendations.adapters.neo4j import Neo4jRecommendationView
from subgraphs.recommendations.events import EVENT_TYPES
from subgraphs.recommendations.projection import projection
from subgraphs.recommendations.schema import STEPS_LIMIT
from tests.benchmark.bench_recommendations import FIRST, NO_BOUND, drawn, network
from tests.support.neo4j_views import clear, settings_of

BATCH = 2_000
QUESTIONS = 300

BARE = """
MATCH (u:Person {build: $build, id: $id})-[:FRIEND]-(:User)-[:FRIEND]-(other:User)
WHERE NOT (u)-[:FRIEND]-(other)
RETURN other.id AS id, count(*) AS mutual ORDER BY mutual DESC, id LIMIT $limit
"""
BULK_CONSTRAINTS = (
    "CREATE CONSTRAINT bulk_person IF NOT EXISTS FOR (n:BulkPerson) REQUIRE (n.build, n.id) IS UNIQUE",
    "CREATE CONSTRAINT bulk_friend IF NOT EXISTS FOR ()-[r:BULK_FRIEND]-() REQUIRE (r.build, r.stream) IS UNIQUE",
)
BULK_USERS = "UNWIND $rows AS row CREATE (n:BulkPerson:BulkUser) SET n = row"
BULK_FRIENDS = """
UNWIND $rows AS row
MATCH (low:BulkPerson {build: $build, id: row.low}) MATCH (high:BulkPerson {build: $build, id: row.high})
CREATE (low)-[r:BULK_FRIEND]->(high) SET r = row.state
"""


async def filled(
    connection: Neo4jConnection, build: Neo4jRecommendationView, friends: dict[str, set[str]]
) -> tuple[float, float]:
    """Events per second, by way of the view and by the driver alone; the two take turns, batch by batch."""
    codec = Codec(EVENT_TYPES, skip_others=True)
    records = drawn(friends, random.Random(1))
    events, ours, drivers = 0, 0.0, 0.0
    while some := list(islice(records, BATCH)):
        statements = bulk(build.name, some)
        start = time.perf_counter()
        by_log = {log: [record for record in some if record.log == log] for log in {record.log for record in some}}
        batches = [Batch(log, 0, found, found[-1].offset + 1, 0) for log, found in by_log.items()]
        stored = await build.load(streams_of(batches))
        await build.save(fold(projection, dict.fromkeys(by_log, codec), batches, stored, ParkedStreams()))
        between = time.perf_counter()
        for statement, rows in statements:
            await connection.write(statement, {"rows": rows, "build": build.name}, seconds=60)
        ours += between - start
        drivers += time.perf_counter() - between
        events += len(some)
    return events / ours, events / drivers


def bulk(build: str, records: Sequence[Record]) -> list[tuple[str, list[dict[str, Any]]]]:
    """What the driver alone is to do with these records: all of them are somebody's first."""
    users: list[dict[str, Any]] = []
    edges: list[dict[str, Any]] = []
    for r in records:
        place = {"build": build, "version": 1, "time_us": r.time_us, "log": r.log, "partition": 0, "offset": r.offset}
        if r.stream.startswith("user-"):
            created = {"created_us": r.time_us, "created_offset": r.offset}
            users.append({**place, **created, "id": r.stream.removeprefix("user-")})
        else:
            low, high = r.stream.removeprefix("friendship-").split("~")
            since = {"stream": r.stream, "since_us": r.time_us, "since_offset": r.offset}
            edges.append({"low": low, "high": high, "state": {**place, **since}})
    return [(statement, rows) for statement, rows in ((BULK_USERS, users), (BULK_FRIENDS, edges)) if rows]


async def in_turns(ways: dict[str, Callable[[str], Awaitable[object]]], users: Sequence[str]) -> dict[str, list[float]]:
    """How many milliseconds each way took, for each user, in order."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for place, user in enumerate(users):
        for name in sorted(ways, reverse=bool(place % 2)):
            start = time.perf_counter()
            await ways[name](user)
            taken[name].append((time.perf_counter() - start) * 1_000)
    return {name: sorted(times) for name, times in taken.items()}


async def measured(connection: Neo4jConnection, size: int) -> None:
    friends = network(size, random.Random(1))
    name = f"bench_{secrets.token_hex(4)}"
    view = await Neo4jView.open(
        connection, name, Neo4jRecommendationView, shape=projection.shape, logs=["users.a", "friends.b"]
    )
    try:
        build = await view.create()
        ours, driver = await filled(connection, build, friends)
        sys.stdout.write(
            f"{size:,} users: filled with {ours:,.0f} events per second, the driver alone {driver:,.0f} "
            f"(ratio {ours / driver:.2f})\n"
        )
        await answers(connection, build, random.Random(2).choices(list(friends), k=QUESTIONS))
    finally:
        await view.aclose()
        await clear(connection, name, Neo4jRecommendationView)
        left = "MATCH (n:BulkPerson) WITH n LIMIT 1000 DETACH DELETE n RETURN count(*)"
        while (await connection.write(left, {}, seconds=60))[0][0]:
            pass


async def answers(connection: Neo4jConnection, build: Neo4jRecommendationView, users: Sequence[str]) -> None:
    async def bare(user: str) -> list[tuple[str, int]]:
        rows = await connection.read(BARE, {"build": build.name, "id": user, "limit": FIRST}, seconds=60)
        return [(other, mutual) for other, mutual in rows]

    async def ask(user: str) -> list[tuple[str, int]]:
        found = await build.recommended([user], FIRST, NO_BOUND)
        return [(one.id, one.mutual_friends) for one in found[user]]

    for user in users[:50]:
        assert await ask(user) == await bare(user)
    taken = await in_turns({"bare Cypher": bare, "view": ask, "nothing": nothing_of(connection)}, users)
    for way, times in taken.items():
        p50, p95, p99 = (times[len(times) * part // 100] for part in (50, 95, 99))
        sys.stdout.write(f"{way}: p50 {p50:.2f} ms, p95 {p95:.2f} ms, p99 {p99:.2f} ms\n")
    over = statistics.median(taken["view"]) - statistics.median(taken["bare Cypher"])
    sys.stdout.write(f"overhead at the median: {over:.2f} ms\n")
    refused = 0
    for user in users:
        try:
            await build.recommended([user], FIRST, STEPS_LIMIT)
        except TooCostly:
            refused += 1
    sys.stdout.write(f"too costly within {STEPS_LIMIT:,} steps: {refused} of {len(users):,} users\n")


def nothing_of(connection: Neo4jConnection) -> Callable[[str], Awaitable[object]]:
    return lambda user: connection.read("RETURN $id", {"id": user})


async def run(sizes: Sequence[int]) -> None:
    address = given_neo4j()
    if address is None:
        raise SystemExit("bench_neo4j_view: expected a server in NEO4J_URL, found none")
    async with Neo4jConnection(settings_of(address)) as connection:
        for statement in BULK_CONSTRAINTS:
            await connection.write(statement, {})
        try:
            for size in sizes:
                await measured(connection, size)
        finally:
            for name in ("bulk_person", "bulk_friend"):
                await connection.write(f"DROP CONSTRAINT {name} IF EXISTS", {})


def main(sizes: Sequence[int] = (1_000, 10_000)) -> None:
    asyncio.run(run(sizes))


if __name__ == "__main__":
    main([int(size.replace(",", "")) for size in sys.argv[1:]] or (1_000, 10_000))
