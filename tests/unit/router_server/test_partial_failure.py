"""What a client gets when a subgraph, behind HTTP, is down, slow, wrong or too much; and what is refused before work.

Two subgraphs: reviews, which are well, and authors, of whom something is wrong each time. The client has what reviews
gave, nulls where the schema allows them, and errors with a path and a code that name the subgraph and nothing inside.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import pytest

from graphrouter import GraphRouter, Limits, RouterOptions
from graphrouter.http.capacity import EndpointLimits
from graphrouter.http.endpoint import GraphQLEndpoint
from infra.patience import seconds
from tests.support.supergraphs import supergraph_sdl

SUPERGRAPH = supergraph_sdl(
    """
    type Query @t(AUTHORS) @t(REVIEWS) { reviews: [Review!]! @f(REVIEWS) me: Author @f(AUTHORS) }
    type Mutation @t(REVIEWS) { review(text: String): Review @f(REVIEWS) }
    type Review @t(REVIEWS) { text: String! author: Author }
    type Author @t(AUTHORS, key: "id") @t(REVIEWS, key: "id") {
      id: ID!
      name: String @f(AUTHORS)
      mail: String! @f(AUTHORS)
      friend: Author @f(AUTHORS)
    }
    """,
    "AUTHORS",
    "REVIEWS",
    more="mutation: Mutation",
)
REVIEWS = [{"text": "fine", "author": {"id": "1"}}, {"text": "poor", "author": {"id": "2"}}]
LIMIT = 100_000
SECRET = "10.0.0.7"

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def http(body: bytes, status: str = "200 OK", kind: str = "application/json", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {size}\r\nconnection: close\r\n\r\n"
    return head.encode() + body


def answering(data: bytes) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        writer.write(data)
        await writer.drain()
        writer.close()

    return handle


def saying(answer: object, status: str = "200 OK") -> Handler:
    return answering(http(json.dumps(answer).encode(), status))


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    size = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return await reader.readexactly(int(size.split(b":")[1]))


async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()  # until the router gives up
    writer.close()


async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A hundred megabytes, as far as they are taken."""
    await _request(reader)
    writer.write(http(b'{"data":{"_entities":["', length=100_000_000))
    try:
        for _ in range(100):
            writer.write(b"x" * 1_000_000)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


def entities(*found: object, errors: object = None) -> dict[str, object]:
    return {"data": {"_entities": list(found)}, **({"errors": errors} if errors else {})}


ADA, GRACE = {"name": "Ada"}, {"name": "Grace"}
OVER_HTTP: dict[str, tuple[Handler, str]] = {
    "hangs up": (hang_up, "SUBREQUEST_FAILED"),
    "is slow": (never, "SUBREQUEST_TIMEOUT"),
    "answers HTML": (answering(http(b"<html>oops " + SECRET.encode(), kind="text/html")), "SUBREQUEST_MALFORMED"),
    "answers an error page": (answering(http(b"<html>", "502 Bad Gateway", "text/html")), "SUBREQUEST_HTTP_ERROR"),
    "answers half a JSON": (answering(http(b'{"data": {"_entities": [{"na')), "SUBREQUEST_MALFORMED"),
    "breaks off": (answering(http(b'{"data": {"_ent', length=500)), "SUBREQUEST_FAILED"),
    "answers a list": (saying([1, 2]), "SUBREQUEST_MALFORMED"),
    "answers nothing": (saying({}), "SUBREQUEST_MALFORMED"),
    "answers the wrong type": (saying({"data": {"_entities": {"name": "Ada"}}}), "SUBREQUEST_MALFORMED"),
    "answers too few entities": (saying(entities(ADA)), "SUBREQUEST_MALFORMED"),
    "answers too many entities": (saying(entities(ADA, GRACE, ADA)), "SUBREQUEST_MALFORMED"),
    "answers an error": (saying({"data": None, "errors": [{"message": "no", "extensions": {"code": "GONE"}}]}), "GONE"),
    "answers 100 MB": (endless, "SUBREQUEST_TOO_LARGE"),
}


