"""`schema check` as a person and CI have it, and the list of accepted breaks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import structs

from eventgraph.cli import command_line
from eventgraph.errors import StartError
from eventgraph.evolution.accepted import read_accepted, with_accepted
from eventgraph.evolution.changes import Change
from eventgraph.evolution.description import Description, describe, read_description, text_of
from kithgraph.system import SOCIAL_NETWORK

TODAY = describe(SOCIAL_NETWORK)
BROKEN = Change("breaking", "FIELD_REMOVED", "api/User.age", "Field User.age was removed.")
ACCEPTING = """
[[accepted]]
kind = "FIELD_REMOVED"
path = "api/User.age"
until = "{until}"
reason = "Nobody asked."
"""


def run(folder: Path, *options: str) -> int:
    with pytest.raises(SystemExit) as ended:
        command_line(SOCIAL_NETWORK)(["schema", "check", "--folder", str(folder), *options], prog_name="kith")
    return int(ended.value.code or 0)


def released(folder: Path, **changed: object) -> None:
    (folder / "released.json").write_text(text_of(structs.replace(TODAY, **changed)))


def with_age(description: Description) -> str:
    return description.api.replace("type User {", "type User {\n  age: Int\n", 1)


def test_a_recorded_description_is_read_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line(SOCIAL_NETWORK)(["schema", "record", "--folder", str(tmp_path)], prog_name="kith")
    assert ended.value.code == 0
    assert read_description(tmp_path / "released.json") == TODAY
    assert run(tmp_path) == 0


def test_what_a_version_has_promised_is_not_written_anew(tmp_path: Path) -> None:
    line = ["schema", "record", "--folder", str(tmp_path)]
    released(tmp_path, api=with_age(TODAY))
    promised = (tmp_path / "released.json").read_bytes()
    with pytest.raises(StartError, match=f"has what {TODAY.version} has promised"):
        command_line(SOCIAL_NETWORK)(line, prog_name="kith")
    assert (tmp_path / "released.json").read_bytes() == promised
    for other in ({"version": "0.0.9"}, {"system": "bank"}, {}):
        released(tmp_path, **other)
        with pytest.raises(SystemExit) as ended:
            command_line(SOCIAL_NETWORK)(line, prog_name="kith")
        assert ended.value.code == 0
        assert read_description(tmp_path / "released.json") == TODAY


def test_a_break_is_refused_and_told_with_who_breaks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    released(tmp_path, api=with_age(TODAY), operations={"Ages": "query Ages { users { edges { node { age } } } }"})
    assert run(tmp_path) == 1
    output = capsys.readouterr().out
    assert "breaking: api/User.age: FIELD_REMOVED: Field User.age was removed.\n  who: example Ages#Ages\n" in output
    assert output.endswith(f"Since {TODAY.version}: 2 breaking (0 accepted), 0 dangerous, 0 safe.\n")
    assert run(tmp_path, "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert {one["kind"] for one in document["changes"]} == {"FIELD_REMOVED", "OPERATION_INVALID"}


def test_an_accepted_break_is_told_with_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    released(tmp_path, api=with_age(TODAY))
    (tmp_path / "accepted-breaks.toml").write_text(ACCEPTING.format(until="99.0.0"))
    assert run(tmp_path) == 0
    assert "  accepted: Nobody asked.\n" in capsys.readouterr().out


def test_safe_changes_are_counted_and_shown_on_demand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    released(tmp_path, settings={"up": {}})
    assert run(tmp_path) == 0
    assert "SETTING_ADDED" not in capsys.readouterr().out
    assert run(tmp_path, "--all") == 0
    assert "safe: settings/up/KITH_PORT: SETTING_ADDED: by default 9000\n" in capsys.readouterr().out


@pytest.mark.parametrize("text", [None, "{}", '{"format": 2}', "no JSON"])
def test_without_a_release_to_compare_with_the_code_is_2(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "released.json").write_text(text)
    assert run(tmp_path) == 2


def test_the_release_of_another_system_is_refused(tmp_path: Path) -> None:
    released(tmp_path, system="bank")
    assert run(tmp_path) == 2


def test_an_operation_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    released(tmp_path)
    assert run(tmp_path, "--operations", str(tmp_path / "nothing.graphql")) == 2


def entries(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "accepted-breaks.toml"
    path.write_text(text)
    return path


def test_an_entry_counts_until_its_version_is_released(tmp_path: Path) -> None:
    found = read_accepted(entries(tmp_path, ACCEPTING.format(until="0.10.0")))
    (accepted,), wrong = with_accepted([BROKEN], found, "0.9.0")
    assert (accepted.accepted, accepted.refused, wrong) == ("Nobody asked.", False, [])
    for version in ("0.10.0", "0.11.0", "1.0.0"):
        (refused,), wrong = with_accepted([BROKEN], found, version)
        assert refused.refused
        assert wrong == [f"FIELD_REMOVED api/User.age: was accepted until 0.10.0, and {version} is released"]


def test_an_entry_that_fits_no_break_is_wrong(tmp_path: Path) -> None:
    found = read_accepted(entries(tmp_path, ACCEPTING.format(until="2.0.0")))
    for changes in ([], [structs.replace(BROKEN, severity="dangerous")], [structs.replace(BROKEN, path="api/User.x")]):
        told, wrong = with_accepted(changes, found, "1.0.0")
        assert wrong == ["FIELD_REMOVED api/User.age: is accepted, and there is no such break"]
        assert told == changes


@pytest.mark.parametrize(
    "text",
    [
        "no TOML",
        "[[accepted]]\nkind = 'x'",
        ACCEPTING.format(until="soon"),
        ACCEPTING.format(until="1.0.0").replace("Nobody asked.", " "),
        ACCEPTING.format(until="1.0.0") + "who = 'me'",
    ],
)
def test_a_list_that_cannot_be_read_is_refused(text: str, tmp_path: Path) -> None:
    path = entries(tmp_path, text)
    with pytest.raises(ValueError, match="expected"):
        read_accepted(path)


def test_with_a_list_that_cannot_be_read_the_code_is_2(tmp_path: Path) -> None:
    released(tmp_path)
    entries(tmp_path, "no TOML")
    assert run(tmp_path) == 2


def test_a_system_is_described_without_the_drivers_of_the_engines() -> None:
    code = (
        "import sys\n"
        "for name in ('aiokafka', 'motor', 'pymongo', 'neo4j', 'obstore'): sys.modules[name] = None\n"
        "from eventgraph.evolution.description import describe\n"
        "from kithgraph.system import SOCIAL_NETWORK\n"
        "print(describe(SOCIAL_NETWORK).system)"
    )
    found = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (found.stdout, found.stderr) == ("kith\n", "")


def test_an_entry_that_fits_nothing_fails_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    released(tmp_path)
    entries(tmp_path, ACCEPTING.format(until="99.0.0"))
    assert run(tmp_path) == 1
    assert "FIELD_REMOVED api/User.age: is accepted, and there is no such break\n" in capsys.readouterr().out
