"""How many machine instructions graphrouter takes for each workload's operation, in this and in other checkouts.

    python -m tests.benchmark.gateway.instructions [ROOT …]

A ROOT is a checkout with its own `.venv`. Instructions, unlike seconds, are nearly the same whoever else uses the
machine: two runs differ by less than 2 %. Valgrind counts them (Debian: `apt-get install valgrind`), for a few and for
more requests; the difference is the requests', without starting and compiling. The router runs without HTTP, its
subgraphs' answers are ready, and the garbage collector is off. The workloads are this checkout's.
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from graphrouter import GraphRouter, RouterOptions
from graphrouter.composition import SubgraphSdl, compose
from graphrouter.supergraph import read_supergraph
from tests.benchmark.gateway.subgraphs import Ready, Subgraph
from tests.benchmark.gateway.workloads import WORKLOADS, named

FEW, MORE = 5, 45
_HERE = Path(__file__).resolve().parents[3]
_COUNTED = re.compile(r"I +refs: +([0-9,]+)")


async def execute(workload: str, times: int) -> None:
    asked = named(workload)
    parts = [SubgraphSdl(name=name, url="", sdl=sdl) for name, sdl in asked.sdls.items()]
    transports = {name: Ready(Subgraph(name, asked)) for name in asked.sdls}
    supergraph = read_supergraph(compose(parts).supergraph_sdl)
    router = GraphRouter(supergraph, transports, RouterOptions(join_equal_queries=False))
    gc.disable()
    for _ in range(2 + times):
        answer = await router.execute(asked.operation)
        assert not answer.errors
        answer.text()


def counted(root: Path, workload: str, times: int) -> int:
    """The instructions of a process of this checkout that executes the operation so many times."""
    command = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
    python = (str(root / ".venv/bin/python"), "-P", __file__, "--execute", workload, str(times))
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": f"{root / 'router'}:{_HERE}"}
    done = subprocess.run((*command, *python), env=environment, capture_output=True, text=True, check=True)
    found = _COUNTED.search(done.stderr)
    assert found is not None, done.stderr
    return int(found[1].replace(",", ""))


def main() -> None:
    if sys.argv[1:2] == ["--execute"]:
        asyncio.run(execute(sys.argv[2], int(sys.argv[3])))
        return
    roots = [Path(root).resolve() for root in sys.argv[1:]] or [_HERE]
    with ThreadPoolExecutor(2) as both:
        for workload in WORKLOADS:
            for root in roots:
                few, more = both.map(partial(counted, root, workload), (FEW, MORE))
                each = (more - few) / (MORE - FEW) / 1e6
                sys.stdout.write(f"{workload}, {root}: {each:.2f} million instructions a request\n")


if __name__ == "__main__":
    main()
