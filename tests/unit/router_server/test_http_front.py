"""The front of GraphQL over HTTP, before whatever executes."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from graphrouter import GraphQLAnswer, GraphQLRequest, RouterOptions, federate
from graphrouter.http.capacity import EndpointLimits
from graphrouter.http.endpoint import GraphQLEndpoint
from graphrouter.http.hosts import HostCheck
from graphrouter.http.media_types import GRAPHQL_RESPONSE, JSON, negotiate
from graphrouter.http.refusal import HttpRefusal
from graphrouter.request import error_object
from tests.support.tiny_subgraph import reviews_subgraph, users_subgraph

APP = "https://app.example.com"


@contextlib.asynccontextmanager
async def client_of(options: RouterOptions) -> AsyncGenerator[httpx.AsyncClient]:
    app: Starlette = federate({"users": users_subgraph(), "reviews": reviews_subgraph()}, options)
    transport = httpx.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://r") as client:
        yield client


@pytest.fixture
async def client() -> AsyncGenerator[httpx.AsyncClient]:
    async with client_of(RouterOptions()) as client:
        yield client


NEW, OLD = "application/graphql-response+json", "application/json"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (NEW, GRAPHQL_RESPONSE),
        (f"{OLD}, {NEW}", GRAPHQL_RESPONSE),
        (f"{NEW};q=0.5, {OLD}", JSON),
        (f"{NEW};q=0.5, {OLD};q=0.9", JSON),
        (f"{NEW};q=0.9, {OLD};q=0.5", GRAPHQL_RESPONSE),
        (f"{NEW};charset=utf-8;q=0.9, {OLD}; Q=0.5", GRAPHQL_RESPONSE),
        (f"{NEW};q=0, {OLD}", JSON),
        (f"{NEW};q=0, */*", JSON),
        (f"{OLD};q=0, */*;q=0.1", GRAPHQL_RESPONSE),
        (f"{OLD};q=0.1, application/*;q=0.9", GRAPHQL_RESPONSE),
        (f"text/html, {OLD.upper()};q=0.001", JSON),
        (f"{NEW};q=x, {OLD};q=0.1", JSON),
        (f"{OLD};q=0", None),
        (f"{NEW};q=0, {OLD};q=0.000", None),
        ("text/html", None),
        ("*/*;q=0", None),
        (f"{OLD}, " * 100, None),
    ],
)
def test_the_answers_media_type_is_the_one_of_highest_weight(accept: str | None, expected: bytes | None) -> None:
    if expected is None:
        with pytest.raises(HttpRefusal) as caught:
            negotiate(accept)
        assert caught.value.status == 406
    else:
        assert negotiate(accept) == expected


def persisted(query: str, version: object = 1) -> dict[str, object]:
    return {"persistedQuery": {"version": version, "sha256Hash": hashlib.sha256(query.encode()).hexdigest()}}


async def test_a_hash_without_a_query_is_answered_in_the_words_of_the_protocol(client: httpx.AsyncClient) -> None:
    posted = await client.post("/graphql", json={"extensions": persisted("{ me { id } }")})
    parameters = {"extensions": f'{{"persistedQuery": {{"version": 1, "sha256Hash": "{"0" * 64}"}}}}'}
    for response in (posted, await client.get("/graphql", params=parameters)):
        assert response.status_code == 200
        (error,) = response.json()["errors"]
        assert error == {
            "message": "PersistedQueryNotSupported",
            "extensions": {"code": "PERSISTED_QUERY_NOT_SUPPORTED"},
        }


async def test_a_hash_beside_its_query_changes_nothing_and_another_one_is_refused(client: httpx.AsyncClient) -> None:
    query = "{ me { id } }"
    right = await client.post("/graphql", json={"query": query, "extensions": persisted(query)})
    assert right.json() == {"data": {"me": {"id": "1"}}}
    others: list[dict[str, object]] = [
        persisted("{ me { name } }"),
        persisted(query, 2),
        {"persistedQuery": []},
        {"persistedQuery": {"version": 1}},
        {"persistedQuery": {"version": 1, "sha256Hash": 5}},
    ]
    for extensions in others:
        wrong = await client.post("/graphql", json={"query": query, "extensions": extensions})
        assert (wrong.status_code, wrong.json()["errors"][0]["extensions"]["code"]) == (400, "BAD_REQUEST")


async def test_head_answers_like_get_without_the_body(client: httpx.AsyncClient) -> None:
    for parameters in ({"query": "{ me { id } }"}, {"query": "mutation { a }"}, {"query": "{"}, {}):
        got = await client.get("/graphql", params=parameters)
        head = await client.head("/graphql", params=parameters)
        assert (head.status_code, head.headers, head.content) == (got.status_code, got.headers, b"")


async def test_a_path_with_a_slash_at_its_end_leads_nowhere(client: httpx.AsyncClient) -> None:
    for path in ("/graphql/", "/health/live/"):
        response = await client.post(path, headers={"host": "evil.example"})
        assert (response.status_code, response.headers.get("location")) == (404, None)


class Slow:
    """An executor that answers when it is told to."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[None] = asyncio.Queue()
        self.go_on = asyncio.Event()

    async def answer(self, request: GraphQLRequest) -> GraphQLAnswer:
        self.begun.put_nowait(None)
        await self.go_on.wait()
        return GraphQLAnswer({"a": 1}, [], {})


