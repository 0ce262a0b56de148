"""router/README.md says of the router what is so: its options, limits, codes and snippets."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import fields
from pathlib import Path

from graphrouter import Limits, RouterOptions
from infra.patience import seconds

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "router" / "README.md").read_text()
SOURCE = "\n".join(path.read_text() for path in (ROOT / "router" / "graphrouter").rglob("*.py"))


def section(title: str) -> str:
    found = re.search(rf"^##+ {title}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def rows(title: str) -> list[list[str]]:
    """The cells of the section's tables, without their heads."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| `")]


def test_every_option_is_on_the_page_and_no_other() -> None:
    named = [name for row in rows("Options") for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(named) == sorted(field.name for field in fields(RouterOptions))


def test_every_limit_is_on_the_page_with_its_default() -> None:
    values = {row[0].strip("`"): row[1] for row in rows("Limits")}
    defaults = Limits()
    assert values.pop("body_bytes") == f"{defaults.body_bytes // 1024**2} MiB"
    expected = {field.name: getattr(defaults, field.name) for field in fields(Limits) if field.name != "body_bytes"}
    told = {name: None if value == "none" else int(value.replace(",", "")) for name, value in values.items()}
    assert told == expected


def test_every_code_that_the_page_names_is_one_of_the_routers() -> None:
    codes = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", PAGE))
    assert len(codes) > 20
    assert sorted(code for code in codes if f'"{code}"' not in SOURCE) == []


def test_every_file_that_the_page_links_to_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert target.startswith("http") or (ROOT / "router" / target).exists(), target


def test_the_snippets_run(tmp_path: Path) -> None:
    _, without_http, *more = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    folder = tmp_path / "router_alone"
    shutil.copytree(ROOT / "examples" / "router_alone", folder)
    program = [
        "import asyncio",
        "from graphrouter import federate",
        "from users import app as users_app",
        "from reviews import app as reviews_app",
        "async def main():",
        textwrap.indent(without_http, "    "),
        "    print(answer.data, answer.errors)",
        "asyncio.run(main())",
        *more,
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(program)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds(60),
    )
    assert (done.stdout, done.stderr) == ("{'me': {'name': 'Ada'}} []\n", "")
