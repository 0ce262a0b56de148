"""`__schema` and `__type` are answered wherever they are valid, worked out once per content, and bounded."""

from __future__ import annotations

import json
from typing import Any

import graphql
import pytest

from graphrouter import Limits, RouterOptions
from graphrouter.execution.introspection import IntrospectionField, memory_of
from tests.unit.execution.plans import Scripted, routed

SDL = """type Query { v: Int viewer: Query views: [Query] node: Node } type Mutation { inc: Payload }
  type Payload { query: Query n: Int } interface Node { id: ID } type N implements Node { id: ID }"""


@pytest.mark.parametrize(
    ("query", "variables", "answered", "expected"),
    [
        (
            '{ viewer { __type(name: "N") { name } v } }',
            {},
            {"viewer": {"v": 1}},
            {"viewer": {"__type": {"name": "N"}, "v": 1}},
        ),
        (
            "{ viewer { s: __schema { queryType { name } } } }",
            {},
            {"viewer": {"__typename": "Query"}},
            {"viewer": {"s": {"queryType": {"name": "Query"}}}},
        ),
        (
            "mutation { inc { n query { __schema { queryType { n: name } } } } }",
            {},
            {"inc": {"n": 1, "query": {"__typename": "Query"}}},
            {"inc": {"n": 1, "query": {"__schema": {"queryType": {"n": "Query"}}}}},
        ),
        (
            'query($n: String!) { views { a: __type(name: $n) { name } b: __type(name: "Nope") { name } } }',
            {"n": "Payload"},
            {"views": [{"__typename": "Query"}, None, {"__typename": "Query"}]},
            {"views": [{"a": {"name": "Payload"}, "b": None}, None, {"a": {"name": "Payload"}, "b": None}]},
        ),
        (
            '{ viewer { viewer { ...F } } } fragment F on Query { __type(name: "N") { ...G } }'
            " fragment G on __Type { kind }",
            {},
            {"viewer": {"viewer": None}},
            {"viewer": {"viewer": None}},
        ),
        (
            'query($y: Boolean!) { viewer { v __type(name: "N") @skip(if: $y) { name'
            " fields { name @include(if: $y) } } } }",
            {"y": True},
            {"viewer": {"v": 1}},
            {"viewer": {"v": 1}},
        ),
    ],
)
async def test_introspection_is_answered_wherever_it_is_valid(
    query: str, variables: dict[str, Any], answered: Any, expected: Any
) -> None:
    a = Scripted({"data": answered})
    answer = await routed(a=(SDL, a)).execute(query, variables)
    assert (answer.errors, json.loads(answer.text())["data"]) == ([], expected)
    assert "__schema" not in a.requests[0]["query"]
    assert "__type(" not in a.requests[0]["query"]


async def test_equal_selections_are_worked_out_once_whatever_their_aliases(monkeypatch: pytest.MonkeyPatch) -> None:
    worked_out = 0
    answer_of = IntrospectionField.answer

    def counting(self: IntrospectionField, variables: Any) -> Any:
        nonlocal worked_out
        worked_out += 1
        return answer_of(self, variables)

    monkeypatch.setattr(IntrospectionField, "answer", counting)
    router = routed(a=(SDL, Scripted({"data": {}})))
    aliases = " ".join(f"a{number}: __schema {{ types {{ name }} }}" for number in range(9))
    first = await router.execute(f"{{ {aliases} }}")
    second = await router.execute("query Other { b: __schema { types { name } } }")
    assert worked_out == 1
    assert (second.data or {})["b"] is (first.data or {})["a8"]
    named = "query($n: String!) { __type(name: $n) { name } }"
    names = [(await router.execute(named, {"n": name})).data for name in ("N", "Payload", "N")]
    assert names == [{"__type": {"name": "N"}}, {"__type": {"name": "Payload"}}, {"__type": {"name": "N"}}]
    assert worked_out == 3


async def test_answers_heavier_than_the_cache_are_not_kept() -> None:
    router = routed(RouterOptions(cached_bytes=8), a=(SDL, Scripted({"data": {}})))
    query = "{ __schema { types { name } } }"
    first, second = await router.execute(query), await router.execute(query)
    assert first.data == second.data
    assert (first.data or {})["__schema"] is not (second.data or {})["__schema"]


async def test_the_number_of_introspections_is_bounded() -> None:
    router = routed(RouterOptions(limits=Limits(introspections=2)), a=(SDL, Scripted({"data": {"viewer": {"v": 1}}})))
    nested = (
        '{ viewer { ...F } a: __schema { queryType { name } } } fragment F on Query { __type(name: "N") { name } %s }'
    )
    assert (await router.execute(nested % "v")).errors == []
    refused = await router.execute(nested % 'b: __type(name: "N") { name }')
    assert refused.refused
    assert [(error["extensions"]["code"], error["message"]) for error in refused.errors] == [
        ("TOO_MANY_INTROSPECTIONS", "an operation has at most 2 introspections, found 3")
    ]


async def test_introspection_that_takes_too_long_is_given_up_before_anything_is_asked() -> None:
    a = Scripted({"data": {"v": 1}})
    router = routed(RouterOptions(limits=Limits(seconds=30)), a=(SDL, a))
    await router.execute("{ v __schema { queryType { name } } }")
    slow = routed(RouterOptions(limits=Limits(seconds=0)), a=(SDL, a))
    answer = await slow.execute("{ v __schema { queryType { name } } }")
    assert (answer.refused, [error["extensions"]["code"] for error in answer.errors]) == (True, ["REQUEST_TIMEOUT"])
    assert len(a.requests) == 1


async def test_hidden_introspection_stays_hidden_below_the_root() -> None:
    router = routed(RouterOptions(introspection=False), a=(SDL, Scripted({"data": {"viewer": {"v": 1}}})))
    answer = await router.execute('{ viewer { v __type(name: "N") { name } } }')
    assert [error["extensions"]["code"] for error in answer.errors] == ["GRAPHQL_VALIDATION_FAILED"]


async def test_the_answers_are_those_of_the_reference_implementation() -> None:
    router = routed(a=(SDL, Scripted({"data": {}})))
    query = graphql.get_introspection_query()
    expected = graphql.experimental_execute_incrementally(router.supergraph.api_schema, graphql.parse(query))
    assert isinstance(expected, graphql.ExecutionResult)
    assert (await router.execute(query)).data == expected.data


def test_memory_is_counted_as_the_interpreter_has_it() -> None:
    shared = ["x" * 1000]
    alone = memory_of({"a": shared})
    assert memory_of({"a": shared, "b": shared}) - alone < 300
    assert memory_of({"a": shared, "b": ["y" * 1000]}) - alone > 1000
