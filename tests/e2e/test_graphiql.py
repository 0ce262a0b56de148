"""The playground in a real Chromium: open it, type a query, run it, look at the result."""

from __future__ import annotations

import asyncio
import json
import re
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
    Example("A long line", f'query Long {{ user(id: "{"1" * 300}") {{ name }} }}'),
)

QUERY = "document.querySelector('.graphiql-query-editor .view-lines')?.textContent"
ACTIVE = "document.querySelector('.graphiql-tab-active')?.textContent"
PLAN = "document.getElementById('plan').textContent"
RESULT = "document.querySelector('.result-window .view-lines')?.textContent.replaceAll('\\u00a0', ' ')"
LONGEST_LINE = "Math.max(...[...document.querySelectorAll('#plan .line')].map((line) => line.textContent.length))"

# The relative luminance of what is behind an element, and the contrast of its text with that.
# https://www.w3.org/TR/WCAG22/#dfn-relative-luminance
_LUMINANCE = """
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((one) => one / 255)
      .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    return colour === "rgba(0, 0, 0, 0)" ? behind(element.parentElement) : colour;
  };
"""
LIGHTNESS = f"(selector) => {{ {_LUMINANCE} return light(behind(document.querySelector(selector))); }}"
CONTRAST = f"""(selector) => {{ {_LUMINANCE}
  const element = document.querySelector(selector);
  const [low, high] = [light(behind(element)), light(getComputedStyle(element).color)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}}"""

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
    await page.wait_for("document.querySelectorAll('.graphiql-tab').length === 3")
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


async def test_the_first_click_on_a_prepared_tab_selects_it(page: Page, origin: str) -> None:
    """A pointer presses and releases at one place, wherever the tab is by then."""
    await page.open(origin)
    await page.wait_for(f"{QUERY}?.includes('me')")
    await page.click(".graphiql-tab:nth-child(2) button")
    assert await page.wait_for(f"{ACTIVE}?.startsWith('Plan')")
    assert await page.wait_for(f"{QUERY}?.includes('reviews')")
    assert page.problems == []


async def test_a_button_shows_the_plan_beside_the_answer(page: Page, origin: str) -> None:
    await page.open(origin)
    await page.wait_for(f"{QUERY}?.includes('me')")
    await page.click("#plan-button")
    assert "Run an operation" in await page.wait_for(PLAN)
    await page.click(".graphiql-execute-button")
    shown = await page.wait_for(f"{PLAN}.includes('QueryPlan') && {PLAN}")
    answer = await page.wait_for(f"{RESULT}?.includes('Ada') && {RESULT}")
    assert re.search(r'Fetch\(service: "users", id: 0\) \{  # [\d.]+ ms · \d+ B', shown)
    assert "ms in the router" in shown
    assert not {"queryPlan", "explain", "extensions"} & set(re.findall(r"\w+", answer))
    keep("playground-plan-button.png", await page.screenshot())

    await page.click("#plan-button")
    assert await page.evaluate("document.getElementById('plan').hidden")
    await page.click(".graphiql-execute-button")
    await page.wait_for(f"{RESULT}?.includes('Ada')")
    await page.click("#plan-button")
    # What was run last is planned, and not run again: so nothing is known of its fetches.
    again = await page.wait_for(f"{PLAN}.includes('QueryPlan') && {PLAN}")
    assert 'Fetch(service: "users", id: 0) {' in again
    assert " ms" not in again
    assert page.problems == []


async def test_a_plan_that_a_header_asks_for_is_shown_beside_the_answer(page: Page, origin: str) -> None:
    await page.open(origin)
    await page.wait_for(f"{QUERY}?.includes('me')")
    await page.click(".graphiql-tab:nth-child(2) button")
    await page.wait_for(f"{QUERY}?.includes('reviews')")
    await page.click(".graphiql-execute-button")
    shown = await page.wait_for(f"{PLAN}.includes('QueryPlan') && {PLAN}")
    answer = await page.wait_for(f"{RESULT}?.includes('author') && {RESULT}")
    assert 'service: "reviews"' in shown
    assert "queryPlan" not in answer
    keep("playground-plan.png", await page.screenshot())
    assert page.problems == []


async def test_no_line_of_a_plan_is_cut(page: Page, origin: str) -> None:
    await page.open(f"{origin}/")
    await page.wait_for(f"{QUERY}?.includes('me')")
    await page.click(".graphiql-tab:nth-child(3) button")
    await page.wait_for(f"{QUERY}?.includes('Long')")
    await page.click("#plan-button")
    await page.click(".graphiql-execute-button")
    longest = await page.wait_for(f"{PLAN}.includes('QueryPlan') && {LONGEST_LINE}")
    assert longest > 200
    assert await page.evaluate("(plan => plan.scrollWidth <= plan.clientWidth)(document.getElementById('plan'))")
    keep("playground-long-plan.png", await page.screenshot())


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_bar_and_plan_have_the_colours_of_the_theme(page: Page, origin: str, scheme: str) -> None:
    await page.prefer(scheme)
    await page.open(origin)
    await page.wait_for(f"{QUERY}?.includes('me')")
    await page.click("#plan-button")
    await page.click(".graphiql-execute-button")
    await page.wait_for(f"{PLAN}.includes('QueryPlan')")
    for place in (
        "#bar",
        "#bookmark",
        "#past",
        "#bookmark-forgotten",
        "#plan-button",
        "#plan",
        "#plan p",
        "#plan .took",
    ):
        assert await page.evaluate(f"({CONTRAST})({place!r})") >= 4.5, place
        if place != "#plan-button":  # which is pressed
            assert (await page.evaluate(f"({LIGHTNESS})({place!r})") < 0.2) is (scheme == "dark"), place
    keep(f"playground-{scheme}.png", await page.screenshot())

    # What is chosen in GraphiQL's settings counts more than the system's theme.
    other = {"light": "dark", "dark": "light"}[scheme]
    await page.evaluate(f"document.body.classList.add('graphiql-{other}')")
    assert (await page.evaluate(f"({LIGHTNESS})('#plan')") < 0.2) is (other == "dark")
    assert page.problems == []


async def test_an_operation_is_told_by_the_text_that_is_sent(page: Page, origin: str) -> None:
    """What the editor has parsed may be the text of before: of another tab, with another operation's name."""
    await page.open(origin)
    await page.wait_for(f"{QUERY}?.includes('me')")
    for query, name, kind, told in (
        ("# mutation A\nquery B { x }\nmutation C { y }", "C", "mutation", "C"),
        ("subscription Live { a }", "CreateUsers", "subscription", None),
        ("fragment F on X { a }\nmutation { z }", None, "mutation", None),
        ('query A { f(a: "} mutation X") }', "A", "query", "A"),
        ("{ mutation query }", "A", "query", None),
    ):
        given = json.dumps({"query": query, "operationName": name})
        read = (
            f"import('{origin}/playground/graph.js').then((one) => [one.operationOf(given), one.withNameOfNow(given)])"
        )
        found = await page.evaluate(f"((given) => {read})({given})")
        assert (found[0], found[1].get("operationName")) == (kind, told), query
