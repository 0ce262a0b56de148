"""What the router adds to an operation over in-process subgraphs, in microseconds, and where it goes.

Run with `python -m tests.benchmark.bench_router`. Two subgraphs answer at once with texts that are ready, so that what
is left is the router: the pipeline with warm caches, the executor, the transport and the shape. Beside it stands the
same number of requests through the transport alone. CPU time, the middle of several rounds.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from graphrouter import GraphRouter
from graphrouter.transport.inprocess import InProcessTransport
from graphrouter.transport.port import SubgraphRequest

ROUNDS = 7
OPERATIONS = 1_000
USERS = 20

PEOPLE = """
extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])
type Query { me: User users: [User!]! }
type User @key(fields: "id") { id: ID! name: String! }
"""
NUMBERS = """
extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])
type User @key(fields: "id") { id: ID! number: Int! }
"""
ONE, MANY = "{ me { id name } }", "{ users { id name number } }"


def answering(sdl: str) -> Callable[[Any, Any, Any], Awaitable[None]]:
    user = {"__typename": "User", "id": "1", "name": "Ada"}
    users = [{**user, "id": str(number)} for number in range(USERS)]
    answers = {
        b"sdl": orjson.dumps({"data": {"_service": {"sdl": sdl}}}),
        b"_entities": orjson.dumps(
            {"data": {"_entities": [{"__typename": "User", "number": n} for n in range(USERS)]}}
        ),
        b"users": orjson.dumps({"data": {"users": users}}),
        b"me": orjson.dumps({"data": {"me": user}}),
    }

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError("no lifespan")
        body = (await receive())["body"]
        answer = next(text for word, text in answers.items() if word in body)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": answer})

    return app


async def microseconds(work: Callable[[], Awaitable[object]]) -> float:
    rounds: list[float] = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(OPERATIONS):
            await work()
        rounds.append((time.process_time() - start) / OPERATIONS * 1e6)
    return statistics.median(rounds)


def hottest(profile: cProfile.Profile, most: int = 10) -> None:
    """The functions that took most time themselves, in microseconds per operation."""
    stats = pstats.Stats(profile).get_stats_profile().func_profiles
    rows = sorted(stats.items(), key=lambda row: -row[1].tottime)[:most]
    for name, row in rows:
        place = name if row.file_name == "~" else f"{Path(row.file_name).name}:{row.line_number} {name}"
        sys.stdout.write(f"    {row.tottime / OPERATIONS * 1e6:7.2f} µs  {row.ncalls:>8} calls  {place}\n")


async def measured() -> None:
    apps = {"people": answering(PEOPLE), "numbers": answering(NUMBERS)}
    router = await GraphRouter.compose(apps)
    transport = InProcessTransport(apps["people"])
    async with router:
        for name, query, fetches in (("one fetch", ONE, 1), (f"two fetches, {USERS} entities", MANY, 2)):
            answer = await router.execute(query)
            assert answer.data, answer.errors
            request = SubgraphRequest(orjson.dumps({"query": query}), repeatable=True)
            alone = await microseconds(partial(transport.send, request)) * fetches
            whole = await microseconds(partial(router.execute, query))
            sys.stdout.write(
                f"{name}: {whole:.0f} µs an operation, of which transport and subgraphs alone {alone:.0f} µs; "
                f"the router adds {whole - alone:.0f} µs\n"
            )
        with cProfile.Profile() as profile:
            for _ in range(OPERATIONS):
                await router.execute(MANY)
        sys.stdout.write(f"the ten hottest functions of two fetches with {USERS} entities (under the profiler):\n")
        hottest(profile)
    await transport.aclose()


def main() -> None:
    asyncio.run(measured())


if __name__ == "__main__":
    main()
