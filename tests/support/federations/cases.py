"""Reads the named cases: what a campaign once found, made small, one file each.

A file has the subgraphs' documents and the operation, each under a line `--- name`; the operation's line has its
variables as JSON and the labels that are on: `--- query {"n": 1} ["l1"]`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.federations.compare import Case

_HEAD = re.compile(r"^--- (?P<name>\w+)(?: (?P<variables>\{.*\}) (?P<labels>\[.*\]))?$", re.MULTILINE)


@dataclass(frozen=True)
class NamedCase(Case):
    """A case with the name of its file."""

    name: str = ""


def read_cases(folder: Path) -> list[NamedCase]:
    """All cases of a folder, by name."""
    return [read_case(path) for path in sorted(folder.glob("*.graphql"))]


def read_case(path: Path) -> NamedCase:
    """One case."""
    text = path.read_text(encoding="utf-8")
    heads = list(_HEAD.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    documents = {head["name"]: text[head.end() : end] for head, end in zip(heads, ends, strict=True)}
    query = documents.pop("query")
    head = heads[-1]
    labels = frozenset(json.loads(head["labels"] or "[]"))
    return NamedCase(documents, query, json.loads(head["variables"] or "{}"), labels, name=path.stem)


def case_text(case: Case) -> str:
    """The case as a file has it."""
    parts = [f"--- {name}\n{text.strip()}\n" for name, text in case.documents.items()]
    head = f"--- query {json.dumps(dict(case.variables))} {json.dumps(sorted(case.labels))}"
    return "\n".join([*parts, f"{head}\n{case.query.strip()}\n"])
