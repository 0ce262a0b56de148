"""Whether a subgraph answers, asked over its transport."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from graphrouter.transport.port import SubgraphRequest, SubgraphTransport, TransportError


@dataclass(frozen=True, slots=True)
class SubgraphHealth:
    """Whether a subgraph answers, and if not, the reason."""

    ready: bool
    reason: str = ""


async def health_of(transport: SubgraphTransport, path: str | None, seconds: float) -> SubgraphHealth:
    """Asks `path`, a health page of the subgraph, or else for `{__typename}`."""
    request = SubgraphRequest(
        body=b'{"query":"{__typename}"}' if path is None else b"",
        deadline=asyncio.get_running_loop().time() + seconds,
        repeatable=True,
        get=path,
    )
    try:
        response = await transport.send(request)
    except TransportError as error:
        return SubgraphHealth(False, str(error))
    if response.status != 200:
        return SubgraphHealth(False, f"the subgraph answered with HTTP status {response.status}")
    if path is None and b'"__typename"' not in response.body:
        return SubgraphHealth(False, "the subgraph does not answer {__typename}")
    return SubgraphHealth(True)
