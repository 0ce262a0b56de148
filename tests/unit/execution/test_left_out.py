"""What nobody can answer is refused where it is asked for, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from graphql import parse, validate

from graphrouter import GraphRouter
from graphrouter.planning.check import check
from graphrouter.planning.planner import QueryPlanner
from graphrouter.supergraph import Supergraph
from tests.support.dict_subgraph import DictSubgraph, router_over
from tests.support.supergraphs import supergraph

INTERFACE = 'interface Named @key(fields: "id") { id: ID! } type Query { a: Int } type Mutation { one: Int }'
BLIND = """type Named @interfaceObject @key(fields: "id") { id: ID! note: String inner: Named }
type Query { seen: [Named] }
type Mutation { two: Named }"""
SEEN = {"id": "1", "note": "x", "inner": {"id": "2", "note": "y"}}


def router() -> GraphRouter:
    blind = DictSubgraph(BLIND, {"seen": [SEEN], "two": SEEN}, {"Named": lambda _: SEEN})
    return router_over({"interface": DictSubgraph(INTERFACE, {"a": 1, "one": 1}), "blind": blind})


async def answer(running: GraphRouter, text: str, **variables: Any) -> Any:
    document = parse(text)
    known = running.planner.supergraph
    assert validate(known.api_schema, document) == []
    assert check(running.planner.plan(document), document, known) == []
    return (await running.execute(text, variables)).body()


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("{ seen { ... on Named { note } } }", {"seen": [{"note": "x"}]}),
        ("{ seen { id ...F } } fragment F on Named { note }", {"seen": [{"id": "1", "note": "x"}]}),
        (
            "{ seen { ...F } } fragment F on Named { inner { ... on Named { note } } }",
            {"seen": [{"inner": {"note": "y"}}]},
        ),
        ("mutation { two { ... on Named { note } } }", {"two": {"note": "x"}}),
    ],
)
async def test_a_fragment_on_an_interface_that_only_interface_objects_serve_counts(text: str, data: Any) -> None:
    async with router() as running:
        assert await answer(running, text) == {"data": data}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{ a seen { __typename } }", "Named.__typename cannot be answered"),
        ("{ seen { note ... on Named { __typename } } }", "Named.__typename cannot be answered"),
        ("{ seen { inner { type: __typename } } }", "Named.__typename cannot be answered"),
    ],
)
async def test_the_type_of_objects_that_no_subgraph_tells_is_refused(text: str, why: str) -> None:
    async with router() as running:
        body: dict[str, Any] = (await running.execute(text, {})).body()
        (error,) = body["errors"]
        assert error["message"].startswith(why)
        assert error["extensions"]["code"] == "UNREACHABLE_FIELD"


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("{ a seen { note __typename @include(if: $x) } }", {"a": 1, "seen": [{"note": "x"}]}),
        ("{ a seen { note __typename @skip(if: $y) } }", {"a": 1, "seen": [{"note": "x"}]}),
        ("{ a seen @include(if: $x) { __typename } }", {"a": 1}),
        ("{ seen { note ... @include(if: $x) { inner { note __typename } } } }", {"seen": [{"note": "x"}]}),
        ("{ seen { note ...F @include(if: $x) } } fragment F on Named { t: __typename }", {"seen": [{"note": "x"}]}),
        ("{ a ... @include(if: $x) { seen { ... @skip(if: $y) { __typename } note } } }", {"a": 1}),
        ("{ a ... @include(if: $x) { seen { __typename inner @skip(if: $y) { __typename } } } }", {"a": 1}),
    ],
)
async def test_what_cannot_be_answered_is_refused_only_where_it_is_asked_for(text: str, data: Any) -> None:
    text = f"query ($x: Boolean!, $y: Boolean! = true) {text}"
    text = text if "$y)" in text else text.replace(", $y: Boolean! = true", "")
    text = text if "$x)" in text else text.replace("$x: Boolean!, ", "")
    given = {"x": False} if "$x" in text else {}
    asked = ({"x": True} if "$x" in text else {}) | ({"y": False} if "$y" in text else {})
    async with router() as running:
        for _ in range(2):
            assert await answer(running, text, **given) == {"data": data}
            refused = await answer(running, text, **asked)
            assert "data" not in refused
            assert {error["extensions"]["code"] for error in refused["errors"]} == {"UNREACHABLE_FIELD"}


async def test_all_conditions_around_have_to_hold_for_a_refusal() -> None:
    text = """query ($x: Boolean!, $y: Boolean!) {
      a ... @include(if: $x) { seen { note inner @skip(if: $y) { note t: __typename } } }
    }"""
    async with router() as running:
        assert await answer(running, text, x=False, y=False) == {"data": {"a": 1}}
        assert await answer(running, text, x=True, y=True) == {"data": {"a": 1, "seen": [{"note": "x"}]}}
        assert "data" not in await answer(running, text, x=True, y=False)


async def test_a_mutation_that_would_be_refused_does_nothing() -> None:
    text = "mutation ($x: Boolean!) { one two { note t: __typename @include(if: $x) } }"
    interface, blind = (
        DictSubgraph(INTERFACE, {"one": 1}),
        DictSubgraph(BLIND, {"two": SEEN}, {"Named": lambda _: SEEN}),
    )
    async with router_over({"interface": interface, "blind": blind}) as running:
        assert "errors" in await answer(running, text, x=True)
        assert interface.documents == []
        assert await answer(running, text, x=False) == {"data": {"one": 1, "two": {"note": "x"}}}


def lonely() -> Supergraph:
    return supergraph(
        """
        type Query @t(A) @t(B) { seen: [Named] @f(B) a: Int @f(A) }
        interface Named @t(A, key: "id") @t(B, key: "id", isInterfaceObject: true) { id: ID! note: String @f(B) }
        """,
        "A",
        "B",
    )


def test_the_checker_misses_what_is_left_out_of_an_interface_that_nothing_implements() -> None:
    graph = lonely()
    document = parse("{ seen { ... on Named { id note } } }")
    plan = QueryPlanner(graph).plan(document)
    assert check(plan, document, graph) == []
    spoilt = replace(plan, fetches=tuple(replace(f, document=f.document.replace(" note", "")) for f in plan.fetches))
    assert check(spoilt, document, graph) == ["seen.note: Named.note is not fetched"]
    document = parse("{ seen { id __typename } }")
    assert any("the type of Named is not fetched" in problem for problem in check(spoilt, document, graph))
