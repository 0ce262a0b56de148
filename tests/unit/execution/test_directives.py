"""Which of a client's directives subgraphs are sent: all that may stand where the router can write them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from graphql import parse, validate

from graphrouter import GraphRouter
from graphrouter.planning.check import check
from tests.support.dict_subgraph import DictSubgraph, router_over

MARK = """
directive @mark(n: Int) repeatable on QUERY | MUTATION | FIELD | VARIABLE_DEFINITION | INLINE_FRAGMENT | FRAGMENT_SPREAD
directive @spread on FRAGMENT_SPREAD
directive @defined on FRAGMENT_DEFINITION
directive @once(n: Int) on FIELD
"""
ONE = f"""{MARK} directive @mine on FIELD
type Query {{ a(x: Int): Int user: User node: Node }}
type Mutation {{ rename(to: String): User again: User }}
interface Node {{ id: ID! }}
type User implements Node @key(fields: "id") {{ id: ID! name: String friend: User }}"""
TWO = f"""{MARK}
type Mutation {{ other: Int }}
type User @key(fields: "id") {{
  id: ID! posts(first: Int): String size: Int @external tall: Int @requires(fields: "size")
}}"""
THREE = f'{MARK} type User @key(fields: "id") {{ id: ID! size: Int }}'
USER = {"__typename": "User", "id": "1", "name": "Ada", "friend": {"__typename": "User", "id": "2", "name": "Bea"}}


@pytest.fixture
def subgraphs() -> dict[str, DictSubgraph]:
    return {
        "one": DictSubgraph(
            ONE, {"a": 1, "user": USER, "node": USER, "rename": USER, "again": USER}, {"User": lambda _: USER}
        ),
        "two": DictSubgraph(TWO, {"other": 1}, {"User": lambda r: {"posts": "many", "tall": r.get("size")}}),
        "three": DictSubgraph(THREE, {}, {"User": lambda _: {"size": 3}}),
    }


@pytest.fixture
async def router(subgraphs: dict[str, DictSubgraph]) -> AsyncIterator[GraphRouter]:
    async with router_over(subgraphs) as running:
        yield running


async def asked(router: GraphRouter, text: str, variables: dict[str, Any]) -> None:
    document = parse(text)
    assert validate(router.planner.supergraph.api_schema, document) == []
    assert check(router.planner.plan(document), document, router.planner.supergraph) == []
    assert (await router.execute(text, variables)).body().get("errors") is None


def marks(subgraph: DictSubgraph) -> Iterator[list[str]]:
    """For each request, the arguments of `@mark` in it."""
    for text in subgraph.documents:
        yield sorted(re.findall(r"@mark\(n: (\$?\w+)\)", text))


@pytest.mark.parametrize(
    ("text", "one", "two"),
    [
        ("query @mark(n: 1) { user { name posts } }", ["1"], ["1"]),
        ("query ($n: Int) @mark(n: $n) { user { name posts } }", ["$n"], ["$n"]),
        ("query ($x: Int @mark(n: 1)) { a(x: $x) user { posts } }", ["1"], []),
        ("query ($x: Int @mark(n: 1)) { user { posts(first: $x) } }", [], ["1"]),
        ("query ($n: Int) { user @mark(n: $n) { posts @mark(n: 2) } }", ["$n"], ["2"]),
        ("{ user { ... @mark(n: 1) { name posts } } }", ["1"], ["1"]),
        ("query ($n: Int) { user { ... @mark(n: $n) @mark(n: 2) { name posts } } }", ["$n", "2"], ["$n", "2"]),
        ("{ user { ...F @mark(n: 1) } } fragment F on User { name posts }", ["1"], ["1"]),
        ("{ user { name ... @mark(n: 1) { name } } }", ["1"], None),
        ("{ user { name name @mark(n: 1) name @mark(n: 2) } }", ["1", "2"], None),
        ("{ user { friend { id } friend @mark(n: 1) { name posts } } }", ["1"], []),
        ("{ user { ... @mark(n: 1) { friend { name posts } } } }", ["1"], []),
        ("{ node { ... on User @mark(n: 1) { name posts } } }", ["1"], ["1"]),
        ("query ($t: Boolean!) { user { ... @include(if: $t) @mark(n: 1) { name posts } } }", ["1"], ["1"]),
        ("{ user { id @mark(n: 1) posts } }", ["1"], []),
        ("{ ... @mark(n: 1) { a } }", ["1"], None),
        ("mutation @mark(n: 1) { rename { name posts } }", ["1"], ["1"]),
        ("mutation { ... @mark(n: 1) { rename @mark(n: 2) { name } } }", ["1", "2"], None),
        ("mutation { rename { id } rename @mark(n: 2) { name } }", ["2"], None),
    ],
)
async def test_directives_travel_with_what_they_stand_on(
    router: GraphRouter, subgraphs: dict[str, DictSubgraph], text: str, one: list[str], two: list[str] | None
) -> None:
    variables = {name: value for name, value in {"n": 5, "x": 6, "t": True}.items() if f"${name}:" in text}
    await asked(router, text, variables)
    assert list(marks(subgraphs["one"])) == [one]
    assert list(marks(subgraphs["two"])) == ([] if two is None else [two])


async def test_what_the_router_cannot_write_stays_behind(
    router: GraphRouter, subgraphs: dict[str, DictSubgraph]
) -> None:
    text = "{ user { ...F @spread @mark(n: 1) } } fragment F on User @defined { name }"
    await asked(router, text, {})
    assert subgraphs["one"].documents == ["query{user{... @mark(n: 1){name}}}"]


async def test_a_required_field_is_not_taken_from_under_a_client_s_directive(
    router: GraphRouter, subgraphs: dict[str, DictSubgraph]
) -> None:
    await asked(router, "{ user { size @mark(n: 1) tall } }", {})
    assert "{size @mark(n: 1) _size_1:size}" in subgraphs["three"].documents[0]
    assert subgraphs["two"].variables[0]["representations"] == [{"__typename": "User", "id": "1", "size": 3}]


async def test_a_directive_that_not_all_subgraphs_have_is_no_client_s(router: GraphRouter) -> None:
    body: dict[str, Any] = (await router.execute("{ user { name @mine } }", {})).body()
    (error,) = body["errors"]
    assert "Unknown directive '@mine'" in error["message"]


async def test_fields_under_different_directives_that_may_not_be_repeated_stand_beside_each_other(
    router: GraphRouter, subgraphs: dict[str, DictSubgraph]
) -> None:
    await asked(
        router, "{ user { name @once(n: 1) name @once(n: 2) friend @once(n: 1) { id } friend @once { name } } }", {}
    )
    text = "query{user{name @once(n: 1) name @once(n: 2) friend @once(n: 1){id}friend @once{name}}}"
    assert subgraphs["one"].documents == [text]
