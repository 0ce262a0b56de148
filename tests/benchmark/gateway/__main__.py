"""`make bench-router`: graphrouter and its peers under the same loads, one after the other.

The gateway has the first core for itself; the second is for the subgraphs and the load. A row is one gateway with one
way of joining equal requests, and one number of clients: it is warmed up, then measured. What is joined shows in how
many requests the subgraphs get for each of the clients'. CPU time per request is the steadiest of the figures: it
hardly depends on what else the machine does. With several rounds, the gateways take turns, and a row is that of the
round with the median CPU time; the least and the greatest stand beside it.

    python -m tests.benchmark.gateway [--workloads social distinct wide] [--rounds 1] [--seconds 10] [GATEWAY …]
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
from tests.benchmark.gateway.workloads import WORKLOADS, named
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
    """A run of one workload. `folder` is for its files; `urls` are the subgraphs'."""

    def __init__(self, folder: Path, workload: str, urls: dict[str, str], seconds: float) -> None:
        self._folder = folder
        self._workload, self._operation = workload, named(workload).operation
        self._seconds = seconds
        self._counter = next(iter(urls.values()))
        self._supergraph = folder / "supergraph.graphql"
        parts = [SubgraphSdl(name=name, url=urls[name], sdl=sdl) for name, sdl in named(workload).sdls.items()]
        self._supergraph.write_text(compose(parts).supergraph_sdl)

    def rows(self, gateway: Gateway, joining: str, clients: tuple[int, ...]) -> list[Row]:
        port = free_port()
        start = gateway.start(self._supergraph, port, joining)
        log = self._folder / "gateway.log"
        url = f"http://127.0.0.1:{port}/graphql"
        with running(GATEWAY_CORE, start.command, log, start.environment, start.folder) as process:
            wait_until("answering", process, log, lambda: _answers(url, self._operation))
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
        arguments = (url, str(clients), str(seconds), self._workload)
        done = subprocess.run(pinned(REST_CORE, (*command, *arguments)), check=True, stdout=subprocess.PIPE)
        return Seen(**json.loads(done.stdout))

    def _requests(self) -> int:
        """How many requests the subgraphs had since this was asked last."""
        with urllib.request.urlopen(self._counter) as response:  # noqa: S310 -- the benchmark's own server
            return sum(int(one["requests"]) for one in json.load(response).values())


def _answers(url: str, operation: str) -> bool:
    headers = {"content-type": "application/json", "accept": "application/json"}
    request = urllib.request.Request(url, orjson.dumps({"query": operation}), headers)  # noqa: S310 -- as above
    try:
        with urllib.request.urlopen(request) as response:  # noqa: S310 -- as above
            return "errors" not in json.load(response)
    except (urllib.error.URLError, ConnectionError):
        return False


def _table(rounds: list[list[Row]]) -> None:
    """The rows of several rounds, in each of which they are the same."""
    figures = ("req/s", "p50 ms", "p95 ms", "p99 ms")
    _line("gateway", "joined", "clients", *figures, "CPU ms/request", "least, greatest", "MB", "fetches")
    _line(*["---"] * 11)
    for rows in zip(*rounds, strict=True):
        by_cpu = sorted(rows, key=lambda row: row.cpu)
        row = by_cpu[len(by_cpu) // 2]
        seen = row.seen
        times = (f"{time:.1f}" for time in (seen.p50, seen.p95, seen.p99))
        per_second = f"{seen.requests / seen.seconds:.0f}"
        cpu = (f"**{row.cpu:.2f}**", f"{by_cpu[0].cpu:.2f}, {by_cpu[-1].cpu:.2f}")
        _line(
            row.gateway,
            row.joining,
            str(row.clients),
            per_second,
            *times,
            *cpu,
            f"{row.memory / 1e6:.0f}",
            f"{row.subgraph_requests:.2f}",
        )


def _line(*cells: str) -> None:
    sys.stdout.write(f"| {' | '.join(cells)} |\n")


def _round(bench: Bench, gateways: list[str], joinings: list[str] | None) -> list[Row]:
    rows: list[Row] = []
    for gateway in GATEWAYS:
        if gateways and gateway.name not in gateways:
            continue
        for joining in joinings or gateway.joinings:
            if joining not in gateway.joinings:
                continue
            sys.stderr.write(f"{gateway.name}, {joining} (load average {os.getloadavg()[0]:.1f})\n")
            try:
                rows += bench.rows(gateway, joining, (1, 50) if joining == "none" else (50,))
            except Absent as absent:
                sys.stderr.write(f"  skipped: {absent}\n")
    return rows


def _arguments() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(description="Compare gateways.")
    arguments.add_argument("--seconds", type=float, default=10.0, help="how long a row is measured")
    arguments.add_argument("--rounds", type=int, default=1, help="how often, the gateways by turns")
    arguments.add_argument("--joining", nargs="*", help="only these ways of joining")
    arguments.add_argument("--workloads", nargs="*", choices=WORKLOADS, default=list(WORKLOADS), help="default: all")
    arguments.add_argument("gateways", nargs="*", help=f"of {', '.join(one.name for one in GATEWAYS)}; default: all")
    given = arguments.parse_args()
    unknown = sorted(set(given.gateways) - {one.name for one in GATEWAYS})
    if unknown:
        raise SystemExit(f"expected any of {', '.join(one.name for one in GATEWAYS)}, found {unknown[0]!r}")
    return given


def main() -> None:
    given = _arguments()
    for workload in given.workloads:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            log, file = folder / "subgraphs.log", folder / "subgraphs.json"
            servers = (sys.executable, "-m", "tests.benchmark.gateway.subgraphs", name, workload)
            with running(REST_CORE, servers, log) as subgraphs:
                wait_until("listening", subgraphs, log, file.exists)
                bench = Bench(folder, workload, json.loads(file.read_text()), given.seconds)
                rounds = [_round(bench, given.gateways, given.joining) for _ in range(given.rounds)]
        sys.stdout.write(f"\n**{workload}**\n\n")
        _table(rounds)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
