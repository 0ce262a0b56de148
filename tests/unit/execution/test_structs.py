"""Which answers are read into structs, and what happens where one does not fit."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import msgspec
import pytest
from graphql import OperationDefinitionNode, parse
from msgspec import defstruct

from graphrouter import GraphRouter, RouterOptions
from graphrouter.execution.background import LARGE_BYTES
from graphrouter.execution.execute import Execution
from graphrouter.execution.prepare import PreparedPlan
from graphrouter.execution.structs.plan import StructPlans
from graphrouter.limits import Limits
from graphrouter.pipeline.answering import Answering
from graphrouter.request import GraphQLAnswer
from graphrouter.transport import SubgraphResponse
from tests.support.dict_subgraph import DictSubgraph, router_over
from tests.unit.execution.plans import Scripted, routed

USERS = 'type Query { users: [User!]! } type User @key(fields: "id") { id: ID! name: String }'
AGES = 'type User @key(fields: "id") { id: ID! age: Int! }'
QUERY = "{ users { age name } }"


def users(*ids: str) -> dict[str, Any]:
    return {"data": {"users": [{"name": f"name {one}", "id": one} for one in ids]}}


def ages(*of: int) -> dict[str, Any]:
    return {"data": {"_entities": [{"age": one} for one in of]}}


@pytest.fixture
def shaped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with each response that is made out of dicts."""
    made: list[str] = []
    before = Answering.shaped

    async def noted(self: Answering, shape: Any, execution: Execution, errors: Any) -> Any:
        made.append("dicts")
        return await before(self, shape, execution, errors)

    monkeypatch.setattr(Answering, "shaped", noted)
    return made


async def test_answers_are_read_into_structs_from_the_second_run_on(shaped: list[str]) -> None:
    router = routed(a=(USERS, Scripted(users("1", "2", "1"))), b=(AGES, Scripted(ages(10, 20))))
    answers = [await router.execute(QUERY) for _ in range(3)]
    assert shaped == ["dicts"]
    assert [one.text() for one in answers] == [
        b'{"data":{"users":[{"age":10,"name":"name 1"},{"age":20,"name":"name 2"},{"age":10,"name":"name 1"}]}}'
    ] * 3


async def test_data_read_into_structs_are_dicts_to_whoever_looks(shaped: list[str]) -> None:
    router = routed(a=(USERS, Scripted(users("1"))), b=(AGES, Scripted(ages(10))))
    first, second = [await router.execute(QUERY) for _ in range(2)]
    assert shaped == ["dicts"]
    assert second.data == {"users": [{"age": 10, "name": "name 1"}]}
    assert second.data is second.data
    assert second == first
    assert repr(second) == repr(first)
    changed = replace(second, extensions={"more": 1})
    assert changed == replace(first, extensions={"more": 1})
    assert json.loads(changed.text()) == {"data": second.data, "extensions": {"more": 1}}
    with pytest.raises(AttributeError, match="nothing_such"):
        getattr(second, "nothing_such")  # noqa: B009 -- no checker takes the attribute itself


async def test_data_that_somebody_has_looked_at_are_what_is_written(shaped: list[str]) -> None:
    router = routed(a=(USERS, Scripted(users("1"))), b=(AGES, Scripted(ages(10))))
    answers = [await router.execute(QUERY) for _ in range(2)]
    assert shaped == ["dicts"]
    for one in answers:
        assert one.data is not None
        one.data["users"] = []
    assert [one.text() for one in answers] == [b'{"data":{"users":[]}}'] * 2


def test_an_answer_of_a_struct_is_written_with_its_errors_and_extensions_around() -> None:
    struct = defstruct("Query", [("f0", Any)], rename={"f0": "a"})(1)
    answer = GraphQLAnswer.of_struct(struct, [{"message": "m", "extensions": {}}], {"bookmark": "b"})
    assert answer.text() == GraphQLAnswer({"a": 1}, answer.errors, answer.extensions).text()


MISFITS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "an error": lambda: (users("1"), {**ages(1), "errors": [{"message": "m"}]}),
    "a null that must not be": lambda: (users("1"), {"data": {"_entities": [{"age": None}]}}),
    "no entity": lambda: (users("1"), {"data": {"_entities": [None]}}),
    "too few entities": lambda: (users("1", "2"), ages(1)),
    "a field that nobody asked for": lambda: (users("1"), {"data": {"_entities": [{"age": 1, "name": "x"}]}}),
    "a field too few": lambda: ({"data": {"users": [{"id": "1"}]}}, ages(1)),
    "a value to coerce": lambda: ({"data": {"users": [{"id": 1, "name": "n"}]}}, ages(1)),
    "an integer beyond 32 bits": lambda: (users("1"), ages(2**31)),
    "no JSON": lambda: (users("1"), b"{"),
    "no answer": lambda: (users("1"), SubgraphResponse(503, {}, b"")),
    "a key with a space, as slots have": lambda: ({"data": {"users": [{"id": "1", "name": "n", " s0": {}}]}}, ages(1)),
}


