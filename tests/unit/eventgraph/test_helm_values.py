"""What the Helm chart has to know of a system, made from its declaration."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from eventgraph.cli import command_line, run
from eventgraph.describing.helm_values import helm_values
from kithgraph.system import SOCIAL_NETWORK
from tests.support.notes import LIBRARY


def test_the_values_name_each_subgraph_its_log_and_the_engine_of_its_view() -> None:
    assert yaml.safe_load(helm_values(SOCIAL_NETWORK)) == {
        "system": {
            "name": "kith",
            "installation": "kithgraph",
            "subgraphs": {
                "users": {"log": True, "view": "mongodb"},
                "friends": {"log": True, "view": "mongodb"},
                "recommendations": {"log": False, "view": "neo4j"},
            },
        }
    }


def test_any_system_has_them() -> None:
    found = yaml.safe_load(helm_values(LIBRARY))["system"]
    assert (found["name"], found["installation"]) == (LIBRARY.name, LIBRARY.mark)
    assert list(found["subgraphs"]) == list(LIBRARY.names)


def test_the_command_prints_them_and_checks_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = command_line(LIBRARY)
    line(["helm-values"], standalone_mode=False)
    text = capsys.readouterr().out
    assert text == helm_values(LIBRARY)
    file = tmp_path / "values.yaml"
    file.write_text(text)
    line(["helm-values", "--check", str(file)], standalone_mode=False)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("text", [None, "system: {}\n"])
def test_a_file_that_is_missing_or_stale_is_named(
    text: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "values.yaml"
    if text is not None:
        file.write_text(text)
    line = command_line(LIBRARY)
    with pytest.raises(SystemExit) as ended:
        run(LIBRARY, lambda: line(["helm-values", "--check", str(file)], standalone_mode=False))
    assert ended.value.code == 1
    assert f"not up to date: {file}" in capsys.readouterr().err
