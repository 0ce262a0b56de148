"""Clients that speak HTTP in ways of their own."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from infra.patience import seconds
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
        assert await asyncio.wait_for(reader.readline(), seconds(10)) == b"HTTP/1.1 200 OK\r\n"
        writer.close()
        await writer.wait_closed()


async def test_who_may_ask_is_set_for_the_router_and_for_every_subgraph(tmp_path: Path) -> None:
    origin = "https://app.example.com"
    options = ("--allow-hosts", "api.example.com, *.example.org", "--cors-origins", origin)
    async with kith_up(tmp_path / "data", "--http", *options) as running:
        urls = re.findall(r"http://\S+/graphql", running.banner)
        assert len(urls) == 4
        for url in urls:
            for host, status in (("evil.example", 421), ("api.example.com", 200), ("a.example.org:80", 200)):
                for asked in (url, url.replace("/graphql", "/health/live")):
                    response = await running.client.get(
                        asked, params={"query": "{ __typename }"}, headers={"host": host}
                    )
                    assert (asked, response.status_code) == (asked, status)
            for content_type in ("text/plain", "application/x-www-form-urlencoded"):
                posted = await running.client.post(
                    url, content='{"query": "{ __typename }"}', headers={"content-type": content_type}
                )
                assert posted.status_code == 415
        headers = {"origin": origin, "access-control-request-method": "POST"}
        preflights = [await running.client.options(url, headers=headers) for url in urls]
        assert [preflight.status_code for preflight in preflights] == [200, 405, 405, 405]


async def test_a_name_that_leads_to_this_machine_is_not_served(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data", "--http") as running:
        for url in re.findall(r"http://\S+/graphql", running.banner):
            for path in (url, f"{url}/", url.replace("/graphql", "/status")):
                response = await running.client.get(path, headers={"host": "evil.example"})
                assert (response.status_code, response.headers.get("location")) == (421, None)
