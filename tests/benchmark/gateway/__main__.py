"""`make bench-router`: graphrouter and its peers under the same load, one after the other.

The gateway has the first core for itself; the second is for the subgraphs and the load. A row is one gateway with one
way of joining equal requests, and one number of clients: it is warmed up, then measured. What is joined shows in how
many requests the subgraphs get for each of the clients'. CPU time per request is the steadiest of the figures: it
hardly depends on what else the machine does.

    python -m tests.benchmark.gateway [--seconds 10] [GATEWAY …]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import orjson

from graphrouter.composition import SubgraphSdl, compose
from tests.benchmark.gateway.gateways import GATEWAYS, Gateway
from tests.benchmark.gateway.load import Seen
from tests.benchmark.gateway.running import free_port, pinned, running, usage, wait_until
from tests.benchmark.gateway.workload import OPERATION, SDLS, Catalogue
from tests.support.npm import Absent

GATEWAY_CORE, REST_CORE = 0, 1
_WARM_UP_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Row:
    gateway: str
    joining: str
    clients: int
    seen: Seen
    cpu: float
    """Milliseconds of the gateway's CPU time per request."""
    memory: int
    subgraph_requests: float
    """Per request of a client."""


class Bench:
    """One run. `folder` is for its files; `urls` are the subgraphs'."""

    def __init__(self, folder: Path, urls: dict[str, str], seconds: float) -> None:
        self._folder = folder
        self._seconds = seconds
        self._counter = next(iter(urls.values()))
        self._supergraph = folder / "supergraph.graphql"
        parts = [SubgraphSdl(name=name, url=urls[name], sdl=sdl) for name, sdl in SDLS.items()]
        self._supergraph.write_text(compose(parts).supergraph_sdl)
        self._answer = folder / "answer.json"
        self._answer.write_bytes(orjson.dumps(Catalogue().answer()))

    def rows(self, gateway: Gateway, joining: str, clients: tuple[int, ...]) -> list[Row]:
        port = free_port()
        start = gateway.start(self._supergraph, port, joining)
        log = self._folder / "gateway.log"
        url = f"http://127.0.0.1:{port}/graphql"
        with running(GATEWAY_CORE, start.command, log, start.environment, start.folder) as process:
            wait_until("answering", process, log, lambda: _answers(url))
            self._load(url, max(clients), _WARM_UP_SECONDS)
            return [self._row(gateway, joining, number, url, process.pid) for number in clients]

    def _row(self, gateway: Gateway, joining: str, clients: int, url: str, pid: int) -> Row:
        self._requests()
        before = usage(pid)
        seen = self._load(url, clients, self._seconds)
        after = usage(pid)
        cpu = 1000 * (after.cpu - before.cpu) / seen.requests
        return Row(
            gateway.name, gateway.joinings[joining], clients, seen, cpu, after.memory, self._requests() / seen.requests
        )

    def _load(self, url: str, clients: int, seconds: float) -> Seen:
        command = (sys.executable, "-m", "tests.benchmark.gateway.load")
        arguments = (url, str(clients), str(seconds), str(self._answer))
        done = subprocess.run(pinned(REST_CORE, (*command, *arguments)), check=True, stdout=subprocess.PIPE)
        return Seen(**json.loads(done.stdout))

    def _requests(self) -> int:
        """How many requests the subgraphs had since this was asked last."""
        with urllib.request.urlopen(self._counter) as response:  # noqa: S310 -- the benchmark's own server
            return sum(int(one["requests"]) for one in json.load(response).values())


def _answers(url: str) -> bool:
    headers = {"content-type": "application/json", "accept": "application/json"}
    request = urllib.request.Request(url, orjson.dumps({"query": OPERATION}), headers)  # noqa: S310 -- as above
    try:
        with urllib.request.urlopen(request) as response:  # noqa: S310 -- as above
            return "errors" not in json.load(response)
    except (urllib.error.URLError, ConnectionError):
        return False


def _table(rows: list[Row]) -> None:
    titles = ("gateway", "joined", "clients", "req/s", "p50 ms", "p95 ms", "p99 ms", "CPU ms/request", "MB", "fetches")
    _line(*titles)
    _line(*("---" for _ in titles))
    for row in rows:
        seen = row.seen
        times = (f"{time:.1f}" for time in (seen.p50, seen.p95, seen.p99))
        per_second = f"{seen.requests / seen.seconds:.0f}"
        rest = (f"**{row.cpu:.2f}**", f"{row.memory / 1e6:.0f}", f"{row.subgraph_requests:.2f}")
        _line(row.gateway, row.joining, str(row.clients), per_second, *times, *rest)


def _line(*cells: str) -> None:
    sys.stdout.write(f"| {' | '.join(cells)} |\n")


def main() -> None:
    arguments = argparse.ArgumentParser(description="Compare gateways.")
    arguments.add_argument("--seconds", type=float, default=10.0, help="how long a row is measured")
    arguments.add_argument("--joining", nargs="*", help="only these ways of joining")
    arguments.add_argument("gateways", nargs="*", help=f"of {', '.join(one.name for one in GATEWAYS)}; default: all")
    given = arguments.parse_args()
    unknown = sorted(set(given.gateways) - {one.name for one in GATEWAYS})
    if unknown:
        raise SystemExit(f"expected any of {', '.join(one.name for one in GATEWAYS)}, found {unknown[0]!r}")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log, file = folder / "subgraphs.log", folder / "subgraphs.json"
        with running(REST_CORE, (sys.executable, "-m", "tests.benchmark.gateway.subgraphs", name), log) as subgraphs:
            wait_until("listening", subgraphs, log, file.exists)
            bench = Bench(folder, json.loads(file.read_text()), given.seconds)
            for gateway in GATEWAYS:
                if given.gateways and gateway.name not in given.gateways:
                    continue
                for joining in given.joining or gateway.joinings:
                    if joining not in gateway.joinings:
                        continue
                    sys.stderr.write(f"{gateway.name}, {joining} (load average {os.getloadavg()[0]:.1f})\n")
                    try:
                        rows += bench.rows(gateway, joining, (1, 50) if joining == "none" else (50,))
                    except Absent as absent:
                        sys.stderr.write(f"  skipped: {absent}\n")
    _table(rows)


if __name__ == "__main__":
    main()
