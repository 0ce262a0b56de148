"""Lists as Python-Markdown reads them, which Zensical uses, of lists as CommonMark reads them, which the pages are
written in.

Python-Markdown wants a blank line before a list, and four spaces before whatever belongs to an item; CommonMark wants
as many as the item's marker is wide. https://python-markdown.github.io/#differences
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_MARKER: Final = re.compile(r"(?:[-*+]|\d+[.)]) +(?=\S)")
_INTERRUPTING: Final = re.compile(r"(?:[-*+]|1[.)]) +(?=\S)")
"""What begins a list below a line of a paragraph: https://spec.commonmark.org/0.31.2/#lists"""

_BLOCK: Final = re.compile(r"\s*(?:(?:[-*+]|\d+[.)]) |#+ |```|>|<)")
"""What is no line of a paragraph, and so ends an item that it is not indented for."""


def for_python_markdown(text: str) -> str:
    """The same page, with its lists laid out for Python-Markdown."""
    return "\n".join(_laid_out(text.split("\n")))


def _laid_out(lines: list[str]) -> Iterator[str]:
    fenced, at = False, 0
    while at < len(lines):
        line = lines[at]
        if line.startswith("```"):
            fenced = not fenced
        above = lines[at - 1] if at else ""
        begins = _INTERRUPTING if above.strip() else _MARKER
        if fenced or not (marker := begins.match(line)):
            yield line
            at += 1
            continue
        if above.strip():
            yield ""
        while at < len(lines) and (marker := _MARKER.match(lines[at])):
            item, at = _item(lines, at, marker.end())
            first, *rest = _laid_out(item)
            yield marker[0] + first
            yield from (f"    {line}" if line.strip() else "" for line in rest)
            goes_on = at < len(lines) and bool(lines[at].strip())
            if goes_on and ("" in rest or not _MARKER.match(lines[at])):
                yield ""


def _item(lines: list[str], start: int, width: int) -> tuple[list[str], int]:
    """An item's lines, without its marker and what they are indented by, and where the next line is."""
    item, at = [lines[start][width:]], start + 1
    while at < len(lines):
        line = lines[at]
        inside = line.startswith(" " * width)
        lazy = bool(line.strip() and lines[at - 1].strip() and not _BLOCK.match(line))
        blank = not line.strip() and any(later.strip() for later in lines[at:])
        if not inside and not lazy and not blank:
            break
        item.append(line[width:] if inside else line.lstrip() if lazy else "")
        at += 1
    return item, at
