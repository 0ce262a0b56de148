"""Plans drawn by hand, run against scripted subgraphs."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from graphrouter import bookmarks
from graphrouter.execution.execute import Execution
from graphrouter.planning.plan import (
    Condition,
    EntityFetch,
    EntityGroup,
    InputField,
    InputFragment,
    Rename,
    Representation,
)
from graphrouter.transport import SubgraphResponse, SubgraphTimedOut, SubgraphUnreachable
from infra.patience import seconds
from tests.unit.execution.plans import Scripted, by_key, entities, execute, path, root, shaped, target

USERS = {"data": {"users": [{"__typename": "User", "id": "1"}, {"__typename": "User", "id": "2"}]}}
SAME = {"data": {"users": [{"__typename": "User", "id": "1"}] * 3}}
SCHEMA = "type Query { users: [User] } type User { id: ID! name: String age: Int! best: User }"


def entity(*values: Any) -> dict[str, Any]:
    return {"data": {"_entities": list(values)}}


async def test_entities_are_merged_where_their_representations_came_from() -> None:
    a, b = Scripted(USERS), Scripted(entity({"name": "Ada"}, {"name": "Grace"}))
    execution = await execute((root(0, "a", "{users{id}}"), entities(1, "b", target("users"))), {"a": a, "b": b})
    assert [user["name"] for user in execution.data["users"]] == ["Ada", "Grace"]
    assert b.representations == [[{"__typename": "User", "id": "1"}, {"__typename": "User", "id": "2"}]]


async def test_equal_representations_are_sent_once_and_answer_every_position() -> None:
    b = Scripted(entity({"name": "Ada"}))
    execution = await execute(
        (root(0, "a", "{users{id}}"), entities(1, "b", target("users"))), {"a": Scripted(SAME), "b": b}
    )
    assert b.representations == [[{"__typename": "User", "id": "1"}]]
    assert [user["name"] for user in execution.data["users"]] == ["Ada"] * 3


@pytest.mark.parametrize("keys", [[1, True, 1.0], ["1", 1], [["1"], ["1", "2"]], [None, 0, False]])
async def test_representations_that_differ_in_json_are_never_taken_for_equal(keys: list[Any]) -> None:
    a = Scripted({"data": {"users": [{"__typename": "User", "id": key} for key in keys * 2]}})
    b = Scripted(entity(*({"name": repr(key)} for key in keys)))
    execution = await execute((root(0, "a", "{users{id}}"), entities(1, "b", target("users"))), {"a": a, "b": b})
    assert repr([one["id"] for one in b.representations[0]]) == repr(keys)
    assert [user["name"] for user in execution.data["users"]] == [repr(key) for key in keys] * 2


async def test_equal_values_of_different_keys_are_different_representations() -> None:
    users = [{"__typename": "User", "id": "1", "best": {"__typename": "User", "name": "1"}}]
    b = Scripted(entity({"age": 1}, {"age": 2}))
    targets = (target("users", by_key("id")), target("users.best", by_key("name")))
    fetches = (root(0, "a", "{users{id best{name}}}"), entities(1, "b", *targets))
    execution = await execute(fetches, {"a": Scripted({"data": {"users": users}}), "b": b})
    assert b.representations == [[{"__typename": "User", "id": "1"}, {"__typename": "User", "name": "1"}]]
    (user,) = execution.data["users"]
    assert (user["age"], user["best"]["age"]) == (1, 2)


async def test_a_fetch_without_objects_makes_no_request() -> None:
    b = Scripted(SubgraphUnreachable("not to be asked"))
    fetches = (
        root(0, "a", "{users{id}}"),
        entities(1, "b", target("users")),
        entities(2, "b", target("users.best"), after=(1,)),
    )
    execution = await execute(fetches, {"a": Scripted({"data": {"users": []}}), "b": b})
    assert b.requests == []
    assert not execution.errors


async def test_an_object_without_its_key_is_left_out() -> None:
    a = Scripted({"data": {"users": [{"__typename": "User"}, {"__typename": "User", "id": "2"}]}})
    b = Scripted(entity({"name": "Grace"}))
    execution = await execute((root(0, "a", "{users{id}}"), entities(1, "b", target("users"))), {"a": a, "b": b})
    assert b.representations == [[{"__typename": "User", "id": "2"}]]
    assert execution.data["users"] == [{"__typename": "User"}, {"__typename": "User", "id": "2", "name": "Grace"}]


async def test_type_conditions_on_the_path_choose_objects() -> None:
    nodes = [{"__typename": "User", "id": "1"}, {"__typename": "Review", "id": "2"}, {"id": "3"}]
    b = Scripted(entity({"name": "Ada"}))
    fetches = (root(0, "a", "{nodes{id}}"), entities(1, "b", target("nodes|User,Admin")))
    await execute(fetches, {"a": Scripted({"data": {"nodes": nodes}}), "b": b})
    assert b.representations == [[{"__typename": "User", "id": "1"}]]


async def test_a_representation_copies_nested_fields_fragments_and_aliased_sources() -> None:
    representation = Representation(
        "Media",
        (
            InputField("id", "id"),
            InputField("dimensions", "_dimensions_cm", (InputField("w", "w"), InputField("tags", "tags"))),
            InputFragment(frozenset({"User"}), (InputField("name", "name"),)),
            InputFragment(frozenset({"Admin"}), (InputField("rank", "rank"),)),
        ),
    )
    user = {"__typename": "User", "id": "1", "name": "Ada", "_dimensions_cm": [{"w": 1, "h": 2, "tags": ["x"]}, None]}
    b = Scripted(entity({"x": 1}))
    fetches = (root(0, "a", "{me{id}}"), entities(1, "b", target("me", representation)))
    await execute(fetches, {"a": Scripted({"data": {"me": user}}), "b": b})
    assert b.representations == [
        [{"__typename": "Media", "id": "1", "dimensions": [{"w": 1, "tags": ["x"]}, None], "name": "Ada"}]
    ]


async def test_what_one_target_gets_later_does_not_reach_another_target() -> None:
    a = Scripted({"data": {"x": {"__typename": "User", "id": "1"}, "y": {"__typename": "User", "id": "1"}}})
    best = {"best": {"__typename": "User", "id": "9"}}
    b = Scripted(entity(best))
    c = Scripted(entity({"name": "Ada"}))
    fetches = (
        root(0, "a", "{x{id} y{id}}"),
        entities(1, "b", target("x"), target("y")),
        entities(2, "c", target("x.best"), after=(1,)),
    )
    execution = await execute(fetches, {"a": a, "b": b, "c": c})
    assert b.representations == [[{"__typename": "User", "id": "1"}]]
    assert execution.data["x"] == {
        "__typename": "User",
        "id": "1",
        "best": {"__typename": "User", "id": "9", "name": "Ada"},
    }
    assert execution.data["y"] == {"__typename": "User", "id": "1", **best}


async def test_an_interface_objects_name_never_replaces_a_types_name() -> None:
    a = Scripted({"data": {"users": [{"__typename": "User", "id": "1"}]}})
    b = Scripted(entity({"__typename": "Node", "name": "Ada"}))
    execution = await execute((root(0, "a", "{users{id}}"), entities(1, "b", target("users"))), {"a": a, "b": b})
    assert execution.data["users"] == [{"__typename": "User", "id": "1", "name": "Ada"}]


async def test_a_fetch_starts_as_soon_as_what_it_depends_on_is_there() -> None:
    slow, quick_is_done = asyncio.Event(), asyncio.Event()

    async def wait() -> Any:
        await slow.wait()
        return {"data": {"other": 1}}

    def done(_request: Any) -> Any:
        quick_is_done.set()
        return entity({"name": "Ada"}, {"name": "Grace"})

    fetches = (root(0, "a", "{users{id}}"), root(1, "slow", "{other}"), entities(2, "b", target("users")))
    running = asyncio.create_task(
        execute(fetches, {"a": Scripted(USERS), "slow": Scripted(lambda _: wait()), "b": Scripted(done)})
    )
    await asyncio.wait_for(quick_is_done.wait(), seconds(5))
    slow.set()
    assert (await running).data["other"] == 1


async def test_the_root_fields_of_a_mutation_run_in_order_and_once() -> None:
    order: list[str] = []

    def noting(name: str, answer: Any) -> Any:
        def note(_request: Any) -> Any:
            order.append(name)
            return answer

        return note

    fetches = (
        root(0, "a", "mutation{x{id}}", kind="mutation"),
        entities(1, "b", target("x"), after=(0,)),
        root(2, "c", "mutation{y}", kind="mutation", depends_on=(0, 1)),
    )
    subgraphs = {
        "a": Scripted(noting("a", {"data": {"x": {"__typename": "User", "id": "1"}}})),
        "b": Scripted(noting("b", entity({"name": "Ada"}))),
        "c": Scripted(noting("c", {"data": {"y": 1}})),
    }
    await execute(fetches, subgraphs, kind="mutation")
    assert order == ["a", "b", "c"]
    assert not any(request.repeatable for subgraph in subgraphs.values() for request in subgraph.raw)


async def test_conditions_leave_out_fetches_and_targets() -> None:
    a, b, c = Scripted(USERS), Scripted(entity({"name": "Ada"}, {"name": "Grace"})), Scripted(entity({"age": 1}))
    fetches = (
        root(0, "a", "{users{id}}"),
        entities(1, "b", target("users", conditions=(Condition("yes", True), Condition("no", False)))),
        entities(2, "c", target("users"), conditions=(Condition("no", True),)),
        root(3, "c", "{other}", conditions=(Condition("yes", False),)),
    )
    await execute(fetches, {"a": a, "b": b, "c": c}, variables={"yes": True, "no": False})
    assert (len(b.requests), len(c.requests)) == (1, 0)


async def test_only_the_variables_that_a_fetch_names_and_that_have_values_are_sent() -> None:
    a = Scripted({"data": {"users": []}})
    fetch = root(0, "a", "query($n:Int $m:Int){users(n:$n m:$m){id}}", variables=("n", "m"))
    await execute((fetch,), {"a": a}, variables={"n": None, "other": 1})
    assert a.requests == [{"query": fetch.document, "variables": {"n": None}}]


async def test_aliases_get_their_response_keys_back() -> None:
    a = Scripted({"data": {"users": [{"__typename": "User", "id": "1"}]}})
    b = Scripted(
        {
            "data": {"_entities": [{"_alias": {"_inner": 1}}]},
            "errors": [{"message": "m", "path": ["_entities", 0, "_alias", "q"]}],
        }
    )
    renames = (Rename(path(""), "_alias", "best"), Rename(path("_alias"), "_inner", "age"))
    fetches = (root(0, "a", "{users{id}}"), entities(1, "b", target("users"), renames=renames))
    execution = await execute(fetches, {"a": a, "b": b})
    assert execution.data["users"] == [{"__typename": "User", "id": "1", "best": {"age": 1}}]
    assert execution.errors.as_list()[0].get("path") == ["users", 0, "best", "q"]


async def test_several_groups_travel_in_one_request() -> None:
    a = Scripted({"data": {"x": {"__typename": "User", "id": "1"}, "y": {"__typename": "Review", "id": "2"}}})
    b = Scripted({"data": {"e0": [{"name": "Ada"}], "e1": [{"body": "good"}]}})
    fetch = EntityFetch(
        1,
        "b",
        "query($r0:[_Any!]!$r1:[_Any!]!$n:Int){e0:_entities(representations:$r0){...on User{name(n:$n)}}}",
        None,
        ("n",),
        (EntityGroup("e0", "r0", (target("x"),)), EntityGroup("e1", "r1", (target("y"),))),
        (0,),
    )
    execution = await execute((root(0, "a", "{x{id} y{id}}"), fetch), {"a": a, "b": b}, variables={"n": 3})
    assert b.requests[0]["variables"] == {
        "r0": [{"__typename": "User", "id": "1"}],
        "r1": [{"__typename": "Review", "id": "2"}],
        "n": 3,
    }
    assert execution.data["x"] == {"__typename": "User", "id": "1", "name": "Ada"}
    assert execution.data["y"] == {"__typename": "Review", "id": "2", "body": "good"}


FAILURES = {
    "down": (SubgraphUnreachable("the subgraph could not be reached"), "SUBREQUEST_FAILED"),
    "slow": (SubgraphTimedOut("the subgraph did not answer in time"), "SUBREQUEST_TIMEOUT"),
    "html": (b"<html>oops</html>", "SUBREQUEST_MALFORMED"),
    "html with a status": (SubgraphResponse(502, {}, b"<html>"), "SUBREQUEST_HTTP_ERROR"),
    "half JSON": (b'{"data":{"_entities":[{"name"', "SUBREQUEST_MALFORMED"),
    "a list": ([1], "SUBREQUEST_MALFORMED"),
    "no data": ({}, "SUBREQUEST_MALFORMED"),
    "data of a wrong type": ({"data": [1]}, "SUBREQUEST_MALFORMED"),
    "null data without errors": ({"data": None}, "SUBREQUEST_MALFORMED"),
    "too few entities": (entity({"age": 1}), "SUBREQUEST_MALFORMED"),
    "entities that are no list": ({"data": {"_entities": {}}}, "SUBREQUEST_MALFORMED"),
    "an error of its own": (
        {"data": None, "errors": [{"message": "no", "extensions": {"code": "NOT_FOUND"}}]},
        "NOT_FOUND",
    ),
    "an error without a code": ({"data": None, "errors": [{"message": "no"}]}, "SUBGRAPH_ERROR"),
    "an error that is none": ({"data": None, "errors": ["no"]}, "SUBGRAPH_ERROR"),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_failing_subgraph_leaves_nulls_and_errors_that_name_it(failure: str) -> None:
    answer, code = FAILURES[failure]
    fetches = (root(0, "a", "{users{id}}"), entities(1, "b", target("users")))
    execution = await execute(fetches, {"a": Scripted(USERS), "b": Scripted(answer)})

    data, errors = shaped(execution, SCHEMA, "{ users { id name } }")
    assert data == {"users": [{"id": "1", "name": None}, {"id": "2", "name": None}]}
    assert [(error["path"], error["extensions"]) for error in errors] == [
        (["users", number], {"code": code, "service": "b"}) for number in (0, 1)
    ]

    data, errors = shaped(execution, SCHEMA, "{ users { id age } }")
    assert data == {"users": [None, None]}
    assert len(errors) == 2, "the nulls are explained by the errors that are there"


@pytest.mark.parametrize("failure", [name for name in FAILURES if "entities" not in name])
async def test_a_failing_root_fetch_is_told_at_its_fields(failure: str) -> None:
    answer, code = FAILURES[failure]
    fetches = (root(0, "a", "{users{id} others:users{id}}"), root(1, "c", "{more}"))
    execution = await execute(fetches, {"a": Scripted(answer), "c": Scripted({"data": {"more": 1}})})
    assert [(error.get("path"), error["extensions"]["code"]) for error in execution.errors.as_list()] == [
        (["users"], code),
        (["others"], code),
    ]
    assert execution.data == {"more": 1}


@pytest.mark.parametrize("failure", ["down", "slow"])
async def test_a_change_without_an_answer_is_told_to_have_an_unknown_outcome(failure: str) -> None:
    answer, code = FAILURES[failure]
    for kind, unknown in (("mutation", True), ("query", False)):
        fetches = (root(0, "a", "{done{ok}}", kind=kind),)
        execution = await execute(fetches, {"a": Scripted(answer)}, kind=kind)
        (error,) = execution.errors.as_list()
        assert error["extensions"]["code"] == code
        assert ("sending it again with the same idempotency key is safe" in error["message"]) == unknown


async def test_an_entitys_error_is_told_at_each_of_its_positions() -> None:
    error = {
        "message": "gone",
        "path": ["_entities", 0, "name"],
        "extensions": {"code": "GONE", "stacktrace": ["secret"], "hint": 1},
    }
    b = Scripted({"data": {"_entities": [{"name": None}]}, "errors": [error]})
    execution = await execute(
        (root(0, "a", "{users{id}}"), entities(1, "b", target("users"))), {"a": Scripted(SAME), "b": b}
    )
    assert execution.errors.as_list() == [
        {
            "message": "gone",
            "path": ["users", number, "name"],
            "extensions": {"hint": 1, "code": "GONE", "service": "b"},
        }
        for number in range(3)
    ]


async def test_a_null_without_an_error_where_there_must_be_none_is_told() -> None:
    b = Scripted(entity(None, {"age": 3}))
    execution = await execute(
        (root(0, "a", "{users{id}}"), entities(1, "b", target("users"))), {"a": Scripted(USERS), "b": b}
    )
    data, errors = shaped(execution, SCHEMA, "{ users { id age } }")
    assert data == {"users": [None, {"id": "2", "age": 3}]}
    assert [(error["path"], error["extensions"]["code"]) for error in errors] == [(["users", 0, "age"], "NULL_VALUE")]


async def test_errors_are_bounded_and_say_that_there_are_more() -> None:
    many = {"data": {"users": [{"__typename": "User", "id": str(number)} for number in range(500)]}}
    fetches = (root(0, "a", "{users{id}}"), entities(1, "b", target("users")))
    execution = await execute(fetches, {"a": Scripted(many), "b": Scripted(SubgraphUnreachable("down"))})
    told = execution.errors.as_list()
    assert len(told) == 101
    assert told[-1]["extensions"]["code"] == "TOO_MANY_ERRORS"


async def test_bookmarks_of_arrived_answers_are_joined_and_sent_with_later_fetches() -> None:
    first = {**USERS, "extensions": {"bookmark": bookmarks.encode({"users/0": 7})}}
    answer = SubgraphResponse(
        200, {"bookmark": bookmarks.encode({"friends/0": 2})}, b'{"data":{"_entities":[null,null]}}'
    )
    a, b = Scripted(first), Scripted(answer)
    fetches = (root(0, "a", "{users{id}}"), entities(1, "b", target("users")))
    execution = await execute(fetches, {"a": a, "b": b}, bookmark=bookmarks.encode({"users/0": 3, "users/1": 1}))
    assert a.raw[0].headers == (("bookmark", bookmarks.encode({"users/0": 3, "users/1": 1})),)
    assert b.raw[0].headers == (("bookmark", bookmarks.encode({"users/0": 7, "users/1": 1})),)
    assert execution.bookmark == bookmarks.encode({"users/0": 7, "users/1": 1, "friends/0": 2})


@pytest.mark.parametrize("malformed", ["%%%", 5, ["gal1c2Vycy5hLzAB"]])
async def test_a_malformed_bookmark_of_a_subgraph_is_an_error_that_names_it(malformed: object) -> None:
    a = Scripted({**USERS, "extensions": {"bookmark": malformed}})
    execution = await execute((root(0, "a", "{users{id}}"),), {"a": a})
    assert execution.errors.as_list()[0]["extensions"] == {"code": "SUBREQUEST_MALFORMED", "service": "a"}
    assert execution.data["users"]


async def test_a_root_types_fields_below_the_root_are_merged_there() -> None:
    a = Scripted({"data": {"done": {"query": {}, "ok": True}}})
    b = Scripted({"data": {"other": {"x": 1}}, "errors": [{"message": "m", "path": ["other", "x"]}]})
    fetches = (
        root(0, "a", "mutation{done{ok}}", kind="mutation"),
        root(1, "b", "{other{x}}", path=path("done.query"), depends_on=(0,)),
    )
    execution = await execute(fetches, {"a": a, "b": b}, kind="mutation")
    assert execution.data == {"done": {"ok": True, "query": {"other": {"x": 1}}}}
    assert execution.errors.as_list()[0].get("path") == ["done", "query", "other", "x"]


async def test_positions_shared_by_one_target_are_read_once_and_told_everywhere() -> None:
    friends = [{"__typename": "User", "id": "7"}]
    b = Scripted(entity({"friends": friends}))
    c = Scripted(
        {"data": {"_entities": [{"name": None}]}, "errors": [{"message": "m", "path": ["_entities", 0, "name"]}]}
    )
    fetches = (
        root(0, "a", "{users{id}}"),
        entities(1, "b", target("users")),
        entities(2, "c", target("users.friends", by_key("id", typename="Person")), after=(1,)),
    )
    execution = await execute(fetches, {"a": Scripted(SAME), "b": b, "c": c})
    assert c.representations == [[{"__typename": "Person", "id": "7"}]]
    assert [error.get("path") for error in execution.errors.as_list()] == [
        ["users", number, "friends", 0, "name"] for number in range(3)
    ]


async def test_an_execution_leaves_nothing_to_the_garbage_collector() -> None:
    fetches = (
        root(0, "a", "{users{id}}"),
        entities(1, "b", target("users")),
        entities(2, "c", target("users")),
        entities(3, "b", target("users"), after=(1, 2)),
    )
    subgraphs = {"a": Scripted(SAME), "b": Scripted(entity({"name": "Ada"})), "c": Scripted(entity({"age": 36}))}
    gc.collect()
    gc.disable()
    try:
        execution = await execute(fetches, subgraphs)
        assert execution.data["users"][0]["age"] == 36
        assert isinstance(execution, Execution)
        own = id(execution)  # others may have left theirs
        del execution
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        assert not [one for one in gc.garbage if id(one) == own and isinstance(one, Execution)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
