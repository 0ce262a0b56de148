"""Errors stand where they belong, each once, and cost what they list, however many come."""

from __future__ import annotations

from typing import Any

import pytest

from graphrouter import Limits, RouterOptions
from graphrouter.execution import entity_errors, places
from graphrouter.execution.errors import ResponseErrors, SubgraphError
from graphrouter.request import GraphQLAnswer
from tests.unit.execution.plans import Scripted, routed

LIST = 'type Query { es: [E] } type E @key(fields: "id") { id: ID! }'
STRICT = 'type E @key(fields: "id") { id: ID! x: Int! y: Int! z: Int }'


def told(answer: GraphQLAnswer) -> list[tuple[Any, Any]]:
    return [(error.get("path"), error["extensions"]["code"]) for error in answer.errors]


def entities_of(count: int) -> Scripted:
    return Scripted({"data": {"es": [{"id": str(number)} for number in range(count)]}})


@pytest.mark.parametrize("nested", [False, True])
async def test_n_entity_errors_walk_the_response_once(monkeypatch: pytest.MonkeyPatch, nested: bool) -> None:
    count, walked = 1000, 0
    walk = places.positions_at

    def counting(*arguments: Any) -> Any:
        nonlocal walked
        for found in walk(*arguments):
            walked += 1
            yield found

    monkeypatch.setattr(entity_errors, "positions_at", counting)
    errors = [{"message": "no", "path": ["_entities", number, *(["z"] if nested else [])]} for number in range(count)]
    b = Scripted({"data": {"_entities": [None] * count}, "errors": errors})
    answer = await routed(a=(LIST, entities_of(count)), b=(STRICT, b)).execute("{ es { z } }")
    expected = [["es", number, *(["z"] if nested else [])] for number in range(100)]
    assert [error.get("path") for error in answer.errors] == [*expected, None]
    assert answer.errors[-1]["extensions"]["code"] == "TOO_MANY_ERRORS"
    assert walked <= count


async def test_errors_at_root_fields_beyond_what_is_listed_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0

    class Counting(SubgraphError):
        def __init__(self, raw: object) -> None:
            nonlocal read
            read += 1
            super().__init__(raw)

    monkeypatch.setattr("graphrouter.execution.execute.SubgraphError", Counting)
    a = Scripted({"data": {"es": None}, "errors": [{"message": "no", "path": ["es"]}] * 5000})
    answer = await routed(RouterOptions(limits=Limits(errors=3)), a=(LIST, a)).execute("{ es { id } }")
    assert [code for _, code in told(answer)] == ["SUBGRAPH_ERROR"] * 3 + ["TOO_MANY_ERRORS"]
    assert read == 3


async def test_an_error_in_one_root_field_explains_the_others_that_it_took_along() -> None:
    a = Scripted({"data": None, "errors": [{"message": "no", "path": ["b"]}]})
    answer = await routed(a=("type Query { a: Int! b: Int! c: [Int!]! }", a)).execute("{ a b c }")
    assert (answer.data, told(answer)) == (None, [(["b"], "SUBGRAPH_ERROR")])


async def test_an_error_without_a_path_explains_all_that_did_not_come() -> None:
    a = Scripted({"data": None, "errors": [{"message": "no"}]})
    answer = await routed(a=("type Query { a: Int! b: Int! }", a)).execute("{ a b }")
    assert (answer.data, told(answer)) == (None, [(["a"], "SUBGRAPH_ERROR"), (["b"], "SUBGRAPH_ERROR")])


async def test_an_error_without_a_path_stands_at_what_did_not_come_beside_it() -> None:
    a = Scripted({"data": {"a": 1, "b": None}, "errors": [{"message": "no"}]})
    answer = await routed(a=("type Query { a: Int b: Int }", a)).execute("{ a b }")
    assert (answer.data, told(answer)) == ({"a": 1, "b": None}, [(["b"], "SUBGRAPH_ERROR")])
    b = Scripted({"data": {"_entities": [{"z": 1}, None]}, "errors": [{"message": "no"}]})
    answer = await routed(a=(LIST, entities_of(2)), b=(STRICT, b)).execute("{ es { z } }")
    assert (answer.data, told(answer)) == ({"es": [{"z": 1}, {"z": None}]}, [(["es", 1], "SUBGRAPH_ERROR")])


async def test_an_error_without_a_path_beside_all_that_was_asked_for_is_told_once() -> None:
    a = Scripted({"data": {"a": 1, "b": 2}, "errors": [{"message": "slow"}]})
    answer = await routed(a=("type Query { a: Int b: Int }", a)).execute("{ a b }")
    assert (answer.data, told(answer)) == ({"a": 1, "b": 2}, [(None, "SUBGRAPH_ERROR")])


@pytest.mark.parametrize("entities", [None, [None, {"x": 1, "y": 2}]])
async def test_an_error_in_an_entity_explains_its_other_fields_and_no_other_entitys(entities: Any) -> None:
    data = None if entities is None else {"_entities": entities}
    b = Scripted({"data": data, "errors": [{"message": "no", "path": ["_entities", 0, "x"]}]})
    answer = await routed(a=(LIST, entities_of(2)), b=(STRICT, b)).execute("{ es { y x } }")
    assert answer.data == {"es": [None, None if entities is None else {"y": 2, "x": 1}]}
    assert told(answer) == [(["es", 0, "x"], "SUBGRAPH_ERROR")]


async def test_a_null_beside_an_error_of_another_field_is_still_told() -> None:
    entity = {"z": None, "y": None, "x": 1}
    b = Scripted({"data": {"_entities": [entity]}, "errors": [{"message": "no", "path": ["_entities", 0, "z"]}]})
    answer = await routed(a=(LIST, entities_of(1)), b=(STRICT, b)).execute("{ es { z y x } }")
    assert answer.data == {"es": [None]}
    assert told(answer) == [(["es", 0, "z"], "SUBGRAPH_ERROR"), (["es", 0, "y"], "NULL_VALUE")]


async def test_an_error_inside_a_list_explains_the_nulls_that_it_became_above() -> None:
    sdl = "type Query { l: [[O!]!]! k: Int } type O { n: Int! }"
    a = Scripted({"data": None, "errors": [{"message": "no", "path": ["l", 0, 3, "n"]}]})
    answer = await routed(a=(sdl, a)).execute("{ k l { n } }")
    assert (answer.data, told(answer)) == (None, [(["l", 0, 3, "n"], "SUBGRAPH_ERROR")])


async def test_a_long_message_of_a_subgraph_is_cut() -> None:
    a = Scripted({"data": {"k": None}, "errors": [{"message": "x" * 100_000, "path": ["k", True]}]})
    (error,) = (await routed(a=("type Query { k: Int }", a)).execute("{ k }")).errors
    assert error["message"] == "x" * 2000 + "…"
    assert error.get("path") == ["k"]


def test_nulls_in_fields_of_another_object_are_not_explained() -> None:
    errors = ResponseErrors()
    errors.explain_fields_of(["es", 0])
    errors.add_nulls([["es", 0, "y"], ["es", 1, "y"], ["es", 0, "z", "y"]])
    assert [error.get("path") for error in errors.as_list()] == [["es", 1, "y"], ["es", 0, "z", "y"]]
