"""A subgraph is asked for its schema; if it refuses, its own words are told."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from graphrouter.subgraph_sdl import SubgraphUnavailable, fetch_sdl
from graphrouter.transport import SubgraphRequest, SubgraphResponse


@dataclass
class Answering:
    """A transport that always gives one answer."""

    body: bytes
    status: int = 200

    async def start(self) -> None:
        """There is nothing to open."""

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        assert request.body == b'{"query":"{_service{sdl}}"}'
        return SubgraphResponse(self.status, {}, self.body)

    async def aclose(self) -> None:
        """There is nothing to close."""


async def test_the_schema_is_the_text_of_service_sdl() -> None:
    body = b'{"data":{"_service":{"sdl":"type Query { x: Int }"}}}'
    assert await fetch_sdl("users", Answering(body), 1) == "type Query { x: Int }"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (
            b'{"errors":[{"message":"Introspection is\\n off; ask ops"}],"data":null}',
            400,
            "subgraph users: it does not tell its schema (HTTP status 400): Introspection is off; ask ops",
        ),
        (b'{"errors":[{"message":"No token"}]}', 401, "(HTTP status 401): No token"),
        (b'{"errors":[{"message":7}]}', 200, "expected an answer to {_service{sdl}}, found something else"),
        (b'{"errors":[]}', 200, "found something else (HTTP status 200)"),
        (b'{"data":{"_service":{"sdl":7}}}', 200, "found something else"),
        (b"[]", 200, "found something else"),
        (b"<html>", 502, "found something else (HTTP status 502)"),
    ],
)
async def test_a_refusal_is_told_in_the_subgraphs_own_words(body: bytes, status: int, message: str) -> None:
    with pytest.raises(SubgraphUnavailable) as caught:
        await fetch_sdl("users", Answering(body, status), 1)
    assert message in str(caught.value)


async def test_not_more_than_200_characters_of_them_are_told() -> None:
    body = b'{"errors":[{"message":"%s"}]}' % (b"a" * 1000)
    with pytest.raises(SubgraphUnavailable) as caught:
        await fetch_sdl("users", Answering(body), 1)
    assert str(caught.value).endswith(f": {'a' * 200}…")
