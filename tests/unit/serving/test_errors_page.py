"""The page of error codes says all that there are, and none that there is not."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

from eventgraph.serving.errors import INTERNAL, INVALID_INPUT
from eventkernel.errors import KernelError

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "errors.md").read_text()
KERNELS_OWN = {"CANNOT_OPEN", "CLAIM_TAKEN", "CORRUPT_DATA"}


def section(title: str) -> set[str]:
    """The codes in the first column of a section's tables."""
    text = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    return {code for row in rows for code in re.findall(r"`([A-Z_]+)`", row.split("|")[1])}


def kinds(error: type[KernelError]) -> Iterator[type[KernelError]]:
    for kind in error.__subclasses__():
        yield kind
        yield from kinds(kind)


def sources(*folders: str) -> str:
    return "".join(path.read_text() for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))


def test_every_error_of_the_product_stands_on_the_page() -> None:
    for name in ("users", "friends", "recommendations"):
        importlib.import_module(f"subgraphs.{name}.schema")  # and with it whatever errors it defines
    product = [
        kind for kind in kinds(KernelError) if kind.__module__.startswith(("eventkernel", "eventgraph", "subgraphs"))
    ]
    codes = {kind.code for kind in product} | {INTERNAL, INVALID_INPUT}
    assert codes - KERNELS_OWN - section("Codes of the subgraphs") == set()


def test_every_code_on_the_page_is_in_the_sources() -> None:
    limits = (ROOT / "router" / "graphrouter" / "limits.py").read_text()  # the subgraphs hold documents to them, too
    in_subgraphs = sources("eventkernel", "eventgraph", "subgraphs") + limits
    assert {code for code in section("Codes of the subgraphs") if f'"{code}"' not in in_subgraphs} == set()
