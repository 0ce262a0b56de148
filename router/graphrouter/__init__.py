"""A GraphQL federation router: composes, plans and executes over anybody's subgraphs."""

from graphrouter.authentication import Authentication, Caller, Issuer, PolicyQuestion
from graphrouter.hooks import Hooks, PlannedOperation
from graphrouter.http.rates import RateLimit
from graphrouter.limits import Limits
from graphrouter.options import Example, Find, PersistedOperations, RouterOptions, Traffic
from graphrouter.pipeline.persisted import read_operations
from graphrouter.request import GraphQLAnswer, GraphQLRequest, RequestRefused, error_object
from graphrouter.router import GraphRouter, federate
from graphrouter.subgraph_sdl import SubgraphUnavailable
from graphrouter.transport.breaker import Breaker
from graphrouter.transport.retrying import Retries

__all__ = [
    "Authentication",
    "Breaker",
    "Caller",
    "Example",
    "Find",
    "GraphQLAnswer",
    "GraphQLRequest",
    "GraphRouter",
    "Hooks",
    "Issuer",
    "Limits",
    "PersistedOperations",
    "PlannedOperation",
    "PolicyQuestion",
    "RateLimit",
    "RequestRefused",
    "Retries",
    "RouterOptions",
    "SubgraphUnavailable",
    "Traffic",
    "error_object",
    "federate",
    "read_operations",
]
