"""Hooks: what each stage is called with, what may be given in its place, and what becomes of a hook that fails."""

from __future__ import annotations

import asyncio
import contextvars
import importlib.util
import logging
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from graphrouter import (
    GraphQLAnswer,
    GraphQLRequest,
    GraphRouter,
    Hooks,
    Limits,
    PersistedOperations,
    PlannedOperation,
    RequestRefused,
    RouterOptions,
    error_object,
)
from graphrouter.configuration import ConfigurationError, load
from graphrouter.server.app import routed_app
from graphrouter.telemetry.router import RouterMetrics
from graphrouter.transport import SubgraphRequest, SubgraphResponse, SubgraphUnreachable
from tests.support.dict_subgraph import DictSubgraph, router_over
from tests.support.tiny_subgraph import TinySubgraph, reviews_subgraph, users_subgraph
from tests.unit.router_server.test_subscriptions import CHANGED, COMPLETE, Streamed, event, mark

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "router_alone"
ME = "{ me { name reviews { body } } }"
DATA = {"me": {"name": "Ada", "reviews": [{"body": "first"}, {"body": "third"}]}}


@asynccontextmanager
async def federation(hooks: Hooks, **options: Any) -> AsyncGenerator[tuple[GraphRouter, dict[str, TinySubgraph]]]:
    subgraphs = {"users": users_subgraph(), "reviews": reviews_subgraph()}
    async with await GraphRouter.compose(subgraphs, RouterOptions(hooks=hooks, **options)) as router:
        for subgraph in subgraphs.values():
            subgraph.requests.clear()
        yield router, subgraphs


def of_stage(stage: str, hook: object) -> Hooks:
    chosen: dict[str, Any] = {stage: (hook,)}
    return Hooks(**chosen)


def codes(answer: GraphQLAnswer) -> list[object]:
    return [error["extensions"]["code"] for error in answer.errors]


async def test_each_stage_is_called_in_its_order_and_those_of_answers_the_other_way_round() -> None:
    called: list[str] = []

    def noting(name: str) -> Hooks:
        def request(request: GraphQLRequest) -> None:
            called.append(f"{name} request {request.operation_name}")

        def plan(planned: PlannedOperation) -> None:
            called.append(f"{name} plan {planned.plan.kind} {len(planned.plan.fetches)} {planned.caller}")

        async def subgraph_request(subgraph: str, request: SubgraphRequest) -> None:
            called.append(f"{name} to {subgraph} {b'query' in request.body}")

        async def subgraph_answer(subgraph: str, request: SubgraphRequest, answer: SubgraphResponse) -> None:
            called.append(f"{name} from {subgraph} {b'query' in request.body} {answer.status}")

        async def response(request: GraphQLRequest, answer: GraphQLAnswer) -> None:
            called.append(f"{name} response {request.operation_name} {answer.data == DATA}")

        return Hooks((request,), None, (plan,), (subgraph_request,), (subgraph_answer,), (response,))

    async with federation(noting("outer").then(noting("inner"))) as (router, _):
        assert (await router.execute(f"query Me {ME}", operation_name="Me")).data == DATA
    assert called == [
        *("outer request Me", "inner request Me", "outer plan query 2 None", "inner plan query 2 None"),
        *("outer to users True", "inner to users True", "inner from users True 200", "outer from users True 200"),
        *("outer to reviews True", "inner to reviews True"),
        *("inner from reviews True 200", "outer from reviews True 200"),
        *("inner response Me True", "outer response Me True"),
    ]


async def test_what_a_hook_gives_is_taken_in_the_place_of_what_it_was_called_with() -> None:
    def request(request: GraphQLRequest) -> GraphQLRequest:
        return replace(request, query=ME)

    def subgraph_request(subgraph: str, request: SubgraphRequest) -> SubgraphRequest:
        return replace(request, headers=(*request.headers, ("x-for", subgraph)))

    def subgraph_answer(subgraph: str, request: SubgraphRequest, answer: SubgraphResponse) -> SubgraphResponse:
        assert ("x-for", subgraph) in request.headers
        return replace(answer, body=answer.body.replace(b"Ada", b"Eve"))

    def response(request: GraphQLRequest, answer: GraphQLAnswer) -> GraphQLAnswer:
        return replace(answer, extensions={"asked": request.query})

    hooks = Hooks((request,), None, (), (subgraph_request,), (subgraph_answer,), (response,))
    async with federation(hooks) as (router, subgraphs):
        answer = await router.execute("{ nothing }")
    assert answer.data == {"me": {**DATA["me"], "name": "Eve"}}
    assert answer.extensions == {"asked": ME}
    assert b'"asked"' in answer.text()
    assert [one.headers[-1]["x-for"] for one in subgraphs.values()] == ["users", "reviews"]


