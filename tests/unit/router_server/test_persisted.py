"""Operations that are asked for by an id: registered by clients, or trusted, over HTTP and in every mode."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from graphrouter import PersistedOperations, RouterOptions, federate, read_operations
from tests.support.tiny_subgraph import users_subgraph

ME = "{ me { id } }"
NAME = "query Name { me { name } }"
DATA = {ME: {"me": {"id": "1"}}, NAME: {"me": {"name": "Ada"}}}
TRUSTED = {"me-1": ME}


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def by_hash(text: str) -> dict[str, Any]:
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash_of(text)}}}


@asynccontextmanager
async def serving(persisted: PersistedOperations | None) -> AsyncGenerator[httpx.AsyncClient]:
    app = federate({"users": users_subgraph()}, RouterOptions(persisted=persisted))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client


async def ask(client: httpx.AsyncClient, **body: Any) -> Any:
    """The data, or the code of the error."""
    answer = (await client.post("/graphql", json=body)).json()
    return answer["data"] if "data" in answer else answer["errors"][0]["extensions"]["code"]


async def test_a_hash_is_known_once_it_came_with_its_text() -> None:
    async with serving(PersistedOperations(automatic=True)) as client:
        unknown = await client.post("/graphql", json=by_hash(ME))
        assert unknown.status_code == 200
        assert unknown.json()["errors"] == [
            {"message": "PersistedQueryNotFound", "extensions": {"code": "PERSISTED_QUERY_NOT_FOUND"}}
        ]
        assert await ask(client, query=ME, **by_hash(ME)) == DATA[ME]
        assert await ask(client, **by_hash(ME)) == DATA[ME]
        upper = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash_of(ME).upper()}}}
        assert await ask(client, **upper) == DATA[ME]
        got = await client.get("/graphql", params={"extensions": json.dumps(by_hash(ME)["extensions"])})
        assert got.json() == {"data": DATA[ME]}


async def test_a_hash_of_another_text_registers_nothing() -> None:
    async with serving(PersistedOperations(automatic=True)) as client:
        assert await ask(client, query=NAME, **by_hash(ME)) == "BAD_REQUEST"
        assert await ask(client, **by_hash(ME)) == "PERSISTED_QUERY_NOT_FOUND"
        assert await ask(client, query=NAME, documentId=hash_of(ME)) == DATA[NAME]
        assert await ask(client, **by_hash(ME)) == "PERSISTED_QUERY_NOT_FOUND"


async def test_what_clients_register_is_bounded() -> None:
    async with serving(PersistedOperations(automatic=True, automatic_entries=1)) as client:
        for text in (ME, NAME):
            await ask(client, query=text, **by_hash(text))
        assert await ask(client, **by_hash(ME)) == "PERSISTED_QUERY_NOT_FOUND"
        assert await ask(client, **by_hash(NAME)) == DATA[NAME]
    async with serving(PersistedOperations(automatic=True, automatic_characters=len(ME))) as client:
        for text in (ME, NAME):
            await ask(client, query=text, **by_hash(text))
        assert await ask(client, **by_hash(NAME)) == "PERSISTED_QUERY_NOT_FOUND"


@pytest.mark.parametrize("body", [by_hash(ME), {"documentId": "me-1"}, {"query": "", "documentId": "me-1"}])
async def test_without_the_option_clients_are_told_to_send_the_text(body: dict[str, Any]) -> None:
    async with serving(None) as client:
        assert await ask(client, **body) == "PERSISTED_QUERY_NOT_SUPPORTED"
        assert await ask(client, query=ME) == DATA[ME]


async def test_trusted_operations_are_known_by_their_ids_and_others_refused() -> None:
    async with serving(PersistedOperations(trusted=TRUSTED)) as client:
        assert await ask(client, documentId="me-1") == DATA[ME]
        assert await ask(client, query=ME) == DATA[ME]
        assert await ask(client, query=NAME) == "OPERATION_NOT_TRUSTED"
        assert await ask(client, query=NAME, documentId="me-1") == "OPERATION_NOT_TRUSTED"
        assert await ask(client, documentId="me-2") == "PERSISTED_QUERY_NOT_FOUND"
        assert await ask(client, query="{ __schema { queryType { name } } }") == "OPERATION_NOT_TRUSTED"


async def test_apollos_clients_ask_for_trusted_operations_by_their_hash() -> None:
    async with serving(PersistedOperations(trusted={hash_of(ME): ME})) as client:
        assert await ask(client, **by_hash(ME)) == DATA[ME]
        assert await ask(client, **by_hash(NAME)) == "PERSISTED_QUERY_NOT_FOUND"


async def test_trusted_operations_may_be_asked_for_by_their_ids_only() -> None:
    async with serving(PersistedOperations(trusted=TRUSTED, only_by_id=True)) as client:
        assert await ask(client, documentId="me-1") == DATA[ME]
        assert await ask(client, query=ME) == "OPERATION_NOT_TRUSTED"


async def test_others_can_be_reported_once_each_and_executed(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(PersistedOperations(trusted=TRUSTED, mode="report")) as client:
        with caplog.at_level(logging.WARNING, "graphrouter.pipeline"):
            for _ in range(3):
                assert await ask(client, query=NAME, operationName="Name") == DATA[NAME]
            assert await ask(client, query=ME) == DATA[ME]
    assert [record.getMessage() for record in caplog.records] == [
        f"expected a trusted operation, found another one: operation 'Name' with the SHA-256 {hash_of(NAME)}"
    ]


async def test_clients_may_register_operations_beside_trusted_ones_that_are_only_reported() -> None:
    async with serving(PersistedOperations(automatic=True, trusted=TRUSTED, mode="report")) as client:
        assert await ask(client, query=NAME, **by_hash(NAME)) == DATA[NAME]
        assert [await ask(client, **by_hash(NAME)), await ask(client, documentId="me-1")] == [DATA[NAME], DATA[ME]]
    with pytest.raises(ValueError, match="expected automatic or trusted operations that are enforced, found both"):
        PersistedOperations(automatic=True, trusted=TRUSTED)


async def test_where_it_is_off_ids_are_known_and_nothing_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(PersistedOperations(trusted=TRUSTED, mode="off")) as client:
        assert [await ask(client, documentId="me-1"), await ask(client, query=NAME)] == [DATA[ME], DATA[NAME]]
    assert caplog.records == []


async def test_an_id_that_is_no_text_is_refused() -> None:
    async with serving(PersistedOperations(trusted=TRUSTED)) as client:
        wrong: list[object] = [5, ["me-1"], {}]
        for one in wrong:
            assert await ask(client, documentId=one) == "BAD_REQUEST"


APOLLO = {
    "format": "apollo-persisted-query-manifest",
    "version": 1,
    "operations": [{"id": "a", "name": "Name", "type": "query", "body": NAME}, {"id": "b", "body": ME}],
}


def test_manifests_of_apollo_and_relay_are_read() -> None:
    assert read_operations(json.dumps(APOLLO)) == {"a": NAME, "b": ME}
    assert read_operations(json.dumps({"a": NAME, "b": ME})) == {"a": NAME, "b": ME}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected a manifest of operations in JSON"),
        ("[]", "expected the text of an operation by each id"),
        ("{}", "expected the text of an operation by each id"),
        ('{"a": 5}', "expected the text of an operation by each id"),
        ('{"a": ""}', "expected the text of an operation by each id"),
        (json.dumps(APOLLO | {"version": 2}), "in version 1, found another one"),
        (json.dumps(APOLLO | {"format": "other"}), "in version 1, found another one"),
        (json.dumps(APOLLO | {"operations": [{"id": "a"}]}), "expected the text of an operation by each id"),
        (json.dumps(APOLLO | {"operations": [5]}), "expected the text of an operation by each id"),
        (json.dumps(APOLLO | {"operations": {}}), "expected the text of an operation by each id"),
    ],
)
def test_what_is_no_manifest_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_operations(text)
