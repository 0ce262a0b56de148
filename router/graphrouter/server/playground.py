"""The playground at `/`: GraphiQL with prepared examples, under a strict Content-Security-Policy.

GraphiQL's files are in `assets/`, where `router/playground/build-assets` wrote them before the wheel was built; then
the page asks no other host. Without them it takes the same version of the same npm package from a public CDN, and the
browser checks its hash. https://developer.mozilla.org/docs/Web/Security/Subresource_Integrity
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

import orjson
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from graphrouter.http.page_headers import page_headers
from graphrouter.options import Example, RouterOptions

_ASSETS = Path(__file__).with_name("assets")
_PAGES = Path(__file__).with_name("pages")

_CDN = "https://cdn.jsdelivr.net"
_CDN_FILE = f"{_CDN}/npm/@graphql-yoga/render-graphiql@5.24.1/cjs/graphiql.js"
_CDN_INTEGRITY = "sha384-MCnNk94qwS/4xAvYg2LW3o3Zpglnt8L4yOsJiHok2N1otSqvf4DDtzEiSRAFMRe7"

_START = '<script type="module" src="playground/playground.js"></script>'

# The editor sets styles on elements; scripts are files only. Blobs are what the CDN's one file is taken apart into.
_POLICY = (
    "default-src 'none'; script-src 'self'{scripts}; worker-src 'self'{blobs}; style-src 'self' 'unsafe-inline'{blobs};"
    " font-src data:; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Playground:
    """The page and its files."""

    examples: tuple[Example, ...]
    assets: Path = _ASSETS
    shows_plans: bool = True
    links: Mapping[str, str] = field(default_factory=dict[str, str])
    story_page: str = ""

    @property
    def has_assets(self) -> bool:
        return (self.assets / "graphiql.js").is_file()

    def page(self) -> HTMLResponse:
        sources: list[str] = []
        head, policy = "", _POLICY.format(scripts="", blobs="")
        if not self.has_assets:
            sources = ["playground/before.js", _CDN_FILE]
            head = f'<link rel="preconnect" href="{_CDN}" crossorigin>'
            policy = _POLICY.format(scripts=f" blob: {_CDN}", blobs=" blob:")
        content = Template((_PAGES / "playground.html").read_text()).substitute(
            head=head,
            hidden="" if self.shows_plans else "hidden",
            links="".join(map(_link, self.links.items())),
            story=html.escape(self.story_page),
            examples=_in_script(orjson.dumps([_tab(example) for example in self.examples]).decode()),
            scripts="\n    ".join([*map(_script, sources), _START]),
        )
        return HTMLResponse(content, headers=page_headers(policy))

    async def serve_page(self, _request: Request) -> Response:
        return self.page()

    async def serve_file(self, request: Request) -> Response:
        name: str = request.path_params["name"]
        # Found by looking, because a path made of whatever somebody asks for is not always one that can be asked about.
        for file in (*_PAGES.glob("*"), *self.assets.glob("*")):
            if file.name == name and file.suffix in {".js", ".css"}:
                return FileResponse(file, headers={"cache-control": "no-cache", "x-content-type-options": "nosniff"})
        return Response(status_code=404)


def playground_routes(options: RouterOptions) -> Sequence[BaseRoute]:
    playground = Playground(
        options.examples,
        shows_plans=options.expose_query_plan,
        links=options.playground_links,
        story_page=options.story_page,
    )
    return (Route("/", playground.serve_page), Route("/playground/{name}", playground.serve_file))


def _tab(example: Example) -> dict[str, object]:
    """A tab as GraphiQL takes it; it shows the operation's name, so the title stands above the operation."""
    tab: dict[str, object] = {"query": f"# {example.title}\n{example.query.strip()}\n"}
    if example.variables:
        tab["variables"] = orjson.dumps(example.variables, option=orjson.OPT_INDENT_2).decode()
    if example.headers:
        tab["headers"] = orjson.dumps(example.headers, option=orjson.OPT_INDENT_2).decode()
    if example.finds:
        tab["finds"] = example.finds
    return tab


def _in_script(json: str) -> str:
    """JSON that cannot end the element that it stands in."""
    return json.replace("<", "\\u003c")


def _link(link: tuple[str, str]) -> str:
    text, path = link
    return f'<a href="{html.escape(path)}">{html.escape(text)}</a>'


def _script(source: str) -> str:
    pinned = f' integrity="{_CDN_INTEGRITY}" crossorigin="anonymous"' if source == _CDN_FILE else ""
    return f'<script src="{html.escape(source)}"{pinned}></script>'
