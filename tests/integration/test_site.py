"""The documentation's site, built as `make docs` builds it: links, search, and nothing from another host."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt

from infra.patience import seconds
from infra.site.__main__ import build, render
from tests.support.chromium import chromium_page

pytestmark = pytest.mark.timeout(seconds(180))

BLOCKS: Final = ("h1", "h2", "h3", "li", "ol", "ul", "pre", "table", "tr", "blockquote", "img")


class Read(HTMLParser):
    """A page: its elements, what can be linked to in it, what it links to, and what a browser loads for it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value for name, value in attrs if value}
        self.elements[tag] += 1
        self.anchors |= {named[name] for name in ("id", "name") if name in named}
        if tag == "a" and "href" in named:
            self.links.append(named["href"])
        elif tag != "a":
            self.loaded += [named[name] for name in ("src", "href", "srcset", "data", "poster") if name in named]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    assert build(folder, folder / "site") == 0
    return folder


@pytest.fixture(scope="module")
def site(work: Path) -> Path:
    return work / "site"


def html_of(page: str) -> str:
    """Where the built page is."""
    path = Path(page)
    return str(path.with_name("index.html") if path.name == "README.md" else path.with_suffix(".html"))


def test_every_link_and_every_anchor_leads_somewhere(site: Path) -> None:
    read = {path.resolve(): Read(path.read_text()) for path in site.rglob("*.html") if path.name != "404.html"}
    assert len(read) > 100
    broken: list[tuple[str, str]] = []
    for path, page in read.items():
        for link in page.links + page.loaded:
            url = urlsplit(link)
            if url.scheme or url.netloc:
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            target = target / "index.html" if target.is_dir() else target
            anchored = not url.fragment or target.suffix != ".html" or unquote(url.fragment) in read[target].anchors
            if not target.is_file() or not anchored:
                broken.append((str(path.relative_to(site.resolve())), link))
    assert broken == []


def test_a_build_fails_for_an_anchor_that_is_not_there(work: Path) -> None:
    page = work / "pages" / "docs" / "glossary.md"
    text = page.read_text()
    page.write_text(f"{text}\n[a word](bookmarks.md#no-such-heading)\n")
    assert render(work / "mkdocs.yml") != 0
    page.write_text(text)
    assert render(work / "mkdocs.yml") == 0


def test_a_browser_loads_nothing_from_another_host(site: Path) -> None:
    pages = {str(path.relative_to(site)): Read(path.read_text()).loaded for path in site.rglob("*.html")}
    assert {page: loaded for page, loaded in pages.items() if not loaded} == {}
    foreign = [(page, url) for page, loaded in pages.items() for url in loaded if urlsplit(url).netloc]
    styles = [
        (str(path.relative_to(site)), url)
        for path in site.rglob("*.css")
        for url in re.findall(r"(?:url\(|@import )[\"']?((?:https?:)?//[^)\"']+)", path.read_text())
    ]
    assert foreign + styles == []


def test_pages_are_shown_as_code_forges_show_them(work: Path) -> None:
    """Python-Markdown, which Zensical uses, makes lists and tables by other rules than CommonMark."""
    commonmark = MarkdownIt("commonmark").enable("table")
    differing: dict[str, dict[str, tuple[int, int]]] = {}
    compared = 0
    for path in sorted((work / "pages").rglob("*.md")):
        page = path.relative_to(work / "pages").as_posix()
        text = path.read_text()
        if text.startswith("---") or page.startswith("python/"):
            continue  # what Zensical alone reads: front matter, directives
        expected = Read(commonmark.render(text)).elements
        article = re.search(r"<article.*?</article>", (work / "site" / html_of(page)).read_text(), re.DOTALL)
        assert article, page
        found = Read(article[0]).elements
        if unlike := {tag: (expected[tag], found[tag]) for tag in BLOCKS if expected[tag] != found[tag]}:
            differing[page] = unlike
        compared += 1
    assert compared > 80
    assert differing == {}


def test_search_knows_every_page_and_no_listing_of_a_source(work: Path) -> None:
    found = {
        item["location"].partition("#")[0] for item in json.loads((work / "site" / "search.json").read_text())["items"]
    }
    pages = {
        html_of(path.relative_to(work / "pages").as_posix()): not path.read_text().startswith("---")
        for path in (work / "pages").rglob("*.md")
    }
    assert {page for page, wanted in pages.items() if wanted} - found == set()
    assert {page for page, wanted in pages.items() if not wanted} & found == set()


def test_the_reference_has_settings_commands_and_public_names(site: Path) -> None:
    settings = (site / "settings.html").read_text()
    assert "KITH_KAFKA_IN_SYNC_REPLICAS" in settings
    assert {"the-embedded-mode", "kafka-mongodb-and-neo4j", "the-subgraphs"} <= Read(settings).anchors
    assert "for each ()" not in settings
    assert {"kith-rebuild", "kith-parked-retry"} <= Read((site / "commands/kith.html").read_text()).anchors
    assert "graphrouter-config-schema" in Read((site / "commands/graphrouter.html").read_text()).anchors
    assert "eventkernel.decider.Decider" in Read((site / "python/eventkernel.html").read_text()).anchors
    assert "graphrouter.router.federate" in Read((site / "python/graphrouter.html").read_text()).anchors


@pytest.fixture
def origin(site: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name in the base
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


@pytest.mark.browser
async def test_a_reader_searches_and_nobody_else_is_asked(origin: str, tmp_path: Path) -> None:
    async with chromium_page(tmp_path) as page:
        await page.open(f"{origin}/index.html")
        await page.wait_for("document.querySelector('article h1')?.textContent.includes('Kithgraph')")
        dialog = "[...document.querySelectorAll('body > div')].find(one => one.shadowRoot)?.shadowRoot"
        button = "document.querySelector('.md-search__button')"
        await page.wait_for(dialog)  # from then on the button opens it
        await page.wait_for(f"{dialog}.activeElement?.tagName === 'INPUT' || void {button}.click()")
        await page.type("bookmark")
        await page.wait_for(f"[...{dialog}.querySelectorAll('a')].some(a => a.href.includes('/docs/bookmarks.html'))")
        assert [url for url in page.requested if not url.startswith((origin, "data:", "blob:", "about:"))] == []
        assert page.problems == []


@pytest.mark.browser
@pytest.mark.node
async def test_diagrams_are_drawn_by_a_script_of_the_site(origin: str, tmp_path: Path) -> None:
    async with chromium_page(tmp_path) as page:
        await page.open(f"{origin}/docs/architecture.html")
        await page.wait_for("document.querySelectorAll('article div.mermaid').length === 2")
        assert await page.evaluate("document.querySelectorAll('article pre.mermaid').length") == 0
        assert [url for url in page.requested if not url.startswith((origin, "data:", "blob:", "about:"))] == []
        assert page.problems == []
