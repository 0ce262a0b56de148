"""The playground in a real Chromium: open it, type a query, run it, look at the result."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import uvicorn

from graphrouter import Example, RouterOptions, federate
from graphrouter.server.playground import Playground
from tests.support.chromium import Page, chromium_page
from tests.support.tiny_subgraph import reviews_subgraph, users_subgraph

ARTIFACTS = Path(__file__).parents[1] / ".artifacts"

EXAMPLES = (
    Example("Who am I?", "query Me { me { name } }"),
    Example("The plan of a query", "query Plan { reviews { author { name } } }", headers={"Query-Plan": "1"}),
)

QUERY = "document.querySelector('.graphiql-query-editor .view-lines')?.textContent"
PLAN = "document.getElementById('plan').textContent"
RESULT = "document.querySelector('.result-window .view-lines')?.textContent.replaceAll('\\u00a0', ' ')"

pytestmark = pytest.mark.browser


@pytest.fixture
async def origin() -> AsyncGenerator[str]:
    app = federate({"users": users_subgraph(), "reviews": reviews_subgraph()}, RouterOptions(examples=EXAMPLES))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await serving


@pytest.fixture
async def page(tmp_path: Path) -> AsyncGenerator[Page]:
    if not Playground(()).has_assets:
        pytest.skip("GraphiQL's files are not there: router/playground/build-assets writes them, with npm")
    async with chromium_page(tmp_path) as page:
        yield page


def keep(name: str, image: bytes) -> None:
    """For people to look at."""
    assert image.startswith(b"\x89PNG")
    ARTIFACTS.mkdir(exist_ok=True)
    (ARTIFACTS / name).write_bytes(image)


async def test_a_query_typed_into_the_playground_is_answered(page: Page, origin: str) -> None:
    await page.open(origin)
    await page.wait_for("document.querySelectorAll('.graphiql-tab').length === 2")
    await page.wait_for(f"{QUERY}?.includes('me')")
    await page.click(".graphiql-query-editor .view-lines")
    await page.press("a", 65, control=True)
    await page.press("Backspace", 8)
    await page.type("{ user(id: 2) { name reviews { body } } }")
    await page.click(".graphiql-execute-button")
    shown = await page.wait_for(f"{RESULT}?.includes('Grace') && {RESULT}")

    assert '"body": "second"' in shown
    keep("playground.png", await page.screenshot())
    assert page.problems == []
    foreign = [url for url in page.requested if not url.startswith((origin, "data:", f"blob:{origin}"))]
    assert foreign == []


async def test_a_button_shows_the_plan_beside_the_answer(page: Page, origin: str) -> None:
    await page.open(origin)
    await page.click(".graphiql-tab:nth-child(1) button")
    await page.wait_for(f"{QUERY}?.includes('me')")
    await page.click("#plan-button")
    assert "Run an operation" in await page.wait_for(PLAN)
    await page.click(".graphiql-execute-button")
    shown = await page.wait_for(f"{PLAN}.includes('QueryPlan') && {PLAN}")
    answer = await page.wait_for(f"{RESULT}?.includes('Ada') && {RESULT}")
    assert 'Fetch(service: "users", id: 0)' in shown
    assert "queryPlan" not in answer
    keep("playground-plan-button.png", await page.screenshot())

    await page.click("#plan-button")
    assert await page.evaluate("document.getElementById('plan').hidden")
    await page.click(".graphiql-tab:nth-child(2) button")
    await page.wait_for(f"{QUERY}?.includes('reviews')")
    await page.click(".graphiql-execute-button")
    await page.wait_for(f"{RESULT}?.includes('QueryPlan')")
    await page.click("#plan-button")
    # What was run last is planned, and not run again.
    assert 'service: "reviews"' in await page.wait_for(f"{PLAN}.includes('QueryPlan') && {PLAN}")
    assert page.problems == []


async def test_an_example_with_the_plans_header_shows_the_plan(page: Page, origin: str) -> None:
    await page.open(origin)
    await page.click(".graphiql-tab:nth-child(2) button")
    await page.wait_for(f"{QUERY}?.includes('reviews')")
    await page.click(".graphiql-execute-button")
    shown = await page.wait_for(f"{RESULT}?.includes('QueryPlan') && {RESULT}")

    assert '"lines": [' in shown
    keep("playground-plan.png", await page.screenshot())
    assert page.problems == []
