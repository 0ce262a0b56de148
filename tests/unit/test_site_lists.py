"""A page's lists, laid out for Python-Markdown, are what CommonMark reads in the page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import markdown
import pytest
from markdown_it import MarkdownIt

from infra.site.lists import for_python_markdown

PAGES = [
    "What there is:\n- one\n- two\n",
    "What there is:\n1. one\n2. two\n",
    "In the year\n2026. it was so.\n",
    "- one,\n  and more of it\n- two,\nlazily\n\nA paragraph.\n",
    "- one\n  - inner\n    - innermost\n  - inner too\n- two\n",
    "1. one\n   - inner\n2. two\n\n   of two paragraphs\n3. three\n",
    "- one:\n\n  ```python\n  a = [\n      1,\n\n  - 2]\n  ```\n\n- two\n",
    "```text\nnot\n- a\n- list\n```\n\n- a list\n\nand more\n",
    "- one\n\n- two\n\n\nA paragraph.\n\n- another list\n\n## A heading\n",
    "* one\n# A heading\n+ two\n```sh\nls\n```\n",
]


class Structure(HTMLParser):
    """Elements and words in their order, without the paragraphs in items, which only move lines apart."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"p", "code", "span", "div"}:
            self.seen.append(f"<{tag}>")

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"p", "code", "span", "div"}:
            self.seen.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.seen += data.split()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: re.sub(r"\W+", " ", page)[:30].strip())
def test_lists_are_read_as_commonmark_reads_them(page: str) -> None:
    expected = Structure(MarkdownIt("commonmark").render(page)).seen
    made = markdown.markdown(
        for_python_markdown(page),
        extensions=["pymdownx.superfences", "pymdownx.highlight"],
        extension_configs={"pymdownx.highlight": {"use_pygments": False}},
    )
    assert Structure(made).seen == expected


def test_a_page_without_lists_stays_as_it_is() -> None:
    page = "# A page\n\nWords - and more.\n\n| a | b |\n| --- | --- |\n\n```python\nx = 1\n- 2\n```\n"
    assert for_python_markdown(page) == page
