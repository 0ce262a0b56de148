"""Caches weigh what they keep, and a request's time reaches the subgraphs."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

import pytest

from graphrouter import Limits, RouterOptions
from tests.unit.execution.plans import Scripted, routed

SDL = "type Query { a: Q } type Q { " + " ".join(f"f{n}(x: Int): Q" for n in range(40)) + " n: Int }"


async def test_the_weight_of_kept_documents_is_near_the_memory_that_they_take() -> None:
    router = routed(a=(SDL, Scripted({"data": {"a": None}})))
    await router.execute("{ a { n } }")
    texts = [
        "{ a { " + " ".join(f"k{k}: f{k % 40}(x: {seed}) {{ n f1 {{ n }} }}" for k in range(200)) + " } }"
        for seed in range(5)
    ]
    before = router._pipeline.statistics()
    tracemalloc.start()
    for text in texts:
        await router.execute(text)
    gc.collect()  # what is not kept: the collector of this process may come as seldom as in a server
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    after = router._pipeline.statistics()
    weighed = sum(after[cache]["weight"] - before[cache]["weight"] for cache in ("documents", "plans"))
    assert taken / 2 < weighed < taken * 2, (weighed, taken)


async def test_the_bytes_of_the_caches_are_bounded() -> None:
    router = routed(RouterOptions(cached_bytes=100_000), a=(SDL, Scripted({"data": {"a": None}})))
    for seed in range(20):
        await router.execute("{ a { " + " ".join(f"k{k}: f1(x: {seed}) {{ n }}" for k in range(3)) + " } }")
    statistics = router._pipeline.statistics()
    assert statistics["documents"]["weight"] <= 50_000
    assert statistics["plans"]["weight"] <= 25_000
    assert statistics["documents"]["evictions"] > 0
    assert statistics["plans"]["entries"] > 0


@pytest.mark.parametrize(
    ("seconds", "subgraph_seconds", "own", "expected"),
    [(5.0, 30.0, {}, 5.0), (60.0, 30.0, {}, 30.0), (60.0, 30.0, {"a": 7.0}, 7.0), (3.0, 30.0, {"a": 7.0}, 3.0)],
)
async def test_the_time_of_a_request_and_of_a_subgraph_reaches_the_transport(
    monkeypatch: pytest.MonkeyPatch, seconds: float, subgraph_seconds: float, own: dict[str, float], expected: float
) -> None:
    a = Scripted({"data": {"a": None}})
    options = RouterOptions(limits=Limits(seconds=seconds), subgraph_seconds=subgraph_seconds, subgraph_timeouts=own)
    router = routed(options, a=(SDL, a))
    await router.execute("{ a { n } }")
    loop = asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)
    await router.execute("{ a { n } }")
    assert a.raw[-1].deadline == now + expected
