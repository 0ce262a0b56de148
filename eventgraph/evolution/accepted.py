"""Breaks that are accepted: a file in TOML that says of each why, and with which version it is released.

    [[accepted]]
    kind = "FIELD_CHANGED_KIND"
    path = "api/Book.pages"
    until = "0.2.0"
    reason = "Null for a book that has no pages, which was 0 before."

An entry counts until the version `until` has been released: then its change is what is compared with, and the entry
has to go. One that fits no change has to go as well: it would accept the next break of that kind unseen.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import structs

from eventgraph.evolution.changes import Change

_VERSION: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)")


class Accepted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An accepted break."""

    kind: str
    path: str
    until: str
    """The version with which it is released."""
    reason: str


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    accepted: list[Accepted] = []


def read_accepted(path: Path) -> Sequence[Accepted]:
    """The entries of a file; none where there is no file.

    Raises:
        ValueError: it is not such a file; the message says what is wrong.
    """
    if not path.exists():
        return []
    try:
        entries = msgspec.convert(tomllib.loads(path.read_text()), _File).accepted
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected accepted breaks in TOML, found: {str(error)[:200]}") from error
    for one in entries:
        version_numbers(one.until)
        if not one.reason.strip():
            raise ValueError(f"{path}: {one.kind} {one.path}: expected a reason, found none")
    return entries


def version_numbers(version: str) -> tuple[int, int, int]:
    """The three numbers of a version, to be compared.

    Raises:
        ValueError: it has not three numbers.
    """
    found = _VERSION.fullmatch(version)
    if found is None:
        raise ValueError(f"expected a version such as 1.2.3, found {version[:200]!r}")
    major, minor, patch = map(int, found.groups())
    return major, minor, patch


def with_accepted(
    changes: Sequence[Change], entries: Sequence[Accepted], released: str
) -> tuple[Sequence[Change], Sequence[str]]:
    """The changes, those breaks with their reasons that are accepted, and what is wrong with the entries."""
    wrong: list[str] = []
    by_name = {(one.kind, one.path): one for one in entries}
    breaking = {(one.kind, one.path) for one in changes if one.severity == "breaking"}
    for (kind, path), entry in list(by_name.items()):
        if version_numbers(entry.until) <= version_numbers(released):
            wrong.append(f"{kind} {path}: was accepted until {entry.until}, and {released} is released")
            del by_name[kind, path]
        elif (kind, path) not in breaking:
            wrong.append(f"{kind} {path}: is accepted, and there is no such break")
    told = [
        structs.replace(one, accepted=by_name[one.kind, one.path].reason)
        if one.severity == "breaking" and (one.kind, one.path) in by_name
        else one
        for one in changes
    ]
    return told, wrong
