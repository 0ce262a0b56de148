"""The model of a right system: the known answer, and what a search finds."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import kithgraph.load
from kithgraph.load import model
from kithgraph.load.model import Recommended
from kithgraph.load.network import Name


def test_the_known_answer() -> None:
    pairs = ["12", "13", "14", "25", "35", "36", "46", "47"]

    def friends(person: str) -> set[str]:
        return {other for pair in pairs if person in pair for other in pair if other != person}

    assert model.recommendations(friends, "1") == [
        Recommended("5", ("2", "3")),
        Recommended("6", ("3", "4")),
        Recommended("7", ("4",)),
    ]
    assert model.mutual_friends(friends, "1", "6") == ["3", "4"]
    assert model.mutual_friends(friends, "1", "2") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ad lov", ["1"]),
        ("LOVELACE", ["1"]),
        ("jose", ["2"]),
        ("jean fra", ["2"]),
        ("saint", ["2"]),
        ("neill", ["3"]),
        ("o", ["3"]),
        ("ove", []),
        ("ada hopper", []),
        ("оль", ["4"]),
    ],
)
def test_a_search_finds_whose_words_begin_with_every_word_of_the_text(text: str, found: list[str]) -> None:
    names = {
        "1": Name("Ada", "Lovelace"),
        "2": Name("Jean-François José", "Saint-Exupéry"),
        "3": Name("Tony", "O'Neill"),
        "4": Name("Ольга", "Kay"),
    }
    assert model.search(names, text) == found


def test_what_compares_imports_nothing_of_the_product_but_the_word_for_what_a_person_can_mend() -> None:
    """All but the command, which is also the open loop's."""
    imported = {
        name
        for path in Path(kithgraph.load.__file__).parent.glob("*.py")
        if path.name != "command.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    product = ("kithgraph", "eventgraph", "subgraphs", "eventkernel", "graphrouter")
    found = {name for name in imported if name.split(".")[0] in product and not name.startswith("kithgraph.load")}
    assert found == {"eventgraph.errors"}
