"""What a small operation may bring about is estimated before anything is asked, counted as it is made, and done where
the event loop stays free."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from dataclasses import replace
from typing import Any

import pytest
from graphql import OperationDefinitionNode, build_schema, parse

from graphrouter import GraphRouter, Limits, RouterOptions, json_text
from graphrouter.execution.background import LARGE_BYTES, Background
from graphrouter.execution.estimate import Estimate
from graphrouter.execution.misfits import ShapeErrors
from graphrouter.execution.shape import compile_shape
from graphrouter.limits import LimitExceeded
from graphrouter.supergraph.model import ListSize
from tests.unit.execution.plans import Scripted, routed

PEOPLE = """type Query { me: P people(first: Int): [P] page(first: Int = 5): Page plain: [P] grid: [[P]] any: N
                         one: P ids: [Int] }
  interface N { id: ID } type Other implements N { id: ID }
  type P implements N { id: ID friends(first: Int, after: String): Page pals(limit: Int!): [P!]! last(last: Int): [P] }
  type Page { edges: [Edge] nodes: [P] total: Int } type Edge { node: P }"""

SIZED = """type Query { some(count: Int): [P] fixed: [P] page(size: Int): Page }
  type P { id: ID } type Page { nodes: [P] others: [P] }"""
SIZES = {
    ("Query", "some"): ListSize(assumed_size=40, slicing_arguments=("count",)),
    ("Query", "fixed"): ListSize(assumed_size=7),
    ("Query", "page"): ListSize(slicing_arguments=("size",), sized_fields=("nodes",)),
}


GIVEN: dict[str, Any] = {"n": 20, "x": 3e1, "y": True, "no": False}


async def estimated(sdl: str, query: str, variables: dict[str, Any] | None = None) -> int:
    """The estimate, as the message of the refusal names it."""
    asked = Scripted({"data": {}})
    router = routed(RouterOptions(limits=Limits(objects=0)), a=(sdl, asked))
    answer = await router.execute(query, variables)
    if not answer.refused:
        return 0
    (error,) = answer.errors
    assert error["extensions"]["code"] == "TOO_MANY_OBJECTS"
    assert asked.requests == []
    return found_in(error["message"])


def found_in(message: str) -> int:
    return int(message.split("may give ")[1].split(":", maxsplit=1)[0])


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("{ __typename ids }", 0),
        ("{ me { id } }", 1),
        ("{ people(first: 10) { id } }", 10),
        ("{ people(first: 10) { friends(first: 4) { nodes { id } } } }", 10 * (1 + 1 + 4)),
        ("{ people(first: 10) { friends(first: 4) { edges { node { id } } total } } }", 10 * (1 + 1 + 4 * 2)),
        ("{ page { nodes { id } } }", 1 + 5),
        ("{ page(first: 2) { nodes { id } more: edges { node { id } } } }", 1 + 2 + 4),
        ("{ page(first: 2) { nodes { last { id } } } }", 1 + 2 * (1 + 3)),
        ("{ plain { id } }", 3),
        ("{ grid { id } }", 9),
        ("{ people { id } }", 3),
        ("{ people(first: null) { id } }", 3),
        ("{ people(first: -5) { id } }", 0),
        ("{ me { pals(limit: 6) { last(last: 2) { id } } } }", 1 + 6 * 3),
        ("{ any { ... on P { pals(limit: 6) { id } } ... on Other { id } } }", 1 + 6),
        ("{ a: me { ...F } b: me { ...F } } fragment F on P { pals(limit: 6) { id } }", 14),
        ("{ me { id } me { pals(limit: 2) { id } } }", 3),
        ("query($n: Int) { people(first: $n) { id } }", 20),
        ("query($n: Int = 8) { page(first: $n) { nodes { id } } }", 1 + 20),
        ("query($m: Int = 8) { page(first: $m) { nodes { id } } }", 1 + 8),
        ("query($m: Int) { page(first: $m) { nodes { id } } }", 1 + 5),
        ("query($m: Int) { people(first: $m) { id } }", 3),
        ("query($x: Int) { people(first: $x) { id } }", 30),
        ("query($y: Boolean!) { people(first: 9) @include(if: $y) { id } me { id } }", 10),
        ("query($no: Boolean!) { people(first: 9) @include(if: $no) { id } me { id } }", 1),
        ("{ __schema { types { name } } me { id } }", 1),
    ],
)
async def test_pages_are_multiplied(query: str, count: int) -> None:
    named = {name: value for name, value in GIVEN.items() if f"${name}:" in query}
    assert await estimated(PEOPLE, query, named) == count


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("{ some(count: 5) { id } }", 5),
        ("{ some { id } }", 40),
        ("query($n: Int) { some(count: $n) { id } }", 40),
        ("{ fixed { id } }", 7),
        ("{ page(size: 6) { nodes { id } others { id } } }", 1 + 6 + 3),
    ],
)
def test_list_size_is_believed(query: str, count: int) -> None:
    supergraph = replace(routed(a=(SIZED, Scripted())).supergraph, list_sizes=SIZES)
    operation = parse(query).definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    with pytest.raises(LimitExceeded) as refusal:
        Estimate(supergraph, operation, {}, {}, 3).check({}, 0)
    assert found_in(str(refusal.value)) == count


def test_what_each_type_of_an_interface_may_give_is_evaluated_once() -> None:
    tree = "type Query { root: N } interface N { below(first: Int): [N] }"
    types = "".join(f" type T{n} implements N {{ below(first: Int): [N] }}" for n in range(3))
    depth = 55
    query = "query($n: Int) { root { " + "below(first: $n) { " * depth + "__typename " + "} " * (depth + 2)
    operation = parse(query).definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    estimate = Estimate(routed(a=(tree + types, Scripted())).supergraph, operation, {}, {}, 3)
    assert estimate.of({"n": 1}) == 1 + depth
    assert estimate.of({"n": 0}) == 1


async def test_friends_of_friends_of_friends_are_refused_before_anything_is_asked() -> None:
    pages = "{ me { pals(limit: 100) { pals(limit: 100) { pals(limit: 100) { id } } } } }"
    asked = Scripted({"data": {}})
    answer = await routed(a=(PEOPLE, asked)).execute(pages)
    expected = "an operation has at most 100000 objects, its pages may give 1010101: ask for smaller pages"
    assert (answer.refused, answer.errors[0]["message"], asked.requests) == (True, expected, [])


def many(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"__typename": "P", "id": str(number), **more} for number in range(count)]


async def test_an_answer_with_too_many_objects_is_its_fields_error() -> None:
    options = RouterOptions(limits=Limits(objects=100))
    script = Scripted({"data": {"plain": many(101)}})
    answer = await routed(options, a=(PEOPLE, script)).execute("{ plain { id } }")
    assert answer.data == {"plain": None}
    assert [(error.get("path"), error["extensions"]["code"]) for error in answer.errors] == [
        (["plain"], "TOO_MANY_OBJECTS")
    ]
    assert answer.errors[0]["message"] == "the answer has at most 100 objects, found 101: ask for less"


async def test_as_many_objects_as_allowed_are_answered() -> None:
    options = RouterOptions(limits=Limits(objects=101))
    answer = await routed(options, a=(PEOPLE, Scripted({"data": {"plain": many(100)}}))).execute("{ plain { id } }")
    assert (len(json.loads(answer.text())["data"]["plain"]), answer.errors) == (100, [])


SHARED = 'type Query { rows: [R] } type R { p: Q } type Q @key(fields: "id") { id: ID! }'
OWN = 'type Q @key(fields: "id") { id: ID! parts: [T] one: T } type T { x: Int }'


@pytest.mark.parametrize(("limit", "fits"), [(20 * (1 + 1 + 30), True), (20 * (1 + 1 + 30) - 1, False)])
async def test_what_stands_at_several_positions_counts_at_each(limit: int, fits: bool) -> None:
    a = Scripted({"data": {"rows": [{"p": {"__typename": "Q", "id": "1"}}] * 20}})
    b = Scripted({"data": {"_entities": [{"parts": [{"x": 1}] * 30}]}})
    answer = await routed(RouterOptions(limits=Limits(objects=limit)), a=(SHARED, a), b=(OWN, b)).execute(
        "{ rows { p { parts { x } } } }"
    )
    if fits:
        assert answer.errors == []
        assert json.loads(answer.text())["data"] == {"rows": [{"p": {"parts": [{"x": 1}] * 30}}] * 20}
    else:
        assert answer.data is None
        assert [error["extensions"]["code"] for error in answer.errors] == ["TOO_MANY_OBJECTS"]


def test_a_list_counts_what_its_items_have_in_fields_of_abstract_types() -> None:
    schema = build_schema(
        """type Query { rows: [Row!] } type Row { any: Any } interface Any { id: ID } type T { x: Int }
           type Small implements Any { id: ID } type Wide implements Any { id: ID one: T other: T }"""
    )
    operation = parse("{ rows { any { ... on Wide { one { x } other { x } } } } }").definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    shape = compile_shape(schema, operation, {}, {})
    wide = {"__typename": "Wide", "one": {"x": 1}, "other": {"x": 2}}
    data: dict[str, Any] = {"rows": [{"any": wide}] * 10}
    assert shape(data, None, ShapeErrors(10 * (1 + 1 + 2))) is not None
    with pytest.raises(LimitExceeded, match=r"at most 39 objects, found 40"):
        shape(data, None, ShapeErrors(10 * (1 + 1 + 2) - 1))


async def test_copies_of_entities_count_as_they_are_made() -> None:
    rows = [{"p": {"__typename": "Q", "id": str(number)}} for number in range(60)]
    b = Scripted({"data": {"_entities": [{"parts": [{"x": 1}] * 30}] * 60}})
    options = RouterOptions(limits=Limits(objects=3000))
    a = Scripted({"data": {"rows": rows, "more": rows}})
    sdl = SHARED.replace("{ rows: [R]", "{ rows: [R] more: [R]")
    query = "{ rows { p { parts { x } } } more { p { parts { x } } } }"
    answer = await routed(options, a=(sdl, a), b=(OWN, b)).execute(query)
    first = answer.errors[0]
    assert (first.get("path"), first["extensions"]["code"]) == (["rows", 0, "p"], "TOO_MANY_OBJECTS")


async def turns_of(router: GraphRouter, query: str) -> tuple[Any, int]:
    """The answer, and the most function calls between two turns of the event loop, in the loop's thread."""
    most = here = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal here
        here += event in ("call", "c_call")

    async def beat() -> None:
        nonlocal most, here
        while True:
            await asyncio.sleep(0)
            most, here = max(most, here), 0

    beating = asyncio.create_task(beat())
    await asyncio.sleep(0)
    sys.setprofile(count)
    try:
        answer = await router.execute(query)
        text = answer.text()
        await asyncio.sleep(0)
    finally:
        sys.setprofile(None)
        beating.cancel()
    return json.loads(text), max(most, here)