async def test_a_hook_answers_in_the_place_of_the_router_or_of_a_subgraph() -> None:
    answered = GraphQLAnswer({"me": None}, [], {})

    def request(request: GraphQLRequest) -> GraphQLAnswer | None:
        return answered if "x-answer" in request.headers else None

    def subgraph_request(subgraph: str, request: SubgraphRequest) -> SubgraphResponse | None:
        return SubgraphResponse(200, {}, b'{"data": {"me": {"name": "Joan"}}}') if subgraph == "users" else None

    def subgraph_answer(subgraph: str, request: SubgraphRequest, answer: SubgraphResponse) -> SubgraphResponse:
        return replace(answer, body=answer.body.replace(b"Joan", b"Jean"))

    def response(request: GraphQLRequest, answer: GraphQLAnswer) -> GraphQLAnswer:
        return replace(answer, extensions={"seen": True})

    hooks = Hooks((request,), None, (), (subgraph_request,), (subgraph_answer,), (response,))
    async with federation(hooks) as (router, subgraphs):
        assert await router.execute(ME, headers={"X-Answer": "1"}) == replace(answered, extensions={"seen": True})
        assert (await router.execute("{ me { name } }")).data == {"me": {"name": "Jean"}}
        assert [one.requests for one in subgraphs.values()] == [[], []]


async def test_a_request_and_a_plan_may_be_refused() -> None:
    def refuse(request: GraphQLRequest) -> None:
        if "nobody" in request.headers:
            raise RequestRefused(error_object("not you", "NOT_YOU"))

    async def small(planned: PlannedOperation) -> None:
        if len(planned.plan.fetches) > 1:
            raise RequestRefused(error_object("one subgraph at most", "TOO_WIDE"))

    async with federation(Hooks(request=(refuse,), plan=(small,))) as (router, subgraphs):
        refused = await router.execute(ME, headers={"nobody": ""})
        assert (codes(refused), refused.refused) == (["NOT_YOU"], True)
        refused = await router.execute(ME)
        assert (codes(refused), refused.refused) == (["TOO_WIDE"], True)
        assert [one.requests for one in subgraphs.values()] == [[], []]
        assert (await router.execute("{ me { name } }")).errors == []


async def test_a_request_hook_comes_before_operations_are_looked_up_by_their_ids() -> None:
    def known(request: GraphQLRequest) -> GraphQLRequest:
        return replace(request, document_id="me")

    persisted = PersistedOperations(trusted={"me": "{ me { name } }"})
    async with federation(Hooks(request=(known,)), persisted=persisted) as (router, _):
        assert (await router.execute("")).data == {"me": {"name": "Ada"}}


def failing(*_: object) -> None:
    raise RuntimeError("the inside")


async def failing_late(*_: object) -> None:
    await asyncio.sleep(0)
    raise TimeoutError("the inside")


def wrong(*_: object) -> str:
    return "the inside"


