"""How a request reaches a subgraph: one port, and an adapter for each way."""

from graphrouter.transport.port import (
    SubgraphRequest,
    SubgraphResponse,
    SubgraphResponseTooLarge,
    SubgraphTimedOut,
    SubgraphTransport,
    SubgraphUnreachable,
    TransportError,
)

__all__ = [
    "SubgraphRequest",
    "SubgraphResponse",
    "SubgraphResponseTooLarge",
    "SubgraphTimedOut",
    "SubgraphTransport",
    "SubgraphUnreachable",
    "TransportError",
]
