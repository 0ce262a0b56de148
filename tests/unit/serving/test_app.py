"""The way of a request through a subgraph's app, with a schema and a view as small as can be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
import strawberry
from strawberry.types import Info
from structlog.testing import capture_logs

from eventgraph.serving.app import LIMITS, subgraph_app
from eventgraph.serving.federation import FederatedSchema, Representation, field, key_of
from eventgraph.serving.readiness import Readiness
from eventgraph.serving.request import Request
from eventkernel.errors import (
    AlreadyExists,
    ClaimTaken,
    InvalidInput,
    NotFound,
    OutOfDate,
    Unavailable,
    VersionConflict,
)
from eventkernel.events import Position
from eventkernel.reading.as_of import AsOf, Moment
from eventkernel.reading.bookmark import Bookmark
from eventkernel.writing.store import Checkpoint
from graphrouter.http.actors import Actor, ActorKeys

MODERN = {"Accept": "application/graphql-response+json, application/json;q=0.9"}
SENT = Bookmark(Position.of("doors.a", 0, 3))
LATER = Bookmark(Position.of("doors.a", 0, 5))
OTHER = Bookmark(Position.of("windows.b", 2, 7))


class View:
    """A view of doors that counts how often it is read."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.position = self.position_after = LATER.position
        self.then: list[AsOf | None] = []

    def as_of(self, then: AsOf | None) -> View:
        self.then.append(then)
        return self

    async def shown(self) -> Checkpoint:
        return Checkpoint(self.position)


ACTORS = ActorKeys.drawn()


