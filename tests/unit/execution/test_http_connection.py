"""The HTTP client against servers that send exactly these bytes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from typing import cast

import pytest

from graphrouter.transport import (
    SubgraphRequest,
    SubgraphResponse,
    SubgraphUnreachable,
)
from graphrouter.transport.http import HttpTransport
from graphrouter.transport.http_connection import ConnectionBroken, HttpConnection
from infra.patience import seconds
from tests.support.raw_server import OK, RawServer, raw_server


@pytest.fixture
async def server() -> AsyncGenerator[RawServer]:
    async with raw_server() as raw:
        yield raw


@pytest.fixture
async def transport(server: RawServer) -> AsyncGenerator[HttpTransport]:
    made = HttpTransport(f"http://127.0.0.1:{server.port}/graphql?x=1")
    yield made
    await made.aclose()


async def ask(transport: HttpTransport, *headers: tuple[str, str]) -> SubgraphResponse:
    return await transport.send(SubgraphRequest(b"{}", headers, repeatable=True))


async def test_one_connection_serves_requests_that_follow_each_other(
    server: RawServer, transport: HttpTransport
) -> None:
    for _ in range(3):
        assert (await ask(transport)).body == b"hi"
    assert server.connections == 1
    assert server.heads[0].startswith(b"POST /graphql?x=1 HTTP/1.1\r\nhost: 127.0.0.1:")


async def test_a_mutation_takes_no_connection_that_is_known_to_be_closed(
    server: RawServer, transport: HttpTransport
) -> None:
    server.closing = True
    await ask(transport)
    async with asyncio.timeout(seconds(5)):
        while transport._open:  # noqa: ASYNC110 - nothing tells that the end has arrived
            await asyncio.sleep(0)
    response = await transport.send(SubgraphRequest(b"{}", repeatable=False))
    assert response.body == b"hi"
    assert server.connections == 2


async def test_repeated_headers_are_one_and_their_names_lower_case(server: RawServer, transport: HttpTransport) -> None:
    server.answer = OK + b"X-One: a\r\nx-one: b\r\nContent-Length: 2\r\n\r\nhi"
    assert (await ask(transport)).headers["x-one"] == "a, b"


@pytest.mark.parametrize("value", ["x\r\nevil: 1", "x\n", "x\r"])
async def test_a_header_with_a_line_break_is_never_sent(
    server: RawServer, transport: HttpTransport, value: str
) -> None:
    with pytest.raises(SubgraphUnreachable):
        await ask(transport, ("as-of", value))
    assert server.heads == []


async def test_a_user_in_the_url_is_told_the_server_unless_the_client_says_who_it_is(server: RawServer) -> None:
    transport = HttpTransport(f"http://ada:p%40ss@127.0.0.1:{server.port}/graphql")
    await ask(transport)
    await ask(transport, ("authorization", "Bearer x"))
    await transport.aclose()
    assert b"authorization: Basic YWRhOnBAc3M=\r\n" in server.heads[0]
    assert b"@" not in server.heads[0]
    assert b"Basic" not in server.heads[1]


async def test_no_more_connections_are_open_than_allowed(server: RawServer) -> None:
    transport = HttpTransport(f"http://127.0.0.1:{server.port}/graphql", connections=2)
    answers = await asyncio.gather(*(ask(transport) for _ in range(10)))
    assert [answer.body for answer in answers] == [b"hi"] * 10
    assert server.connections == 2
    await transport.aclose()


async def test_what_tls_says_when_it_ends_a_connection_is_told() -> None:
    connection = HttpConnection(100, lambda _: None)
    connection.connection_made(cast("asyncio.Transport", Deaf()))
    waiting = asyncio.create_task(connection.exchange(b"GET / HTTP/1.1\r\n\r\n"))
    await asyncio.sleep(0)
    connection.connection_lost(ssl.SSLError(1, "tlsv13 alert certificate required"))
    with pytest.raises(ConnectionBroken, match=r"the connection broke: .*certificate required") as broken:
        await waiting
    assert broken.value.unheard


class Deaf:
    """A way to a server that says nothing."""

    def write(self, data: bytes) -> None:
        """It goes nowhere."""

    def abort(self) -> None:
        """There is nothing to end."""
