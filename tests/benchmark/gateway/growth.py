"""What an answer that is ten and a hundred times as large costs the router: with longer lists, and with longer texts.

    python -m tests.benchmark.gateway.growth

The subgraphs' answers are ready, and there is no HTTP: what is left is the router. CPU time, the least of some rounds.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable

import orjson

from graphrouter import GraphRouter
from graphrouter.limits import Limits
from graphrouter.options import RouterOptions
from graphrouter.server.collector import set_collector_for_serving
from tests.benchmark.gateway.social import Distinct, Social
from tests.benchmark.gateway.subgraphs import Ready, Subgraph
from tests.benchmark.gateway.wide import Wide
from tests.benchmark.gateway.workload import Workload

ROUNDS = 7
# Texts are a fifth of the social answer, so they have to be longer than by ten and by a hundred.
SIZES: tuple[tuple[str, int, Callable[[], Workload]], ...] = (
    ("social", 1, Social),
    ("social, lists × 10", 10, lambda: Social(10)),
    ("social, lists × 100", 100, lambda: Social(100)),
    ("social, size × 10", 1, lambda: Social(1, 56)),
    ("social, size × 100", 10, lambda: Social(1, 607)),
    ("distinct", 1, Distinct),
    ("distinct, lists × 10", 10, lambda: Distinct(10)),
    ("distinct, lists × 100", 100, lambda: Distinct(100)),
    ("wide", 1, Wide),
    ("wide, lists × 10", 10, lambda: Wide(10)),
)


async def measured(workload: Workload, times: int) -> tuple[int, float]:
    """Bytes of the answer, and milliseconds that it takes to execute and write it."""
    transports = {name: Ready(Subgraph(name, workload)) for name in workload.sdls}
    options = RouterOptions(join_equal_queries=False, limits=Limits(objects=10**9))
    router = await GraphRouter.compose(transports, options)
    async with router:
        first = await router.execute(workload.operation)
        assert first.data == workload.answer(), first.errors
        taken: list[float] = []
        for _ in range(ROUNDS):
            started = time.process_time()
            for _ in range(times):
                (await router.execute(workload.operation)).text()
            taken.append((time.process_time() - started) / times * 1000)
    return len(orjson.dumps(first.body())), min(taken)


def main() -> None:
    set_collector_for_serving()
    sys.stdout.write("| | answer, kB | CPU ms | µs per kB |\n|---|---|---|---|\n")
    for name, larger, workload in SIZES:
        size, taken = asyncio.run(measured(workload(), max(1, 100 // larger)))
        sys.stdout.write(f"| {name} | {size / 1000:.0f} | {taken:.2f} | {1000 * taken / (size / 1000):.1f} |\n")


if __name__ == "__main__":
    main()
