"""Clients that speak HTTP in ways of their own."""

from __future__ import annotations

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
