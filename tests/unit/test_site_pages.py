"""What the site is built from: each page has a place, and each link leads to a page, to a file or nowhere by error."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from infra.site.__main__ import SETTINGS
from infra.site.generated import pages as generated_pages
from infra.site.mermaid import NotFetched, script
from infra.site.staging import Nav, PageError, navigation, repository_pages, stage


def staged(folder: Path, text: str, **others: str) -> str:
    """The page docs/page.md as it is laid out."""
    stage({"docs/page.md": text, **others}, folder)
    return (folder / "docs" / "page.md").read_text()


def test_every_page_of_the_repository_has_a_place_in_the_navigation() -> None:
    settings = tomllib.loads(SETTINGS.read_text())["project"]
    pages = dict.fromkeys(repository_pages(), "") | generated_pages()
    assert navigation(settings["nav"], pages)


def test_a_pattern_stands_for_the_pages_that_stand_nowhere_else() -> None:
    pages = dict.fromkeys(["README.md", "docs/adr/README.md", "docs/adr/0001.md", "docs/adr/0002.md"], "")
    entries: list[Nav] = [
        "README.md",
        {"Decisions": ["docs/adr/README.md", "docs/adr/*.md"]},
        {"None": ["runbooks/*.md"]},
    ]
    assert navigation(entries, pages) == [
        "README.md",
        {"Decisions": ["docs/adr/README.md", "docs/adr/0001.md", "docs/adr/0002.md"]},
    ]


def test_a_page_without_a_place_and_a_place_without_a_page_are_refused() -> None:
    with pytest.raises(PageError, match=r"no place for docs/new\.md$"):
        navigation(["README.md"], {"README.md": "", "docs/new.md": ""})
    with pytest.raises(PageError, match=r"the navigation's docs/old\.md is no page$"):
        navigation(["README.md", {"Group": ["docs/old.md"]}], {"README.md": ""})


def test_links_from_page_to_page_stay_as_they_are(tmp_path: Path) -> None:
    text = (
        "See [that](other.md#there), [here](#here), [them](https://example.com/a) and [mail](mailto:a@example.com).\n"
    )
    assert staged(tmp_path, text, **{"docs/other.md": ""}) == text


def test_a_link_to_a_folder_leads_to_its_readme_or_is_words_alone(tmp_path: Path) -> None:
    text = "[Decisions](adr), [decisions](adr/) and [the kernel `eventkernel/`](../eventkernel).\n"
    assert staged(tmp_path, text, **{"docs/adr/README.md": ""}) == (
        "[Decisions](adr/README.md), [decisions](adr/README.md) and the kernel `eventkernel/`.\n"
    )


def test_a_link_to_a_source_leads_to_a_page_that_shows_it(tmp_path: Path) -> None:
    assert staged(tmp_path, "[The command](../kithgraph/cli.py)\n") == "[The command](../kithgraph/cli.py.md)\n"
    shown = (tmp_path / "kithgraph" / "cli.py.md").read_text()
    assert "search:\n  exclude: true" in shown
    assert "main = command(SOCIAL_NETWORK)" in shown


def test_what_can_be_downloaded_is_beside_the_pages(tmp_path: Path) -> None:
    text = "![Ada](../examples/web/screenshot.png) and [a collection](../postman.json)\n"
    assert staged(tmp_path, text) == text
    assert (tmp_path / "examples/web/screenshot.png").stat().st_size > 10_000
    assert (tmp_path / "postman.json").is_file()


def test_a_link_to_nothing_is_an_error_that_names_page_and_target(tmp_path: Path) -> None:
    with pytest.raises(PageError, match=r"^docs/page\.md: the link to nowhere\.py leads nowhere"):
        staged(tmp_path, "[a](nowhere.py)\n")


def test_code_is_left_alone(tmp_path: Path) -> None:
    text = "```python\nIndex[Post](by)\n```\n\n- code:\n\n  ```python\n  Index[Post](by)\n  ```\n"
    assert staged(tmp_path, text) == text.replace("\n  ", "\n    ")


def test_what_is_no_page_any_more_goes_and_what_is_unchanged_stays_as_it_was(tmp_path: Path) -> None:
    staged(tmp_path, "a\n", **{"docs/old.md": "old\n"})
    before = (tmp_path / "docs/page.md").stat().st_mtime_ns
    staged(tmp_path, "a\n")
    assert not (tmp_path / "docs/old.md").exists()
    assert (tmp_path / "docs/page.md").stat().st_mtime_ns == before


def test_only_pages_with_diagrams_load_the_script_that_draws_them(tmp_path: Path) -> None:
    diagram = "# A page\n\n```mermaid\nflowchart LR\n  a --> b\n```\n"
    stage({"README.md": "# Home\n", "docs/page.md": diagram}, tmp_path, b"draw()")
    assert (tmp_path / "docs/page.md").read_text() == f'{diagram}\n<script src="../assets/mermaid.js"></script>\n'
    assert (tmp_path / "README.md").read_text() == "# Home\n"
    assert (tmp_path / "assets/mermaid.js").read_bytes() == b"draw()"


def test_where_npm_gives_nothing_diagrams_stay_text_and_ci_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
    npm.chmod(0o755)
    for path, told in ((f"{tmp_path}:/usr/bin:/bin", "no network"), (str(tmp_path / "none"), "npm is not installed")):
        monkeypatch.setenv("PATH", path)
        monkeypatch.delenv("CI", raising=False)
        assert script(tmp_path / "cache") is None
        monkeypatch.setenv("CI", "true")
        with pytest.raises(NotFetched, match=told):
            script(tmp_path / "cache")