@pytest.mark.parametrize("hook", [failing, failing_late, wrong])
@pytest.mark.parametrize("stage", ["request", "plan", "subgraph_request", "subgraph_answer", "response"])
async def test_a_hook_that_fails_is_named_and_is_never_taken_for_an_answer(
    stage: str, hook: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    if (stage, hook) == ("plan", wrong):
        return  # what a hook of plans gives is not looked at
    async with federation(of_stage(stage, hook)) as (router, subgraphs):
        answer = await router.execute("{ me { name } user(id: 2) { name } }")
        messages = {error["message"] for error in answer.errors}
        assert messages == {f"the hook {hook.__name__} ({stage}) has failed"}
        assert set(codes(answer)) == {"HOOK_FAILED"}
        if stage.startswith("subgraph"):
            assert answer.data == {"me": None, "user": None}
            assert [error.get("path") for error in answer.errors] == [["me"], ["user"]]
        else:
            assert answer.data is None
        assert answer.refused is (stage in {"request", "plan"})
        assert bool(subgraphs["users"].requests) is (stage in {"subgraph_answer", "response"})
    (record,) = [record for record in caplog.records if record.name == "graphrouter.hooks"]
    assert record.levelno == logging.ERROR
    assert f"{__name__}.{hook.__name__} ({stage})" in record.getMessage()
    assert ("the inside" in caplog.text) is (hook is not wrong)


def without_code(*_: object) -> GraphQLAnswer:
    return GraphQLAnswer(None, [cast("Any", {"message": "the inside"})], {})


def refusing_without_code(*_: object) -> None:
    raise RequestRefused(cast("Any", {"message": "the inside", "extensions": {}}))


@pytest.mark.parametrize(
    ("stage", "hook"),
    [
        ("request", without_code),
        ("request", refusing_without_code),
        ("plan", refusing_without_code),
        ("response", without_code),
    ],
)
async def test_a_hook_whose_errors_have_no_code_has_failed(stage: str, hook: Callable[..., Any]) -> None:
    async with federation(of_stage(stage, hook), metrics=RouterMetrics()) as (router, _):
        answer = await router.execute("{ me { name } }")
    assert [(error["message"], error["extensions"]["code"]) for error in answer.errors] == [
        (f"the hook {hook.__name__} ({stage}) has failed", "HOOK_FAILED")
    ]


@pytest.mark.parametrize(
    ("stage", "status"), [("request", 500), ("plan", 500), ("subgraph_answer", 200), ("response", 500)]
)
async def test_over_http_a_failed_hook_is_a_fault_of_the_server(stage: str, status: int) -> None:
    async with federation(of_stage(stage, failing)) as (router, _):
        transport = httpx.ASGITransport(routed_app(lambda: router, router.options))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answer = await client.post("/graphql", json={"query": "{ me { name } }"})
    assert answer.status_code == status
    assert answer.json()["errors"][0]["extensions"]["code"] == "HOOK_FAILED"


async def test_a_hook_of_a_subgraph_may_say_that_there_is_no_answer() -> None:
    def unreachable(*_: object) -> None:
        raise SubgraphUnreachable("not today")

    for stage in ("subgraph_request", "subgraph_answer"):
        async with federation(of_stage(stage, unreachable)) as (router, _):
            answer = await router.execute(ME)
            assert [(error["message"], error["extensions"]["code"]) for error in answer.errors] == [
                ("not today", "SUBREQUEST_FAILED")
            ]


async def test_of_a_change_that_a_hook_has_stopped_it_is_known_that_it_was_not_made() -> None:
    subgraph = DictSubgraph("type Query { a: Int } type Mutation { change: Int }", {"change": 1})
    for stage, known in (("subgraph_request", True), ("subgraph_answer", False)):
        hooks = of_stage(stage, failing)
        answer = await router_over({"a": subgraph}, RouterOptions(hooks=hooks)).execute("mutation { change }")
        assert codes(answer) == ["HOOK_FAILED"]
        assert ("not known" not in answer.errors[0]["message"]) is known
        assert len(subgraph.documents) == (0 if known else 1)


async def test_a_hook_has_the_time_of_its_request() -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    limits = Limits(seconds=0.05)
    for stage, code in (
        ("request", "REQUEST_TIMEOUT"),
        ("plan", "REQUEST_TIMEOUT"),
        ("subgraph_request", "SUBREQUEST_TIMEOUT"),
        ("subgraph_answer", "SUBREQUEST_TIMEOUT"),
    ):
        async with federation(of_stage(stage, never), limits=limits) as (router, _):
            await router.prepare([("{ me { name } }", None)])  # the time is the hook's alone
            assert codes(await router.execute("{ me { name } }")) == [code], stage


async def test_a_hook_of_responses_that_does_not_end_gives_the_client_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("graphrouter.pipeline.hooking._RESPONSE_SECONDS", 0.01)
    async with federation(Hooks(response=(never,)), limits=Limits(seconds=0.02)) as (router, _):
        answer = await router.execute("{ me { name } }")
        assert (answer.data, codes(answer)) == (None, ["REQUEST_TIMEOUT"])


async def test_equal_requests_are_not_joined_where_a_hook_may_look_at_who_asks() -> None:
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant")

    def know(request: GraphQLRequest) -> None:
        tenant.set(request.headers["x-tenant"])

    def tell(subgraph: str, request: SubgraphRequest) -> SubgraphRequest:
        return replace(request, headers=(*request.headers, ("x-tenant", tenant.get())))

    hooks = Hooks(request=(know,), subgraph_request=(tell,))
    async with federation(hooks, join_equal_requests=True) as (router, subgraphs):
        tenants = ("red", "blue", "red")
        await asyncio.gather(*(router.execute("{ me { name } }", headers={"x-tenant": one}) for one in tenants))
        # Requests to a subgraph that a hook has made equal are joined as ever.
        assert sorted(one["x-tenant"] for one in subgraphs["users"].headers[-2:]) == ["blue", "red"]
        assert len(subgraphs["users"].requests) == 2


async def test_a_large_answer_that_a_hook_changes_is_written_beside_the_event_loop() -> None:
    def change(request: GraphQLRequest, answer: GraphQLAnswer) -> GraphQLAnswer:
        return replace(answer, extensions={"large": True})

    subgraph = DictSubgraph("type Query { all: [A!]! } type A { n: Int }", {"all": [{"n": n} for n in range(60_000)]})
    router = router_over({"a": subgraph}, RouterOptions(hooks=Hooks(response=(change,))))
    answer = await router.execute("{ all { n } }")
    assert answer.is_written
    assert answer.text().endswith(b'"extensions":{"large":true}}')


async def test_hooks_are_called_for_a_stream_and_for_each_of_its_messages() -> None:
    called: list[str] = []

    def request(request: GraphQLRequest) -> GraphQLRequest:
        called.append("request")
        return replace(request, query=CHANGED)

    def subgraph_request(subgraph: str, request: SubgraphRequest) -> SubgraphRequest:
        called.append(f"to {subgraph}")
        return replace(request, headers=(*request.headers, ("x-for", subgraph)))

    def subgraph_answer(subgraph: str, request: SubgraphRequest, answer: SubgraphResponse) -> SubgraphResponse:
        called.append(f"from {subgraph}")
        return replace(answer, body=answer.body.replace(b': "n', b': "m'))

    def response(request: GraphQLRequest, answer: GraphQLAnswer) -> GraphQLAnswer:
        called.append(f"response {request.query == CHANGED}")
        return replace(answer, extensions={})

    users = Streamed([event(1), event(2), COMPLETE])
    friends = DictSubgraph(
        'type User @key(fields: "id") { id: ID! friends: Int }', {}, {"User": lambda _: {"friends": 3}}
    )
    hooks = Hooks((request,), None, (), (subgraph_request,), (subgraph_answer,), (response,))
    router = router_over({"users": users, "friends": friends}, RouterOptions(hooks=hooks))
    async with aclosing(router.stream(GraphQLRequest("subscription { nothing }"))) as items:
        found = [item async for item in items if isinstance(item, GraphQLAnswer)]
    assert [item.data for item in found] == [{"changed": {"name": f"m{n}", "friends": 3}} for n in (1, 2)]
    assert [item.extensions for item in found] == [{}, {}]
    message = ["from users", "to friends", "from friends", "response True"]
    assert called == ["request", "to users", *message, *message]
    assert users.asked[0].headers == (("x-for", "users"),)


async def test_the_examples_hooks_tell_of_each_message_what_was_asked_for_it() -> None:
    spec = importlib.util.spec_from_file_location("hooks_of_the_example", EXAMPLE / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    users = Streamed([event(1), event(2), COMPLETE])
    friends = DictSubgraph(
        'type User @key(fields: "id") { id: ID! friends: Int }', {}, {"User": lambda _: {"friends": 3}}
    )
    router = router_over({"users": users, "friends": friends}, RouterOptions(hooks=example.TIMES))
    async with aclosing(router.stream(GraphQLRequest(CHANGED))) as items:
        found = [item async for item in items if isinstance(item, GraphQLAnswer)]
    asked = [[one["subgraph"] for one in cast("Any", item.extensions["subgraphs"])] for item in found]
    assert asked == [["users", "friends"]] * 2


@pytest.mark.parametrize("stage", ["request", "subgraph_request", "subgraph_answer", "response"])
async def test_a_hook_that_fails_ends_a_stream_with_its_error(stage: str) -> None:
    users = Streamed([event(1), COMPLETE])
    router = router_over({"users": users}, RouterOptions(hooks=of_stage(stage, failing)))
    query = 'subscription { changed(id: "1") { name } }'
    async with aclosing(router.stream(GraphQLRequest(query))) as items:
        found = [item async for item in items if isinstance(item, GraphQLAnswer)]
    assert [codes(item) for item in found] == [["HOOK_FAILED"]]
    assert users.open == 0


async def test_a_message_that_a_hook_does_not_let_through_is_asked_for_again() -> None:
    refused: list[bytes] = []

    def once(subgraph: str, request: SubgraphRequest, answer: SubgraphResponse) -> None:
        if b'"n3"' in answer.body and not refused:
            refused.append(answer.body)
            raise SubgraphUnreachable("not now")

    users = Streamed([event(2), event(3), event(4)], [event(3), COMPLETE])
    router = router_over({"users": users}, RouterOptions(hooks=Hooks(subgraph_answer=(once,))))
    query = 'subscription { changed(id: "1") { name } }'
    async with aclosing(router.stream(GraphQLRequest(query))) as items:
        found = [item.data async for item in items if isinstance(item, GraphQLAnswer)]
    assert found == [{"changed": {"name": f"n{n}"}} for n in (2, 3)]
    assert users.bookmarks == [None, mark(2)]


async def test_a_hook_may_answer_in_the_place_of_a_stream() -> None:
    def answer(subgraph: str, request: SubgraphRequest) -> SubgraphResponse:
        return SubgraphResponse(200, {}, b'{"data": {"changed": {"name": "Joan"}}}')

    users = Streamed()
    router = router_over({"users": users}, RouterOptions(hooks=Hooks(subgraph_request=(answer,))))
    query = 'subscription { changed(id: "1") { name } }'
    async with aclosing(router.stream(GraphQLRequest(query))) as items:
        found = [item.data async for item in items if isinstance(item, GraphQLAnswer)]
    assert (found, users.asked) == ([{"changed": {"name": "Joan"}}], [])


def test_what_is_no_hook_is_refused_when_it_is_set() -> None:
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"request": failing}, "hooks.request: expected a tuple of functions, found function"),
        ({"plan": ("x",)}, "hooks.plan: expected a tuple of functions, found tuple"),
        ({"policies": (failing,)}, "hooks.policies: expected a function, found tuple"),
    )
    for given, message in cases:
        with pytest.raises(TypeError, match=message):
            Hooks(**given)


