"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("eventkernel", "eventgraph", "subgraphs", "kithgraph", "router/graphrouter")
MODULES = [path for folder in PRODUCT for path in sorted((ROOT / folder).rglob("*.py"))]


def test_no_name_from_the_subgraphs_appears_in_the_router() -> None:
    names = re.compile(
        r"kithgraph|eventkernel|eventgraph|(?<![_.])subgraphs\.(?!NAME\b)\w|friend|recommendation|createUser",
        re.IGNORECASE,
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted((ROOT / "router").rglob("*"))
        if path.suffix in {".py", ".md", ".json", ".mjs", ".js"} and not {"assets", "node_modules"} & set(path.parts)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if names.search(line)
    ]
    assert found == []


def test_the_runtime_and_the_kernel_speak_of_no_domain() -> None:
    """In no text of theirs the social network is named, and in no message, name or key any domain that a system has.

    `user`, `username` and `person` are words of theirs where they are about a server's credentials and about who an
    event's data are about.
    """
    texts = re.compile(r"kith|friend|recommend|createUser|subgraphs\.[a-z]+\.|\busers\b", re.IGNORECASE)
    words = re.compile(
        r"\b(?:users?|usernames?|friends?|accounts?|transfers?|balances?|customers?|orders?|posts?|bank|shop)\b",
        re.IGNORECASE,
    )
    spoken = {"user", "username", "POST", "order", "Order", "ORDER"}  # of engines, HTTP, sorting, asking
    found: list[str] = []
    for path in sorted(path for name in ("eventkernel", "eventgraph") for path in (ROOT / name).rglob("*")):
        if path.suffix not in {".py", ".html"}:
            continue
        place = path.relative_to(ROOT)
        lines = enumerate(path.read_text().splitlines(), 1)
        found += [f"{place}:{number}: {line.strip()}" for number, line in lines if texts.search(line)]
        if path.suffix == ".py" and "testing" not in path.parts:
            found += [f"{place}: {text!r}" for text in said(path) if set(words.findall(text)) - spoken]
    assert found == []


def said(path: Path) -> Iterator[str]:
    """The texts in a module that a program sees: those that are no docstring."""
    tree = ast.parse(path.read_text())
    told = {
        node.value for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in told:
            yield node.value


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_opens_with_one_sentence(path: Path) -> None:
    text = path.read_text()
    assert text == "" or text.startswith('"""'), f"{path} has no docstring"


def test_drivers_appear_only_in_adapters() -> None:
    drivers = re.compile(r"^\s*(?:import|from) (sqlite3|aiokafka|motor|neo4j|pymongo)\b", re.MULTILINE)
    found = [
        str(path.relative_to(ROOT))
        for path in MODULES
        if "adapters" not in path.parts and drivers.search(path.read_text())
    ]
    assert found == []


def test_the_environment_is_read_in_one_module() -> None:
    reads = re.compile(r"os\.environ|getenv")
    found = [
        str(path.relative_to(ROOT)) for path in MODULES if path.name != "settings.py" and reads.search(path.read_text())
    ]
    assert found == []


def test_domains_import_only_the_standard_library_and_the_kernels_words() -> None:
    allowed = {"eventkernel.events", "eventkernel.decider", "eventkernel.errors", "msgspec"}
    for path in sorted((ROOT / "subgraphs").glob("*/domain.py")):
        for module in re.findall(r"^(?:from|import) ([\w.]+)", path.read_text(), re.MULTILINE):
            top = module.split(".")[0]
            own = module.startswith(f"subgraphs.{path.parent.name}.")
            assert (
                module in allowed
                or own
                or top
                not in {
                    "eventkernel",
                    "eventgraph",
                    "subgraphs",
                    "kithgraph",
                    "strawberry",
                    "starlette",
                }
            ), f"{path.relative_to(ROOT)} imports {module}"
