"""The router's pages tell every option, limit and error code that there is."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from graphrouter import Limits, RouterOptions
from graphrouter.configuration import reference
from graphrouter.error_codes import ERROR_CODES, GROUPS
from graphrouter.http import endpoint

ROUTER = Path(__file__).resolve().parents[3] / "router"
README = (ROUTER / "README.md").read_text()
PACKAGE = ROUTER / "graphrouter"

CODE = re.compile(r'"([A-Z]{2,}(?:_[A-Z]+)+)"')
NO_CODES = {"GRAPHQL_RESPONSE"}
OF_A_STATUS = re.compile(r'HttpRefusal\((\d+), "([A-Z_]+)"')


def sources(*folders: str) -> list[str]:
    files = [*PACKAGE.glob("*.py"), PACKAGE / "planning" / "errors.py"]
    for folder in folders:
        files += (PACKAGE / folder).glob("*.py")
    return [file.read_text() for file in files if file.name != "error_codes.py"]


def test_every_option_and_every_limit_is_listed() -> None:
    names = [entry.name for kind in (Limits, RouterOptions) for entry in fields(kind)]
    assert [name for name in names if f"`{name}`" not in README] == []


def test_every_code_has_its_meaning_and_there_is_no_other() -> None:
    texts = sources("authentication", "execution", "http", "pipeline", "server", "transport")
    found = {code for text in texts for code in CODE.findall(text)} - NO_CODES
    assert len(found) > 40
    assert sorted(found - ERROR_CODES.keys()) == []
    everything = "".join(file.read_text() for file in PACKAGE.rglob("*.py") if file.name != "error_codes.py")
    assert [code for code in ERROR_CODES if f'"{code}"' not in everything] == []
    assert len(ERROR_CODES) == sum(len(group.codes) for group in GROUPS)


def test_a_code_has_the_status_that_its_answers_have() -> None:
    told = {code: one.status for code, one in ERROR_CODES.items()}
    raised = {(code, int(status)) for text in sources("http") for status, code in OF_A_STATUS.findall(text)}
    assert len(raised) > 10
    assert {(code, status) for code, status in raised if told[code] != status} == {("REQUEST_TOO_LARGE", 414)}
    statuses = endpoint._STATUS_OF_REFUSAL
    assert {code: told[code] for code in statuses} == statuses
    assert all(told[code] == 500 for code in endpoint._FAULTS)
    of_their_own = {code for code, _ in raised} | set(statuses) | endpoint._FAULTS
    assert {code for code, status in told.items() if status not in {200, 400}} == of_their_own & {
        code for code, status in told.items() if status != 400
    }


def test_the_reference_page_tells_each_code_once() -> None:
    page = reference.page()
    assert [code for code in ERROR_CODES if page.count(f"\n| `{code}` | ") != 1] == []
