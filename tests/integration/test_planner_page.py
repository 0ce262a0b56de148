"""docs/planner.md shows what the code gives."""

from __future__ import annotations

import re

import pytest

from tests.support.planner_page import PAGE, ROOT, blocks, filled


async def test_the_page_shows_what_the_code_gives_now() -> None:
    page = PAGE.read_text()
    assert page == filled(page, await blocks()), "write it anew: python -m tests.support.planner_page"


def test_a_block_that_the_page_or_the_code_does_not_know_is_an_error() -> None:
    page = "<!-- generated: one -->\nold\n<!-- end -->\n"
    assert filled(page, {"one": ("text", "new\n")}) == "<!-- generated: one -->\n```text\nnew\n```\n<!-- end -->\n"
    for found in ({}, {"two": ("text", "")}, {"one": ("text", ""), "two": ("text", "")}):
        with pytest.raises(ValueError, match="the page has the blocks"):
            filled(page, found)


def test_every_frame_of_output_is_generated() -> None:
    by_hand = re.sub(r"<!-- generated: .*?<!-- end -->", "", PAGE.read_text(), flags=re.DOTALL)
    assert re.findall(r"^```(\w+)", by_hand, re.MULTILINE) == ["sh"]


def test_every_file_and_heading_that_the_page_links_to_exists() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", PAGE.read_text()):
        file, _, anchor = target.partition("#")
        path = (PAGE.parent / file).resolve() if file else PAGE
        assert path.is_relative_to(ROOT)
        assert path.exists(), target
        assert not anchor or anchor in _anchors(path.read_text()), target


def _anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
