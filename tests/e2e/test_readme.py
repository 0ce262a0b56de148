"""The README's tour, typed in as it stands there."""

from __future__ import annotations

import asyncio
import doctest
import io
import json
import re
import subprocess
import sys
from code import InteractiveConsole
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from unittest.mock import patch

from tests.support.kith import kith_up, run_kith

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


class Prompt(InteractiveConsole):
    """A Python prompt, with all that it prints, errors included."""

    def __init__(self) -> None:
        super().__init__()
        self.printed = ""

    def write(self, data: str) -> None:
        self.printed += data

    def paste(self, text: str) -> str:
        """What the prompt prints while these lines come one after the other."""
        self.printed, printed = "", io.StringIO()
        # A prompt shows an error by the hook, where a library (Typer) has set one of its own.
        with redirect_stdout(printed), patch.object(sys, "excepthook", sys.__excepthook__):
            for line in text.splitlines():
                self.push(line)
        return printed.getvalue() + self.printed


def steps(block: str) -> Iterator[tuple[str, str]]:
    """The parts of a block, each with what it is said to print: the comments below it."""
    for source, told in re.findall(r"((?:(?!# ).*\n)+)((?:# .*\n)*)", block):
        yield source, re.sub(r"^# ", "", told, flags=re.MULTILINE)


def check_the_tour(prompt: Prompt, origin: str) -> int:
    """Pastes the tour as it stands; how much of what it prints was compared."""
    compared = 0
    for block in blocks("python"):
        for source, expected in steps(block.replace("http://127.0.0.1:9000", origin)):
            printed = prompt.paste(source)
            assert doctest.OutputChecker().check_output(expected, printed, doctest.ELLIPSIS), (source, printed)
            compared += bool(expected)
    return compared


async def test_the_tour_is_pasted_into_a_prompt_twice_and_prints_what_the_page_says(tmp_path: Path) -> None:
    async with kith_up(tmp_path / "data") as kith:
        prompt = Prompt()
        for _ in range(2):
            assert await asyncio.to_thread(check_the_tour, prompt, kith.origin) == 5
        refused = await asyncio.to_thread(prompt.paste, "befriend(ada, ada)\n")
        assert re.search(r"^RuntimeError: \S.*", refused, re.MULTILINE), "what happened is said"

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
