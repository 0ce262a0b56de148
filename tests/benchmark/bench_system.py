"""The whole system as a process: memory idle and after the load `parallel`, and how start-up grows with the log.

Run with `python -m tests.benchmark.bench_system [EVENTS …]` (10,000 and 100,000 where none are given). Start-up is from
the command until `/health/ready` says yes, with the CPU time of it: of a folder whose views are there, and of one whose
views have to be filled from the logs first (after a release that changed them; the endpoint answers UNAVAILABLE then).
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from eventgraph.running.data_folder import DataFolder
from kithgraph.system import SOCIAL_NETWORK
from tests.benchmark.histories import write_logs

COMMAND = Path(sys.executable).with_name("kith")
ROUNDS = 3


@dataclass
class Started:
    process: subprocess.Popen[str]
    endpoint: str
    seconds: float
    cpu: float

    def memory(self) -> float:
        """Megabytes that are resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1_024

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate()


def is_ready(health: str) -> bool:
    try:
        with urlopen(health) as answer:  # noqa: S310 -- this process has just started it
            return int(answer.status) == 200
    except HTTPError:
        return False


def cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def started(folder: Path) -> Started:
    begin = time.perf_counter()
    asked = [str(COMMAND), "up", "--port", "0", "--data", str(folder)]
    process = subprocess.Popen(asked, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    endpoint = ""
    for line in process.stdout:
        if line.split()[:1] == ["endpoint"]:
            endpoint = line.split()[1]
        if line.split()[:1] == ["data"]:
            break
    health = endpoint.replace("/graphql", "/health/ready")
    while not is_ready(health):
        time.sleep(0.02)
    return Started(process, endpoint, time.perf_counter() - begin, cpu_seconds(process.pid))


def memory() -> None:
    with tempfile.TemporaryDirectory() as root:
        kith = started(Path(root, "data"))
        idle = kith.memory()
        before = cpu_seconds(kith.process.pid)
        asked = [str(COMMAND), "load", "parallel", "--json", "--endpoint", kith.endpoint]
        answer = json.loads(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)
        cpu = cpu_seconds(kith.process.pid) - before
        sys.stdout.write(
            f"memory: {idle:.0f} MB idle, {kith.memory():.0f} MB after `kith load parallel`, which took {cpu:.1f} s of "
            f"the server's CPU time and found {answer['differences']} differences\n"
        )
        kith.stop()


def start_up(events: int) -> None:
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root, "data")
        with DataFolder.open(folder, SOCIAL_NETWORK):
            asyncio.run(write_logs(folder / "logs", events // 11, events // 11, events - events // 11))
        told: list[str] = []
        for how in ("with views to fill", "with its views"):
            runs: list[Started] = []
            for _ in range(ROUNDS):
                if how == "with views to fill":
                    for view in SOCIAL_NETWORK.names:
                        shutil.rmtree(folder / "views" / view, ignore_errors=True)
                runs.append(started(folder))
                runs[-1].stop()
            seconds = statistics.median(run.seconds for run in runs)
            cpu = statistics.median(run.cpu for run in runs)
            told.append(f"{seconds:.2f} s {how} ({cpu:.2f} s of CPU time)")
        sys.stdout.write(f"start-up with {events:>9,} events: {', '.join(reversed(told))}\n")


def main(sizes: Sequence[int] = (10_000, 100_000)) -> None:
    memory()
    for events in (0, *sizes):
        start_up(events)


if __name__ == "__main__":
    main([int(size.replace(",", "")) for size in sys.argv[1:]] or (10_000, 100_000))
