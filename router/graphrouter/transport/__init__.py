"""How a request reaches a subgraph: one port, and an adapter for each way."""

from graphrouter.transport.port import (
    RequestTrace,
    StreamingTransport,
    SubgraphLeftAlone,
    SubgraphRequest,
    SubgraphResponse,
    SubgraphResponseTooLarge,
    SubgraphStream,
    SubgraphTimedOut,
    SubgraphTransport,
    SubgraphUnreachable,
    TransportError,
)

__all__ = [
    "RequestTrace",
    "StreamingTransport",
    "SubgraphLeftAlone",
    "SubgraphRequest",
    "SubgraphResponse",
    "SubgraphResponseTooLarge",
    "SubgraphStream",
    "SubgraphTimedOut",
    "SubgraphTransport",
    "SubgraphUnreachable",
    "TransportError",
]
