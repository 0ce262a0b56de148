"""A subgraph gives what it was asked for: what comes unasked never stands for another subgraph's answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from graphrouter.request import GraphQLAnswer
from tests.unit.execution.plans import Scripted, entities, execute, root, routed, target

USERS = 'type Query { users: [User] other: User } type User @key(fields: "id") { id: ID! name: String }'
AGES = 'type User @key(fields: "id") { id: ID! age: Int! best: User pet: Pet } type Pet { kind: String }'


def told(answer: GraphQLAnswer) -> list[Any]:
    return [(error.get("path"), error["extensions"]["code"]) for error in answer.errors]


async def asked(query: str, users: Any, *entities: Any) -> GraphQLAnswer:
    a, b = Scripted({"data": users}), Scripted(*({"data": {"_entities": one}} for one in entities))
    return await routed(a=(USERS, a), b=(AGES, b)).execute(query)


async def test_an_entity_does_not_replace_what_it_was_not_asked_for() -> None:
    users = {"users": [{"__typename": "User", "id": "1", "name": "Ada"}]}
    answer = await asked("{ users { id name age } }", users, [{"id": "666", "name": "Eve", "age": 36}])
    assert answer.data == {"users": [{"id": "1", "name": "Ada", "age": 36}]}


@pytest.mark.parametrize("entity", [None, {"pet": None}])
async def test_what_came_before_unasked_does_not_stand_for_what_is_null_or_failed(entity: Any) -> None:
    users = {"users": [{"__typename": "User", "id": "1", "pet": {"kind": "cat"}}]}
    answer = await asked("{ users { id pet { kind } } }", users, [entity])
    assert answer.data == {"users": [{"id": "1", "pet": None}]}


async def test_what_came_unasked_is_dropped_from_every_object() -> None:
    users = {"users": [{"__typename": "User", "id": str(n), "pet": {"kind": "cat"}} for n in range(3)]}
    answer = await asked("{ users { id pet { kind } } }", users, [{"pet": None}] * 3)
    assert answer.data == {"users": [{"id": str(n), "pet": None} for n in range(3)]}


async def test_what_came_before_unasked_is_no_fields_value_when_its_own_fetch_fails() -> None:
    a = Scripted({"data": {"users": [{"__typename": "User", "id": "1", "age": 3}]}})
    b = Scripted({"data": None, "errors": [{"message": "no"}]})
    answer = await routed(a=(USERS, a), b=(AGES, b)).execute("{ users { id age } }")
    assert (answer.data, told(answer)) == ({"users": [None]}, [(["users", 0], "SUBGRAPH_ERROR")])


async def test_a_root_answer_gives_no_root_field_of_another() -> None:
    a = Scripted({"data": {"x": 1, "y": 666}})
    b = Scripted({"data": None, "errors": [{"message": "no"}]})
    answer = await routed(a=("type Query { x: Int }", a), b=("type Query { y: Int }", b)).execute("{ x y }")
    assert answer.data == {"x": 1, "y": None}


async def test_objects_inside_an_entity_keep_what_others_gave() -> None:
    sdl = """type Query { u: U } type U @key(fields: "id") { id: ID! place: Place @shareable }
      type Place { a: Int @shareable }"""
    more = 'type U @key(fields: "id") { id: ID! place: Place @shareable } type Place { a: Int @shareable b: Int }'
    a = Scripted({"data": {"u": {"__typename": "U", "id": "1", "place": {"a": 1}}}})
    b = Scripted({"data": {"_entities": [{"place": {"a": 666, "b": 2}}]}})
    answer = await routed(a=(sdl, a), b=(more, b)).execute("{ u { place { a b } } }")
    asks_for_both = "a" in b.requests[0]["query"].split("place", 1)[1]
    assert answer.data == {"u": {"place": {"a": 666 if asks_for_both else 1, "b": 2}}}


async def test_the_key_of_the_next_entity_is_the_one_that_was_asked_for() -> None:
    users = {"users": [{"__typename": "User", "id": "1"}]}
    a, b = (
        Scripted({"data": users}, {"data": {"_entities": [{"name": "Grace", "age": 666}]}}),
        Scripted(
            {"data": {"_entities": [{"age": 1, "best": {"__typename": "User", "id": "2", "name": "Eve"}}]}},
        ),
    )
    answer = await routed(a=(USERS, a), b=(AGES, b)).execute("{ users { age best { name } } }")
    assert answer.data == {"users": [{"age": 1, "best": {"name": "Grace"}}]}
    assert a.requests[1]["variables"] == {"representations": [{"__typename": "User", "id": "2"}]}


async def test_objects_inside_an_entity_leave_what_only_others_were_asked_for() -> None:
    a = Scripted({"data": {"u": {"__typename": "U", "id": "1", "place": {"a": 1}}}})
    b = Scripted({"data": {"_entities": [{"place": {"a": 666, "b": 2}}]}})
    document = "query($representations:[_Any!]!){_entities(representations:$representations){...on U{place{b}}}}"
    fetches = (root(0, "a", "{u{id place{a}}}"), replace(entities(1, "b", target("u")), document=document))
    execution = await execute(fetches, {"a": a, "b": b})
    assert execution.data["u"]["place"] == {"a": 1, "b": 2}
