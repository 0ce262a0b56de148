"""The pages of the site, laid out in one folder: Zensical reads one, and the repository's pages stand beside what they
are about.

The folder repeats the repository's layout, so that links from page to page stay as they are. A link to a file that is
no page leads to a page that shows the file; one to a folder leads to its README, or goes where it has none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Final, TypeAlias

from infra.site.lists import for_python_markdown

ROOT: Final = Path(__file__).parents[2]

Nav: TypeAlias = "str | Mapping[str, Sequence[Nav]]"
"""An entry of Zensical's navigation: a page's path or a pattern of some, or a group's title with its entries."""

_FENCED: Final = re.compile(r"(^ *```.*?^ *```[ \t]*$)", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"(?P<image>!?)\[(?P<text>(?:\[[^\]]*\]|[^\[\]])*)\]\((?P<target>[^()\s]+)\)")
_DRAWING: Final = "assets/mermaid.js"
_LANGUAGES: Final = {".ts": "typescript", ".py": "python", ".graphql": "graphql", ".yaml": "yaml", ".toml": "toml"}
"""What is shown on a page of its own, and how it is coloured. Other files are copied, for download."""


class PageError(Exception):
    """A page, or the navigation, names what is not there."""


def repository_pages() -> list[str]:
    """The paths of the pages that stand in the repository."""
    found = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "reference.md", ROOT / "infra" / "README.md"]
    found += (ROOT / "docs").rglob("*.md")
    found += (ROOT / "router").glob("*.md")
    found += (ROOT / "examples").glob("*/*.md")
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def stage(pages: Mapping[str, str], folder: Path, drawing: bytes | None = None) -> None:
    """Writes the pages (path: text) below a folder, with what they link to, and removes whatever else is there.

    `drawing` is the script that draws diagrams; only pages that have some load it.
    """
    staged: dict[str, bytes] = {} if drawing is None else {_DRAWING: drawing}
    for path, text in pages.items():
        made = _text(path, text, pages, staged)
        if drawing is not None and "\n```mermaid\n" in made:
            made += f'\n<script src="{"../" * path.count("/")}{_DRAWING}"></script>\n'
        staged[path] = made.encode()
    for path, content in staged.items():
        target = folder / path
        if not target.is_file() or target.read_bytes() != content:  # what is unchanged is not built anew
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    for old in [path for path in folder.rglob("*") if path.is_file()]:
        if old.relative_to(folder).as_posix() not in staged:
            old.unlink()


def _text(path: str, text: str, pages: Mapping[str, str], staged: dict[str, bytes]) -> str:
    def link(found: re.Match[str]) -> str:
        target, hash_, anchor = found["target"].partition("#")
        if not target or re.match(r"[a-z]+:", target):
            return found[0]
        place = normpath(str(PurePosixPath(path).parent / target))
        place = f"{place}/README.md" if (ROOT / place).is_dir() else place
        if place in pages:
            ending = "/README.md"
            page = f"{target.rstrip('/')}{ending}" if place.endswith(ending) and not target.endswith(ending) else target
            return f"{found['image']}[{found['text']}]({page}{hash_}{anchor})"
        file = ROOT / place
        if file.name == "README.md" and file.parent.is_dir():
            return found["text"]
        if not file.is_file():
            raise PageError(f"{path}: the link to {target} leads nowhere: there is no {place}")
        if file.suffix in _LANGUAGES:
            staged[f"{place}.md"] = _showing(file, place).encode()
            return f"[{found['text']}]({target}.md)"
        staged[place] = file.read_bytes()
        return found[0]

    parts = _FENCED.split(text)  # every second one is code
    linked = "".join(part if index % 2 else _LINK.sub(link, part) for index, part in enumerate(parts))
    return for_python_markdown(linked)


def _showing(file: Path, place: str) -> str:
    """A page with a file's text, which search leaves out."""
    return f"---\nsearch:\n  exclude: true\n---\n\n# {place}\n\n````{_LANGUAGES[file.suffix]}\n{file.read_text()}````\n"


def navigation(entries: Sequence[Nav], pages: Mapping[str, str]) -> list[Nav]:
    """The navigation with every pattern resolved.

    Raises PageError if an entry stands for no page, or a page stands nowhere.
    """
    named = {path for path in _paths(entries) if path in pages}
    placed: set[str] = set()

    def resolved(entry: Nav) -> list[Nav]:
        if not isinstance(entry, str):
            groups = {title: [one for inner in group for one in resolved(inner)] for title, group in entry.items()}
            return [{title: group} for title, group in groups.items() if group]
        found = [entry] if entry in pages else sorted(p for p in pages if fnmatchcase(p, entry) and p not in named)
        if not found and "*" not in entry:
            raise PageError(f"zensical.toml: the navigation's {entry} is no page")
        placed.update(found)
        return list(found)

    laid_out = [one for entry in entries for one in resolved(entry)]
    if missing := sorted(pages.keys() - placed):
        raise PageError(f"zensical.toml: the navigation has no place for {', '.join(missing)}")
    return laid_out


def _paths(entries: Sequence[Nav]) -> list[str]:
    return [
        path
        for entry in entries
        for path in ([entry] if isinstance(entry, str) else _paths([one for group in entry.values() for one in group]))
    ]
