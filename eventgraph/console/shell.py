"""The frame of the console's pages: a bar that leads from each to every other one, one stylesheet, one policy.

    shell = Shell("Library", pages)
    shell.answer(EVENTS, "<h1>Events</h1>", scripts=["events.js"])

A page is HTML from this process and nothing from elsewhere. What others have written is put in as text, by `escape`
here and by `textContent` in the scripts; the policy lets no script run that is not a file of the console.

To add a page: a `Page` in the shell's list, a route that answers with `Shell.answer`, its script in `assets/`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from graphrouter.http.page_headers import page_headers

_HERE: Final = Path(__file__).parent
_FRAME: Final = Template((_HERE / "frame.html").read_text())
_ASSETS: Final = {file.name: file for file in (_HERE / "assets").iterdir() if file.suffix in {".css", ".js"}}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
_NO_STORE: Final = {"cache-control": "no-store"}


@dataclass(frozen=True, slots=True)
class Page:
    """A page that the bar leads to; `path` is below the place where the server is, without a slash before it."""

    title: str
    path: str

    @property
    def root(self) -> str:
        """From this page to that place: pages are linked with one another wherever a proxy has put the server."""
        return "../" * self.path.count("/") or "./"


PLAYGROUND: Final = Page("Playground", "")
STATUS: Final = Page("Status", "status")
STORIES: Final = Page("Stories", "console/stories")


class Shell:
    """Frames the pages of one process. `pages` are those that the bar has; the first one leads home.

    `elsewhere` has the address of a page that another server has, by its path.
    """

    def __init__(self, title: str, pages: Sequence[Page], elsewhere: Mapping[str, str] | None = None) -> None:
        self.title = title
        self._pages = pages
        self._elsewhere = elsewhere or {}

    def answer(
        self, page: Page, content: str, *, scripts: Sequence[str] = (), head: str = "", headers: Mapping[str, str] = {}
    ) -> Response:
        """The page with its content, which is HTML, and its scripts, which are modules of the console's."""
        root = page.root
        text = _FRAME.substitute(
            title=escape(self.title),
            page=escape(page.title),
            root=root,
            bar="".join(self._link(one, page) for one in self._pages if len(self._pages) > 1),
            head=head,
            scripts="".join(f'<script type="module" src="{root}console/assets/{name}"></script>' for name in scripts),
            content=content,
        )
        return HTMLResponse(text, headers={**page_headers(_POLICY), **_NO_STORE, **headers})

    def _link(self, to: Page, current: Page) -> str:
        address = self._elsewhere.get(to.path, f"{current.root}{to.path}")
        here = ' aria-current="page"' if to == current else ""
        return f'<a href="{escape(address)}"{here}>{escape(to.title)}</a>'


def asset_route() -> BaseRoute:
    """The stylesheet and the scripts."""

    async def asset(request: Request) -> Response:
        file = _ASSETS.get(str(request.path_params["name"]))
        if file is None:
            return Response(status_code=404)
        return FileResponse(file, headers={"cache-control": "no-cache", "x-content-type-options": "nosniff"})

    return Route("/console/assets/{name}", asset, methods=["GET"])
