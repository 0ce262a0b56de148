"""Composition's proof and the planner, each the other's oracle: what is proved answerable is planned, and only that.

They share no code: composition reasons about the subgraphs' texts, the planner about the supergraph's.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from graphql import GraphQLObjectType, GraphQLSchema, get_named_type, is_abstract_type, is_leaf_type, parse
from hypothesis import event, given, settings

from graphrouter.composition import SubgraphSdl
from graphrouter.composition.diagnostics import Findings
from graphrouter.composition.join_spec import print_supergraph
from graphrouter.composition.merge import merge
from graphrouter.composition.satisfiability import prove_satisfiable
from graphrouter.composition.subgraph import Initial, expand
from graphrouter.composition.validate import validate
from graphrouter.planning.planner import PlanningError, QueryPlanner
from graphrouter.supergraph.join_spec import read_supergraph
from tests.property.test_composition import Cut, cuts
from tests.unit.composition.composing import composed
from tests.unit.composition.test_satisfiability import ANSWERED

DEPTH = 3
WITNESS_DEPTH = 6
"""How deep the query may be for which composition says that there is no plan."""


@settings(max_examples=60, deadline=None)
@given(cuts())
def test_the_planner_finds_a_plan_for_every_leaf_exactly_where_composition_says_so(cut: Cut) -> None:
    findings = Findings()
    initial = Initial.of([SubgraphSdl(name, f"http://{name}", cut.sdl(name)) for name in cut.subgraphs], findings)
    merged = merge(validate(expand(initial, findings), findings), findings)
    findings.stop_on_errors()
    prove_satisfiable(merged, findings)
    event(f"satisfiable: {not findings.has_errors}")
    sdl = print_supergraph(merged)
    assert bool(unplanned(sdl, DEPTH) or (findings.has_errors and unplanned(sdl, WITNESS_DEPTH))) == findings.has_errors


@pytest.mark.parametrize("subgraphs", ANSWERED.values(), ids=ANSWERED)
def test_the_planner_finds_a_plan_for_every_leaf_of(subgraphs: dict[str, str]) -> None:
    assert unplanned(composed(**subgraphs).supergraph_sdl, DEPTH) == []


def unplanned(supergraph_sdl: str, depth: int) -> list[str]:
    """The queries for one leaf, down to a depth, for which there is no plan."""
    supergraph = read_supergraph(supergraph_sdl)
    planner = QueryPlanner(supergraph)
    assert supergraph.api_schema.query_type is not None
    found: list[str] = []
    for query in leaf_queries(supergraph.api_schema, supergraph.api_schema.query_type, depth):
        try:
            planner.plan(parse(f"{{ {query} }}"))
        except PlanningError:
            found.append(query)
    return found


def leaf_queries(schema: GraphQLSchema, parent: GraphQLObjectType, depth: int) -> Iterator[str]:
    for name, field in parent.fields.items():
        child = get_named_type(field.type)
        if is_leaf_type(child):
            yield name
        elif isinstance(child, GraphQLObjectType) and depth > 0:
            yield from (f"{name} {{ {below} }}" for below in leaf_queries(schema, child, depth - 1))
        elif is_abstract_type(child) and depth > 0:
            for possible in schema.get_possible_types(child):
                below = leaf_queries(schema, possible, depth - 1)
                yield from (f"{name} {{ ... on {possible.name} {{ {query} }} }}" for query in below)
