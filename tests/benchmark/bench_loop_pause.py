"""How long nobody else is answered while somebody asks for friends of friends of friends, through the whole system.

Run with `python -m tests.benchmark.bench_loop_pause`. One process (`kith up`), 300 people with about 100 friends each.
While each operation is answered, `/health/live` is asked again and again: the longest answer is the pause. How much CPU
time the server used meanwhile is the better figure where others use the machine. Beside it are the server's CPU time
for the whole, the memory that it took, and what came of the operation.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from eventgraph.running.data_folder import DataFolder
from kithgraph.system import SOCIAL_NETWORK
from tests.benchmark.bench_system import Started, cpu_seconds, started
from tests.benchmark.histories import write_logs

PEOPLE, FRIENDSHIPS = 300, 18_000
FRIENDS = "friends(first: %d) { edges { node { %s } } }"


def asked(endpoint: str, query: str) -> dict[str, Any]:
    request = Request(endpoint, json.dumps({"query": query}).encode(), {"content-type": "application/json"})  # noqa: S310
    with urlopen(request) as answer:  # noqa: S310 -- this process has just started it
        found: dict[str, Any] = json.loads(answer.read())
    return found


class Pauses(threading.Thread):
    """Asks for the health until it is ended; `longest` in seconds, `cpu` the server's CPU seconds meanwhile."""

    def __init__(self, endpoint: str, process: int) -> None:
        super().__init__()
        self.longest = self.cpu = 0.0
        self._process = process
        self._health = endpoint.replace("/graphql", "/health/live")
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.005):
            begin, cpu = time.perf_counter(), cpu_seconds(self._process)
            with urlopen(self._health) as answer:  # noqa: S310 -- see above
                answer.read()
            self.longest = max(self.longest, time.perf_counter() - begin)
            self.cpu = max(self.cpu, cpu_seconds(self._process) - cpu)

    def end(self) -> None:
        self._ended.set()
        self.join()


def told(kith: Started, name: str, query: str) -> None:
    pauses, cpu, memory = Pauses(kith.endpoint, kith.process.pid), cpu_seconds(kith.process.pid), kith.memory()
    pauses.start()
    begin = time.perf_counter()
    answer = asked(kith.endpoint, query)
    seconds = time.perf_counter() - begin
    pauses.end()
    codes = sorted({error["extensions"]["code"] for error in answer.get("errors", ())})
    sys.stdout.write(
        f"{name:<28} {len(query)} bytes: pause {1000 * pauses.longest:.0f} ms"
        f" ({1000 * pauses.cpu:.0f} of CPU time), {seconds:.2f} s,"
        f" {cpu_seconds(kith.process.pid) - cpu:.2f} s of CPU time, {kith.memory() - memory:+.0f} MB,"
        f" {len(json.dumps(answer)):,} bytes {', '.join(codes)}\n"
    )


def nested(user: str, page: int, levels: int) -> str:
    inner = "id"
    for _ in range(levels):
        inner = FRIENDS % (page, inner)
    return f'{{ user(id: "{user}") {{ {inner} }} }}'


def main() -> None:
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root, "data")
        with DataFolder.open(folder, SOCIAL_NETWORK):
            asyncio.run(write_logs(folder / "logs", PEOPLE, PEOPLE, FRIENDSHIPS))
        kith = started(folder)
        (user,) = asked(kith.endpoint, "{ users(first: 1) { edges { node { id } } } }")["data"]["users"]["edges"]
        told(kith, "nothing", "{ __typename }")
        for page, levels in ((100, 3), (100, 2), (30, 3)):
            told(kith, f"{levels} levels of {page} friends", nested(user["node"]["id"], page, levels))
        kith.stop()


if __name__ == "__main__":
    main()
