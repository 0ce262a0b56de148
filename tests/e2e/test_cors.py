"""A page of another origin asks the router, in a real Chromium."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from graphrouter import RouterOptions, bookmarks, federate
from tests.support.chromium import chromium_page
from tests.support.tiny_subgraph import reviews_subgraph, users_subgraph

ASK = """
fetch("URL/graphql", {
    method: "POST",
    headers: {"content-type": "application/json", "bookmark": "BOOKMARK"},
    body: JSON.stringify({query: "{ me { name } }"}),
}).then(async (response) => [(await response.json()).data.me.name, response.headers.get("bookmark")], () => "refused")
"""

pytestmark = pytest.mark.browser


@asynccontextmanager
async def served(apps: Sequence[tuple[Any, socket.socket]]) -> AsyncGenerator[None]:
    servers = [(uvicorn.Server(uvicorn.Config(app, log_config=None)), listener) for app, listener in apps]
    serving = [asyncio.create_task(server.serve(sockets=[listener])) for server, listener in servers]
    try:
        yield
    finally:
        for server, _ in servers:
            server.should_exit = True
        await asyncio.gather(*serving)


def listening() -> tuple[socket.socket, str]:
    listener = socket.create_server(("127.0.0.1", 0))
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


async def test_pages_ask_from_the_origins_that_are_named_and_from_no_others(tmp_path: Path) -> None:
    page_listener, page_origin = listening()
    named_listener, named = listening()
    closed_listener, closed = listening()
    page_app = Starlette(routes=[Route("/", lambda _request: HTMLResponse("<title>Other</title>"))])
    subgraphs = {"users": users_subgraph(), "reviews": reviews_subgraph()}
    bookmark = bookmarks.encode({"a/0": 3})
    routers = [
        (federate(subgraphs, RouterOptions(cors_origins=(page_origin,))), named_listener),
        (federate(subgraphs, RouterOptions(cors_origins=("https://app.example.com",))), closed_listener),
    ]
    async with served([(page_app, page_listener), *routers]), chromium_page(tmp_path) as page:
        await page.open(page_origin)
        await page.wait_for("document.title === 'Other'")
        ask = ASK.replace("BOOKMARK", bookmark)
        assert await page.evaluate(ask.replace("URL", named)) == ["Ada", bookmark]
        assert await page.evaluate(ask.replace("URL", closed)) == "refused"
