"""A server of Neo4j that asks for TLS and credentials, one that is restarted, and errors that tell no values."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from neo4j.exceptions import ClientError

from eventkernel.adapters.neo4j.connection import Neo4jConnection
from eventkernel.errors import CannotOpen, Unavailable
from infra.local import MissingTool, Neo4jAddress, Server, neo4j
from tests.support.neo4j_views import settings_of

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server[Neo4jAddress]]:
    """A server of these tests' own."""
    try:
        server = neo4j(tmp_path_factory.mktemp("neo4j"), secure=True)
        with server:
            yield server
    except MissingTool as missing:
        pytest.skip(str(missing))


@pytest.fixture(autouse=True)
async def tls_is_ended() -> AsyncIterator[None]:
    """The driver closes connections in the background, and over TLS that takes an answer."""
    yield
    await asyncio.sleep(0.2)


@pytest.mark.timeout(240)
async def test_a_server_with_tls_is_spoken_to_by_those_who_trust_it(secure: Server[Neo4jAddress]) -> None:
    settings = replace(settings_of(secure.address), patience=60.0)
    assert settings.authority is not None
    over_tls = settings.url.replace("bolt://", "bolt+s://")
    for good in (settings, replace(settings, url=over_tls)):
        async with Neo4jConnection(good) as connection:
            assert await connection.read("RETURN $n", {"n": 1}) == [[1]]
    async with Neo4jConnection(replace(settings, url=over_tls, authority=None)) as connection:
        with pytest.raises(Unavailable):
            await connection.ping()


@pytest.mark.timeout(240)
async def test_wrong_credentials_are_said_to_be_wrong_without_being_told(secure: Server[Neo4jAddress]) -> None:
    async with Neo4jConnection(replace(settings_of(secure.address), password="guessed", patience=60.0)) as connection:
        with pytest.raises(CannotOpen, match="refuses the credentials") as refused:
            await connection.ping()
    assert "guessed" not in str(refused.value)


@pytest.mark.timeout(240)
async def test_a_server_that_stands_still_or_is_killed_is_unavailable_until_it_is_back(
    secure: Server[Neo4jAddress],
) -> None:
    # Without TLS, whose end would be waited for by a connection that was given up.
    async with Neo4jConnection(replace(settings_of(secure.address), authority=None, patience=2.0)) as connection:
        await connection.read("RETURN 1", {}, seconds=60)
        secure.pause()
        try:
            with pytest.raises(Unavailable, match="has not answered for 2 seconds"):
                await connection.ping()
        finally:
            secure.resume()
        await connection.write("MERGE (:Kept {name: $name})", {"name": "here"}, seconds=60)
        secure.kill()
        with pytest.raises(Unavailable):
            await connection.ping()
        secure.start()
        assert await connection.read("MATCH (n:Kept) RETURN n.name", {}, seconds=60) == [["here"]]


async def test_a_mistake_in_a_statement_is_nobodys_absence(neo4j_server: Neo4jAddress) -> None:
    async with Neo4jConnection(settings_of(neo4j_server)) as connection:
        for statement in ("RETURN 1 +", "RETURN $missing", "RETURN 'a' - 1"):
            with pytest.raises(ClientError):
                await connection.read(statement, {})
        with pytest.raises(ClientError):
            await connection.read("CREATE (:Never)", {})
        with pytest.raises(Unavailable, match=r"0\.5 seconds|Terminated|TimedOut"):
            await connection.read("UNWIND range(1, 1000000000) AS n RETURN max(n % 7)", {}, seconds=0.5)
