"""What counting costs a router: the same requests with metrics and without, in turns, over sockets, in one process.

CPU time of the server's thread for each request: HTTP, pipeline, executor, transport. The subgraphs are in-process apps
that answer with texts that are ready, so nearly all of it is the router's.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import orjson

from graphrouter import GraphRouter, RouterOptions
from graphrouter.server.app import routed_app
from graphrouter.server.servers import ANY_HOST, Endpoint, Servers
from graphrouter.telemetry import RouterMetrics
from tests.benchmark.bench_router import MANY, NUMBERS, ONE, PEOPLE, answering

ROUNDS = 11
REQUESTS = 100
OPERATIONS = {"one fetch": ONE, "two fetches, 20 entities": MANY}


async def main() -> None:
    async with _serving(None) as plain, _serving(RouterMetrics()) as counting:
        for name, query in OPERATIONS.items():
            body = orjson.dumps({"query": query})
            for port in (plain, counting):
                await _seconds(port, body)
            pairs = [(await _seconds(plain, body), await _seconds(counting, body)) for _ in range(ROUNDS)]
            _tell(name, [one for one, _ in pairs], [other for _, other in pairs])


@asynccontextmanager
async def _serving(metrics: RouterMetrics | None) -> AsyncGenerator[int]:
    """The port of a router."""
    options = RouterOptions(metrics=metrics)
    router = await GraphRouter.compose({"people": answering(PEOPLE), "numbers": answering(NUMBERS)}, options)
    listener = socket.create_server(("127.0.0.1", 0))
    servers = Servers()
    await servers.start([Endpoint(routed_app(lambda: router, options), listener, ANY_HOST)])
    try:
        yield listener.getsockname()[1]
    finally:
        await servers.shut_down()
        await router.aclose()


async def _seconds(port: int, body: bytes) -> float:
    """CPU time of one request in this thread, while another thread asks."""
    started = time.thread_time()
    await asyncio.to_thread(_ask, port, body)
    return (time.thread_time() - started) / REQUESTS


def _ask(port: int, body: bytes) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for _ in range(REQUESTS):
        connection.request("POST", "/graphql", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == 200
        assert b'"errors"' not in text
    connection.close()


def _tell(name: str, plain: Sequence[float], counting: Sequence[float]) -> None:
    least, most = min(plain), min(counting)
    middle = statistics.median(other / one for one, other in zip(plain, counting, strict=True))
    sys.stdout.write(
        f"{name}: {least * 1e6:.0f} µs of CPU without, {most * 1e6:.0f} with ({(most / least - 1):+.1%}; "
        f"median of the ratios {middle - 1:+.1%})\n"
    )


if __name__ == "__main__":
    asyncio.run(main())