async def test_one_request_too_many_is_turned_away_at_once_and_those_before_it_are_answered() -> None:
    slow = Slow()
    endpoint = GraphQLEndpoint(lambda: slow, EndpointLimits(body_bytes=1000, concurrent=2), gives_up=False)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(endpoint), base_url="http://r") as client:
        first = [asyncio.create_task(client.post("/", json={"query": "{a}"})) for _ in range(2)]
        for _ in first:
            await slow.begun.get()
        refused = await client.post("/", json={"query": "{a}"})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json()["errors"][0]["extensions"]["code"] == "OVERLOADED"
        slow.go_on.set()
        assert [(await task).status_code for task in first] == [200, 200]
        assert (await client.post("/", json={"query": "{a}"})).status_code == 200


async def test_only_a_defect_of_the_executor_itself_is_status_500() -> None:
    answers = [
        GraphQLAnswer(None, [error_object("broken", "INTERNAL_ERROR")], {}),
        GraphQLAnswer({"a": None}, [error_object("theirs", "INTERNAL_ERROR", path=["a"], service="users")], {}),
        GraphQLAnswer(None, [error_object("theirs", "INTERNAL_ERROR", path=["a"], service="users")], {}),
    ]

    class Executor:
        async def answer(self, request: GraphQLRequest) -> GraphQLAnswer:
            return answers[int(request.query)]

    endpoint = GraphQLEndpoint(Executor, EndpointLimits(body_bytes=1000, concurrent=1))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(endpoint), base_url="http://r") as client:
        statuses = [(await client.post("/", json={"query": str(n)})).status_code for n in range(3)]
    assert statuses == [500, 200, 200]


async def test_a_header_that_comes_twice_is_not_one_of_the_two(client: httpx.AsyncClient) -> None:
    twice = [("content-type", "application/json"), ("content-type", "text/plain")]
    for headers in (twice, twice[::-1]):
        response = await client.post("/graphql", content=b'{"query": "{me{id}}"}', headers=headers)
        assert response.status_code == 415


async def status_of(
    server: tuple[str, int | None] | None, *values: bytes, hosts: tuple[str, ...] = (), version: str = "1.1"
) -> int:
    """What a request with these Host headers is answered with, on a connection to this address."""
    sent: list[Any] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Any:
        raise AssertionError("a host is checked before anything is read")

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", value) for value in values]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers, "server": server}
    check = HostCheck(app, hosts)
    for _ in range(2):  # the second time from what is remembered
        await check({**scope, "http_version": version}, receive, send)
    statuses = {message["status"] for message in sent if message["type"] == "http.response.start"}
    assert len(statuses) == 1
    return int(statuses.pop())


LOOPBACK, LOOPBACK_6, PUBLIC = ("127.0.0.1", 4000), ("::1", 4000), ("192.0.2.7", 4000)


@pytest.mark.parametrize(
    "host",
    [b"127.0.0.1", b"127.0.0.1:4000", b"[::1]:4000", b"localhost:4000", b"LOCALHOST", b"kith.localhost", b"localhost."],
)
async def test_a_loopback_address_is_asked_by_addresses_and_localhost(host: bytes) -> None:
    assert [await status_of(server, host) for server in (LOOPBACK, LOOPBACK_6, PUBLIC)] == [200, 200, 200]


@pytest.mark.parametrize(
    "host",
    [b"evil.example", b"evil.example:4000", b"127.0.0.1.evil.example", b"localhost.evil.example", b"notlocalhost"],
)
async def test_a_name_that_leads_to_a_loopback_address_is_not_served(host: bytes) -> None:
    servers = (LOOPBACK, LOOPBACK_6, ("::ffff:127.0.0.1", 1), ("127.8.0.1", 1))
    assert {await status_of(server, host) for server in servers} == {421}
    assert await status_of(PUBLIC, host) == 200
    assert await status_of(LOOPBACK, host, hosts=("*",)) == 200


