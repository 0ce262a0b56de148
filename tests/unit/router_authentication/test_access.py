"""What a caller may not see is null with an error at its place, and no subgraph is asked for it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Collection
from dataclasses import replace
from typing import Any

import pytest

from graphrouter import Authentication, GraphQLAnswer, GraphRouter, Hooks, Issuer, PolicyQuestion, RouterOptions
from tests.support.tiny_subgraph import TinySubgraph
from tests.support.tokens import AUDIENCE, ISSUER, SigningKey, bearer, key_set

KEY = SigningKey()
PROVEN = Authentication((Issuer(ISSUER, key_set(KEY.public()), (AUDIENCE,)),))
LINK = (
    'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@external", "@requires",'
    ' "@authenticated", "@requiresScopes", "@policy", "@shareable"])\n'
)
PEOPLE_SDL = """
    type Query {
        person: Person
        people: [Person!]!
        secret: Int! @authenticated
        account: Account
        accounts: [Account]
        things: [Thing]
        node: Node
        nodes: [Node]
        role: Role
        mood: Mood
        open: Int
    }
    type Mutation { change: Int @requiresScopes(scopes: [["write"]]) look: Int }
    type Person @key(fields: "id") {
        id: ID!
        name: String
        email: String @authenticated
        salary: Int! @requiresScopes(scopes: [["salaries"], ["admin", "all"]])
        diary: String @policy(policies: [["friend"], ["self"]])
        boss: Person @requiresScopes(scopes: [["boss"]])
    }
    type Account @authenticated { number: Int owner: Person }
    union Thing = Account | Tool
    type Tool { name: String weight(in: String): Int }
    interface Node { id: ID! name: String }
    type City implements Node { id: ID! name: String }
    type Camp implements Node { id: ID! name: String @authenticated }
    enum Role @authenticated { A B }
    scalar Mood @requiresScopes(scopes: [["mood"]])
"""
MORE_SDL = """
    type Person @key(fields: "id") {
        id: ID!
        email: String @external
        greeting: String @requires(fields: "email") @authenticated
        visits: Int @authenticated
        height: Int
    }