@pytest.mark.parametrize("misfit", MISFITS)
async def test_an_answer_that_does_not_fit_is_taken_as_ever_and_the_next_runs_do_not_try(
    misfit: str, shaped: list[str]
) -> None:
    first, second = MISFITS[misfit]()
    router = routed(
        a=(USERS, Scripted(first, first, *[users("1")] * 22)),
        b=(AGES, Scripted(second, second, *[ages(1)] * 22)),
    )
    texts = [(await router.execute(QUERY)).text() for _ in range(24)]
    assert texts[1] == texts[0]
    assert len(shaped) == 22
    assert set(texts[2:]) == {b'{"data":{"users":[{"age":1,"name":"name 1"}]}}'}


@pytest.mark.parametrize("number", [0.1, -0.0, 5e-324, 1e15, -1e16, 1e16, 1.5e17, 1e22, 1.5, 7, 10**15, 10**16, 10**17])
async def test_a_number_keeps_its_text(number: float, shaped: list[str]) -> None:
    router = routed(a=("type Query { number: Float }", Scripted({"data": {"number": number}})))
    first, second = [(await router.execute("{ number }")).text() for _ in range(2)]
    assert second == first
    assert len(shaped) == (1 if abs(number) < 10**16 else 2)


@pytest.mark.parametrize("objects", [100_000, 10**6])
async def test_large_answers_are_not_read_into_structs(objects: int, shaped: list[str]) -> None:
    name = "n" * (LARGE_BYTES // 2)
    large = {"data": {"users": [{"name": name, "id": "1"}, {"name": name, "id": "2"}]}}
    options = RouterOptions(limits=Limits(objects=objects))
    router = routed(options, a=(USERS, Scripted(large)))
    first, second = [(await router.execute("{ users { name id } }")).text() for _ in range(2)]
    assert shaped == ["dicts", "dicts"]
    assert second == first


@pytest.mark.parametrize(("objects", "size"), [(10**6, LARGE_BYTES), (200, 600)])
async def test_answers_that_are_too_large_only_together_are_not_read_into_structs(
    objects: int, size: int, shaped: list[str]
) -> None:
    texts = 'type User @key(fields: "id") { id: ID! age: String! }'
    for length, made in ((2 * size // 5, ["dicts"]), (3 * size // 5, ["dicts", "dicts"])):
        shaped.clear()
        text = "n" * length
        router = routed(
            RouterOptions(limits=Limits(objects=objects)),
            a=(USERS, Scripted({"data": {"users": [{"name": text, "id": "1"}]}})),
            b=(texts, Scripted({"data": {"_entities": [{"age": text}]}})),
        )
        first, second = [(await router.execute(QUERY)).text() for _ in range(2)]
        assert shaped == made
        assert second == first


async def test_entities_whose_copies_make_a_large_answer_are_not_read_into_structs(shaped: list[str]) -> None:
    names = 'type User @key(fields: "id") { id: ID! age: String! }'
    entity = {"data": {"_entities": [{"age": "n" * (LARGE_BYTES // 50)}]}}
    router = routed(a=(USERS, Scripted(users(*["1"] * 100))), b=(names, Scripted(entity)))
    first, second = [(await router.execute(QUERY)).text() for _ in range(2)]
    assert shaped == ["dicts", "dicts"]
    assert second == first


SUITED = [
    "{ all { id } }",
    "{ all { own { a } id } }",
    "{ b: all { __typename c: id score flag tags } }",
    "{ all { lists { a } } one { lists { a } } }",
    "{ all { tint } }",
    "{ all { far } }",
    "{ all { far hidden } }",
    "{ all { kind free } }",
    "{ all { far fars { b } } }",
]
UNSUITED = [
    "{ node { id } }",
    "{ any { ... on Thing { id } } }",
    "query($yes: Boolean = true) { all { id @include(if: $yes) } }",
    "{ __typename __schema { queryType { name } } all { id } }",
    "{ all { far fars { b } } one { far fars { b } } }",
    "mutation { change { id } }",
    "{ all { size { wide high } } }",
]
SDLS = {
    "a": """
type Query { all: [Thing!]! one: Thing node: Node any: Any }
type Mutation { change: Thing }
interface Node { id: ID! }
union Any = Thing
scalar Free
enum Tint { RED BLUE }
type Own { a: Int! b: Int }
type Size { wide: Int }
type Thing implements Node @key(fields: "id") {
  id: ID! score: Float flag: Boolean! tags: [[String]] own: Own lists: [[Own!]!] tint: Tint! free: Free kind: Int!
  size: Size @shareable
}
""",
    "b": """
type Far @key(fields: "b") { b: Int! }
type Size { high: Int }
type Thing @key(fields: "id") {
  id: ID! kind: Int! @external far: String @requires(fields: "kind") fars: [Far!]! hidden: String
  size: Size @shareable
}
""",
}
THING: dict[str, Any] = {
    "__typename": "Thing",
    "id": "1",
    "score": 0.5,
    "flag": True,
    "tags": [["a", None], None],
    "own": {"a": 1},
    "lists": [[{"a": 2}], []],
    "tint": "RED",
    "free": "f",
    "kind": 7,
    "far": "far",
    "fars": [{"b": 1}],
    "hidden": None,
    "size": {"wide": 1, "high": 2},
}


def things() -> GraphRouter:
    root = {"all": [THING, {**THING, "id": "2"}], "one": THING, "node": THING, "any": THING, "change": THING}
    subgraphs = {
        "a": DictSubgraph(SDLS["a"], root, {"Thing": lambda _: THING}),
        "b": DictSubgraph(SDLS["b"], {}, {"Thing": lambda _: THING, "Far": lambda one: one}),
    }
    return router_over(subgraphs)


@pytest.mark.parametrize("query", SUITED)
async def test_what_has_one_type_is_read_into_structs(query: str, shaped: list[str]) -> None:
    router = things()
    first, second = [(await router.execute(query)).text() for _ in range(2)]
    assert shaped == ["dicts"]
    assert second == first
    assert b"errors" not in second


@pytest.mark.parametrize("query", UNSUITED)
async def test_what_may_differ_from_object_to_object_is_not_read_into_structs(query: str, shaped: list[str]) -> None:
    router = things()
    first, second = [(await router.execute(query)).text() for _ in range(2)]
    assert shaped == ["dicts", "dicts"]
    assert second == first
    assert b"errors" not in second


async def test_numbers_that_only_python_takes_for_equal_are_keys_of_two_entities(shaped: list[str]) -> None:
    keyed = 'type User @key(fields: "id mark") { id: ID! mark: Float! %s }'
    found = {"data": {"users": [{"id": "1", "mark": mark, "name": "n"} for mark in (1, 1.0)]}}
    asked = Scripted(ages(10, 20))
    router = routed(
        a=("type Query { users: [User!]! } " + keyed % "name: String", Scripted(found)),
        b=(keyed % "age: Int!", asked),
    )
    texts = [(await router.execute(QUERY)).text() for _ in range(2)]
    assert texts == [b'{"data":{"users":[{"age":10,"name":"n"},{"age":20,"name":"n"}]}}'] * 2
    assert [len(representations) for representations in asked.representations] == [2, 2]
    assert shaped == ["dicts", "dicts"]


async def test_a_key_that_the_caller_may_not_see_is_not_told(shaped: list[str]) -> None:
    link = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@authenticated"])'
    private = f'{link} type Query {{ users: [User!]! }} type User @key(fields: "id") {{ id: ID @authenticated }}'
    public = f'{link} type User @key(fields: "id") {{ id: ID age: Int! }}'
    router = routed(a=(private, Scripted({"data": {"users": [{"id": "1"}]}})), b=(public, Scripted(ages(10))))
    first, second = [(await router.execute("{ users { id age } }")).text() for _ in range(2)]
    assert second == first
    assert json.loads(second)["data"] == {"users": [{"id": None, "age": 10}]}
    assert shaped == ["dicts", "dicts"]


async def test_structs_are_made_while_those_in_use_fit_into_their_memory(shaped: list[str]) -> None:
    def echoed(request: dict[str, Any]) -> dict[str, Any]:
        return {"data": {"users": [{"id": "1"} if "id" in request["query"] else {"name": "n"}]}}

    first, second = "{ users { id } }", "{ users { name } }"
    one = 12_800
    for memory, made in ((one - 1, ["dicts"] * 4), (2 * one - 1, ["dicts"] * 3), (2 * one, ["dicts"] * 2)):
        router = routed(RouterOptions(cached_bytes=8 * memory), a=(USERS, Scripted(echoed)))
        shaped.clear()
        for query in (first, first, second, second):
            assert not (await router.execute(query)).errors
        assert shaped == made


def test_structs_of_forgotten_operations_make_room_when_they_are_gone() -> None:
    router = things()
    supergraph = router.supergraph
    document = parse("{ all { id score } }")
    operation = cast("OperationDefinitionNode", document.definitions[0])
    plan = PreparedPlan.of(router.planner.plan(document))
    plans = StructPlans(20_000)  # for one of them
    gc.disable()
    try:
        kept = plans.make(supergraph, operation, {}, plan)
        assert kept is not None
        assert plans.make(supergraph, operation, {}, plan) is None
        del kept
        assert plans.make(supergraph, operation, {}, plan) is None
        gc.collect()
        assert plans.make(supergraph, operation, {}, plan) is not None
    finally:
        gc.enable()


async def test_no_struct_is_made_for_operations_of_very_many_objects(
    shaped: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"f{number}" for number in range(20)]
    sdl = f"type Query {{ t: T }} type T {{ x: Int {' '.join(f'{name}: T' for name in names)} }}"
    inner = " ".join(f"{name} {{ x }}" for name in names)
    query = f"{{ t {{ {' '.join(f'{name} {{ {inner} }}' for name in names)} }} }}"
    router = routed(a=(sdl, Scripted({"data": {"t": None}})))
    monkeypatch.delattr(msgspec, "defstruct")
    for _ in range(2):
        assert (await router.execute(query)).text() == b'{"data":{"t":null}}'
    assert shaped == ["dicts", "dicts"]
