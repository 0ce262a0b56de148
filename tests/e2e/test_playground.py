"""The playground of the running system: its prepared examples work as they stand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graphrouter.server.playground import Playground
from kithgraph.playground import EXAMPLES
from tests.support.chromium import Page, chromium_page
from tests.support.examples import variables_of
from tests.support.kith import kith_up

ARTIFACTS = Path(__file__).parents[1] / ".artifacts"
VARIABLES = (
    "[...document.querySelectorAll('.graphiql-editor-tool .view-lines')].map((lines) => lines.textContent).join()"
)
# Long lines are broken, so white space is any.
RESULT = "document.querySelector('.result-window .view-lines')?.textContent.replace(/\\s+/g, ' ')"

QUERY = "document.querySelector('.graphiql-query-editor .view-lines')?.textContent"
# The headers that the page sends, one entry a request, from now on.
NOTED = """(() => {
  const plain = window.fetch;
  window.sent = [];
  window.fetch = (url, options) => {
    window.sent.push(options.headers);
    return plain(url, options);
  };
})()"""

# How many streams have begun, and how many of them the page has ended, from now on.
STREAMS = """(() => {
  const plain = window.fetch;
  window.streams = { begun: 0, stopped: 0 };
  window.fetch = async (url, options) => {
    const response = await plain(url, options);
    if (response.headers.get("content-type")?.startsWith("text/event-stream")) {
      streams.begun += 1;
      options.signal.addEventListener("abort", () => (streams.stopped += 1));
    }
    return response;
  };
})()"""
ADD = "mutation ($one: ID!, $other: ID!) { addFriend(input: {userId: $one, friendId: $other}) { version } }"

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def assets() -> None:
    if not Playground(()).has_assets:
        pytest.skip("GraphiQL's files are not there: router/playground/build-assets writes them, with npm")


async def opened(page: Page, origin: str) -> None:
    """The playground, as far as its first tab is there."""
    await page.open(origin)
    await page.wait_for("document.querySelectorAll('.graphiql-tab').length >= 4")
    await page.wait_for(f"{VARIABLES}.includes('Lovelace')")
    await page.evaluate(NOTED)


async def clicked(page: Page) -> None:
    """Clicks the button that runs what the tab has, and waits until it has run: a click before that would stop it."""
    await page.evaluate("window.sent = []")
    await page.click(".graphiql-execute-button")
    await page.wait_for("sent.length && !document.querySelector('.graphiql-spinner')")


async def selected(page: Page, tab: str) -> None:
    """Opens a prepared tab by the mouse."""
    number = await page.wait_for(
        f"1 + [...document.querySelectorAll('.graphiql-tab')].findIndex((one) => one.textContent.startsWith('{tab}'))"
    )
    await page.click(f".graphiql-tab:nth-child({number}) button")
    await page.wait_for(f"document.querySelector('.graphiql-tab-active')?.textContent.startsWith('{tab}')")
    await page.wait_for(f"{QUERY}?.includes('{tab}')")


async def run(page: Page, tab: str, shown: str) -> None:
    """Runs a prepared tab by the mouse, and waits until the answer shows this."""
    await selected(page, tab)
    await clicked(page)
    await page.wait_for(f"{RESULT}?.includes({json.dumps(shown)})")


async def chosen(page: Page, past: str, moment: str = "") -> None:
    """Chooses a past by the control, as a person does by its list and its field."""
    await page.evaluate(
        f"""(() => {{
            const past = document.getElementById("past");
            past.value = "{past}";
            past.dispatchEvent(new Event("change"));
            if ("{moment}") document.getElementById("moment").value = "{moment}";
        }})()"""
    )


async def test_the_first_example_runs_at_once_and_is_still_there_on_the_next_visit(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data") as kith, chromium_page(tmp_path / "profile") as page:
        for _ in range(2):  # whose second time gives the same users
            await opened(page, kith.origin)
            await clicked(page)
            await page.wait_for(f'{RESULT}?.includes(\'"firstName": "Ada"\')')
        ARTIFACTS.mkdir(exist_ok=True)
        (ARTIFACTS / "kithgraph-playground.png").write_bytes(await page.screenshot())
        assert page.problems == []
        answer = await kith.ask("{ users { edges { node { firstName } } } }")
        names = [edge["node"]["firstName"] for edge in answer.data["users"]["edges"]]
        assert names == ["Ada", "Grace", "Alan"]


async def test_examples_find_the_ids_that_they_lack(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data") as kith, chromium_page(tmp_path / "profile") as page:
        await opened(page, kith.origin)
        await run(page, "AddFriends", "CreateUsers first")
        await run(page, "CreateUsers", '"firstName": "Ada"')
        await run(page, "AddFriends", '"since":')
        assert "{{" not in await page.evaluate(VARIABLES), "what was found stands in the editor"
        await run(page, "Recommendations", '"firstName": "Alan"')
        assert page.problems == []


async def test_bookmark_and_past_are_controls(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data") as kith, chromium_page(tmp_path / "profile") as page:
        await opened(page, kith.origin)
        await run(page, "CreateUsers", '"firstName": "Ada"')
        bookmark = await page.wait_for("document.getElementById('bookmark').value")
        await run(page, "Users", '"firstName": "Grace"')
        assert await page.evaluate("sent.at(-1).bookmark") == bookmark

        await chosen(page, "moment", "2001-02-03T04:05:06")
        await run(page, "Users", '"edges": []')
        moment = await page.evaluate("new Date('2001-02-03T04:05:06').toISOString()")
        assert await page.evaluate("sent.at(-1)['as-of']") == moment
        await run(page, "CreateUsers", '"firstName": "Ada"')
        assert await page.evaluate("sent.at(-1)['as-of']") is None, "nobody changes the past"
        # The past as it was after a change is one that can be chosen.
        await chosen(page, await page.evaluate("document.querySelector('#answers option:last-child').value"))
        await run(page, "Users", '"firstName": "Grace"')
        (ARTIFACTS / "kithgraph-past.png").write_bytes(await page.screenshot())

        await chosen(page, "now")
        await page.evaluate("document.getElementById('bookmark').value = 'gQ'")
        await clicked(page)
        assert "forgotten" in await page.wait_for("document.getElementById('told').textContent")
        assert await page.evaluate("document.getElementById('bookmark').value") == ""
        await run(page, "Users", '"firstName": "Grace"')
        assert page.problems == []


async def test_a_subscription_shows_each_message_until_it_is_stopped(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data") as kith, chromium_page(tmp_path / "profile") as page:
        created = await kith.ask(EXAMPLES[0].query, dict(EXAMPLES[0].variables))
        found = await kith.ask("{ users(first: 3) { edges { node { id firstName } } } }", bookmark=created.bookmark)
        first, second, third = [edge["node"] for edge in found.data["users"]["edges"]]
        await opened(page, kith.origin)
        await page.evaluate(STREAMS)
        await selected(page, "LiveRecommendations")
        await page.click(".graphiql-execute-button")
        await page.wait_for("streams.begun === 1")
        await kith.ask(ADD, {"one": first["id"], "other": second["id"]})
        await page.wait_for(f"{RESULT}?.includes('\"recommendations\": []')")
        await kith.ask(ADD, {"one": second["id"], "other": third["id"]})
        await page.wait_for(f'{RESULT}?.includes(\'"firstName": "{third["firstName"]}"\')')
        await page.wait_for("document.querySelector('.graphiql-execute-button').ariaLabel.startsWith('Stop')")
        await page.click(".graphiql-execute-button")
        await page.wait_for("streams.stopped === 1")
        assert page.problems == []


async def test_the_examples_run_one_after_the_other_twice(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data") as kith:
        bookmark = ""
        for number, example in enumerate(EXAMPLES * 2):
            if "subscription" in example.query:
                continue
            variables = await variables_of(example, kith, bookmark)
            answer = await kith.ask(example.query, variables, headers={"bookmark": bookmark} if bookmark else {})
            are_friends = example.title == "Add friends" and number >= len(EXAMPLES)
            assert set(answer.codes) == ({"ALREADY_EXISTS"} if are_friends else set()), (example.title, answer.body)
            bookmark = answer.bookmark
