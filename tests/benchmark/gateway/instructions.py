"""How many machine instructions graphrouter takes for the benchmark's operation, in this and in other checkouts.

    python -m tests.benchmark.gateway.instructions [ROOT …]

A ROOT is a checkout with its own `.venv`. Instructions, unlike seconds, are nearly the same whoever else uses the
machine: two runs differ by less than 2 %. Valgrind counts them (Debian: `apt-get install valgrind`), for a few and for
more requests; the difference is the requests', without starting and compiling. The router runs without HTTP, its
subgraphs' answers are ready, and the garbage collector is off.
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from graphrouter import GraphRouter, RouterOptions
from graphrouter.composition import SubgraphSdl, compose
from graphrouter.supergraph import read_supergraph
from graphrouter.transport import SubgraphRequest, SubgraphResponse
from tests.benchmark.gateway.subgraphs import Subgraph
from tests.benchmark.gateway.workload import OPERATION, SDLS, Catalogue

FEW, MORE = 5, 45
_COUNTED = re.compile(r"I +refs: +([0-9,]+)")


class Ready:
    """A subgraph whose answers are made once."""

    def __init__(self, subgraph: Subgraph) -> None:
        self._subgraph = subgraph
        self._answers: dict[bytes, bytes] = {}

    async def start(self) -> None: ...

    async def aclose(self) -> None: ...

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        await asyncio.sleep(0)
        if request.body not in self._answers:
            self._answers[request.body] = self._subgraph.answer(request.body)
        return SubgraphResponse(200, {}, self._answers[request.body])


async def execute(times: int) -> None:
    parts = [SubgraphSdl(name=name, url="", sdl=sdl) for name, sdl in SDLS.items()]
    catalogue = Catalogue()
    transports = {name: Ready(Subgraph(name, catalogue)) for name in SDLS}
    supergraph = read_supergraph(compose(parts).supergraph_sdl)
    router = GraphRouter(supergraph, transports, RouterOptions(join_equal_queries=False))
    gc.disable()
    for _ in range(2 + times):
        answer = await router.execute(OPERATION)
        assert not answer.errors
        answer.text()


def counted(root: Path, times: int) -> int:
    """The instructions of a process of this checkout that executes the operation so many times."""
    command = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
    python = (str(root / ".venv/bin/python"), "-P", str(Path(__file__).resolve()), "--execute", str(times))
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": f"{root / 'router'}:{root}"}
    done = subprocess.run((*command, *python), env=environment, capture_output=True, text=True, check=True)
    found = _COUNTED.search(done.stderr)
    assert found is not None, done.stderr
    return int(found[1].replace(",", ""))


def main() -> None:
    if sys.argv[1:2] == ["--execute"]:
        asyncio.run(execute(int(sys.argv[2])))
        return
    roots = [Path(root).resolve() for root in sys.argv[1:]] or [Path.cwd()]
    with ThreadPoolExecutor(2) as both:
        for root in roots:
            few, more = both.map(counted, (root, root), (FEW, MORE))
            sys.stdout.write(f"{root}: {(more - few) / (MORE - FEW) / 1e6:.2f} million instructions a request\n")


if __name__ == "__main__":
    main()