"""
ADA: dict[str, Any] = {"id": "1", "name": "Ada", "email": "ada@x", "salary": 5, "diary": "dear"}
BOB: dict[str, Any] = {"id": "2", "name": "Bob", "email": "bob@x", "salary": 6, "diary": "hm", "boss": ADA}
ACCOUNT = {"__typename": "Account", "number": 7, "owner": ADA}
CITY, CAMP = ({"__typename": kind, "id": kind, "name": f"the {kind}"} for kind in ("City", "Camp"))
changes: list[str] = []


def change(_info: object) -> int:
    changes.append("changed")
    return 1


def people() -> TinySubgraph:
    return TinySubgraph(
        LINK + PEOPLE_SDL,
        {
            "person": BOB,
            "people": [ADA, BOB],
            "secret": 42,
            "account": ACCOUNT,
            "accounts": [ACCOUNT, None],
            "things": [ACCOUNT, {"__typename": "Tool", "name": "saw", "weight": 3}, ACCOUNT],
            "node": CITY,
            "nodes": [CITY, CAMP],
            "role": "A",
            "mood": "glad",
            "open": 1,
            "change": change,
            "look": 2,
        },
        {"Person": lambda one: {"1": ADA, "2": BOB}.get(one["id"])},
    )


def more() -> TinySubgraph:
    def person(one: dict[str, Any]) -> dict[str, Any]:
        return {"id": one["id"], "greeting": f"hi {one.get('email')}", "visits": 9, "height": 180}

    return TinySubgraph(LINK + MORE_SDL + "type Query { _unused: Int }", {}, {"Person": person})


class Federation:
    """A router over both subgraphs, and what these were asked."""

    def __init__(self, router: GraphRouter, subgraphs: tuple[TinySubgraph, ...]) -> None:
        self.router, self.subgraphs = router, subgraphs

    async def ask(self, query: str, scope: str | None = None, **variables: object) -> GraphQLAnswer:
        """As nobody, or with a token of these scopes."""
        for subgraph in self.subgraphs:
            subgraph.requests.clear()
        headers = {} if scope is None else bearer(KEY.token("ada", scope=scope))
        return await self.router.execute(query, variables, headers=headers)

    @property
    def asked(self) -> str:
        return " ".join(request["query"] for subgraph in self.subgraphs for request in subgraph.requests)


@contextlib.asynccontextmanager
async def federation(**options: Any) -> AsyncGenerator[Federation]:
    subgraphs = (people(), more())
    chosen = replace(RouterOptions(authentication=PROVEN), **options)
    async with await GraphRouter.compose({"people": subgraphs[0], "more": subgraphs[1]}, chosen) as router:
        yield Federation(router, subgraphs)


@pytest.fixture
async def graph() -> AsyncGenerator[Federation]:
    async with federation() as graph:
        yield graph


def denied(answer: GraphQLAnswer) -> list[list[str | int]]:
    """Where the caller was told that they may not see something; there is no other error."""
    assert {error["extensions"]["code"] for error in answer.errors} <= {"UNAUTHORIZED_FIELD_OR_TYPE"}
    return [error.get("path", []) for error in answer.errors]


async def test_a_field_is_null_with_an_error_and_not_fetched(graph: Federation) -> None:
    answer = await graph.ask("{ person { name email } }")
    assert answer.data == {"person": {"name": "Bob", "email": None}}
    assert denied(answer) == [["person", "email"]]
    assert "email" not in graph.asked
    answer = await graph.ask("{ person { name email } }", "")
    assert answer.data == {"person": {"name": "Bob", "email": "bob@x"}}
    assert answer.errors == []


async def test_each_position_has_its_error_and_where_null_may_not_be_it_bubbles(graph: Federation) -> None:
    answer = await graph.ask("{ people { email } }")
    assert answer.data == {"people": [{"email": None}, {"email": None}]}
    assert denied(answer) == [["people", 0, "email"], ["people", 1, "email"]]
    answer = await graph.ask("{ person { name salary } open }", "")
    assert answer.data == {"person": None, "open": 1}
    assert denied(answer) == [["person", "salary"]]
    answer = await graph.ask("{ secret open }")
    assert answer.data is None
    assert denied(answer) == [["secret"]]


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [("", False), ("salaries", True), ("admin", False), ("all", False), ("admin all", True), ("salaries all", True)],
)
async def test_scopes_are_alternatives_of_all_together(graph: Federation, scope: str, allowed: bool) -> None:
    answer = await graph.ask("{ person { salary } }", scope)
    assert answer.data == {"person": {"salary": 6} if allowed else None}
    assert ("salary" in graph.asked) is allowed


async def test_scopes_without_a_caller_are_none(graph: Federation) -> None:
    assert denied(await graph.ask("{ person { boss { name } } }")) == [["person", "boss"]]


async def test_nothing_is_fetched_where_nothing_may_be_seen(graph: Federation) -> None:
    answer = await graph.ask("{ account { number } role mood }")
    assert answer.data == {"account": None, "role": None, "mood": None}
    assert denied(answer) == [["account"], ["role"], ["mood"]]
    assert graph.asked == ""


async def test_what_another_subgraph_has_is_not_fetched_there(graph: Federation) -> None:
    answer = await graph.ask("{ person { name visits } }")
    assert answer.data == {"person": {"name": "Bob", "visits": None}}
    assert denied(answer) == [["person", "visits"]]
    assert graph.subgraphs[1].requests == []


async def test_a_type_is_denied_wherever_it_is_returned(graph: Federation) -> None:
    answer = await graph.ask("{ account { __typename } accounts { number } }")
    assert answer.data == {"account": None, "accounts": None}
    assert denied(answer) == [["account"], ["accounts"]]
    answer = await graph.ask("{ account { __typename owner { name } } role }", "")
    assert answer.data == {"account": {"__typename": "Account", "owner": {"name": "Ada"}}, "role": "A"}


async def test_a_scalar_needs_its_own_scopes(graph: Federation) -> None:
    assert denied(await graph.ask("{ mood role }", "")) == [["mood"]]
    assert (await graph.ask("{ mood role }", "mood")).data == {"mood": "glad", "role": "A"}


@pytest.mark.parametrize(
    "selection",
    [
        "__typename ... on Account { number } ... on Tool { name }",
        "__typename ...A ... on Tool { name } } } fragment A on Account { number owner { name }",
        "__typename ... on Tool { name } ... { ... on Account { number } }",
        "__typename ... on Tool { name }",
    ],
)
async def test_an_object_behind_a_union_is_null_where_its_type_may_not_be_seen(
    graph: Federation, selection: str
) -> None:
    query = f"{{ things {{ {selection} }} }}" if "fragment" not in selection else f"{{ things {{ {selection} }}"
    answer = await graph.ask(query)
    assert answer.data == {"things": [None, {"__typename": "Tool", "name": "saw"}, None]}
    assert denied(answer) == [["things", 0], ["things", 2]]
    assert "number" not in graph.asked
    answer = await graph.ask("{ things { __typename } }", "")
    assert answer.data == {"things": [{"__typename": name} for name in ("Account", "Tool", "Account")]}


async def test_an_interfaces_field_needs_what_any_type_behind_it_needs(graph: Federation) -> None:
    answer = await graph.ask("{ node { id name } nodes { id } }")
    assert answer.data == {"node": {"id": "City", "name": None}, "nodes": [{"id": "City"}, {"id": "Camp"}]}
    assert denied(answer) == [["node", "name"]]
    assert "name" not in graph.asked.replace("__typename", "")


async def test_a_field_is_judged_by_the_type_that_it_is_selected_on(graph: Federation) -> None:
    answer = await graph.ask("{ nodes { ... on City { name } ... on Camp { name } } }")
    assert answer.data == {"nodes": [{"name": "the City"}, {"name": None}]}
    assert denied(answer) == [["nodes", 1, "name"]]
    answer = await graph.ask("{ nodes { name ... on City { name } } }")
    assert answer.data == {"nodes": [{"name": "the City"}, {"name": None}]}
    assert denied(answer) == [["nodes", 1, "name"]]


@pytest.mark.parametrize(
    "selection",
    ["e: email", "name: email", "... { email }", "...F", "__typename: email", "_: email", "id: email email"],
)
async def test_no_other_name_for_a_field_shows_it(graph: Federation, selection: str) -> None:
    fragment = "fragment F on Person { ... on Person { email } }" if "...F" in selection else ""
    answer = await graph.ask(f"{{ person {{ {selection} }} }} {fragment}")
    assert answer.data is not None
    assert set(answer.data["person"].values()) == {None}  # type: ignore[attr-defined]
    assert len(denied(answer)) == len(answer.data["person"])  # type: ignore[arg-type]
    assert "email" not in graph.asked


async def test_what_the_router_fetches_for_itself_is_not_shown(graph: Federation) -> None:
    """`greeting` requires `email`: for a caller who may see the one and not the other it would be in the data."""
    sdl = graph.router.supergraph.sdl.replace("greeting: String @authenticated", "greeting: String")
    people, more = graph.subgraphs
    options = RouterOptions(authentication=PROVEN)
    async with GraphRouter.from_supergraph(sdl, {"people": people, "more": more}, options) as router:
        answer = await router.execute("{ person { email greeting } }")
        assert answer.data == {"person": {"email": None, "greeting": "hi bob@x"}}
        assert denied(answer) == [["person", "email"]]


async def test_a_change_that_is_not_allowed_is_not_made(graph: Federation) -> None:
    changes.clear()
    answer = await graph.ask("mutation { change look }", "read")
    assert answer.data == {"change": None, "look": 2}
    assert (denied(answer), changes) == ([["change"]], [])
    assert (await graph.ask("mutation { change }", "write")).data == {"change": 1}
    assert changes == ["changed"]
    assert (await graph.ask("mutation { change }")).data == {"change": None}
    assert changes == ["changed"]


async def test_conditions_and_variables_go_on_as_they_were(graph: Federation) -> None:
    query = """query Q($yes: Boolean!, $in: String) {
        person { email @include(if: $yes) name @skip(if: $yes) } things { ... on Tool { weight(in: $in) } }
    }"""
    answer = await graph.ask(query, yes=True)
    assert answer.data == {"person": {"email": None}, "things": [None, {"weight": 3}, None]}
    answer = await graph.ask(query, yes=False)
    assert answer.data is not None
    assert answer.data["person"] == {"name": "Bob"}
    assert denied(answer) == [["things", 0], ["things", 2]]


async def test_introspection_is_as_it_was(graph: Federation) -> None:
    answer = await graph.ask('{ __type(name: "Account") { name } __typename }')
    assert answer.data == {"__type": {"name": "Account"}, "__typename": "Query"}


async def test_errors_at_many_positions_are_as_many_as_are_listed() -> None:
    async with federation() as graph:
        fields = " ".join(f"a{number}: people {{ email name }}" for number in range(30))
        answer = await graph.ask(f"{{ {fields} }}")
        limit = graph.router.options.limits.errors
        assert len(answer.errors) <= limit + 1
        assert answer.data is not None
        assert all(one == {"email": None, "name": one["name"]} for many in answer.data.values() for one in many)  # type: ignore[attr-defined]


async def test_without_authentication_nobody_is_anybody() -> None:
    async with federation(authentication=None) as graph:
        answer = await graph.ask("{ person { email boss { name } diary } }", "boss")
        assert answer.data == {"person": {"email": None, "boss": None, "diary": None}}
        assert graph.asked.count("person") == 1


async def test_plans_are_kept_by_what_may_be_seen_and_not_by_who_asks(graph: Federation) -> None:
    for scope in ("a", "b", "c", "a", None, None):
        await graph.ask("{ person { name email } }", scope)
    plans = graph.router.statistics()["plans"]
    assert (plans["misses"], plans["entries"]) == (2, 2)  # type: ignore[index]


async def test_the_plan_that_is_shown_has_nothing_that_may_not_be_seen(graph: Federation) -> None:
    answer = await graph.router.execute("{ person { name email } }", extensions={"queryPlan": "only"})
    assert "email" not in str(answer.extensions["queryPlan"])


async def test_policies_are_denied_without_a_hook_and_decided_by_one() -> None:
    async with federation() as graph:
        assert denied(await graph.ask("{ person { diary } }", "self friend")) == [["person", "diary"]]
    asked: list[PolicyQuestion] = []

    async def decide(question: PolicyQuestion) -> Collection[str]:
        asked.append(question)
        return ["self", "admin"] if question.caller is not None else []

    async with federation(hooks=Hooks(policies=decide)) as graph:
        assert denied(await graph.ask("{ person { diary } }")) == [["person", "diary"]]
        assert (await graph.ask("{ person { diary } a: person { diary } }", "")).errors == []
        await graph.ask("{ person { email } }", "")
    assert [question.policies for question in asked] == [{"friend", "self"}] * 2
    assert asked[0].caller is None
    assert asked[1].caller is not None
    assert asked[1].caller.actor == "ada"


async def test_a_hook_that_fails_allows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(_question: PolicyQuestion) -> Collection[str]:
        raise RuntimeError("no")

    async with federation(hooks=Hooks(policies=fail)) as graph:
        answer = await graph.ask("{ person { diary } }", "")
        assert answer.data is None
        assert [error["extensions"]["code"] for error in answer.errors] == ["HOOK_FAILED"]
        assert graph.asked == ""
    assert "RuntimeError: no" in caplog.text