def test_of_two_that_decide_policies_the_inner_one_does() -> None:
    async def outer(_: object) -> tuple[str, ...]:
        return ()

    async def inner(_: object) -> tuple[str, ...]:
        return ()

    assert Hooks(policies=outer).then(Hooks()).policies is outer
    assert Hooks(policies=outer).then(Hooks(policies=inner)).policies is inner


async def test_without_hooks_nothing_of_them_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    called: set[str] = set()

    def trace(frame: Any, event: str, _: object) -> None:
        if event == "call":
            called.add(cast("str", frame.f_code.co_filename))

    async with federation(Hooks()) as (router, _):
        await router.execute(ME)
        sys.setprofile(trace)
        try:
            await router.execute(ME)
        finally:
            sys.setprofile(None)
    assert any(name.endswith("answering.py") for name in called)
    assert [name for name in called if "hook" in Path(name).name and "test" not in name] == []


def test_hooks_are_named_in_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "some_hooks.py").write_text(
        "from graphrouter import Hooks\nclass Of:\n    hooks = Hooks(request=(print,))\nother = 1\n"
    )
    (tmp_path / "broken_hooks.py").write_text("1 / 0\n")
    file = tmp_path / "router.yaml"
    file.write_text("hooks: some_hooks:Of.hooks\n")
    assert load(file, (), {}).configuration.options().hooks == Hooks(request=(print,))
    given = RouterOptions(hooks=Hooks(plan=(print,)))
    file.write_text("")
    assert load(file, (), {}).configuration.options(given).hooks is given.hooks
    assert load(None, (), {"GRAPHROUTER_HOOKS": "some_hooks:Of.hooks"}).configuration.hooks == "some_hooks:Of.hooks"
    for text, message in (
        ("some_hooks", "expected package.module:name, found 'some_hooks'"),
        ("some_hooks:", "expected package.module:name, found 'some_hooks:'"),
        ("some_hooks:nothing", "expected 'nothing' in some_hooks, found none"),
        ("some_hooks:other", "expected graphrouter.hooks.Hooks as some_hooks:other, found int"),
        ("no_hooks:a", "expected a module no_hooks, found ModuleNotFoundError: No module named 'no_hooks'"),
        ("broken_hooks:a", "expected a module broken_hooks, found ZeroDivisionError: division by zero"),
    ):
        file.write_text(f"limits:\n  depth: 5\nhooks: '{text}'\n")
        with pytest.raises(ConfigurationError) as error:
            load(file, (), {})
        assert list(error.value.findings) == [f"router.yaml:3: hooks: {message}"]
