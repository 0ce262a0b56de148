"""What it costs a router to be seen: the same requests with nothing, with metrics, and with metrics and one trace in a
hundred recorded; in turns, over sockets, in one process.

CPU time of the whole process for each request, without that of the client's thread: HTTP, pipeline, executor,
transport, and what exports spans. The subgraphs are in-process apps that answer with texts that are ready, so nearly
all of it is the router's. The collector is a process of its own. Requests per second are those of one client that waits
for each answer.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import NamedTuple

import orjson

from graphrouter import GraphRouter, RouterOptions
from graphrouter.server.app import routed_app
from graphrouter.server.servers import ANY_HOST, Endpoint, Servers
from graphrouter.telemetry import RouterMetrics
from graphrouter.telemetry.otlp import OtlpRecorder
from graphrouter.telemetry.tracing import Tracing
from tests.benchmark.bench_router import MANY, NUMBERS, ONE, PEOPLE, answering

ROUNDS = 21
REQUESTS = 300
RATIO = 0.01
OPERATIONS = {"one fetch": ONE, "two fetches, 20 entities": MANY}
NOTHING = "nothing"

_COLLECTOR = """
import http.server

class Collector(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
print(server.server_port, flush=True)
server.serve_forever()
"""


class Turn(NamedTuple):
    """One request of a turn, in seconds: of CPU, and from its beginning to its end."""

    cpu: float
    wall: float


async def main() -> None:
    async with AsyncExitStack() as stack:
        recorder = OtlpRecorder("bench", "0", f"http://127.0.0.1:{stack.enter_context(_collector())}/v1/traces")
        stack.callback(recorder.close)
        ways = {
            NOTHING: RouterOptions(),
            "metrics": RouterOptions(metrics=RouterMetrics()),
            "metrics, traces at 1 %": RouterOptions(metrics=RouterMetrics(), tracing=Tracing(recorder, RATIO)),
        }
        ports = {way: await stack.enter_async_context(_serving(options)) for way, options in ways.items()}
        for name, query in OPERATIONS.items():
            body = orjson.dumps({"query": query})
            for port in ports.values():
                await _turn(port, body)
            turns: Mapping[str, list[Turn]] = {way: [] for way in ways}
            for _ in range(ROUNDS):
                for way, port in ports.items():
                    turns[way].append(await _turn(port, body))
            _tell(name, turns)


@contextmanager
def _collector() -> Generator[int]:
    """The port of what takes spans."""
    process = subprocess.Popen([sys.executable, "-c", _COLLECTOR], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


@asynccontextmanager
async def _serving(options: RouterOptions) -> AsyncGenerator[int]:
    """The port of a router."""
    router = await GraphRouter.compose({"people": answering(PEOPLE), "numbers": answering(NUMBERS)}, options)
    listener = socket.create_server(("127.0.0.1", 0))
    servers = Servers()
    await servers.start([Endpoint(routed_app(lambda: router, options), listener, ANY_HOST)])
    try:
        yield listener.getsockname()[1]
    finally:
        await servers.shut_down()
        await router.aclose()


async def _turn(port: int, body: bytes) -> Turn:
    """What a request took, while another thread asks."""
    cpu, wall = time.process_time(), time.perf_counter()
    clients = await asyncio.to_thread(_ask, port, body)
    return Turn((time.process_time() - cpu - clients) / REQUESTS, (time.perf_counter() - wall) / REQUESTS)


def _ask(port: int, body: bytes) -> float:
    """The CPU time of the client."""
    began = time.thread_time()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for _ in range(REQUESTS):
        connection.request("POST", "/graphql", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == 200
        assert b'"errors"' not in text
    connection.close()
    return time.thread_time() - began


def _tell(name: str, turns: Mapping[str, Sequence[Turn]]) -> None:
    plain = turns[NOTHING]
    for way, found in turns.items():
        cpu = statistics.median(one.cpu / without.cpu for one, without in zip(found, plain, strict=True)) - 1
        rate = statistics.median(without.wall / one.wall for one, without in zip(found, plain, strict=True)) - 1
        sys.stdout.write(
            f"{name}, {way}: {min(one.cpu for one in found) * 1e6:.0f} µs of CPU, "
            f"{1 / min(one.wall for one in found):.0f} requests/s at best; "
            f"median of the ratios {cpu:+.1%} of CPU, {rate:+.1%} of requests/s\n"
        )


if __name__ == "__main__":
    asyncio.run(main())
