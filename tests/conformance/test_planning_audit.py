"""The federation audit, at the level of plans: every case answered as expected, every plan beyond reproach."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import parse, validate

from graphrouter.planning.check import check
from graphrouter.planning.planner import PlanningError, QueryPlanner
from graphrouter.planning.render import render
from graphrouter.supergraph import read_supergraph
from tests.support.federation_audit import audit_module, suite_names
from tests.support.plan_interpreter import run_plan


@pytest.mark.parametrize("name", suite_names() or ["federation-audit"])
async def test_every_case_of_a_suite_is_answered_as_expected(name: str) -> None:
    suite = audit_module("audit.cases").load_suite(name)
    problems = audit_module("audit.check").problems
    supergraph = read_supergraph(suite.supergraph())
    planner = QueryPlanner(supergraph)
    subgraphs = suite.subgraphs()

    async def ask(subgraph: str, request: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = await subgraphs[subgraph].execute(request)
        return answer

    for case in suite.cases():
        document = parse(case.query)
        if invalid := validate(supergraph.api_schema, document):
            answer: dict[str, Any] = {"data": None, "errors": [error.formatted for error in invalid]}
        else:
            try:
                plan = planner.plan(document)
            except PlanningError as error:
                answer = {"data": None, "errors": [{"message": error.message}]}
            else:
                assert check(plan, document, supergraph) == [], render(plan)
                answer = await run_plan(plan, document, supergraph.api_schema, ask)
        assert problems(case, answer, strict=True) == [], case.name


def test_the_whole_audit_is_there() -> None:
    suites = audit_module("audit.cases").load_suites()
    assert sum(len(suite.cases()) for suite in suites) == 143
