"""What it costs a router to be seen: the same requests with nothing, with metrics, and with metrics and traces of which
one in a hundred is recorded; in turns, over sockets, in one process.

CPU time of the router's process for each request: HTTP, pipeline, executor, transport, and what exports spans; the
requests per second of one core are its reciprocal. The subgraphs are in-process apps that answer with texts that are
ready, so nearly all of it is the router's. The clients (four connections) and the collector are processes of their own.

Turns are short, many, and each time in an order that is drawn; the lower quartile of a way's turns counts, so that what
else the machine does falls on all ways alike, or on turns that do not count. One trace in a hundred would fall on too
few turns for that. So requests that are not recorded are measured by themselves, as are those that are all recorded, by
the mean (spans are exported now and then), and are added up, 99 to 1.
"""

from __future__ import annotations

import asyncio
import random
import socket
import statistics
import subprocess
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import orjson

from graphrouter import GraphRouter, RouterOptions
from graphrouter.server.app import routed_app
from graphrouter.server.servers import ANY_HOST, Endpoint, Servers
from graphrouter.telemetry import RouterMetrics
from graphrouter.telemetry.otlp import OtlpRecorder
from graphrouter.telemetry.tracing import Tracing
from tests.benchmark.bench_router import MANY, NUMBERS, ONE, PEOPLE, answering

TURNS = 200
REQUESTS = 40
RATIO = 0.01
OPERATIONS = {"one fetch": ONE, "two fetches, 20 entities": MANY}
NOTHING, METRICS, UNRECORDED, RECORDED = "nothing", "metrics", "metrics, traces: none recorded", "all recorded"

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


_CLIENTS = """
import http.client, sys

connections = {}
for line in sys.stdin:
    port, requests, query = line.split(" ", 2)
    if port not in connections:
        connections[port] = [http.client.HTTPConnection("127.0.0.1", int(port)) for _ in range(4)]
    for _ in range(int(requests) // 4):
        for one in connections[port]:
            one.request("POST", "/graphql", query.strip(), {"content-type": "application/json"})
        for one in connections[port]:
            answer = one.getresponse()
            text = answer.read()
            assert answer.status == 200 and b'"errors"' not in text, text
    print("done", flush=True)
"""


async def main() -> None:
    async with AsyncExitStack() as stack:
        recorder = OtlpRecorder("bench", "0", f"http://127.0.0.1:{stack.enter_context(_collector())}/v1/traces")
        stack.callback(recorder.close)
        ways = {
            NOTHING: RouterOptions(),
            METRICS: RouterOptions(metrics=RouterMetrics()),
            UNRECORDED: RouterOptions(metrics=RouterMetrics(), tracing=Tracing(recorder, 0)),
            RECORDED: RouterOptions(metrics=RouterMetrics(), tracing=Tracing(recorder, 1)),
        }
        clients = await stack.enter_async_context(_clients())
        ports = {way: await stack.enter_async_context(_serving(options)) for way, options in ways.items()}
        for name, query in OPERATIONS.items():
            turns: dict[str, list[float]] = {way: [] for way in ways}
            for number in range(-1, TURNS):  # the first one plans
                for way in random.sample(list(ports), len(ports)):
                    seconds = await _turn(clients, ports[way], query)
                    if number >= 0:
                        turns[way].append(seconds)
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


@asynccontextmanager
async def _clients() -> AsyncGenerator[Process]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _CLIENTS, stdin=PIPE, stdout=PIPE)
    try:
        yield process
    finally:
        process.kill()
        await process.communicate()


async def _turn(clients: Process, port: int, query: str) -> float:
    """The seconds of CPU that a request took."""
    assert clients.stdin is not None
    assert clients.stdout is not None
    began = time.process_time()
    clients.stdin.write(f"{port} {REQUESTS} {orjson.dumps({'query': query}).decode()}\n".encode())
    done = await clients.stdout.readline()
    assert done, "the clients have ended"
    return (time.process_time() - began) / REQUESTS


def _tell(name: str, turns: Mapping[str, Sequence[float]]) -> None:
    found = {way: statistics.quantiles(of, n=4)[0] for way, of in turns.items() if way != RECORDED}
    recorded = statistics.mean(turns[RECORDED])
    found[f"metrics, traces at {RATIO:.0%}"] = (1 - RATIO) * found[UNRECORDED] + RATIO * recorded
    plain = found[NOTHING]
    for way, seconds in found.items():
        sys.stdout.write(
            f"{name}, {way}: {seconds * 1e6:.1f} µs of CPU, {1 / seconds:.0f} requests/s ({plain / seconds - 1:+.1%})\n"
        )
    sys.stdout.write(f"{name}, recorded: {recorded * 1e6:.0f} µs of CPU\n")


if __name__ == "__main__":
    asyncio.run(main())
