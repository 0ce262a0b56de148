"""Who gets through to the console, and who does not."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from eventgraph.console.access import Access, body_of, told
from eventgraph.console.mode import Mode
from eventgraph.errors import StartError
from eventkernel.errors import ConcurrencyConflict, InvalidInput, NotFound, Unavailable
from eventkernel.reading.views import BuildRetired
from graphrouter.authentication import Authentication, Issuer
from tests.support.tokens import AUDIENCE, ISSUER, SigningKey, bearer, key_set

ORIGIN = "http://127.0.0.1:9000"
JSON = {"content-type": "application/json"}


@contextlib.asynccontextmanager
async def served(
    mode: Mode = Mode.ON,
    hosts: Sequence[str] = (),
    authentication: Authentication | None = None,
    failure: Exception | None = None,
    origin: str = ORIGIN,
) -> AsyncGenerator[tuple[httpx.AsyncClient, list[bytes]]]:
    """A client, and the orders that have come through."""
    orders: list[bytes] = []

    async def look(_request: Request) -> Response:
        if failure is not None:
            raise failure
        return told({"seen": True})

    async def act(request: Request) -> Response:
        orders.append(await body_of(request))
        return told({})

    access = Access(mode, hosts, lambda: authentication)
    app = Starlette(routes=[access.api({"look": look}, {"act": act})])
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 4))
    async with httpx.AsyncClient(transport=transport, base_url=origin) as client:
        yield client, orders
    await access.aclose()


CROSS_SITE: Mapping[str, Mapping[str, str]] = {
    "a page of another site": {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
    "a page of another port": {"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:3000"},
    "an unknown word": {"sec-fetch-site": "whatever"},
    "an older browser": {"origin": "https://evil.example"},
    "an older browser, another port": {"origin": "http://127.0.0.1:3000"},
    "a sandboxed frame": {"origin": "null"},
    "no origin at all": {"origin": "http://["},
    "an origin that begins like ours": {"origin": f"{ORIGIN}.evil.example"},
    "an origin with ours as its user": {"origin": "http://127.0.0.1:9000@evil.example"},
    "ours in Origin, another site by the browser": {"sec-fetch-site": "cross-site", "origin": ORIGIN},
}


@pytest.mark.parametrize("headers", CROSS_SITE.values(), ids=CROSS_SITE)
async def test_a_page_of_another_origin_can_neither_read_nor_order(headers: Mapping[str, str]) -> None:
    async with served() as (client, orders):
        looked = await client.get("/console/api/look", headers=headers)
        acted = await client.post("/console/api/act", content=b"{}", headers={**JSON, **headers})
    assert (looked.status_code, acted.status_code, orders) == (403, 403, [])
    assert "access-control-allow-origin" not in looked.headers


@pytest.mark.parametrize(
    "headers",
    [{}, {"sec-fetch-site": "same-origin", "origin": ORIGIN}, {"sec-fetch-site": "none"}, {"origin": ORIGIN}],
)
async def test_the_consoles_own_pages_and_what_is_no_browser_get_through(headers: Mapping[str, str]) -> None:
    async with served() as (client, orders):
        assert (await client.get("/console/api/look", headers=headers)).json() == {"seen": True}
        acted = await client.post("/console/api/act", content=b"{}", headers={**JSON, **headers})
    assert (acted.status_code, orders) == (200, [b"{}"])
    assert acted.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("origin", [ORIGIN, "http://192.168.7.5:9000", "http://[fd00::7]:9000"])
@pytest.mark.parametrize("hosts", [(), ("*",), ("api.example.com", "*")])
async def test_a_name_that_leads_here_by_rebinding_is_no_name_of_the_console(hosts: Sequence[str], origin: str) -> None:
    rebound = {"host": "evil.example", "sec-fetch-site": "same-origin", "origin": "http://evil.example", **JSON}
    async with served(hosts=hosts, origin=origin) as (client, orders):
        by_address = await client.get("/console/api/look")
        answers = [
            await client.get("/console/api/look", headers=rebound),
            await client.post("/console/api/act", content=b"{}", headers=rebound),
        ]
    assert ([answer.status_code for answer in answers], orders) == ([421, 421], [])
    assert by_address.status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
async def test_an_order_is_json_which_no_form_can_send(kind: str | None) -> None:
    async with served() as (client, orders):
        headers = {} if kind is None else {"content-type": kind}
        acted = await client.post("/console/api/act", content=b"{}", headers=headers)
        got = await client.get("/console/api/act")
    assert (acted.status_code, got.status_code, orders) == (415, 405, [])


async def test_a_console_that_only_shows_carries_out_nothing() -> None:
    async with served(Mode.READ_ONLY) as (client, orders):
        assert (await client.get("/console/api/look")).status_code == 200
        acted = await client.post("/console/api/act", content=b"{}", headers=JSON)
    assert (acted.status_code, "read-only" in acted.json()["error"], orders) == (403, True, [])


async def test_an_order_is_short() -> None:
    async with served() as (client, orders):
        acted = await client.post("/console/api/act", content=b"x" * 20_000, headers=JSON)
    assert (acted.status_code, orders) == (413, [])


async def test_where_callers_prove_who_they_are_a_token_needs_the_scope_of_the_console(tmp_path: Path) -> None:
    key = SigningKey()
    file = tmp_path / "keys.json"
    file.write_text(key_set(key.public()))
    settings = Authentication((Issuer(ISSUER, str(file), (AUDIENCE,)),))
    tokens = {
        "none": ({}, 401),
        "of another key": (bearer(SigningKey().token(scope="console")), 401),
        "expired": (bearer(key.token(scope="console", exp=1)), 401),
        "without a scope": (bearer(key.token()), 403),
        "of other scopes": (bearer(key.token(scope="console:read users:write")), 403),
        "of the console": (bearer(key.token(scope="users:write console")), 200),
    }
    for name, (headers, status) in tokens.items():
        async with served(authentication=settings) as (client, orders):
            looked = await client.get("/console/api/look", headers=headers)
            acted = await client.post("/console/api/act", content=b"{}", headers={**JSON, **headers})
        assert (looked.status_code, acted.status_code) == (status, status), name
        assert bool(orders) == (status == 200), name


async def test_where_the_keys_of_an_issuer_cannot_be_read_a_token_is_not_called_wrong(tmp_path: Path) -> None:
    settings = Authentication((Issuer(ISSUER, str(tmp_path / "none.json"), (AUDIENCE,)),))
    async with served(authentication=settings) as (client, _):
        looked = await client.get("/console/api/look", headers=bearer(SigningKey().token(scope="console")))
    assert looked.status_code == 503


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (NotFound("there is no view 'x'"), 404),
        (InvalidInput("reason: expected one"), 400),
        (StartError("a moment is written as 2026-01-31"), 400),
        (Unavailable("the log does not answer"), 503),
        (ConcurrencyConflict("s", 1, 2), 503),
        (BuildRetired("b-1"), 503),
    ],
)
async def test_what_goes_wrong_is_told_with_its_reason(failure: Exception, status: int) -> None:
    async with served(failure=failure) as (client, _):
        answer = await client.get("/console/api/look")
    assert answer.status_code == status
    assert str(failure) in answer.json()["error"]


async def test_no_echo_is_longer_than_a_line() -> None:
    async with served(failure=NotFound("x" * 5_000)) as (client, _):
        assert len((await client.get("/console/api/look")).json()["error"]) == 200