@asynccontextmanager
async def routed(authors: Handler, **options: Any) -> AsyncGenerator[GraphRouter]:
    """A router over both subgraphs, each behind a port."""
    reviews = await asyncio.start_server(saying({"data": {"reviews": REVIEWS, "review": REVIEWS[0]}}), "127.0.0.1", 0)
    server = await asyncio.start_server(authors, "127.0.0.1", 0)
    urls = {
        name: f"http://127.0.0.1:{one.sockets[0].getsockname()[1]}/graphql"
        for name, one in (("reviews", reviews), ("authors", server))
    }
    settings = RouterOptions(subgraph_timeouts={"authors": 0.3}, subgraph_response_bytes=LIMIT, **options)
    try:
        async with GraphRouter.from_supergraph(SUPERGRAPH, urls, settings) as router:
            yield router
    finally:
        for one in (reviews, server):
            one.close()


def told(answer: dict[str, Any]) -> list[tuple[list[str | int], str, str]]:
    return [(e["path"], e["extensions"]["code"], e["extensions"]["service"]) for e in answer["errors"]]


@pytest.mark.parametrize(("authors", "code"), OVER_HTTP.values(), ids=OVER_HTTP)
async def test_the_client_gets_what_the_others_gave_and_learns_who_failed(authors: Handler, code: str) -> None:
    async with routed(authors) as router:
        answer: dict[str, Any] = (await router.execute("{ reviews { text author { id name } } }")).body()
    authors_alone = [{"id": "1", "name": None}, {"id": "2", "name": None}]
    assert [review["text"] for review in answer["data"]["reviews"]] == ["fine", "poor"]
    assert [review["author"] for review in answer["data"]["reviews"]] == authors_alone
    assert told(answer) == [(["reviews", 0, "author"], code, "authors"), (["reviews", 1, "author"], code, "authors")]
    assert not any(word in json.dumps(answer) for word in (SECRET, "127.0.0.1", "Traceback", "html"))


async def test_a_subgraph_that_is_down_leaves_null_as_far_up_as_the_schema_demands() -> None:
    async with routed(hang_up) as router:
        answer: dict[str, Any] = (await router.execute("{ reviews { text author { mail } } me { name } }")).body()
    assert answer["data"] == {
        "reviews": [{"text": "fine", "author": None}, {"text": "poor", "author": None}],
        "me": None,
    }
    assert {(code, service) for _, code, service in told(answer)} == {("SUBREQUEST_FAILED", "authors")}


async def test_a_value_of_the_wrong_type_is_null_with_an_error_and_the_rest_stays() -> None:
    async with routed(saying(entities({"name": {"first": "Ada"}}, GRACE))) as router:
        answer: dict[str, Any] = (await router.execute("{ reviews { author { name } } }")).body()
    assert answer["data"]["reviews"] == [{"author": {"name": None}}, {"author": GRACE}]
    assert [(error["path"], error["extensions"]["code"]) for error in answer["errors"]] == [
        (["reviews", 0, "author", "name"], "INVALID_VALUE")
    ]


async def test_an_entity_that_is_missing_and_one_with_an_error_are_told_apart() -> None:
    error = {"message": "no such author", "path": ["_entities", 1, "name"], "extensions": {"code": "NOBODY"}}
    async with routed(saying(entities(None, {"name": None}, errors=[error]))) as router:
        answer: dict[str, Any] = (await router.execute("{ reviews { author { name } } }")).body()
    assert answer["data"]["reviews"] == [{"author": {"name": None}}, {"author": {"name": None}}]
    assert told(answer) == [(["reviews", 1, "author", "name"], "NOBODY", "authors")]


SMALL = Limits(tokens=200, depth=5, fields=20, aliases=3, root_fields=4, repeats=6)
FRIENDS = "friend { " * 10 + "id" + " }" * 10
BOMB = "".join(f" fragment F{n} on Author {{ ...F{n + 1} ...F{n + 1} }}" for n in range(8)) + " fragment F8 on Author"
HOSTILE: dict[str, tuple[str, str]] = {
    "tokens": ("{ me { id " + "# c\n name " * 210 + "} }", "TOO_MANY_TOKENS"),
    "depth": (f"{{ me {{ {FRIENDS} }} }}", "TOO_DEEP"),
    "breadth": (
        "{ me { " + " ".join("... { id name friend { id } }" for _ in range(8)) + " } }",
        "TOO_MANY_FIELDS",
    ),
    "aliases": ("{ me { a: id b: id c: id d: id } }", "TOO_MANY_ALIASES"),
    "root fields": (
        "{ me { id } ... { me { id } } ... { me { id } ... { me { id } me { id } } } }",
        "TOO_MANY_ROOT_FIELDS",
    ),
    "repeats": ("{ me { " + "id " * 7 + "} }", "OPERATION_TOO_LARGE"),
    "a fragment within itself": ("{ me { ...F } } fragment F on Author { friend { ...F } }", "FRAGMENT_CYCLE"),
    "fragments in a circle": (
        "{ me { ...F } } fragment F on Author { ...G } fragment G on Author { ...F }",
        "FRAGMENT_CYCLE",
    ),
    "a bomb of fragments": ("{ me { ...F0 } }" + BOMB + " { id }", "TOO_MANY_FIELDS"),
}


