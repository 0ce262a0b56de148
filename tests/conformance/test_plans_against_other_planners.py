"""No plan takes more requests, or more of them one after the other, than those of Apollo's and of Hive's planner.

Ours are counted at the subgraphs while a router executes the operation; theirs are read off their plans. The operations
are all of the federation audit, and that of the gateway benchmark.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import pytest
from graphql import parse, validate

from graphrouter import GraphRouter
from graphrouter.composition import SubgraphSdl, compose
from graphrouter.options import RouterOptions
from graphrouter.planning.plan import QueryPlan
from graphrouter.planning.planner import PlanningError, QueryPlanner
from graphrouter.supergraph import read_supergraph
from graphrouter.transport import SubgraphRequest, SubgraphResponse
from tests.benchmark.gateway.social import OPERATION, SDLS, Social
from tests.benchmark.gateway.subgraphs import Subgraph
from tests.support.federation_audit import audit_module, suite_names
from tests.support.npm import Absent, npm_packages

PLANNERS = Path(__file__).parent / "planners"
Costs: TypeAlias = tuple[int, int]
"""Requests, and how many of them come one after the other."""

BETTER: dict[str, dict[str, tuple[Costs, Costs]]] = {
    "abstract-types 02-book-magazine": {"apollo": ((2, 2), (3, 2))},
    "requires-requires 04-product": {"apollo": ((5, 4), (6, 4))},
    "gateway benchmark": {"apollo": ((7, 4), (16, 4))},
}
"""Where our plan is cheaper: (ours, theirs). docs/benchmarks.md lists these."""


@dataclass(frozen=True, slots=True)
class Workload:
    name: str
    supergraph: str
    queries: tuple[tuple[str, str], ...]
    """Name and text."""


@cache
def workloads() -> list[Workload]:
    load = audit_module("audit.cases").load_suite
    suites = [
        Workload(name, suite.supergraph(), tuple((f"{name} {case.name}", case.query) for case in suite.cases("1")))
        for name, suite in ((name, load(name)) for name in suite_names())
    ]
    return [*suites, gateway()]


def gateway() -> Workload:
    parts = [SubgraphSdl(name=name, url=f"http://{name}/graphql", sdl=sdl) for name, sdl in SDLS.items()]
    return Workload("gateway", compose(parts).supergraph_sdl, (("gateway benchmark", OPERATION),))


@cache
def theirs() -> dict[str, dict[str, Costs]]:
    """By operation and planner; a planner that refuses the operation is not in it."""
    try:
        folder = npm_packages("planners", PLANNERS, "plan.js")
    except Absent as absent:
        pytest.skip(str(absent))
    asked = [{"supergraph": one.supergraph, "queries": [text for _, text in one.queries]} for one in workloads()]
    done = subprocess.run(
        ["node", "plan.js"], cwd=folder, check=True, input=json.dumps(asked).encode(), stdout=subprocess.PIPE
    )
    answered: list[list[dict[str, Any]]] = json.loads(done.stdout)
    return {
        name: {who: (cost["requests"], cost["path"]) for who, cost in costs.items() if "error" not in cost}
        for workload, found in zip(workloads(), answered, strict=True)
        for (name, _), costs in zip(workload.queries, found, strict=True)
    }


def ours(planner: QueryPlanner, query: str) -> QueryPlan | None:
    document = parse(query)
    if validate(planner.supergraph.api_schema, document):
        return None
    try:
        return planner.plan(document)
    except PlanningError:
        return None


def critical_path(plan: QueryPlan) -> int:
    depths: dict[int, int] = {}
    for fetch in plan.fetches:
        depths[fetch.id] = 1 + max((depths[before] for before in fetch.depends_on), default=0)
    return max(depths.values(), default=0)


class Counting:
    """A subgraph of the audit, or of the benchmark, that counts."""

    def __init__(self, subgraph: Any) -> None:
        self._subgraph = subgraph
        self.requests = 0

    async def start(self) -> None:
        return None

    async def aclose(self) -> None:
        return None

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        self.requests += 1
        if isinstance(self._subgraph, Subgraph):
            return SubgraphResponse(200, {}, self._subgraph.answer(request.body))
        return SubgraphResponse(200, {}, orjson.dumps(await self._subgraph.execute(orjson.loads(request.body))))


def counting(workload: Workload) -> Mapping[str, Counting]:
    if workload.name == "gateway":
        catalogue = Social()
        return {name: Counting(Subgraph(name, catalogue)) for name in SDLS}
    suite = audit_module("audit.cases").load_suite(workload.name)
    return {name: Counting(subgraph) for name, subgraph in suite.subgraphs().items()}


@pytest.mark.node
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [*(suite_names() or ["federation-audit"]), "gateway"])
async def test_no_plan_is_dearer_than_another_planners(name: str) -> None:
    workload = next(one for one in workloads() if one.name == name)
    planner = QueryPlanner(read_supergraph(workload.supergraph))
    for case, query in workload.queries:
        plan = ours(planner, query)
        if plan is None:
            continue  # what cannot be answered at all; that both agree, the audit itself says
        subgraphs = counting(workload)
        options = RouterOptions(join_equal_queries=False)
        async with GraphRouter.from_supergraph(workload.supergraph, dict(subgraphs), options) as router:
            await router.execute(query)
        observed = (sum(one.requests for one in subgraphs.values()), critical_path(plan))
        for who, (requests, path) in theirs()[case].items():
            assert observed[0] <= requests, f"{case}: more requests than {who}"
            assert observed[1] <= path, f"{case}: a longer critical path than {who}"
            better = (len(plan.fetches), observed[1]) != (requests, path)
            assert better == (who in BETTER.get(case, {})), f"{case}: {len(plan.fetches)}, {observed[1]} against {who}"
            if better:
                assert BETTER[case][who] == ((len(plan.fetches), observed[1]), (requests, path))


async def test_the_gateway_benchmarks_operation_takes_seven_requests() -> None:
    workload = gateway()
    subgraphs = counting(workload)
    async with GraphRouter.from_supergraph(workload.supergraph, dict(subgraphs)) as router:
        answer = await router.execute(OPERATION)
    assert answer.errors == []
    assert answer.data == Social().answer()
    assert {name: one.requests for name, one in subgraphs.items()} == {
        "accounts": 2,
        "products": 2,
        "inventory": 2,
        "reviews": 1,
    }
