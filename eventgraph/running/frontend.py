"""`/app`: a frontend of the system, as built files in a folder: `index.html`, and beside it what it loads.

A page of its own origin needs no CORS. Files below `assets/` have their content's hash in their names, so that browsers
keep them for ever; `index.html` is asked for each time, and answers every other path, because the page itself reads
that. The folder may be built, and built again, while the system runs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from graphrouter.http.page_headers import page_headers

PATH: Final = "/app/"

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'"
)
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_NAME: Final = re.compile(r"(?!\.)[\w.~-]*", re.ASCII)
"""Of each step of a path within the page; none begins with a dot."""


def is_built(folder: Path | None) -> bool:
    return folder is not None and (folder / "index.html").is_file()


def frontend_routes(folder: Path | None, setting: str) -> Sequence[BaseRoute]:
    """`folder` has the built files; `setting` is the variable that names it, for whoever finds nothing there."""

    async def page(request: Request) -> Response:
        if folder is None or not is_built(folder):
            expected = f"No page is built here: expected index.html in the folder that {setting} names, found none."
            return _told(f"{expected}\nWhere the system has a frontend, `make web` builds it.\n")
        if not all(map(_NAME.fullmatch, request.path_params.get("place", "").split("/"))):
            return _told("There is no such page.\n")
        return FileResponse(folder / "index.html", headers={**page_headers(_POLICY), "cache-control": "no-cache"})

    async def asset(request: Request) -> Response:
        # Found by looking: a path made of whatever somebody asks for is not always one that can be asked about.
        for file in sorted((folder / "assets").glob("*")) if folder is not None else ():
            if file.name == request.path_params["name"] and file.is_file():
                headers = {"cache-control": _FOR_EVER, "x-content-type-options": "nosniff"}
                return FileResponse(file, headers=headers)
        return _told("There is no such file.\n")

    return (
        Route(f"{PATH}assets/{{name:path}}", asset),
        Route(PATH.removesuffix("/"), page),
        Route(f"{PATH}{{place:path}}", page),
    )


def _told(text: str) -> Response:
    return PlainTextResponse(text, 404, headers={"cache-control": "no-store", "x-content-type-options": "nosniff"})
