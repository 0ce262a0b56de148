"""The command's help and completion, as a shell and a reader have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol, cast

import pytest
import typer.main
from typer.testing import CliRunner

from eventgraph.cli import app, main
from eventgraph.errors import StartError
from eventgraph.running.data_folder import LOG_NAMES, VIEW_NAMES
from eventgraph.running.views import VIEWS


class Command(Protocol):
    """What Typer makes of a function or a group."""

    help: str | None


def commands(command: Command, path: str = "kith") -> Iterator[tuple[str, Command]]:
    group = cast("Mapping[str, Command]", getattr(command, "commands", {}))
    if not group:
        yield path, command
    for name, child in group.items():
        yield from commands(child, f"{path} {name}")


COMMANDS = dict(commands(cast("Command", typer.main.get_command(app))))


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
def test_a_shell_completes_commands_and_names(typed: str, completed: set[str]) -> None:
    words = typed.split(" ")
    environment = {"_KITH_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    result = CliRunner().invoke(app, [], prog_name="kith", env=environment)
    assert set(result.output.split()) == completed


def test_the_names_that_are_completed_are_those_that_there_are() -> None:
    assert tuple(VIEWS) == VIEW_NAMES
    assert {log for kind in VIEWS.values() for log in kind.codecs} == set(LOG_NAMES)
    assert all(kind.projection.name == name for name, kind in VIEWS.items())


def test_without_an_option_the_data_folder_is_the_one_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StartError, match="data"):
        CliRunner().invoke(app, ["events"], catch_exceptions=False)


def test_without_the_drivers_the_distributed_mode_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_drivers() -> None:
        raise ModuleNotFoundError("No module named 'aiokafka'", name="aiokafka")

    monkeypatch.setattr("eventgraph.cli.app", without_drivers)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "install kithgraph[distributed]" in capsys.readouterr().err
