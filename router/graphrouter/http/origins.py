"""Which pages of other origins may ask: origins as browsers send them (https://www.rfc-editor.org/rfc/rfc6454)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

_ORIGIN: Final = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/\s]+")


def check_origins(origins: Sequence[str]) -> None:
    """ValueError where one is no origin that a browser sends, such as an URL with a path."""
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(
                f"cors_origins: expected an origin such as https://app.example.com, found {origin[:100]!r}"
            )


def cors_for(origins: Sequence[str]) -> Sequence[Middleware]:
    """What answers their preflights: any header may be sent, no credentials. Nothing where there are no origins."""
    check_origins(origins)
    if not origins:
        return ()
    return (
        Middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=("GET", "HEAD", "POST"),
            allow_headers=("*",),
            expose_headers=("bookmark", "retry-after"),
        ),
    )
