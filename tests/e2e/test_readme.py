"""The README's tour, typed in as it stands there."""

from __future__ import annotations

import asyncio
import doctest
import json
import re
import subprocess
from pathlib import Path

from tests.support.kith import kith_up, run_kith

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


async def test_the_tour_prints_what_the_page_says(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data") as kith:
        source = "\n".join(blocks("pycon")).replace("http://127.0.0.1:9000", kith.origin)
        examples = doctest.DocTestParser().get_doctest(source, {}, "README.md", "README.md", 0)
        assert len(examples.examples) > 8
        report: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        await asyncio.to_thread(runner.run, examples, out=report.append)
        assert runner.summarize(verbose=False).failed == 0, "".join(report)

        command = next(line for block in blocks("sh") for line in block.splitlines() if "kith events" in line)
        arguments = command.replace("--data data", f"--data {tmp_path / 'data'}").split()[1:]
        finished = await run_kith(*arguments)
        assert finished.code == 0, finished.errors
        types = [json.loads(line)["type"] for line in finished.output.splitlines()]
        assert (types.count("users.UserCreated"), types.count("friends.FriendAdded")) == (4, 4)


def test_every_make_target_that_the_page_names_exists() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = set(re.findall(r"`?make ([a-z-]+)", README))
    assert named
    assert named <= set(re.findall(r"make ([a-z-]+)", listed)) | {"help"}


def test_every_file_that_the_page_links_to_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target