class Gate:
    """Says what it was asked for, and lets nobody past position 100."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.asked: list[tuple[Bookmark, float]] = []
        self.pasts: list[AsOf] = []

    async def wait(self, bookmark: Bookmark, timeout: float) -> View:
        self.asked.append((bookmark, timeout))
        await asyncio.sleep(0)
        if any(offset > 100 for offset in bookmark.position.values()):
            raise OutOfDate("the view did not get there")
        return self.view

    async def wait_for_past(self, as_of: AsOf, bookmark: Bookmark, timeout: float) -> View:
        self.pasts.append(as_of)
        return await self.wait(bookmark, timeout)


async def read_doors(view: View, ids: Sequence[str]) -> Sequence[str]:
    view.batches.append(list(ids))
    view.position = view.position_after
    return [f"door {door_id}" for door_id in ids]


async def read_colours(view: View, ids: Sequence[str]) -> Sequence[str]:
    return ["red" for _ in ids]


DoorsInfo = Info[Request[Any, None], None]


@strawberry.federation.type(keys=["id"], description="A door.")
class Door:
    id: strawberry.ID

    @field("What it is called.")
    async def name(self, info: DoorsInfo) -> str:
        return await info.context.loader(read_doors).load(self.id)

    @field("What it looks like.")
    async def colour(self, info: DoorsInfo) -> str:
        return await info.context.loader(read_colours).load(self.id)

    @classmethod
    async def resolve_references(
        cls, representations: Sequence[Representation], info: Info[Any, None]
    ) -> Sequence[object | None]:
        ids = [key_of(representation) for representation in representations]
        (await info.context.view()).batches.append(["entities", *ids])
        return [
            NotFound("locked") if i == "locked" else None if i == "none" else Door(id=strawberry.ID(i)) for i in ids
        ]


@strawberry.federation.type(keys=["id"], description="A window.")
class Window:
    id: strawberry.ID

    @classmethod
    async def resolve_references(
        cls, representations: Sequence[Representation], info: Info[Any, None]
    ) -> Sequence[object | None]:
        (await info.context.view()).batches.append(["windows"])
        return [Window(id=strawberry.ID(f"w{key_of(representation)}")) for representation in representations]


FAILURES: dict[str, Exception] = {
    "not found": NotFound("door: there is none"),
    "conflict": VersionConflict("door-1", 3, 4),
    "defect": RuntimeError("the password is 1234"),
    "unavailable": Unavailable("users.sqlite: the disk is full"),
    "claim": ClaimTaken("username:ada"),
    "long": InvalidInput("x" * 2000),
}


@strawberry.type
class Query:
    @field("A door.")
    async def door(self, number: int) -> Door | None:
        return Door(id=strawberry.ID(str(number)))

    @field("Some doors.")
    async def doors(self, numbers: list[int]) -> list[Door]:
        return [Door(id=strawberry.ID(str(number))) for number in numbers]

    @field("What fails.")
    async def fail(self, how: str) -> int | None:
        raise FAILURES[how]

    @field("How long this request may still wait.")
    async def patience(self, info: DoorsInfo) -> float:
        return info.context.timeout

    @field("Who asks.")
    async def asks(self, info: DoorsInfo) -> list[str]:
        metadata = info.context.metadata
        return [info.context.caller, str(metadata.actor), str(metadata.correlation), str(metadata.traceparent)]


@strawberry.type
class Mutation:
    @field("Opens.")
    async def open(self, info: DoorsInfo, twice: bool = False) -> str | None:
        if twice:
            raise AlreadyExists("door: it is open")
        info.context.join(OTHER)
        return info.context.bookmark.encode()

    @field("Opens one door after the other, and gives them.")
    async def unlock(self, info: DoorsInfo, at: int, numbers: list[int]) -> list[Door]:
        await info.context.loader(read_doors).load("key")
        for number in numbers:
            info.context.wrote(Bookmark(Position.of("doors.a", number, at)))
        return [Door(id=strawberry.ID(str(number))) for number in numbers]

    @field("Opens, and shows what is there then.")
    async def look(self, info: DoorsInfo) -> str | None:
        return await info.context.loader(read_doors).load("1")


SCHEMA = FederatedSchema(query=Query, mutation=Mutation, types=[Window])


@pytest.fixture
def view() -> View:
    return View()


@pytest.fixture
def gate(view: View) -> Gate:
    return Gate(view)


@pytest.fixture
def readiness() -> list[Readiness]:
    return [Readiness()]


async def _ready() -> Readiness:
    return Readiness()


@pytest.fixture
async def client(gate: Gate, readiness: list[Readiness]) -> AsyncIterator[httpx.AsyncClient]:
    async def ready() -> Readiness:
        return readiness[-1]

    app = subgraph_app(SCHEMA, gate=gate, writes=None, readiness=ready, actors=ACTORS)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://doors") as made:
        yield made


async def ask(
    client: httpx.AsyncClient, query: str, headers: dict[str, str] | None = None, **parameters: object
) -> tuple[dict[str, Any], httpx.Response]:
    response = await client.post("/graphql", json={"query": query, **parameters}, headers=headers)
    return response.json(), response


def code(answer: dict[str, Any]) -> str:
    (error,) = answer["errors"]
    return str(error["extensions"]["code"])


async def test_a_query_is_answered_with_the_position_of_what_it_read(client: httpx.AsyncClient) -> None:
    answer, response = await ask(client, "{ door(number: 1) { id name } }")
    assert answer == {
        "data": {"door": {"id": "1", "name": "door 1"}},
        "extensions": {"bookmark": LATER.encode()},
    }
    assert response.headers["bookmark"] == LATER.encode()
    assert response.headers["content-type"] == "application/json; charset=utf-8"


async def test_the_root_path_answers_too(client: httpx.AsyncClient) -> None:
    response = await client.post("/", json={"query": "{ door(number: 1) { id } }"})
    assert response.json()["data"] == {"door": {"id": "1"}}


async def test_the_bookmarks_of_header_and_extensions_are_joined(client: httpx.AsyncClient, gate: Gate) -> None:
    answer, _ = await ask(
        client,
        "{ door(number: 1) { id } }",
        {"Bookmark": SENT.encode(), "Bookmark-Timeout": "1.5"},
        extensions={"bookmark": OTHER.encode()},
    )
    assert gate.asked == [(SENT.join(OTHER), 1.5)]
    assert answer["extensions"]["bookmark"] == LATER.join(OTHER).encode()


async def test_waiting_for_the_bookmark_takes_from_the_time_of_the_request(
    client: httpx.AsyncClient, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, _ = await ask(client, "{ patience }", {"Bookmark-Timeout": "30"})
    assert 20 < answer["data"]["patience"] <= 30
    loop = asyncio.get_running_loop()
    began = loop.time()

    with monkeypatch.context() as patched:

        async def wait_long(_bookmark: Bookmark, _timeout: float) -> View:
            patched.setattr(loop, "time", lambda: began + 60)
            return gate.view

        patched.setattr(gate, "wait", wait_long)
        answer, _ = await ask(client, "{ patience }", {"Bookmark-Timeout": "30"})
    assert answer["data"]["patience"] == 0


async def test_the_bookmark_covers_what_the_view_learned_during_the_request(
    client: httpx.AsyncClient, view: View
) -> None:
    view.position_after = Position.of("doors.a", 0, 9)
    answer, _ = await ask(client, "{ door(number: 1) { name } }")
    assert answer["extensions"]["bookmark"] == Bookmark(view.position_after).encode()


async def test_a_mutation_answers_with_the_bookmark_that_it_was_sent_and_its_own_but_no_checkpoint(
    client: httpx.AsyncClient,
) -> None:
    answer, response = await ask(client, "mutation { open }", {"Bookmark": SENT.encode()})
    expected = SENT.join(OTHER).encode()
    assert answer == {"data": {"open": expected}, "extensions": {"bookmark": expected}}
    assert response.headers["bookmark"] == expected


async def test_what_a_mutation_has_written_is_waited_for_where_its_answer_reads_it(
    client: httpx.AsyncClient, gate: Gate
) -> None:
    answer, _ = await ask(client, "mutation { unlock(at: 7, numbers: [1, 2]) { id } }", {"Bookmark": SENT.encode()})
    assert answer["data"] == {"unlock": [{"id": "1"}, {"id": "2"}]}
    assert [asked for asked, _ in gate.asked] == [SENT], "nothing of the view is read behind the commits"
    gate.asked.clear()
    answer, _ = await ask(client, "mutation { unlock(at: 7, numbers: [1, 2]) { id name colour } }")
    assert answer["data"]["unlock"][1] == {"id": "2", "name": "door 2", "colour": "red"}
    written = Bookmark(Position.of("doors.a", 1, 7).join(Position.of("doors.a", 2, 7)))
    assert [asked for asked, _ in gate.asked] == [Bookmark(), written], "once, for all that were written and read"


async def test_each_mutation_of_a_document_reads_what_was_written_before(
    client: httpx.AsyncClient, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, other = View(), View()
    first.position = first.position_after = Position.of("doors.a", 5, 1)
    views = iter([first, other, gate.view])
    asked: list[Bookmark] = []

    async def wait(bookmark: Bookmark, _timeout: float) -> View:
        asked.append(bookmark)
        return next(views)

    monkeypatch.setattr(gate, "wait", wait)
    answer, _ = await ask(
        client, "mutation { a: unlock(at: 7, numbers: [1]) { name } b: unlock(at: 8, numbers: [1]) { name } }"
    )
    assert answer["data"] == {"a": [{"name": "door 1"}], "b": [{"name": "door 1"}]}
    assert asked == [Bookmark(), Bookmark(Position.of("doors.a", 1, 7)), Bookmark(Position.of("doors.a", 1, 8))]
    assert (first.batches, other.batches) == ([["key"]], [["1"], ["key"]])
    assert gate.view.batches == [["1"]], "what was loaded before a commit is loaded anew behind it"
    bookmark = Bookmark.decode(answer["extensions"]["bookmark"]).position
    assert bookmark.covers(first.position.join(LATER.position)), "the answer has shown all three builds"


async def test_a_view_that_does_not_get_to_a_commit_in_time_shows_nothing_older(client: httpx.AsyncClient) -> None:
    answer, _ = await ask(client, "mutation { unlock(at: 101, numbers: [1]) { id name } }")
    assert (answer["data"], code(answer)) == (None, "OUT_OF_DATE")
    assert Bookmark.decode(answer["extensions"]["bookmark"]).position.covers(Position.of("doors.a", 1, 101))


async def test_a_mutation_whose_answer_shows_more_covers_that_too(client: httpx.AsyncClient, view: View) -> None:
    view.position_after = Position.of("doors.a", 0, 9)
    answer, _ = await ask(client, "mutation { look }", {"Bookmark": SENT.encode()})
    assert answer["extensions"]["bookmark"] == SENT.join(Bookmark(view.position_after)).encode()


@pytest.mark.parametrize("query", ["{ door(number: 1) { id } }", "mutation { open }"])
async def test_a_bookmark_that_is_not_reached_is_an_error_before_anything_is_executed(
    client: httpx.AsyncClient, query: str
) -> None:
    far = Bookmark(Position.of("doors.a", 0, 101))
    answer, response = await ask(client, query, {"Bookmark": far.encode()})
    assert (code(answer), "data" in answer, response.status_code) == ("OUT_OF_DATE", False, 200)


@pytest.mark.parametrize(
    ("headers", "parameters"),
    [
        ({"Bookmark": "%"}, {}),
        ({"Bookmark-Timeout": "-1"}, {}),
        ({"Bookmark-Timeout": "60.1"}, {}),
        ({"Bookmark-Timeout": "nan"}, {}),
        ({"Bookmark-Timeout": "1e1"}, {}),
        ({"Correlation-Id": "x" * 513}, {}),
        ({"As-Of": ""}, {}),
        ({"As-Of": "yesterday"}, {}),
        ({"As-Of": "2026-01-01"}, {}),
        ({}, {"extensions": {"asOf": ""}}),
        ({}, {"extensions": {"asOf": 1}}),
        ({}, {"extensions": {"bookmark": "%"}}),
        ({}, {"extensions": {"bookmark": 1}}),
    ],
)
async def test_a_request_that_is_malformed_is_refused(
    client: httpx.AsyncClient, headers: dict[str, str], parameters: dict[str, object]
) -> None:
    answer, response = await ask(client, "{ door(number: 1) { id } }", MODERN | headers, **parameters)
    assert (code(answer), response.status_code) == ("INVALID_INPUT", 400)


@pytest.mark.parametrize("parameters", [{"extensions": []}, {"variables": []}, {"operationName": 1}])
async def test_parameters_that_are_none_are_refused(client: httpx.AsyncClient, parameters: dict[str, Any]) -> None:
    answer, response = await ask(client, "{ door(number: 1) { id } }", **parameters)
    assert (code(answer), response.status_code) == ("BAD_REQUEST", 400)


@pytest.mark.parametrize(
    ("headers", "parameters"),
    [
        ({"As-Of": "2026-01-01T00:00:00Z"}, {}),
        ({}, {"extensions": {"asOf": "2026-01-01T01:00:00+01:00"}}),
        ({"As-Of": "2026-01-01T00:00:00Z"}, {"extensions": {"asOf": "2025-12-31T23:00:00.0-01:00"}}),
    ],
)
async def test_a_query_about_the_past_waits_for_all_of_it_and_reads_nothing_else(
    client: httpx.AsyncClient, gate: Gate, headers: dict[str, str], parameters: dict[str, object]
) -> None:
    sent = {"Bookmark": SENT.encode(), **headers}
    answer, response = await ask(client, "{ door(number: 1) { name } }", sent, **parameters)
    assert (answer["data"], response.status_code) == ({"door": {"name": "door 1"}}, 200)
    then = Moment(1_767_225_600_000_000)
    assert (gate.pasts, gate.view.then) == ([then], [then])
    assert [bookmark for bookmark, _ in gate.asked] == [SENT]


async def test_a_bookmark_of_the_past_is_a_position(client: httpx.AsyncClient, gate: Gate) -> None:
    await ask(client, "{ door(number: 1) { name } }", {"As-Of": SENT.encode()})
    assert gate.view.then == [SENT.position]


async def test_the_past_cannot_be_changed(client: httpx.AsyncClient, gate: Gate) -> None:
    answer, _ = await ask(client, "mutation { open }", {"As-Of": "2026-01-01T00:00:00Z"})
    assert code(answer) == "INVALID_INPUT"
    assert answer["errors"][0]["message"].startswith("As-Of: expected none")
    assert gate.asked == []


async def test_a_request_is_about_one_past(client: httpx.AsyncClient, gate: Gate) -> None:
    other = {"asOf": "2026-01-01T00:00:01Z"}
    answer, _ = await ask(client, "{ __typename }", {"As-Of": "2026-01-01T00:00:00Z"}, extensions=other)
    assert code(answer) == "INVALID_INPUT"
    assert gate.asked == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"query": 1}', b'{"query": "\\ud800"}', b"\xff"])
async def test_a_body_that_is_no_request_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    response = await client.post("/graphql", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] in {"BAD_REQUEST", "BATCHING_NOT_SUPPORTED"}


@pytest.mark.parametrize("path", ["/", "/graphql"])
@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
async def test_what_a_foreign_page_may_post_is_not_executed(
    client: httpx.AsyncClient, gate: Gate, path: str, content_type: str | None
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    response = await client.post(path, content=b'{"query": "mutation { open }"}', headers=headers)
    assert (response.status_code, code(response.json())) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert gate.asked == []


async def test_get_and_head_execute_queries_only(client: httpx.AsyncClient, gate: Gate) -> None:
    query = {"query": "{ door(number: 1) { id } }"}
    answered = await client.get("/graphql", params=query)
    assert answered.json()["data"] == {"door": {"id": "1"}}
    head = await client.head("/graphql", params=query)
    assert (head.status_code, head.headers, head.content) == (200, answered.headers, b"")
    gate.asked.clear()
    refused = await client.get("/graphql", params={"query": "mutation { open }"})
    assert (refused.status_code, refused.headers["allow"], gate.asked) == (405, "POST", [])


async def test_a_mutation_whose_body_never_ends_is_not_executed(gate: Gate) -> None:
    app = subgraph_app(SCHEMA, gate=gate, writes=None, readiness=_ready)
    received: list[dict[str, Any]] = [
        {"type": "http.request", "body": b'{"query": "mutation { open }"}', "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return received.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"doors"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/graphql", "headers": headers, "query_string": b""}
    await app(scope, receive, send)
    assert (sent[0]["status"], gate.asked, received) == (400, [], [])


async def test_a_change_whose_client_has_gone_is_finished(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    app = subgraph_app(SCHEMA, gate=gate, writes=None, readiness=_ready)
    body = b'{"query": "mutation { open }"}'
    received: list[dict[str, Any]] = [{"type": "http.request", "body": body}]
    sent: list[Any] = []

    async def wait_long(_bookmark: Bookmark, _timeout: float) -> View:
        for _ in range(100):  # long enough for whoever watches to notice that the client has gone
            await asyncio.sleep(0)
        return gate.view

    async def receive() -> dict[str, Any]:
        return received.pop(0) if received else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    monkeypatch.setattr(gate, "wait", wait_long)
    headers = [(b"host", b"doors"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/graphql", "headers": headers, "query_string": b""}
    await app(scope, receive, send)
    assert sent[0]["status"] == 200
    assert b'"data":{"open":' in sent[1]["body"]


async def test_a_body_beyond_the_limit_is_refused(client: httpx.AsyncClient) -> None:
    _, response = await ask(client, "{ door(number: 1) { id } }" + " " * LIMITS.body_bytes)
    assert response.status_code == 413


async def test_a_document_is_refused_with_its_place(client: httpx.AsyncClient) -> None:
    answer, _ = await ask(client, "{ door(number: 1) {")
    assert code(answer) == "GRAPHQL_PARSE_FAILED"
    answer, _ = await ask(client, "{ window }")
    assert code(answer) == "GRAPHQL_VALIDATION_FAILED"
    assert answer["errors"][0]["locations"] == [{"line": 1, "column": 3}]
    assert "data" not in answer


async def test_a_document_that_is_nested_or_long_without_end_is_refused(client: httpx.AsyncClient) -> None:
    answer, _ = await ask(client, "{ door(number: 1) " + "{ a " * 5000 + "}" * 5001)
    assert code(answer) == "GRAPHQL_PARSE_FAILED"
    answer, _ = await ask(client, "{ door(number: 1) { " + "id " * 30_000 + "} }")
    assert code(answer) == "GRAPHQL_PARSE_FAILED"


async def test_a_variable_of_another_type_is_invalid_input(client: httpx.AsyncClient) -> None:
    answer, _ = await ask(client, "query ($n: Int!) { door(number: $n) { id } }", variables={"n": "one"})
    assert (code(answer), "data" in answer) == ("INVALID_INPUT", False)


async def test_one_of_several_operations_is_named(client: httpx.AsyncClient) -> None:
    document = "query A { door(number: 1) { id } } query B { door(number: 2) { id } }"
    answer, _ = await ask(client, document, operationName="B")
    assert answer["data"]["door"]["id"] == "2"
    for name in (None, "C"):
        answer, _ = await ask(client, document, operationName=name)
        assert code(answer) == "INVALID_INPUT"


async def test_refusals_have_the_status_of_graphql_over_http_where_the_client_knows_it(
    client: httpx.AsyncClient,
) -> None:
    far = Bookmark(Position.of("doors.a", 0, 101)).encode()
    for query, headers, status in (
        ("{ door(number: 1) { id } }", MODERN, 200),
        ('{ fail(how: "not found") }', MODERN, 200),
        ("{ window }", MODERN, 400),
        ("{ door(number: 1) { id } }", {**MODERN, "Bookmark": far}, 503),
    ):
        _, response = await ask(client, query, headers)
        assert response.status_code == status
        assert response.headers["content-type"] == "application/graphql-response+json; charset=utf-8"


async def test_a_refusal_is_told_with_its_code_and_place_and_is_not_logged(client: httpx.AsyncClient) -> None:
    with capture_logs() as logs:
        answer, _ = await ask(client, '{ fail(how: "not found") }')
    assert answer["data"] == {"fail": None}
    assert answer["errors"] == [
        {
            "message": "door: there is none",
            "path": ["fail"],
            "locations": [{"line": 1, "column": 3}],
            "extensions": {"code": "NOT_FOUND"},
        }
    ]
    assert logs == []


async def test_a_claim_is_not_told(client: httpx.AsyncClient) -> None:
    answer, response = await ask(client, '{ fail(how: "claim") }')
    assert answer["errors"][0]["extensions"] == {"code": "CLAIM_TAKEN"}
    assert "username:ada" not in response.text


async def test_a_version_conflict_tells_both_versions(client: httpx.AsyncClient) -> None:
    answer, _ = await ask(client, '{ fail(how: "conflict") }')
    assert answer["errors"][0]["extensions"] == {"code": "VERSION_CONFLICT", "expected": 3, "found": 4}


async def test_what_is_unavailable_is_logged_and_the_client_learns_nothing_of_the_inside(
    client: httpx.AsyncClient, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(_bookmark: Bookmark, _timeout: float) -> View:
        raise FAILURES["unavailable"]

    with capture_logs() as logs:
        answers = [await ask(client, '{ fail(how: "unavailable") }')]
        monkeypatch.setattr(gate, "wait", unavailable)
        answers.append(await ask(client, "mutation { open }", MODERN))
    assert [(code(answer), response.status_code) for answer, response in answers] == [
        ("UNAVAILABLE", 200),
        ("UNAVAILABLE", 503),
    ]
    assert all("idempotency key is safe" in answer["errors"][0]["message"] for answer, _ in answers)
    assert not any("sqlite" in response.text for _, response in answers)
    assert [log["reason"] for log in logs] == ["users.sqlite: the disk is full"] * 2


async def test_no_message_echoes_more_than_200_characters(client: httpx.AsyncClient) -> None:
    long = "x" * 2000
    requests: list[tuple[str, dict[str, Any]]] = [
        (f"{{ {long} }}", {}),
        (f"{{ door(number: {long}) {{ id }} }}", {}),
        (f'{{ door(number: 1) {{ id }} "{long}" }}', {}),
        ("query ($n: Int!) { door(number: $n) { id } }", {"variables": {"n": long}}),
        ('{ fail(how: "long") }', {}),
        (ENTITIES, {"variables": {"r": [{"__typename": long}]}}),
        (ENTITIES, {"variables": {"r": [{"__typename": "\U0001f600" * 100}]}}),
    ]
    for query, parameters in requests:
        answer, _ = await ask(client, query, **parameters)
        assert all(0 < len(error["message"]) <= 200 for error in answer["errors"])


async def test_a_defect_is_logged_under_an_id_and_the_client_sees_the_id_only(client: httpx.AsyncClient) -> None:
    with capture_logs() as logs:
        answer, response = await ask(client, '{ fail(how: "defect") }')
    extensions = answer["errors"][0]["extensions"]
    assert extensions["code"] == "INTERNAL"
    assert [log["error_id"] for log in logs] == [extensions["id"]]
    assert repr(logs[0]["exc_info"]) == repr(FAILURES["defect"])
    assert "1234" not in response.text
    assert "RuntimeError" not in response.text


async def test_a_defect_outside_of_resolvers_is_told_in_the_same_way(
    client: httpx.AsyncClient, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_bookmark: Bookmark, _timeout: float) -> View:
        raise RuntimeError("the password is 1234")

    monkeypatch.setattr(gate, "wait", broken)
    with capture_logs() as logs:
        answer, response = await ask(client, "{ door(number: 1) { id } }")
    assert code(answer) == "INTERNAL"
    assert len(logs) == 1
    assert "1234" not in response.text


async def test_one_request_reads_many_keys_in_one_batch(client: httpx.AsyncClient, view: View) -> None:
    answer, _ = await ask(client, "{ doors(numbers: [1, 2, 2]) { name } door(number: 3) { name } }")
    assert [door["name"] for door in answer["data"]["doors"]] == ["door 1", "door 2", "door 2"]
    assert [sorted(batch) for batch in view.batches] == [["1", "2", "3"]]


ENTITIES = "query ($r: [_Any!]!) { _entities(representations: $r) { ... on Door { id } } }"


async def test_entities_are_read_in_one_batch_and_fail_one_by_one(client: httpx.AsyncClient, view: View) -> None:
    ids: list[object] = ["1", "none", "locked", 4]
    representations = [{"__typename": "Door", "id": door_id} for door_id in ids]
    answer, _ = await ask(client, ENTITIES, variables={"r": representations})
    assert answer["data"]["_entities"] == [{"id": "1"}, None, None, {"id": "4"}]
    assert (code(answer), answer["errors"][0]["path"]) == ("NOT_FOUND", ["_entities", 2])
    assert view.batches == [["entities", "1", "none", "locked", "4"]]


async def test_entities_of_several_types_are_answered_in_their_order(client: httpx.AsyncClient) -> None:
    query = "query ($r: [_Any!]!) { _entities(representations: $r) { ... on Door { id } ... on Window { id } } }"
    representations = [{"__typename": name, "id": "1"} for name in ("Window", "Door", "Window", "Door")]
    answer, _ = await ask(client, query, variables={"r": representations})
    assert [found["id"] for found in answer["data"]["_entities"]] == ["w1", "1", "w1", "1"]


@pytest.mark.parametrize(
    "representation", ["Door", {"id": "1"}, {"__typename": "Query"}, {"__typename": "Wall"}, {"__typename": "Door"}]
)
async def test_a_representation_of_nothing_is_invalid_input(client: httpx.AsyncClient, representation: object) -> None:
    answer, _ = await ask(client, ENTITIES, variables={"r": [representation]})
    assert (code(answer), answer["data"]) == ("INVALID_INPUT", None)


async def test_the_schema_is_served_with_its_directives(client: httpx.AsyncClient) -> None:
    answer, _ = await ask(client, "{ _service { sdl } }")
    assert answer["data"]["_service"]["sdl"] == SCHEMA.as_str()
    assert 'type Door @key(fields: "id")' in SCHEMA.as_str()


@pytest.mark.parametrize("actors", [True, False])
async def test_an_actor_whom_no_router_has_signed_is_refused(gate: Gate, actors: bool) -> None:
    app = subgraph_app(SCHEMA, gate=gate, writes=None, readiness=_ready, actors=ACTORS if actors else None)
    value = "root" if actors else ACTORS.sign(Actor("root"), 60)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://doors") as client:
        answer, response = await ask(client, "{ asks }", {"Actor": value})
    assert (code(answer), response.status_code, answer.get("data")) == ("UNAUTHENTICATED", 401, None)
    assert value not in response.text


async def test_who_asks_stands_in_the_headers(client: httpx.AsyncClient) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    actor = ACTORS.sign(Actor("u1"), 60)
    answer, _ = await ask(client, "{ asks }", {"Actor": actor, "Correlation-Id": "c1", "traceparent": trace})
    assert answer["data"]["asks"] == ["u1", "u1", "c1", trace]
    answer, _ = await ask(client, "{ asks }", {"Actor": ACTORS.sign(Actor("anonymous"), 60)})
    assert answer["data"]["asks"][0] != "anonymous"
    answer, _ = await ask(client, "{ asks }")
    caller, actor, correlation, _ = answer["data"]["asks"]
    assert (caller, actor) == ("anonymous", "None")
    assert len(correlation) == 32


async def test_only_what_is_served_is_found(client: httpx.AsyncClient) -> None:
    assert (await client.delete("/graphql")).status_code == 405
    for path in ("/elsewhere", "/graphql/", "/health/live/"):
        assert (await client.get(path)).status_code == 404


async def test_health_tells_whether_it_lives_and_whether_it_is_ready_and_why_not(
    client: httpx.AsyncClient, readiness: list[Readiness]
) -> None:
    assert (await client.get("/health/live")).json() == {"status": "live"}
    assert (await client.get("/health/ready")).json() == {"status": "ready", "reasons": [], "warnings": []}
    readiness.append(Readiness(["the log is not there"], ["a stream is parked"]))
    response = await client.get("/health/ready")
    assert response.status_code == 503
    assert response.json() == {
        "status": "not ready",
        "reasons": ["the log is not there"],
        "warnings": ["a stream is parked"],
    }
