"""What an answer that is ten and a hundred times as large costs the router: with longer lists, and with longer texts.

    python -m tests.benchmark.gateway.growth

The subgraphs' answers are ready, and there is no HTTP: what is left is the router. CPU time, the least of some rounds.
"""

from __future__ import annotations

import asyncio
import sys
import time

import orjson

from graphrouter import GraphRouter
from graphrouter.options import RouterOptions
from graphrouter.server.collector import set_collector_for_serving
from graphrouter.transport import SubgraphRequest, SubgraphResponse
from tests.benchmark.gateway.subgraphs import Subgraph
from tests.benchmark.gateway.workload import OPERATION, SDLS, Catalogue

ROUNDS = 7
# Texts are a fifth of the answer, so they have to be longer than by ten and by a hundred.
SIZES = (
    ("as it is", 1, 1),
    ("lists × 10", 10, 1),
    ("lists × 100", 100, 1),
    ("size × 10", 1, 56),
    ("size × 100", 1, 607),
)


class Ready:
    """A subgraph whose answers are there."""

    def __init__(self, subgraph: Subgraph) -> None:
        self._subgraph = subgraph

    async def start(self) -> None:
        return None

    async def aclose(self) -> None:
        return None

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        return SubgraphResponse(200, {}, self._subgraph.answer(request.body))


async def measured(lists: int, words: int) -> tuple[int, float]:
    """Bytes of the answer, and milliseconds that it takes to execute and write it."""
    catalogue = Catalogue(lists, words)
    transports = {name: Ready(Subgraph(name, catalogue)) for name in SDLS}
    router = await GraphRouter.compose(transports, RouterOptions(join_equal_queries=False))
    async with router:
        first = await router.execute(OPERATION)
        assert first.data == catalogue.answer(), first.errors
        times: list[float] = []
        each = max(1, 100 // (lists * words))
        for _ in range(ROUNDS):
            started = time.process_time()
            for _ in range(each):
                (await router.execute(OPERATION)).text()
            times.append((time.process_time() - started) / each * 1000)
    return len(orjson.dumps(first.body())), min(times)


def main() -> None:
    set_collector_for_serving()
    sys.stdout.write("| | answer, kB | CPU ms | µs per kB |\n|---|---|---|---|\n")
    for name, lists, words in SIZES:
        size, taken = asyncio.run(measured(lists, words))
        sys.stdout.write(f"| {name} | {size / 1000:.0f} | {taken:.2f} | {1000 * taken / (size / 1000):.1f} |\n")


if __name__ == "__main__":
    main()
