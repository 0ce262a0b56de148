"""Planning is quick where it can be, in time of the processor, and bounded where it cannot."""

from __future__ import annotations

import time

import pytest
from graphql import parse

from graphrouter.planning.plan import QueryPlan
from graphrouter.planning.planner import Limits, PlanningError, QueryPlanner
from graphrouter.supergraph import Supergraph
from tests.support.supergraphs import supergraph

GRAPHS = tuple(f"S{n}" for n in range(10))
EVERYWHERE = " ".join(f"@t({graph})" for graph in GRAPHS)
KEYED = " ".join(f'@t({graph}, key: "id")' for graph in GRAPHS)
NEXT = " ".join(f"n{n}: Wide @f(S{n})" for n in range(10))


def wide(fields: str, more: str = "", query: str = "") -> Supergraph:
    return supergraph(
        f"type Query {EVERYWHERE} {{ root(n: Int): Wide @f(S0) shared: Wide {query} }}"
        f" type Wide {KEYED} {{ id: ID! {NEXT} again: Wide {fields} }} {more}",
        *GRAPHS,
    )


ONE_OWNER = " ".join(f"f{n}: Int @f(S{n % 10})" for n in range(1000))
THREE_OWNERS = " ".join(f"f{n}: Int {' '.join(f'@f(S{(n * 7 + k) % 10})' for k in range(3))}" for n in range(1000))
ALL_FIELDS = " ".join(f"f{n}" for n in range(1000))
TYPES = " ".join(
    f'type T{n} implements Node @i(S0, interface: "Node") @i(S1, interface: "Node")'
    f' @t(S0, key: "id") @t(S1, key: "id") @t(S2, key: "id")'
    f" {{ id: ID! name: String @f(S2) x: Int @f(S1) wide: Wide @f(S0) own{n}: Int @f(S2) }}"
    for n in range(40)
)
FORTY = wide(
    ONE_OWNER,
    "interface Node @t(S0) @t(S1)"
    f" {{ id: ID! name: String @f(S0) @f(S1) x: Int @f(S0) @f(S1) wide: Wide @f(S0) }} {TYPES}",
    "nodes: [Node!] @f(S0)",
)


def within_a_second(graph: Supergraph, text: str) -> QueryPlan:
    planner, document = QueryPlanner(graph), parse(text)
    start = time.thread_time()
    plan = planner.plan(document)
    assert time.thread_time() - start < 1
    return plan


def test_a_thousand_fields_over_ten_subgraphs() -> None:
    assert len(within_a_second(wide(ONE_OWNER), f"{{ root {{ {ALL_FIELDS} }} }}").fetches) == 10


def test_a_thousand_fields_that_three_subgraphs_share() -> None:
    # Four subgraphs have all of the fields between them.
    assert len(within_a_second(wide(THREE_OWNERS), f"{{ shared {{ {ALL_FIELDS} }} }}").fetches) == 4


def test_thirty_levels() -> None:
    text = "{ root { " + " ".join(f"f1 f2 n{n % 10} {{" for n in range(29)) + " f3 " + "}" * 31
    within_a_second(wide(ONE_OWNER), text)
    text = "{ shared { " + "f1 f2 again { " * 29 + " f3 " + "}" * 31
    within_a_second(wide(THREE_OWNERS), text)


def test_fifty_aliases_of_an_entity_field() -> None:
    text = "{" + " ".join(f"a{n}: root(n: {n}) {{ f{n} f{n + 1} n1 {{ f{n + 2} }} }}" for n in range(50)) + "}"
    within_a_second(wide(ONE_OWNER), text)


def test_an_interface_of_forty_types() -> None:
    own = " ".join(f"... on T{n} {{ own{n} }}" for n in range(40))
    plan = within_a_second(FORTY, f"{{ nodes {{ id name x wide {{ f1 f2 }} {own} }} }}")
    assert len(plan.fetches) <= 5


def test_planning_that_takes_too_much_work_is_given_up_with_a_code() -> None:
    with pytest.raises(PlanningError) as caught:
        QueryPlanner(FORTY, Limits(max_work=100)).plan(parse("{ nodes { id name x wide { f1 f2 } } }"))
    assert caught.value.code == "PLANNING_LIMIT"


def test_planning_that_takes_too_long_is_given_up_with_a_code() -> None:
    with pytest.raises(PlanningError, match="more than 0") as caught:
        QueryPlanner(wide(ONE_OWNER), Limits(max_seconds=0)).plan(parse(f"{{ root {{ {ALL_FIELDS} }} }}"))
    assert caught.value.code == "PLANNING_LIMIT"


def test_fragments_that_double_again_and_again_are_not_written_out() -> None:
    fragments = " ".join(
        f"fragment F{n} on Wide {{ again {{ ...F{n + 1} }} b: again {{ ...F{n + 1} }} }}" for n in range(40)
    )
    text = f"{{ root {{ ...F0 }} }} {fragments} fragment F40 on Wide {{ f1 }}"
    start = time.thread_time()
    with pytest.raises(PlanningError) as caught:
        QueryPlanner(wide(ONE_OWNER)).plan(parse(text))
    assert caught.value.code == "OPERATION_TOO_LARGE"
    assert time.thread_time() - start < 1


@pytest.mark.parametrize(
    "text",
    [
        "{ root { " + "again { " * 120 + "id" + "}" * 122,
        "{ root { ...F0 } }"
        + "".join(f" fragment F{n} on Wide {{ again {{ ...F{n + 1} }} }}" for n in range(100))
        + " fragment F100 on Wide { id }",
        "{ root { ...F again { again { ...F } } } } fragment F on Wide { " + "again { " * 97 + "id" + " }" * 98,
    ],
)
def test_what_is_too_deep_is_refused(text: str) -> None:
    with pytest.raises(PlanningError, match="deeper than 100 levels") as caught:
        QueryPlanner(wide(THREE_OWNERS)).plan(parse(text))
    assert caught.value.code == "OPERATION_TOO_LARGE"


def test_a_hundred_levels_are_planned() -> None:
    text = "{ nodes { wide { " + "f1 again { " * 96 + "id" + "}" * 99
    assert QueryPlanner(FORTY).plan(parse(text)).fetches


def test_keys_that_need_one_another_end_the_search() -> None:
    graph = supergraph(
        """
        type Query @t(A) @t(B) { left: Left @f(A) }
        type Left @t(A) @t(B, key: "right { id }") { right: Right @f(A) @f(B) x: Int @f(B) }
        type Right @t(A) @t(B, key: "left { x }") { left: Left @f(A) @f(B) id: ID @f(B) }
        """,
        "A",
        "B",
    )
    with pytest.raises(PlanningError) as caught:
        QueryPlanner(graph).plan(parse("{ left { x } }"))
    assert caught.value.code == "UNREACHABLE_FIELD"
    assert '"b": defines it, but {right{id}} cannot be had from there' in caught.value.message
