"""The playground of the running system: its prepared examples work as they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphrouter.server.playground import Playground
from tests.support.chromium import chromium_page
from tests.support.kith import kith_up

ARTIFACTS = Path(__file__).parents[1] / ".artifacts"
VARIABLES = (
    "[...document.querySelectorAll('.graphiql-editor-tool .view-lines')].map((lines) => lines.textContent).join()"
)
RESULT = "document.querySelector('.result-window .view-lines')?.textContent.replaceAll('\\u00a0', ' ')"

pytestmark = pytest.mark.browser


async def test_the_first_example_runs_at_once_and_is_still_there_on_the_next_visit(tmp_path: Path) -> None:
    if not Playground(()).has_assets:
        pytest.skip("GraphiQL's files are not there: router/playground/build-assets writes them, with npm")
    async with kith_up(tmp_path / "data") as kith, chromium_page(tmp_path / "profile") as page:
        await page.open(kith.origin)
        await page.wait_for("document.querySelectorAll('.graphiql-tab').length >= 4")
        await page.wait_for(f"{VARIABLES}.includes('Lovelace')")
        await page.click(".graphiql-execute-button")
        await page.wait_for(f'{RESULT}?.includes(\'"firstName": "Ada"\')')
        ARTIFACTS.mkdir(exist_ok=True)
        (ARTIFACTS / "kithgraph-playground.png").write_bytes(await page.screenshot())

        await page.open(kith.origin)
        await page.wait_for("document.querySelectorAll('.graphiql-tab').length >= 4")
        await page.wait_for(f"{VARIABLES}.includes('Lovelace')")
        assert page.problems == []
        answer = await kith.ask("{ users { edges { node { firstName } } } }")
        assert answer.data["users"]["edges"] == [{"node": {"firstName": "Ada"}}]


CREATE = 'mutation ($n: String!) { createUser(input: {firstName: $n, lastName: "Live"}) { user { id } } }'
ADD = "mutation ($a: ID!, $b: ID!) { addFriend(input: {userId: $a, friendId: $b}) { version } }"
TYPED = """subscription { friendshipsChanged(userId: "%s") { firstName friendCount } }"""
# How many streams have begun, and how many of them the page has ended.
WATCHED = """(() => {
  const plain = window.fetch;
  window.streams = window.stopped = 0;
  window.fetch = async (url, options) => {
    const response = await plain(url, options);
    if (response.headers.get("content-type")?.startsWith("text/event-stream")) {
      window.streams += 1;
      options.signal.addEventListener("abort", () => (window.stopped += 1));
    }
    return response;
  };
})()"""


async def test_a_subscription_shows_each_message_until_it_is_stopped(tmp_path: Path) -> None:
    if not Playground(()).has_assets:
        pytest.skip("GraphiQL's files are not there: router/playground/build-assets writes them, with npm")
    async with kith_up(tmp_path / "data") as kith, chromium_page(tmp_path / "profile") as page:
        ada, bob, cy = [(await kith.ask(CREATE, {"n": name})).data["createUser"]["user"]["id"] for name in "ABC"]
        await page.open(kith.origin)
        await page.wait_for(f"{VARIABLES}.includes('Lovelace')")
        await page.evaluate(WATCHED)
        await page.click(".graphiql-query-editor .view-lines")
        await page.press("a", 65, control=True)
        await page.press("Backspace", 8)
        await page.type(TYPED % ada)
        await page.click(".graphiql-execute-button")
        await page.wait_for("window.streams === 1")  # so it has begun
        for count, friend in ((1, bob), (2, cy)):
            await kith.ask(ADD, {"a": ada, "b": friend})
            await page.wait_for(f"{RESULT}?.includes('\"friendCount\": {count}')")
        (ARTIFACTS / "kithgraph-subscription.png").write_bytes(await page.screenshot())
        await page.click(".graphiql-execute-button")  # which stops it now
        await page.wait_for("window.stopped === 1")
        assert page.problems == []