async def test_between_two_turns_of_the_loop_little_is_done_however_large_the_answers_are() -> None:
    count = 20_000
    a = Scripted(json.dumps({"data": {"plain": many(count, note="x" * 10)}}).encode())
    b = Scripted(lambda request: {"data": {"_entities": [{"age": 1}] * len(request["variables"]["representations"])}})
    keyed = 'type Query { plain: [P] } type P @key(fields: "id") { id: ID! note: String! }'
    router = routed(a=(keyed, a), b=('type P @key(fields: "id") { id: ID! age: Int! }', b))
    await router.execute("{ plain { id note age } }")  # its plan is known from now on
    written, most = await turns_of(router, "{ plain { id note age } }")
    expected = [{"id": str(number), "note": "x" * 10, "age": 1} for number in range(count)]
    assert written == {"data": {"plain": expected}}
    assert most < 3_000, "the loop's own thread did the work"


async def test_a_large_text_is_read_and_written_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    value = {"data": {"plain": many(20_000), "deep": {"list": [[many(5_000)]], "text": "é" * 400_000}, "none": None}}
    text = json.dumps(value).encode()
    sizes: list[int] = []
    loads, dumps = json_text.loads, json_text.dumps

    def reading(piece: bytes) -> Any:
        sizes.append(len(piece))
        return loads(piece)

    def writing(piece: Any) -> bytes:
        written = dumps(piece)
        sizes.append(len(written))
        return written

    monkeypatch.setattr(json_text, "loads", reading)
    assert json_text.loads_in_pieces(text) == value
    assert sorted(sizes)[-2] <= 300 * 1024  # one string of 2.4 MB cannot be cut
    sizes.clear()
    monkeypatch.setattr(json_text, "dumps", writing)
    assert json.loads(json_text.dumps_in_pieces(value)) == value
    assert sorted(sizes)[-2] <= 300 * 1024


