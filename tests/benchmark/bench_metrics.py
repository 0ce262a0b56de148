"""What counting costs a router: the same requests with metrics and without, in turns, in one process.

CPU time for each request over ASGI, without sockets; the subgraphs answer with texts that are ready, so the router
is nearly all of it. The share would be smaller behind sockets.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Sequence

import orjson
from starlette.types import ASGIApp, Message, Scope

from graphrouter import GraphRouter, RouterOptions
from graphrouter.server.app import routed_app
from graphrouter.telemetry import RouterMetrics
from tests.benchmark.bench_router import MANY, NUMBERS, ONE, PEOPLE, answering

ROUNDS = 15
REQUESTS = 400
OPERATIONS = {"one fetch": ONE, "two fetches, 20 entities": MANY}


async def main() -> None:
    plain, counting = await _app(None), await _app(RouterMetrics())
    for name, query in OPERATIONS.items():
        body = orjson.dumps({"query": query})
        for app in (plain, counting):
            await _seconds(app, body)
        pairs = [(await _seconds(plain, body), await _seconds(counting, body)) for _ in range(ROUNDS)]
        _tell(name, [one for one, _ in pairs], [other for _, other in pairs])


async def _app(metrics: RouterMetrics | None) -> ASGIApp:
    options = RouterOptions(metrics=metrics)
    router = await GraphRouter.compose({"people": answering(PEOPLE), "numbers": answering(NUMBERS)}, options)
    return routed_app(lambda: router, options)


async def _seconds(app: ASGIApp, body: bytes) -> float:
    """CPU time of one request."""
    gc.collect()
    gc.disable()
    started = time.process_time()
    for _ in range(REQUESTS):
        await _request(app, body)
    taken = time.process_time() - started
    gc.enable()
    return taken / REQUESTS


async def _request(app: ASGIApp, body: bytes) -> None:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    waiting = asyncio.get_running_loop().create_future()
    answered: list[Message] = []

    async def receive() -> Message:
        return messages.pop() if messages else await waiting

    async def send(message: Message) -> None:
        answered.append(message)

    scope: Scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/graphql", "raw_path": b"/graphql", "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 4000), "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
    }  # fmt: skip
    await app(scope, receive, send)
    assert answered[0]["status"] == 200
    assert b'"errors"' not in answered[1]["body"]


def _tell(name: str, plain: Sequence[float], counting: Sequence[float]) -> None:
    least, most = min(plain), min(counting)
    middle = statistics.median(other / one for one, other in zip(plain, counting, strict=True))
    sys.stdout.write(
        f"{name}: {least * 1e6:.0f} µs of CPU without, {most * 1e6:.0f} with ({(most / least - 1):+.1%}; "
        f"median of the ratios {middle - 1:+.1%})\n"
    )


if __name__ == "__main__":
    asyncio.run(main())
