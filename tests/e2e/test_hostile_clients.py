"""What strangers send to a running system, and that everybody else goes on being answered meanwhile and after it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from graphrouter.http.files import allow_many_files
from infra.patience import seconds
from tests.support.kith import RunningKith, kith_up

HEAD = b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CREATE = b'{"query":"mutation { createUser(input: {firstName: \\"Eve\\", lastName: \\"Evil\\"}) { user { id } } }"}'
USERS = "{ users(first: 10) { edges { node { firstName } } } }"

HOSTILE: dict[str, bytes] = {
    "a TLS handshake": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xff" * 500,
    "zeroes": b"\0" * 100_000,
    "one endless header": b"GET /graphql HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 1_000_000,
    "endless headers": b"GET /graphql HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 200_000,
    "an endless target": b"GET /graphql?" + b"x" * 1_000_000,
    "empty lines": b"\r\n" * 500_000,
    "length and chunks": HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + CREATE,
    "two lengths": HEAD + b"Content-Length: 3\r\nContent-Length: %d\r\n\r\n" % len(CREATE) + CREATE,
    "a mutation whose chunks do not end": HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(CREATE)
    + CREATE
    + b"\r\n",
    "a mutation of which a byte is missing": HEAD + b"Content-Length: %d\r\n\r\n" % (len(CREATE) + 1) + CREATE,
    "a chunk of a bad size": HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + CREATE,
    "an endless chunk extension": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 1_000_000,
    "an endless trailer": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX: " + b"x" * 1_000_000,
    "no UTF-8": HEAD + b"Content-Length: 14\r\n\r\n" + b'{"query":"\xff\xfe"}',
    "nothing but brackets": HEAD + b"Content-Length: 100000\r\n\r\n" + b"[" * 100_000,
    "a gigabyte announced": HEAD + b"Content-Length: 1000000000\r\n\r\n" + b"x" * 1_000_000,
    "thousands in a pipeline": (HEAD + b"Content-Length: 2\r\n\r\n{}") * 5_000,
    "text/plain": HEAD.replace(b"application/json", b"text/plain")
    + b"Content-Length: %d\r\n\r\n" % len(CREATE)
    + CREATE,
    "another host": HEAD.replace(b"localhost", b"evil.example") + b"Content-Length: %d\r\n\r\n" % len(CREATE) + CREATE,
    "a target of another host": HEAD.replace(b"/graphql", b"http://evil.example/graphql")
    + b"Content-Length: %d\r\n\r\n" % len(CREATE)
    + CREATE,
    "two hosts": HEAD + b"Host: localhost\r\nContent-Length: %d\r\n\r\n" % len(CREATE) + CREATE,
    "no host": HEAD.replace(b"Host: localhost\r\n", b"") + b"Content-Length: %d\r\n\r\n" % len(CREATE) + CREATE,
}


@asynccontextmanager
async def all_urls(folder: Path) -> AsyncGenerator[tuple[RunningKith, list[str]]]:
    async with kith_up(folder / "data", "--http") as running:
        urls = re.findall(r"http://\S+/graphql", running.banner)
        assert len(urls) == 4
        yield running, urls


async def connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def answered(client: httpx.AsyncClient, url: str) -> bool:
    response = await client.post(url, json={"query": "{ __typename }"})
    return bool(
        response.json() == {"data": {"__typename": "Query"}} or response.json()["data"]["__typename"] == "Query"
    )


@pytest.mark.timeout(300)
async def test_nothing_that_a_stranger_sends_stops_a_server_or_changes_anything(tmp_path: Path) -> None:
    async with all_urls(tmp_path) as (running, urls):
        for url in urls:
            for name, data in HOSTILE.items():
                _, writer = await connect(url)
                with contextlib.suppress(ConnectionError):
                    writer.write(data)
                    await asyncio.wait_for(writer.drain(), seconds(20))
                assert await answered(running.client, url), name
                await closed(writer)
        bookmark = (
            await running.ask('mutation { createUser(input: {firstName: "Ada", lastName: "L"}) { bookmark } }')
        ).data
        found = await running.ask(USERS, bookmark=bookmark["createUser"]["bookmark"])
        assert [edge["node"]["firstName"] for edge in found.data["users"]["edges"]] == ["Ada"]
        assert running.process.returncode is None


@pytest.mark.timeout(300)
async def test_hundreds_of_half_sent_requests_and_idle_connections_keep_nobody_out(tmp_path: Path) -> None:
    allow_many_files()
    async with all_urls(tmp_path) as (running, urls):
        for url in (urls[0], urls[1]):
            half = [await connect(url) for _ in range(300)]
            for _, writer in half:
                writer.write(HEAD + b"Content-Length: 1000\r\n\r\n{")
            idle = [await connect(url) for _ in range(900)]
            assert await answered(running.client, url)
            assert (await running.client.get(url.replace("/graphql", "/health/live"))).status_code == 200
            for _, writer in (*half, *idle):
                await closed(writer)
