"""The bank's README, typed in as it stands there; its page, in a real Chromium; its prepared examples."""

from __future__ import annotations

import asyncio
import doctest
import re
import threading
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bank.examples import EXAMPLES
from tests.support.bank import TRANSFER, Bank
from tests.support.chromium import chromium_page
from tests.support.examples import variables_of
from tests.support.kith import kith_up, run_kith

BANK = Path(__file__).parents[3] / "examples" / "bank"
README = (BANK / "README.md").read_text()


async def test_the_tour_prints_what_the_page_says(tmp_path: Path) -> None:
    blocks = re.findall(r"^```pycon\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    async with kith_up(tmp_path / "data", system="bank") as running:
        source = "\n".join(blocks).replace("http://127.0.0.1:9000", running.origin)
        examples = doctest.DocTestParser().get_doctest(source, {}, "README.md", "README.md", 0)
        assert len(examples.examples) > 15
        report: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        await asyncio.to_thread(runner.run, examples, out=report.append)
        assert runner.summarize(verbose=False).failed == 0, "".join(report)


async def test_every_command_that_the_page_names_exists() -> None:
    told = (await run_kith("--help", system="bank")).output
    for command in set(re.findall(r"`?bank ([a-z]+)\b(?=[` ])", re.sub(r"\bA bank\b.*", "", README))) & {
        "up", "audit", "transfers", "drive", "serve", "doctor",
    }:  # fmt: skip
        assert re.search(rf"\b{command}\b", told), command
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (BANK / target).exists(), target


async def test_the_prepared_examples_run_one_after_the_other_twice(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data", system="bank") as running:
        bookmark = ""
        for example in EXAMPLES * 2:
            variables = await variables_of(example, running, bookmark)
            answer = await running.ask(example.query, variables, headers={"bookmark": bookmark} if bookmark else {})
            assert answer.codes == [], (example.title, answer.body)
            assert None not in answer.data.values(), example.title
            bookmark = answer.bookmark
        accounts = await running.ask('{ searchAccounts(text: "savings") { edges { node { owner } } } }')
        owners = [edge["node"]["owner"] for edge in accounts.data["searchAccounts"]["edges"]]
        assert sorted(owners) == ["Ada Lovelace", "Grace Hopper"], "the same accounts, the second time"


@contextmanager
def served(folder: Path) -> Generator[str]:
    """The origin of a server of these files, which is not the bank's."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.browser
async def test_the_page_shows_the_balance_after_a_transfer_by_its_bookmark(tmp_path: Path) -> None:
    with served(BANK / "web") as page_origin:
        async with (
            kith_up(tmp_path / "data", "--cors-origins", page_origin, system="bank") as running,
            chromium_page(tmp_path / "profile") as page,
        ):
            bank = Bank(running)
            source, target = await bank.account("ada", "100.00 EUR"), await bank.account("bob")
            text = "document.getElementById('{}').textContent".format
            await page.open(f"{page_origin}/?bank={running.origin}&source={source}&target={target}")
            await page.wait_for(f"{text('source-balance')} === '100.00 EUR'")
            await page.evaluate("document.querySelector('[name=amount]').value = '30.50 EUR'")
            await page.click("button")
            await page.wait_for(f"{text('state')} === 'COMPLETED'")
            assert await page.evaluate(f"[{text('source-balance')}, {text('target-balance')}]") == [
                "69.50 EUR",
                "30.50 EUR",
            ]
            await page.evaluate("document.querySelector('[name=amount]').value = '70.00 EUR'")
            await page.click("button")
            await page.wait_for(f"{text('state')} === 'FAILED: the balance is too small'")
            await page.evaluate("document.querySelector('[name=amount]').value = '1.5 EUR'")
            await page.click("button")
            await page.wait_for(f"{text('problem')}.includes('expected 2 digits behind the point for EUR')")
            assert page.problems == []


async def test_what_the_page_reads_by_the_bookmark_is_what_was_written(tmp_path: Path) -> None:
    """The same without a browser: the first look behind the bookmark of a completed transfer has its balances."""
    async with kith_up(tmp_path / "data", system="bank") as running:
        bank = Bank(running)
        source, target = await bank.account("ada", "9.00 EUR"), await bank.account("bob")
        for number in range(1, 9):
            moved = (await bank.change(TRANSFER, sourceId=source, targetId=target, amount="1.00 EUR"))["transfer"]["id"]
            assert await bank.over(moved) == ("COMPLETED", None)
            assert await bank.balance(target) == f"{number}.00 EUR"
