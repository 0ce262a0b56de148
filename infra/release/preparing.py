"""What has to hold before a release, and the files that a release changes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import structs

from eventgraph.evolution.accepted import read_accepted, version_numbers
from eventgraph.evolution.check import ACCEPTED, check
from eventgraph.evolution.description import FILE, describe, text_of
from infra.release.errors import NotReady

if TYPE_CHECKING:
    from eventgraph.system import System

PACKAGES: Final[Mapping[str, str]] = {
    "kithgraph": ".",
    "graphrouter": "router",
    "bank": "examples/bank",
    "shop": "examples/shop",
}
"""The folders of the distributions: they have one version."""
_UNRELEASED: Final = re.compile(r"^## Unreleased\n(?P<text>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def systems() -> Mapping[str, System]:
    """The systems whose promises are kept, by folder."""
    from bank.system import BANK  # noqa: PLC0415  # loads all that they are made of
    from kithgraph.system import SOCIAL_NETWORK  # noqa: PLC0415  # the same
    from shop.system import SHOP  # noqa: PLC0415  # the same

    return {".": SOCIAL_NETWORK, "examples/bank": BANK, "examples/shop": SHOP}


def check_ready(root: Path, version: str) -> None:
    """Look whether a checkout can be released as this version.

    Raises:
        NotReady: it cannot yet.
    """
    present = present_version(root)
    try:
        newer = version_numbers(version) > version_numbers(present)
    except ValueError as error:
        raise NotReady(str(error)) from None
    if not newer:
        raise NotReady(f"expected a version after {present}, found {version}")
    found = _UNRELEASED.search((root / "CHANGELOG.md").read_text())
    if found is None or not found["text"].strip():
        raise NotReady("CHANGELOG.md: expected a section Unreleased that says what is new, found none")
    fixture = root / "tests" / "fixtures" / "data-folders" / version
    if not fixture.is_dir():
        raise NotReady(
            f"{fixture.relative_to(root)}: expected a data folder of this version, found none: make it with "
            f"`python -m tests.e2e.test_old_data_folders {version}`, and commit it"
        )
    for folder, system in systems().items():
        _check_promises(root / folder, system, version)


def present_version(root: Path) -> str:
    """The version that a checkout has."""
    found: str = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    return found


def _check_promises(folder: Path, system: System, version: str) -> None:
    try:
        compared = check(system, folder)
        later = [one for one in read_accepted(folder / ACCEPTED) if one.until != version]
    except ValueError as error:
        raise NotReady(str(error)) from None
    if not compared.passes:
        fault = "breaks that are not accepted, or entries that fit none"
        raise NotReady(f"{system.name}: `{system.name} schema check` finds {fault}")
    if later:
        raise NotReady(f"{folder / ACCEPTED}: expected breaks until {version} only, found one until {later[0].until}")


def prepare(root: Path, version: str, day: date) -> Sequence[Path]:
    """Write the version, the changelog's date and what the version promises; gives the files that have changed."""
    before = present_version(root)
    changed: list[Path] = []

    def replaced(path: Path, old: str, new: str) -> None:
        text = path.read_text()
        if text.count(old) != 1:
            raise NotReady(f"{path.relative_to(root)}: expected {old!r} once, found it {text.count(old)} times")
        path.write_text(text.replace(old, new))
        changed.append(path)

    for name, folder in PACKAGES.items():
        replaced(root / folder / "pyproject.toml", f'\nversion = "{before}"\n', f'\nversion = "{version}"\n')
        locked = f'name = "{name}"\nversion = '
        replaced(root / "uv.lock", f'{locked}"{before}"\n', f'{locked}"{version}"\n')
    heading = "## Unreleased\n"
    replaced(root / "CHANGELOG.md", f"\n{heading}", f"\n{heading}\n## {version} - {day.isoformat()}\n")
    for folder, system in systems().items():
        replaced(root / folder / "asyncapi.json", f'    "version": "{before}",\n', f'    "version": "{version}",\n')
        promised = structs.replace(describe(system), version=version)
        (root / folder / FILE).write_text(text_of(promised))
        changed.append(root / folder / FILE)
        if (root / folder / ACCEPTED).exists():
            (root / folder / ACCEPTED).unlink()
            changed.append(root / folder / ACCEPTED)
    return list(dict.fromkeys(changed))
