"""Requests with tokens: who proves nothing is refused by HTTP's own means, before anything is executed."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from graphrouter import Authentication, GraphRouter, Issuer, RouterOptions, federate
from tests.support.tiny_subgraph import TinySubgraph, users_subgraph
from tests.support.tokens import AUDIENCE, ISSUER, SigningKey, bearer, key_set

KEY = SigningKey()
PROVEN = Authentication((Issuer(ISSUER, key_set(KEY.public()), (AUDIENCE,)),))
QUERY = {"query": "{ __typename }"}
NEW = {"accept": "application/graphql-response+json"}


@contextlib.asynccontextmanager
async def client_of(authentication: Authentication | None) -> AsyncGenerator[tuple[httpx.AsyncClient, TinySubgraph]]:
    subgraph = users_subgraph()
    app = federate({"users": subgraph}, RouterOptions(authentication=authentication))
    transport = httpx.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://r") as client:
        yield client, subgraph


@pytest.mark.parametrize("accept", [{}, NEW], ids=["json", "graphql-response"])
async def test_a_wrong_token_is_a_401_that_names_the_scheme(accept: dict[str, str]) -> None:
    async with client_of(PROVEN) as (client, subgraph):
        asked = len(subgraph.requests)
        answer = await client.post("/graphql", json={"query": "{ me { name } }"}, headers={**bearer("a.b.c"), **accept})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        (error,) = answer.json()["errors"]
        assert error["extensions"]["code"] == "UNAUTHENTICATED"
        assert "data" not in answer.json()
        assert len(subgraph.requests) == asked


async def test_a_token_that_is_required_and_missing_is_a_401_without_a_reason() -> None:
    required = Authentication(PROVEN.issuers, required=True)
    async with client_of(required) as (client, _):
        answer = await client.post("/graphql", json=QUERY)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert (await client.post("/graphql", json=QUERY, headers=bearer(KEY.token()))).status_code == 200
        assert (await client.get("/health/live")).status_code == 200


async def test_keys_that_cannot_be_read_are_a_503(tmp_path: Path) -> None:
    nowhere = Authentication((Issuer(ISSUER, os.fspath(tmp_path / "none.json"), (AUDIENCE,)),))
    async with client_of(nowhere) as (client, _):
        answer = await client.post("/graphql", json=QUERY, headers=bearer(KEY.token()))
        assert answer.status_code == 503
        assert answer.json()["errors"][0]["extensions"]["code"] == "AUTHENTICATION_UNAVAILABLE"
        assert (await client.post("/graphql", json=QUERY)).json()["data"] == {"__typename": "Query"}


async def test_without_authentication_whatever_stands_in_the_header_is_the_subgraphs_to_judge() -> None:
    async with client_of(None) as (client, _):
        answer = await client.post("/graphql", json=QUERY, headers=bearer("a.b.c"))
        assert answer.json() == {"data": {"__typename": "Query"}}


async def test_no_token_stands_in_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with client_of(PROVEN) as (client, _):
        for token in (KEY.token("ada"), SigningKey("k9").token("ada")):
            await client.post("/graphql", json=QUERY, headers=bearer(token))
            assert token not in caplog.text
            assert token.split(".")[2] not in caplog.text


async def test_the_library_takes_a_token_as_a_header() -> None:
    async with await GraphRouter.compose({"users": users_subgraph()}, RouterOptions(authentication=PROVEN)) as router:
        assert (await router.execute("{ __typename }", headers=bearer(KEY.token()))).data == {"__typename": "Query"}
        assert (await router.execute("{ __typename }", headers=bearer("x.y.z"))).refused
