"""The command's help and completion, as a shell and a reader have them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import pytest

from eventgraph.cli import Command, command_line, run
from eventgraph.errors import StartError
from kithgraph.system import SOCIAL_NETWORK


def commands(command: Command, path: str = "kith") -> Iterator[tuple[str, Command]]:
    group = cast("Mapping[str, Command]", getattr(command, "commands", {}))
    if not group:
        yield path, command
    for name, child in group.items():
        yield from commands(child, f"{path} {name}")


COMMANDS = dict(commands(command_line(SOCIAL_NETWORK)))


def test_these_are_the_commands() -> None:
    assert {
        "kith up",
        "kith serve",
        "kith project",
        "kith migrate",
        "kith events",
        "kith export",
        "kith import",
        "kith rebuild",
        "kith parked skip",
        "kith parked resume",
    } <= set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_an_example_of_itself(path: str) -> None:
    assert f"Example: {path}" in (COMMANDS[path].help or "")


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("kith re", {"rebuild"}),
        ("kith parked s", {"show", "skip"}),
        ("kith rebuild f", {"friends"}),
        ("kith what-if --view u", {"users"}),
        ("kith events --log ", {"users", "friends"}),
    ],
)
def test_a_shell_completes_commands_and_names(
    typed: str, completed: set[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = typed.split(" ")
    environment = {"_KITH_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        command_line(SOCIAL_NETWORK)(prog_name="kith")
    assert set(capsys.readouterr().out.split()) == completed


@pytest.mark.parametrize(
    ("typed", "names"),
    [("serve", "'router', 'users', 'friends', 'recommendations'"), ("project", "'users', 'friends'")],
)
def test_a_part_that_the_system_has_not_is_refused_with_those_that_it_has(
    typed: str, names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line(SOCIAL_NETWORK)([typed, "nobody"], prog_name="kith")
    assert ended.value.code == 2
    told = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert f"'nobody' is not one of {names}" in told


def test_no_word_is_left_in_braces() -> None:
    for path, found in COMMANDS.items():
        texts = [found.help, *(text for one in found.params for text in (one.help, one.envvar))]
        assert not [text for text in texts if text and "{" in text], path


def test_without_an_option_the_data_folder_is_the_one_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StartError, match="data"):
        command_line(SOCIAL_NETWORK)(["events"])


def test_without_the_drivers_the_distributed_mode_says_what_to_install(capsys: pytest.CaptureFixture[str]) -> None:
    def without_drivers() -> None:
        raise ModuleNotFoundError("No module named 'aiokafka'", name="aiokafka")

    with pytest.raises(SystemExit) as ended:
        run(SOCIAL_NETWORK, without_drivers)
    assert ended.value.code == 1
    assert "install kithgraph[distributed]" in capsys.readouterr().err


def test_a_command_waits_for_no_schema_and_no_server_that_it_does_not_need() -> None:
    """Completion runs at every press of a key."""
    large = ("strawberry", "graphql", "starlette", "uvicorn", "pydantic", "aiokafka", "pymongo", "neo4j", "rich")
    code = f"import sys, kithgraph.cli; print([name for name in {large} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert found == "[]\n"