async def test_with_hosts_only_these_are_served_at_every_address() -> None:
    hosts = ("Api.example.com", "*.example.org")
    for server in (LOOPBACK, PUBLIC, ("/a/socket", None)):
        for host, status in (
            (b"api.example.com", 200),
            (b"API.example.com:443", 200),
            (b"a.b.example.org", 200),
            (b"example.org", 421),
            (b"evilexample.org", 421),
            (b"example.com", 421),
            (b"192.0.2.7", 200),
        ):
            assert await status_of(server, host, hosts=hosts) == status


@pytest.mark.parametrize(
    "values",
    [
        (b"127.0.0.1", b"127.0.0.1"),
        (b"localhost", b"evil.example"),
        (b"",),
        (b"a b",),
        (b"localhost@evil",),
        (b"localhost/",),
        (b"localhost:x",),
        (b"[::1",),
        (b"\xff",),
        (b"a" * 300,),
        (b"localhost, evil.example",),
    ],
)
async def test_a_host_header_that_is_doubled_or_malformed_is_refused(values: tuple[bytes, ...]) -> None:
    for server in (LOOPBACK, PUBLIC, None):
        assert await status_of(server, *values, hosts=("*",)) == 400


async def test_without_a_host_header_http_1_1_is_refused() -> None:
    assert await status_of(LOOPBACK) == 400
    assert await status_of(PUBLIC, hosts=("*",)) == 400
    assert await status_of(LOOPBACK, version="1.0") == 200
    assert await status_of(None) == 200  # a call inside of the process


async def test_the_host_is_checked_for_every_path_of_the_router() -> None:
    async with client_of(RouterOptions(hosts=("api.example.com",))) as client:
        for path in ("/graphql", "/", "/health/live", "/health/ready", "/playground/playground.js", "/nowhere"):
            response = await client.get(path, headers={"host": "evil.example"})
            assert (response.status_code, "evil.example" in response.json()["errors"][0]["message"]) == (421, True)
        assert (await client.get("/health/live", headers={"host": "api.example.com"})).status_code == 200


PREFLIGHT = {
    "origin": APP,
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type, bookmark",
}


async def test_other_origins_are_told_nothing_unless_they_are_named(client: httpx.AsyncClient) -> None:
    preflight = await client.options("/graphql", headers=PREFLIGHT)
    answer = await client.post("/graphql", json={"query": "{ me { id } }"}, headers={"origin": APP})
    assert preflight.status_code == 405
    assert not [name for response in (preflight, answer) for name in response.headers if "access-control" in name]
    async with client_of(RouterOptions(cors_origins=("https://other.example.com",))) as closed:
        assert (await closed.options("/graphql", headers=PREFLIGHT)).status_code == 400
        answer = await closed.post("/graphql", json={"query": "{ me { id } }"}, headers={"origin": APP})
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("origins", [(APP,), ("https://other.example.com", APP), ("*",)])
async def test_the_origins_that_are_named_may_ask(origins: tuple[str, ...]) -> None:
    async with client_of(RouterOptions(cors_origins=origins)) as client:
        preflight = await client.options("/graphql", headers=PREFLIGHT)
        answer = await client.post("/graphql", json={"query": "{ me { id } }"}, headers={"origin": APP})
    assert (preflight.status_code, answer.json()) == (200, {"data": {"me": {"id": "1"}}})
    for response in (preflight, answer):
        assert response.headers["access-control-allow-origin"] in {APP, "*"}
        assert "access-control-allow-credentials" not in response.headers
    assert preflight.headers["access-control-allow-headers"] == "content-type, bookmark"
    assert "bookmark" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("origin", ["app.example.com", f"{APP}/", f"{APP}/path", "https://", "", "https://a b"])
def test_an_origin_that_no_browser_sends_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="cors_origins: expected an origin"):
        federate({"users": users_subgraph()}, RouterOptions(cors_origins=(origin,)))


@pytest.mark.parametrize(
    "host", ["https://api.example.com", "api.example.com/", "api.example.com:80", "", "a b", "*.*.a"]
)
def test_a_host_that_no_request_can_name_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="hosts: expected a name"):
        federate({"users": users_subgraph()}, RouterOptions(hosts=(host,)))


@pytest.mark.parametrize("host", ["*", "api.example.com", "*.example.com", "localhost", "10.0.0.1", "::1", "[::1]"])
def test_a_host_that_a_request_can_name_is_taken(host: str) -> None:
    federate({"users": users_subgraph()}, RouterOptions(hosts=(host,)))
