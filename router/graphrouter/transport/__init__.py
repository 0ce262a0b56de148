"""How a request reaches a subgraph: one port, and an adapter for each way."""

from graphrouter.transport.port import (
    SubgraphLeftAlone,
    SubgraphRequest,
    SubgraphResponse,
    SubgraphResponseTooLarge,
    SubgraphTimedOut,
    SubgraphTransport,
    SubgraphUnreachable,
    TransportError,
)

__all__ = [
    "SubgraphLeftAlone",
    "SubgraphRequest",
    "SubgraphResponse",
    "SubgraphResponseTooLarge",
    "SubgraphTimedOut",
    "SubgraphTransport",
    "SubgraphUnreachable",
    "TransportError",
]