@pytest.mark.parametrize("text", [b"[" + b"1," * 400_000 + b"]", b'{"a":' + b'[{"b":1}]' * 60_000 + b"}"])
def test_a_large_text_that_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(json_text.NotJson):
        json_text.loads_in_pieces(text)


async def test_parallel_large_answers_of_one_request_are_merged_one_after_the_other() -> None:
    count = LARGE_BYTES // 20
    a = Scripted(json.dumps({"data": {"plain": many(count)}}).encode())
    subgraphs = {
        name: (f'type P @key(fields: "id") {{ id: ID! {name}: Int! }}', Scripted(_entities_with(name)))
        for name in ("b", "c", "d")
    }
    router = routed(a=('type Query { plain: [P] } type P @key(fields: "id") { id: ID! }', a), **subgraphs)
    answer = await router.execute("{ plain { id b c d } }")
    assert answer.errors == []
    assert json.loads(answer.text())["data"]["plain"] == [
        {"id": str(number), "b": 1, "c": 1, "d": 1} for number in range(count)
    ]


async def test_the_background_does_one_piece_of_work_at_a_time() -> None:
    background, meeting = Background(), threading.Barrier(2)

    def meet() -> bool:
        try:
            meeting.wait(timeout=0.1)
        except threading.BrokenBarrierError:
            return False
        return True

    try:
        assert set(await asyncio.gather(background.run(meet), background.run(meet))) == {False}
    finally:
        background.close()


def _entities_with(name: str) -> Any:
    return lambda request: {"data": {"_entities": [{name: 1} for _ in request["variables"]["representations"]]}}
