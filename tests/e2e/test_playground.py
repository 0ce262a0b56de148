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
