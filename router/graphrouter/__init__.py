"""A GraphQL federation router: composes, plans and executes over anybody's subgraphs."""

from graphrouter.authentication import Authentication, Caller, Issuer
from graphrouter.limits import Limits
from graphrouter.options import Example, RouterOptions
from graphrouter.request import GraphQLAnswer, GraphQLRequest
from graphrouter.router import GraphRouter, federate
from graphrouter.subgraph_sdl import SubgraphUnavailable

__all__ = [
    "Authentication",
    "Caller",
    "Example",
    "GraphQLAnswer",
    "GraphQLRequest",
    "GraphRouter",
    "Issuer",
    "Limits",
    "RouterOptions",
    "SubgraphUnavailable",
    "federate",
]
