"""Clients that speak HTTP in ways of their own."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support.kith import kith_up

OFFER = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAoAAAAAIAAAAA"}


async def test_a_client_that_offers_http_2_is_answered_in_http_1(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data") as running:
        for headers in ({}, OFFER, {}, OFFER):
            response = await running.client.post(
                f"{running.origin}/graphql", json={"query": "{ __typename }"}, headers=headers
            )
            assert (response.status_code, response.http_version) == (200, "HTTP/1.1")
            assert response.json()["data"] == {"__typename": "Query"}


async def test_a_head_that_comes_in_pieces_is_read_though_it_offers_http_2(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data") as running:
        reader, writer = await asyncio.open_connection(*running.origin.removeprefix("http://").split(":"))
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n")
        await writer.drain()
        # An answer on another connection: what was sent before has been read by then.
        await running.client.get(f"{running.origin}/health/live")
        writer.write(b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
        assert await asyncio.wait_for(reader.readline(), 10) == b"HTTP/1.1 200 OK\r\n"
        writer.close()
        await writer.wait_closed()
