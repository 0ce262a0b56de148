"""The router's README tells every option, limit and error code that there is."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from graphrouter import Limits, RouterOptions

ROUTER = Path(__file__).resolve().parents[3] / "router"
README = (ROUTER / "README.md").read_text()

CODE = re.compile(r'"([A-Z]{2,}(?:_[A-Z]+)+)"')
NO_CODES = {"GRAPHQL_RESPONSE"}


def test_every_option_and_every_limit_is_listed() -> None:
    names = [entry.name for kind in (Limits, RouterOptions) for entry in fields(kind)]
    assert [name for name in names if f"`{name}`" not in README] == []


def test_every_code_is_listed() -> None:
    package = ROUTER / "graphrouter"
    sources = [*package.glob("*.py")]
    for folder in ("execution", "http", "server", "transport"):
        sources += (package / folder).glob("*.py")
    sources.append(package / "planning" / "errors.py")
    found = {code for source in sources for code in CODE.findall(source.read_text())} - NO_CODES
    assert len(found) > 20
    assert sorted(code for code in found if f"`{code}`" not in README) == []
