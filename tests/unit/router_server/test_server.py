"""The ASGI app as HTTP clients see it, over two tiny subgraphs in this process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import orjson
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from graphrouter import Example, GraphRouter, Limits, RouterOptions, bookmarks, federate
from graphrouter.composition import CompositionError
from graphrouter.server.playground import Playground
from graphrouter.transport import SubgraphRequest, SubgraphResponse, SubgraphUnreachable
from graphrouter.transport.inprocess import InProcessTransport
from infra.patience import seconds
from tests.support.tiny_subgraph import TinySubgraph, reviews_subgraph, users_subgraph

STRICT = {"accept": "application/graphql-response+json"}


@contextlib.asynccontextmanager
async def client_of(app: Starlette) -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://r") as client:
        yield client


@pytest.fixture
def users() -> TinySubgraph:
    return users_subgraph()


@pytest.fixture
async def client(users: TinySubgraph) -> AsyncGenerator[httpx.AsyncClient]:
    options = RouterOptions(limits=Limits(body_bytes=2000, tokens=200, depth=6))
    app = federate({"users": users, "reviews": reviews_subgraph()}, options)
    async with client_of(app) as client:
        yield client


async def _until_ready(client: httpx.AsyncClient) -> None:
    """The server tells nobody when it has become ready: like an orchestrator, one has to ask."""
    for _ in range(1000):
        if (await client.get("/health/ready")).status_code == 200:
            return
        await asyncio.sleep(0.01)


async def ask(client: httpx.AsyncClient, query: str, **body: Any) -> Any:
    response = await client.post("/graphql", json={"query": query, **body})
    return response.json()


async def test_five_lines_federate_apps(client: httpx.AsyncClient) -> None:
    answer = await ask(client, "{ reviews { body author { name reviews { body } } } me { id } }")
    assert answer == {
        "data": {
            "reviews": [
                {"body": "first", "author": {"name": "Ada", "reviews": [{"body": "first"}, {"body": "third"}]}},
                {"body": "second", "author": {"name": "Grace", "reviews": [{"body": "second"}]}},
                {"body": "third", "author": {"name": "Ada", "reviews": [{"body": "first"}, {"body": "third"}]}},
            ],
            "me": {"id": "1"},
        }
    }


async def test_each_apps_lifespan_runs_once(users: TinySubgraph) -> None:
    async with client_of(federate({"users": users, "reviews": reviews_subgraph()})):
        assert users.events == ["startup"]
    assert users.events == ["startup", "shutdown"]


async def test_the_media_type_is_the_one_asked_for(client: httpx.AsyncClient) -> None:
    for accept, expected in (
        ("application/graphql-response+json, application/json", "application/graphql-response+json; charset=utf-8"),
        ("application/json", "application/json; charset=utf-8"),
        ("*/*", "application/json; charset=utf-8"),
    ):
        response = await client.post("/graphql", json={"query": "{me{id}}"}, headers={"accept": accept})
        assert (response.status_code, response.headers["content-type"]) == (200, expected)
    response = await client.post("/graphql", json={"query": "{me{id}}"}, headers={"accept": "text/html"})
    assert response.status_code == 406


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ me { id }", "GRAPHQL_PARSE_FAILED"),
        ("{ nobody }", "GRAPHQL_VALIDATION_FAILED"),
        ("query A { me { id } } query B { me { id } }", "OPERATION_RESOLUTION_FAILURE"),
        ("query($id: ID!) { user(id: $id) { id } }", "INVALID_VARIABLES"),
        ("{ me { reviews { author { reviews { author { reviews { body } } } } } } }", "TOO_DEEP"),
        ("{" + "me { id } " * 60 + "}", "TOO_MANY_TOKENS"),
        ("{ ...F } fragment F on Query { ...F }", "FRAGMENT_CYCLE"),
        ("{" + "a{" * 90 + "b" + "}" * 91, "TOO_MANY_TOKENS"),
        ("{" + "a{" * 30 + "b" + "}" * 31, "TOO_DEEP"),
    ],
)
async def test_a_wrong_operation_is_refused_with_a_code(client: httpx.AsyncClient, query: str, code: str) -> None:
    for headers, status in ((STRICT, 400), ({}, 200)):
        response = await client.post("/graphql", json={"query": query[:1900]}, headers=headers)
        assert response.json()["errors"][0]["extensions"]["code"] == code
        assert "data" not in response.json()
        assert response.status_code == status


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        ("{", "application/json", 400, "BAD_REQUEST"),
        ("[]", "application/json", 400, "BATCHING_NOT_SUPPORTED"),
        ("1", "application/json", 400, "BAD_REQUEST"),
        ("{}", "application/json", 400, "BAD_REQUEST"),
        ('{"query": 1}', "application/json", 400, "BAD_REQUEST"),
        ('{"query": "{me{id}}", "variables": []}', "application/json", 400, "BAD_REQUEST"),
        ('{"query": "{me{id}}", "operationName": 1}', "application/json", 400, "BAD_REQUEST"),
        ('{"query": "{me{id}}", "extensions": 1}', "application/json", 400, "BAD_REQUEST"),
        ('{"query": "{me{id}}"}', "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("query=%7Bme%7D", "application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ('{"query": "{me{id}}"}', "application/json; charset=latin-1", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ('{"query": "{me{id}}"}' + " " * 3000, "application/json", 413, "REQUEST_TOO_LARGE"),
    ],
)
async def test_a_body_that_is_no_graphql_request_is_refused(
    client: httpx.AsyncClient, content: str, content_type: str, status: int, code: str
) -> None:
    response = await client.post("/graphql", content=content, headers={"content-type": content_type})
    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (status, code)


async def test_a_compressed_body_is_refused_by_name(client: httpx.AsyncClient) -> None:
    for encoding, status in (("gzip", 415), ("br", 415), ("Identity", 200)):
        headers = {"content-type": "application/json", "content-encoding": encoding}
        response = await client.post("/graphql", content='{"query": "{me{id}}"}', headers=headers)
        assert response.status_code == status
        if status == 415:
            assert "compressed" in response.json()["errors"][0]["message"]


async def test_a_body_without_a_length_is_bounded_too(client: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncGenerator[bytes]:
        for _ in range(30):
            yield b" " * 100

    response = await client.post("/graphql", content=chunks(), headers={"content-type": "application/json"})
    assert response.status_code == 413


async def test_get_executes_queries_with_variables(client: httpx.AsyncClient) -> None:
    parameters = {
        "query": "query U($id: ID!) { user(id: $id) { name } }",
        "variables": '{"id": "2"}',
        "operationName": "",
    }
    response = await client.get("/graphql", params=parameters)
    assert response.json() == {"data": {"user": {"name": "Grace"}}}
    assert (await client.get("/graphql", params={"query": "{me{id}}", "variables": "{"})).status_code == 400
    assert (await client.get("/graphql", params={"query": "x" * 3000})).status_code == 414
    put = await client.put("/graphql", json={"query": "{me{id}}"})
    assert (put.status_code, put.headers["allow"]) == (405, "GET, HEAD, POST")


async def test_get_executes_no_mutation() -> None:
    done: list[int] = []
    sdl = 'type Query { a: Int } type Mutation { change: Int } type User @key(fields: "id") { id: ID! }'
    link = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])\n'
    subgraph = TinySubgraph(link + sdl, {"change": lambda _info: done.append(1)}, {"User": lambda one: one})
    async with client_of(federate({"only": subgraph})) as client:
        response = await client.get("/graphql", params={"query": "mutation { change }"})
        assert (response.status_code, response.headers["allow"], done) == (405, "POST", [])
        await client.post("/graphql", json={"query": "mutation { change }"})
        assert done == [1]


async def test_introspection_can_be_switched_off(users: TinySubgraph, client: httpx.AsyncClient) -> None:
    answer = await ask(
        client, '{ __schema { queryType { name } } t: __type(name: "User") { kind } me { id } __typename }'
    )
    assert answer == {
        "data": {
            "__schema": {"queryType": {"name": "Query"}},
            "t": {"kind": "OBJECT"},
            "me": {"id": "1"},
            "__typename": "Query",
        }
    }
    async with client_of(federate({"users": users}, RouterOptions(introspection=False))) as closed:
        answer = await ask(closed, "{ __schema { queryType { name } } }")
        assert answer["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
        assert (await ask(closed, "{ me { __typename } }"))["data"] == {"me": {"__typename": "User"}}


async def test_the_plan_is_given_to_whoever_asks(users: TinySubgraph, client: httpx.AsyncClient) -> None:
    query = "{ me { name } }"
    by_header = await client.post("/graphql", json={"query": query}, headers={"query-plan": "1"})
    by_extension = await ask(client, query, extensions={"queryPlan": True})
    assert by_header.json() == by_extension
    assert by_extension["data"] == {"me": {"name": "Ada"}}
    assert any("Fetch" in line for line in by_extension["extensions"]["queryPlan"]["lines"])
    asked = len(users.requests)
    only = await ask(client, query, extensions={"queryPlan": "only"})
    assert "queryPlan" in only["extensions"]
    assert (only["data"], len(users.requests)) == (None, asked)
    async with client_of(federate({"users": users}, RouterOptions(expose_query_plan=False))) as closed:
        assert "extensions" not in await ask(closed, query, extensions={"queryPlan": True})


@pytest.mark.parametrize("name", ["queryPlan", "bookmark", "asOf", "bookmarkTimeout"])
@pytest.mark.parametrize("value", [[], {}, [1], {"a": 1}, 1.5])
async def test_an_extension_of_a_wrong_type_is_invalid_input(client: httpx.AsyncClient, name: str, value: Any) -> None:
    answer = await ask(client, "{ me { id } }", extensions={name: value})
    if value == 1.5 and name in {"asOf", "bookmarkTimeout"}:
        assert answer == {"data": {"me": {"id": "1"}}}
        return
    assert answer["errors"][0]["extensions"]["code"] == "INVALID_INPUT"
    assert "data" not in answer


async def test_no_message_echoes_more_than_200_characters(client: httpx.AsyncClient) -> None:
    long = "x" * 600
    requests: list[tuple[str, dict[str, Any]]] = [
        (f"{{ {long} }}", {}),
        (f'{{ user(id: "1", {long}: 1) {{ id }} }}', {}),
        (f"{{ me {{ ...{long} }} }}", {}),
        (f"query A {{ me {{ id }} }} query B {{ me {{ id }} }} # {long}", {"operationName": long}),
        ("query($id: [[ID!]!]!) { user(id: $id) { id } }", {"variables": {"id": [[long, long]]}}),
        ("query($id: ID!) { user(id: $id) { id } }", {"variables": {"id": [long] * 10}}),
        ("query($id: ID!) { user(id: $id) { id } }", {"variables": {"id": {long: 1}}}),
        (f"{{ user(id: {long}) {{ id }} }}", {}),
        (f'{{ me {{ id }} "{long}" }}', {}),
        (f"{{ ...{long} }} fragment {long} on Query {{ ...{long} }}", {}),
    ]
    for query, body in requests:
        answer = await ask(client, query, **body)
        for error in answer["errors"]:
            assert 0 < len(error["message"]) <= 200
        assert "x" * 201 not in orjson.dumps(answer).decode()


async def test_bookmarks_travel_in_both_places_both_ways(users: TinySubgraph, client: httpx.AsyncClient) -> None:
    one, two = bookmarks.encode({"a/0": 1, "b/0": 5}), bookmarks.encode({"a/0": 3})
    response = await client.post(
        "/graphql", json={"query": "{me{id}}", "extensions": {"bookmark": two}}, headers={"bookmark": one}
    )
    joined = bookmarks.encode({"a/0": 3, "b/0": 5})
    assert users.headers[-1]["bookmark"] == joined
    assert response.headers["bookmark"] == response.json()["extensions"]["bookmark"] == joined
    for body, headers in (({"extensions": {"bookmark": 5}}, {}), ({}, {"bookmark": "%%"})):
        response = await client.post("/graphql", json={"query": "{me{id}}", **body}, headers=headers)
        assert response.json()["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


async def test_only_headers_on_the_list_reach_subgraphs(users: TinySubgraph, client: httpx.AsyncClient) -> None:
    headers = {"Authorization": "Bearer x", "Cookie": "a=b", "X-Other": "1", "Traceparent": "00-1-2-3"}
    body = {"query": "{me{id}}", "extensions": {"asOf": "2026-01-01T00:00:00Z", "bookmarkTimeout": 1.5}}
    await client.post("/graphql", json=body, headers=headers)
    sent = users.headers[-1]
    assert {name: sent.get(name) for name in ("authorization", "traceparent", "as-of", "bookmark-timeout")} == {
        "authorization": "Bearer x",
        "traceparent": "00-1-2-3",
        "as-of": "2026-01-01T00:00:00Z",
        "bookmark-timeout": "1.5",
    }
    assert not sent.keys() & {"cookie", "x-other"}
    for hostile in ("a\r\nx: y", {"a": 1}, "ä"):
        answer = await ask(client, "{me{id}}", extensions={"asOf": hostile})
        assert answer["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


async def test_health_says_which_subgraph_is_not_ready_and_why(users: TinySubgraph) -> None:
    class Down:
        async def start(self) -> None:
            return None

        async def send(self, request: SubgraphRequest) -> SubgraphResponse:
            if b"_service" in request.body:
                return await answering.send(request)
            raise SubgraphUnreachable("the subgraph could not be reached")

        async def aclose(self) -> None:
            await answering.aclose()

    answering = InProcessTransport(reviews_subgraph())
    options = RouterOptions(health_paths={"users": "/health"})
    async with client_of(federate({"users": users, "reviews": Down()}, options)) as client:
        assert (await client.get("/health/live")).json() == {"status": "live"}
        response = await client.get("/health/ready")
        assert response.status_code == 503
        assert response.json() == {
            "status": "not ready",
            "subgraphs": {
                "reviews": {"ready": False, "reason": "the subgraph could not be reached"},
                "users": {"ready": True},
            },
        }


async def test_a_subgraph_that_is_not_up_yet_is_waited_for() -> None:
    up = asyncio.Event()
    refused = asyncio.Event()
    inner = InProcessTransport(users_subgraph())

    class Late:
        async def start(self) -> None:
            return None

        async def send(self, request: SubgraphRequest) -> SubgraphResponse:
            if not up.is_set():
                refused.set()
                raise SubgraphUnreachable("the subgraph could not be reached")
            return await inner.send(request)

        async def aclose(self) -> None:
            if up.is_set():
                await inner.aclose()

    async with client_of(federate({"users": Late()})) as client:
        await refused.wait()
        response = await client.post("/graphql", json={"query": "{me{id}}"})
        assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (503, "NOT_READY")
        ready = await client.get("/health/ready")
        assert ready.json() == {"status": "not ready", "reason": "subgraph users: the subgraph could not be reached"}
        up.set()
        async with asyncio.timeout(seconds(10)):
            await _until_ready(client)
        assert (await ask(client, "{me{id}}"))["data"] == {"me": {"id": "1"}}


async def test_schemas_that_do_not_fit_stop_the_start() -> None:
    other = TinySubgraph(
        'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])\n'
        'type Query { b: Int } type User @key(fields: "id") { id: ID! name: Int! }',
        {},
        {"User": lambda one: one},
    )
    with pytest.raises(CompositionError, match=r"User\.name"):
        async with client_of(federate({"users": users_subgraph(), "other": other})):
            pass


async def test_joining_equal_queries_can_be_switched_off() -> None:
    for joining, expected in ((True, 1), (False, 2)):
        users = users_subgraph()
        async with await GraphRouter.compose({"users": users}, RouterOptions(join_equal_queries=joining)) as router:
            await router.execute("{ me { name } }")
            before = len(users.requests)
            answers = await asyncio.gather(*(router.execute("{ me { name } }") for _ in range(2)))
            assert [answer.data for answer in answers] == [{"me": {"name": "Ada"}}] * 2
            assert len(users.requests) - before == expected


async def test_equal_requests_can_be_joined_where_nothing_tells_them_apart() -> None:
    users = users_subgraph()
    options = RouterOptions(join_equal_requests=True, join_equal_queries=False)
    query = "query($id: ID!) { user(id: $id) { name } }"
    ada: dict[str, Any] = {"variables": {"id": "1"}, "headers": {"Authorization": "a", "User-Agent": "x"}}
    async with await GraphRouter.compose({"users": users}, options) as router:
        await router.execute(query, **ada)
        others: list[tuple[dict[str, Any], int]] = [
            (ada, 1),
            ({**ada, "headers": {"Authorization": "a", "User-Agent": "y"}}, 1),
            ({**ada, "headers": {"Authorization": "b"}}, 2),
            ({**ada, "variables": {"id": "2"}}, 2),
        ]
        for other, expected in others:
            before = len(users.requests)
            first, second = await asyncio.gather(router.execute(query, **ada), router.execute(query, **other))
            assert len(users.requests) - before == expected
            assert (first is second) == (expected == 1)
            assert orjson.loads(first.text()) == {"data": {"user": {"name": "Ada"}}}


async def test_mutations_are_never_joined() -> None:
    numbers = iter(range(10))
    counter = TinySubgraph(
        'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])\n'
        'type Query { one: One } type Mutation { next: Int! } type One @key(fields: "id") { id: ID! }',
        {"next": lambda _info: next(numbers)},
        {"One": lambda one: one},
    )
    async with await GraphRouter.compose({"a": counter}, RouterOptions(join_equal_requests=True)) as router:
        answers = await asyncio.gather(*(router.execute("mutation { next }") for _ in range(3)))
        assert {answer.data["next"] for answer in answers if answer.data} == {0, 1, 2}


async def test_documents_and_plans_are_cached_and_counted(client: httpx.AsyncClient, users: TinySubgraph) -> None:
    async with await GraphRouter.compose({"users": users_subgraph()}) as router:
        for query in ("{ me { name } }", "{ me { name } }", "# a comment\n{ me {name} }", "{ nobody }", "{ nobody }"):
            await router.execute(query)
        found: Any = router.statistics()
        assert (found["documents"]["hits"], found["documents"]["misses"], found["documents"]["entries"]) == (2, 3, 3)
        assert found["plans"]["entries"] == 1
        assert found["plans"]["hits"] == 1


async def test_conditions_are_decided_by_each_requests_variables(client: httpx.AsyncClient) -> None:
    query = "query($x: Boolean! = true) { me { id name @include(if: $x) reviews @skip(if: $x) { body } } }"
    assert (await ask(client, query))["data"] == {"me": {"id": "1", "name": "Ada"}}
    assert (await ask(client, query, variables={"x": False}))["data"] == {
        "me": {"id": "1", "reviews": [{"body": "first"}, {"body": "third"}]}
    }


async def test_the_log_has_no_variables_and_no_text_of_operations(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="graphrouter"):
        query = "query Who($id: ID!) { user(id: $id) { name } }"
        await ask(client, query, variables={"id": "secret"}, operationName="Who")
        await ask(client, '{ user(id: "secret") { nope } }')
    assert "operation=Who errors=-" in caplog.text
    assert "errors=GRAPHQL_VALIDATION_FAILED" in caplog.text
    assert "secret" not in caplog.text


async def test_an_unexpected_failure_is_told_without_detail(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the password is 1234")

    monkeypatch.setattr("graphrouter.pipeline.operation.compile_shape", broken)
    response = await client.post("/graphql", json={"query": "{ me { id name } }"})
    assert response.status_code == 500
    assert response.json()["errors"][0]["extensions"]["code"] == "INTERNAL_ERROR"
    assert "1234" not in response.text


async def test_further_routes_are_served_beside_the_routers() -> None:
    async def status(_request: Any) -> PlainTextResponse:
        return PlainTextResponse("all well")

    app = federate({"users": users_subgraph()}, routes=[Route("/status", status)])
    async with client_of(app) as client:
        assert (await client.get("/status")).text == "all well"
        assert (await client.get("/")).status_code == 200
    async with client_of(federate({"users": users_subgraph()}, RouterOptions(playground=False))) as client:
        assert (await client.get("/")).status_code == 404


async def test_the_playground_leads_to_the_pages_beside_it() -> None:
    options = RouterOptions(playground_links={"Console & more": 'status"'})
    async with client_of(federate({"users": users_subgraph()}, options)) as client:
        page = (await client.get("/")).text
    assert '<a href="status&quot;">Console &amp; more</a></nav>' in page


async def test_the_page_asks_a_cdn_with_a_hash_where_its_files_are_missing(tmp_path: Any) -> None:
    example = Example("</script>", "{ me }", {"a": 1}, {"Query-Plan": "1"})
    page = Playground((example,), assets=tmp_path).page()
    content = bytes(page.body).decode()
    assert 'integrity="sha384-' in content
    assert "https://cdn.jsdelivr.net/npm/@graphql-yoga/render-graphiql@" in content
    assert content.count("</script>") == 4
    assert "unsafe-eval" not in page.headers["content-security-policy"]
    for name in ("graphiql.js", "graphiql.css", "editor.worker.js", "json.worker.js", "graphql.worker.js"):
        (tmp_path / name).touch()
    page = Playground((example,), assets=tmp_path).page()
    assert "http" not in bytes(page.body).decode()
    assert "http" not in page.headers["content-security-policy"]


async def test_the_playground_is_not_framed_and_not_guessed_at(client: httpx.AsyncClient) -> None:
    headers = (await client.get("/")).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert (headers["x-frame-options"], headers["x-content-type-options"]) == ("DENY", "nosniff")
    assert (headers["referrer-policy"], headers["cross-origin-opener-policy"]) == ("no-referrer", "same-origin")


async def test_the_playgrounds_files_are_served_and_nothing_else(client: httpx.AsyncClient) -> None:
    assert (await client.get("/playground/playground.js")).status_code == 200
    for name in (
        "playground.html",
        "package-lock.json",
        "..%2fplayground.py",
        "nothing.js",
        "a" * 999 + ".js",
        "%00.js",
    ):
        assert (await client.get(f"/playground/{name}")).status_code == 404
