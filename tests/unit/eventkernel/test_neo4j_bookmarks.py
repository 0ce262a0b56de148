"""In a cluster of Neo4j whoever reads sees what was written before, whichever server is asked."""

from __future__ import annotations

from typing import Any
from unittest.mock import AsyncMock, MagicMock, patch

import pytest

from eventkernel.adapters.neo4j.connection import Neo4jConnection, Neo4jSettings


async def managers(url: str) -> list[object]:
    """What the sessions of a statement that writes and one that reads are given to hand bookmarks on."""
    given: list[object] = []

    def session(**options: Any) -> MagicMock:
        given.append(options["bookmark_manager"])
        opened = MagicMock()
        opened.__aenter__ = AsyncMock(return_value=opened)
        opened.__aexit__ = AsyncMock(return_value=None)
        opened.run = AsyncMock(return_value=MagicMock(values=AsyncMock(return_value=[])))
        return opened

    async with Neo4jConnection(Neo4jSettings(url)) as connection:
        with patch.object(connection._driver, "session", session):
            await connection.write("CREATE (:Door)", {})
            await connection.read("MATCH (d:Door) RETURN d", {})
    return given


@pytest.mark.parametrize("scheme", ["neo4j", "neo4j+s"])
async def test_statements_to_a_cluster_share_their_bookmarks(scheme: str) -> None:
    writing, reading = await managers(f"{scheme}://graph.example")
    assert writing is reading
    assert writing is not None


async def test_one_server_needs_none() -> None:
    assert await managers("bolt://graph.example") == [None, None]
