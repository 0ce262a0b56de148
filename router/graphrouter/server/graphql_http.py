"""The endpoint under the name and signature that it had in 0.1.0, for applications that import it from here."""

from __future__ import annotations

from collections.abc import Callable

from graphrouter.http import endpoint
from graphrouter.http.capacity import EndpointLimits
from graphrouter.http.parameters import read_body
from graphrouter.options import RouterOptions

__all__ = ["GraphQLEndpoint", "read_body"]


class GraphQLEndpoint(endpoint.GraphQLEndpoint):
    """The ASGI app of `/graphql`, with the default number of concurrent requests."""

    def __init__(self, router: Callable[[], endpoint.Executor | str], body_limit: int) -> None:
        super().__init__(router, EndpointLimits(body_limit, RouterOptions().concurrent_requests))