@pytest.mark.parametrize(("query", "code"), HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_operation_is_refused_before_any_request(query: str, code: str) -> None:
    asked: list[bytes] = []

    async def watched(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await _request(reader))
        writer.close()

    async with routed(watched, limits=SMALL) as router:
        answer = await router.execute(query)
    assert ([error["extensions"]["code"] for error in answer.errors], answer.data, answer.refused) == (
        [code],
        None,
        True,
    )
    assert asked == []


async def test_planning_that_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with routed(never) as router:
        monkeypatch.setattr(router.planner, "limits", type(router.planner.limits)(max_work=1))
        answer = await router.execute("{ reviews { author { name friend { name } } } }")
    assert [error["extensions"]["code"] for error in answer.errors] == ["PLANNING_LIMIT"]
    assert answer.refused


async def test_null_for_a_condition_is_refused_and_not_taken_for_false() -> None:
    query = "query ($skipped: Boolean = true) { reviews { text @skip(if: $skipped) __typename } }"
    async with routed(never) as router:
        answer = await router.execute(query, {"skipped": None})
        assert [error["extensions"]["code"] for error in answer.errors] == ["INVALID_VARIABLES"]
        assert (await router.execute(query)).data == {"reviews": [{"__typename": "Review"}] * 2}


@pytest.mark.parametrize("value", ["Bearer ключ", "Bearer a\r\nx: y", "Bearer \x00"])
async def test_a_header_that_http_does_not_carry_is_refused_by_name(value: str) -> None:
    async with routed(never) as router:
        answer = await router.execute("{ reviews { text } }", headers={"Authorization": value})
    assert [error["extensions"]["code"] for error in answer.errors] == ["INVALID_INPUT"]
    assert "authorization" in str(answer.errors[0]["message"])


class Gone:
    """A client that sends its request and goes away once the subgraph has been asked."""

    def __init__(self, query: str, asked: asyncio.Event, method: str = "POST") -> None:
        self._scope = SCOPE | {"method": method}
        self._body = json.dumps({"query": query}).encode()
        if method == "GET":
            self._scope["query_string"] = f"query={quote(query)}".encode()
            self._body = b" "
        self._asked = asked
        self.got: list[Any] = []

    async def visit(self, router: GraphRouter) -> None:
        endpoint = GraphQLEndpoint(lambda: router, EndpointLimits(body_bytes=10_000, concurrent=1))
        await endpoint(self._scope, self.receive, self.send)

    async def receive(self) -> dict[str, Any]:
        if self._body:
            body, self._body = self._body, b""
            return {"type": "http.request", "body": body, "more_body": False}
        await self._asked.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.got.append(message)


SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "POST",
    "path": "/graphql",
    "headers": [(b"content-type", b"application/json")],
    "query_string": b"",
}


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_query_whose_client_has_gone_is_given_up(method: str) -> None:
    asked, given_up = asyncio.Event(), asyncio.Event()

    async def authors(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        asked.set()
        await reader.read()  # ends when the router closes the connection
        given_up.set()
        writer.close()

    async with routed(authors) as router:
        client = Gone("{ me { name } }", asked, method)
        await client.visit(router)
        await asyncio.wait_for(given_up.wait(), seconds(10))
    assert client.got == []


async def test_a_mutation_whose_client_has_gone_goes_on() -> None:
    asked, go_on, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def authors(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await _request(reader)
        await go_on.wait()
        writer.write(http(json.dumps(entities(ADA)).encode()))
        await writer.drain()
        finished.set()
        writer.close()

    async with routed(authors) as router:
        client = Gone("mutation { review { author { name } } }", asked)
        await client.visit(router)
        go_on.set()
        await asyncio.wait_for(finished.wait(), seconds(10))
    assert client.got == []
