"""The playground at `/`."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute

from graphrouter.options import RouterOptions


def playground_routes(options: RouterOptions) -> Sequence[BaseRoute]:
    return ()
