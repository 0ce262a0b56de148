"""The tour of the shop's README, typed in as it stands there, and the playground's examples, one after the other."""

from __future__ import annotations

import asyncio
import doctest
import json
import re
from pathlib import Path

from shop.playground import EXAMPLES
from tests.support.kith import kith_up, run_kith

FOLDER = Path(__file__).parents[2] / "examples" / "shop"
README = (FOLDER / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


async def test_the_tour_prints_what_the_page_says(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with kith_up(data, system="shop") as shop:
        source = "\n".join(blocks("pycon")).replace("http://127.0.0.1:9000", shop.origin)
        examples = doctest.DocTestParser().get_doctest(source, {}, "README.md", "README.md", 0)
        assert len(examples.examples) > 15
        report: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        await asyncio.to_thread(runner.run, examples, out=report.append)
        assert runner.summarize(verbose=False).failed == 0, "".join(report)

        command = next(line for block in blocks("sh") for line in block.splitlines() if "shop events" in line)
        finished = await run_kith(*command.replace("--data data", f"--data {data}").split()[1:], system="shop")
        assert finished.code == 0, finished.errors
        types = [json.loads(line)["type"] for line in finished.output.splitlines()]
        assert sorted(types) == [
            "accounts.CustomerChanged",
            "accounts.CustomerCreated",
            "orders.OrderPlaced",
            "orders.OrderShipped",
        ]


async def test_the_playgrounds_examples_work_as_they_stand(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data", system="shop") as shop:
        bookmark = None
        for example in EXAMPLES:
            answer = await shop.ask(example.query, dict(example.variables), bookmark=bookmark)
            assert all(answer.data.values()), example.title
            assert "[]" not in str(answer.data), example.title
            bookmark = answer.bookmark


def test_every_file_that_the_page_links_to_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (FOLDER / target).exists(), target
