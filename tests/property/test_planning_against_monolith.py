"""A federated answer equals the answer of one schema over the same data, for random supergraphs and operations."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from graphql import build_schema, graphql, graphql_sync, parse, print_schema, validate
from hypothesis import event, given, settings
from hypothesis import strategies as st

from graphrouter.planning.check import check
from graphrouter.planning.planner import QueryPlanner
from graphrouter.planning.render import render
from graphrouter.supergraph import Supergraph, read_supergraph
from graphrouter.supergraph.subgraph_schema import subgraph_schema
from tests.support.plan_interpreter import run_plan
from tests.support.random_supergraphs import (
    Data,
    entities,
    entity_type,
    executable,
    random_operation,
    random_supergraph,
)


class Federation:
    """All subgraphs of a supergraph over the same data, and the monolith."""

    def __init__(self, supergraph: Supergraph) -> None:
        self.supergraph = supergraph
        data = Data(supergraph)
        self.monolith = executable(build_schema(print_schema(supergraph.api_schema)), data)
        self._subgraphs = {name: executable(subgraph_schema(supergraph, name), data) for name in supergraph.subgraphs}
        for name, schema in self._subgraphs.items():
            query = schema.query_type
            assert query is not None
            if "_entities" in query.fields:
                query.fields["_entities"].resolve = _entities_of(name)
                schema.type_map["_Entity"].resolve_type = lambda thing, *_: entity_type(thing)  # type: ignore[attr-defined] # the union

    async def ask(self, subgraph: str, request: dict[str, Any]) -> dict[str, Any]:
        result = await graphql(
            self._subgraphs[subgraph], request["query"], root_value=subgraph, variable_values=request["variables"]
        )
        return dict(result.formatted)


def _entities_of(graph: str) -> Any:
    return lambda _source, _info, representations: entities(representations, graph)


async def compare(seed: int, operations: int) -> None:
    """Some operations on one random supergraph."""
    random, dice = Random(seed), Random(~seed)
    supergraph = read_supergraph(random_supergraph(random))
    federation = Federation(supergraph)
    planner = QueryPlanner(supergraph)
    for _ in range(operations):
        text = random_operation(random, supergraph.api_schema)
        document = parse(text)
        if validate(supergraph.api_schema, document):
            event("invalid operation")
            continue
        on = frozenset(label for label in supergraph.labels if dice.random() < 0.5)
        plan = planner.under(on & planner.labels_of(document)).plan(document)
        event(f"{len(plan.fetches)} fetches")
        event(f"{len(on)} override labels on")
        assert check(plan, document, supergraph.with_labels(on)) == [], render(plan)
        expected = graphql_sync(federation.monolith, text).formatted
        answer = await run_plan(plan, document, supergraph.api_schema, federation.ask)
        assert answer == expected, f"{text}\n{render(plan)}"


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(min_value=0, max_value=2**32))
async def test_a_federated_answer_equals_the_monolith_s(seed: int) -> None:
    await compare(seed, operations=3)


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(max_examples=250, deadline=None)
@given(seed=st.integers(min_value=0, max_value=2**32))
async def test_many_federated_answers_equal_the_monolith_s(seed: int) -> None:
    await compare(seed, operations=6)


@settings(max_examples=1, deadline=None)
@given(seed=st.just(2876449324))
async def test_types_whose_fields_differ_in_shape_are_not_asked_for_in_one_entities_field(seed: int) -> None:
    """`x0` is a list of one type and an object of the other: found by a long run, and kept."""
    await compare(seed, operations=6)
