"""`@context` and `@fromContext` over subgraphs: composed, planned, executed, and counted in requests."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import GraphQLError, parse

from graphrouter import GraphRouter
from graphrouter.planning.check import check
from graphrouter.planning.planner import QueryPlanner
from graphrouter.planning.render import render
from graphrouter.request import GraphQLRequest
from tests.support.incremental import merged
from tests.support.tiny_subgraph import TinySubgraph

LINK = """
extend schema @link(url: "https://specs.apollo.dev/federation/v2.8",
                    import: ["@key", "@external", "@context", "@fromContext"])
"""
ACCOUNTS = (
    LINK
    + """
type Query { users: [User!]! teams: [Team!]! }
type User @key(fields: "id") { id: ID! currency: Currency }
type Currency { code: String }
type Team @key(fields: "id") { id: ID! }
"""
)
BANK = (
    LINK
    + """
type Query { open: Boolean }
type User @key(fields: "id") @context(name: "owner") {
  id: ID!
  currency: Currency @external
  last: Transaction
  all: [[Transaction]]
}
type Currency { code: String @external }
type Team @key(fields: "id") @context(name: "owner") { id: ID! unit: String! favourite: Transaction members: [User!]! }
type Transaction @key(fields: "id") {
  id: ID!
  amount(digits: Int = 0, unit: String
         @fromContext(field: "$owner { ... on User { currency { code } } ... on Team { unit } }")): String
}
"""
)
CURRENCIES = {"u1": "USD", "u2": "EUR", "u3": None, "u4": "USD"}


def _amount(id: str) -> Any:
    def resolve(_info: Any, digits: int, unit: str | None = "-") -> str:
        if unit == "EUR" and id == "t9":
            raise GraphQLError("no rate")
        return f"{id} in {unit}" + (f" to {digits}" if digits else "")

    return resolve


def _transaction(id: str) -> dict[str, Any]:
    return {"id": id, "amount": _amount(id)}


def _bank_user(id: str) -> dict[str, Any]:
    last = "t9" if id in {"u1", "u2"} else f"t{id}"
    return {"id": id, "last": {"id": last}, "all": [[{"id": "t1"}, None], [{"id": last}]]}


def subgraphs() -> dict[str, TinySubgraph]:
    users = [{"id": id, "currency": {"code": code} if code else None} for id, code in CURRENCIES.items()]
    return {
        "accounts": TinySubgraph(
            ACCOUNTS,
            {"users": users, "teams": [{"id": "a"}, {"id": "b"}]},
            {"User": lambda one: next(user for user in users if user["id"] == one["id"]), "Team": lambda one: one},
        ),
        "bank": TinySubgraph(
            BANK,
            {},
            {
                "User": lambda one: _bank_user(one["id"]),
                "Team": lambda one: {
                    "id": one["id"],
                    "unit": f"unit-{one['id']}",
                    "favourite": {"id": "t1"},
                    "members": [_bank_user("u1")],
                },
                "Transaction": lambda one: _transaction(one["id"]),
            },
        ),
    }


async def ask(query: str, **variables: object) -> tuple[dict[str, Any], list[str]]:
    """The answer, and who was asked, in order."""
    apps = subgraphs()
    async with await GraphRouter.compose(apps) as router:
        supergraph = router.supergraph
        document = parse(query)
        plan = QueryPlanner(supergraph).plan(document)
        assert check(plan, document, supergraph) == [], render(plan)
        composing = {name: len(app.requests) for name, app in apps.items()}
        answer = await router.execute(query, variables=variables)
    asked = [name for name, app in apps.items() for _ in app.requests[composing[name] :]]
    return answer.body(), asked


async def test_items_of_a_streamed_list_get_the_value_that_is_around_them() -> None:
    apps = subgraphs()
    query = "{ users %s { id last { id amount } } }"
    async with await GraphRouter.compose(apps) as router:
        whole = await router.execute(query % "")
        before = len(apps["bank"].requests)
        request = GraphQLRequest(query % "@stream(initialCount: 1)")
        found = merged([part.body() async for part in router.parts(request)])
    assert (found.data, found.errors, found.parts) == (whole.data, whole.errors, 2)
    asked = [one["variables"] for one in apps["bank"].requests[before:] if "amount" in one["query"]]
    counts = [sum(len(values) for values in one.values() if isinstance(values, list)) for one in asked]
    assert sorted(counts) == [1, 3]


async def test_every_object_gets_the_value_that_is_around_it_in_one_request() -> None:
    answer, asked = await ask("{ users { id last { id amount(digits: 2) } } }")
    lasts = [user["last"] for user in answer["data"]["users"]]
    assert lasts == [
        {"id": "t9", "amount": "t9 in USD to 2"},
        {"id": "t9", "amount": None},
        {"id": "tu3", "amount": "tu3 in None to 2"},
        {"id": "tu4", "amount": "tu4 in USD to 2"},
    ]
    assert [error["path"] for error in answer["errors"]] == [["users", 1, "last", "amount"]]
    assert asked == ["accounts", "bank", "bank"]


async def test_the_same_value_everywhere_needs_one_field_only() -> None:
    apps = subgraphs()
    async with await GraphRouter.compose(apps) as router:
        answer = await router.execute("{ teams { members { last { amount } } } }")
    assert answer.body() == {
        "data": {
            "teams": [
                {"members": [{"last": {"amount": "t9 in USD"}}]},
                {"members": [{"last": {"amount": "t9 in USD"}}]},
            ]
        }
    }
    last = apps["bank"].requests[-1]
    assert last["query"].count("_entities") == 1
    assert last["variables"] == {"representations": [{"__typename": "Transaction", "id": "t9"}], "context_0": "USD"}


async def test_one_entity_at_several_places_has_different_values() -> None:
    answer, _ = await ask(
        "{ teams { favourite { amount } a: favourite { b: amount(digits: 1) } } users { all { amount } } }"
    )
    assert answer["data"]["teams"] == [
        {"favourite": {"amount": "t1 in unit-a"}, "a": {"b": "t1 in unit-a to 1"}},
        {"favourite": {"amount": "t1 in unit-b"}, "a": {"b": "t1 in unit-b to 1"}},
    ]
    assert answer["data"]["users"][3] == {"all": [[{"amount": "t1 in USD"}, None], [{"amount": "tu4 in USD"}]]}


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_value_is_only_asked_for_where_it_is_needed(wanted: bool) -> None:
    query = "query ($wanted: Boolean!) { users { id last @include(if: $wanted) { amount } } }"
    answer, asked = await ask(query, wanted=wanted)
    assert ("last" in answer["data"]["users"][0]) is wanted
    assert asked == (["accounts", "bank", "bank"] if wanted else ["accounts"])


async def test_values_that_did_not_come_leave_nulls() -> None:
    apps = subgraphs()
    bank = apps["bank"]

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        if len(bank.requests) < 2 or scope["type"] != "http":
            await bank(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b"<html>"})

    async with await GraphRouter.compose({"accounts": apps["accounts"], "bank": broken}) as router:
        answer: dict[str, Any] = (await router.execute("{ users { id last { id amount } } }")).body()
    assert [user["last"]["amount"] for user in answer["data"]["users"]] == [None] * 4
    assert {error["extensions"]["service"] for error in answer["errors"]} == {"bank"}
