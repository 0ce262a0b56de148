"""A page typed in from the top: its files written, its commands run, its Python prompt, each output compared."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from infra.patience import seconds

_BLOCK: Final = re.compile(
    r"^## (?P<title>[^\n]+)$|^(?:`(?P<file>[\w./]+)`\n\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_FLAGS: Final = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
_COMMAND_SECONDS: Final = 60
"""Of a quiet machine of the usual speed."""


@dataclass(frozen=True)
class Block:
    """What stands between two fences, under which heading; and the file that it is, if it is one."""

    section: str
    language: str
    text: str
    file: str | None


def blocks(page: str) -> Iterator[Block]:
    section = ""
    for found in _BLOCK.finditer(page):
        section = found["title"] or section
        if found["title"] is None:
            yield Block(section, found["language"], found["text"], found["file"])


@dataclass
class Typist:
    """Types blocks into a folder. A command that serves goes on beside the others until the typist is closed."""

    folder: Path
    environment: dict[str, str]
    replaced: Mapping[str, str]
    """What stands on the page → what is typed in its place: ports, and where packages come from."""
    serving: Mapping[str, Mapping[str, str]]
    """Commands that serve → settings of theirs alone."""
    overruled: Mapping[str, str] = field(default_factory=dict[str, str])
    """Settings that stand in the place of those of the page."""
    names: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the Python prompt knows."""
    running: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.running.close()

    def type_in(self, typed: Sequence[Block]) -> None:
        for block in typed:
            if block.file is not None:
                path = self.folder / block.file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text)
                continue
            text = block.text
            for old, new in self.replaced.items():
                text = text.replace(old, new)
            {"sh": self._lines, "console": self._console, "pycon": self._prompt}[block.language](text)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """A command of a shell, to its end; its output has its errors, too."""
        return subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds(_COMMAND_SECONDS),
            check=False,
        )

    def _lines(self, text: str) -> None:
        for line in text.splitlines():
            command = line.removesuffix(" &")
            if command.startswith("export "):
                for name, _, value in (one.partition("=") for one in shlex.split(command)[1:]):
                    self.environment[name] = value.replace("$PWD", str(self.folder))
                self.environment |= self.overruled
            elif command in self.serving:
                self.serve(command)
            elif not command.startswith(". "):  # the shell's own; the environment is as it makes it
                finished = self.run(command)
                assert finished.returncode == 0, f"$ {command}\n{finished.stdout}"

    def _console(self, text: str) -> None:
        for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
            finished = self.run(command)
            same = doctest.OutputChecker().check_output(expected, finished.stdout, _FLAGS)
            assert same, f"$ {command}\nexpected:\n{expected}found:\n{finished.stdout}"

    def _prompt(self, text: str) -> None:
        typed = doctest.DocTestParser().get_doctest(text, self.names, "the page", None, 0)
        runner = doctest.DocTestRunner(optionflags=_FLAGS)
        report: list[str] = []
        runner.run(typed, out=report.append, clear_globs=False)
        self.names = typed.globs
        assert runner.summarize(verbose=False).failed == 0, "".join(report)

    def serve(self, command: str) -> None:
        """Start it, and go on when it says that it can be stopped by Ctrl-C."""
        process = subprocess.Popen(
            ["sh", "-c", f"exec {command}"],
            cwd=self.folder,
            env={**self.environment, **self.serving[command]},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.running.callback(_stop, process)
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "Ctrl-C" in line:
                return
        raise AssertionError(f"{command} ended before it was ready: {said}")

    def stop(self) -> None:
        """Ctrl-C, for all that serve."""
        self.running.close()


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    with process:
        process.wait(seconds(_COMMAND_SECONDS))


def clean_environment(*prefixes: str) -> dict[str, str]:
    """The environment without the settings of these systems, so that a developer's own do not change a test."""
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
