"""The schema that a running subgraph tells of itself, asked over its transport."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from graphrouter.transport.port import SubgraphRequest, SubgraphResponse, SubgraphTransport, TransportError

_LONGEST_ECHO = 200
"""Characters of a subgraph's own words in a message of ours."""


class SubgraphUnavailable(Exception):
    """A subgraph did not give its schema: the message names it and says why."""


async def fetch_sdl(name: str, transport: SubgraphTransport, seconds: float) -> str:
    """The schema that a subgraph tells of itself.

    https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/subgraph-spec
    """
    deadline = asyncio.get_running_loop().time() + seconds
    request = SubgraphRequest(b'{"query":"{_service{sdl}}"}', deadline=deadline, repeatable=True)
    try:
        response = await transport.send(request)
    except TransportError as error:
        raise SubgraphUnavailable(f"subgraph {name}: {error}") from error
    return _sdl_of(name, response)


def _sdl_of(name: str, response: SubgraphResponse) -> str:
    """The text in an answer to `{_service{sdl}}`; SubgraphUnavailable, with the subgraph's own words, where none is."""
    try:
        answer: Any = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        answer = None
    match answer:
        case {"data": {"_service": {"sdl": str(sdl)}}}:
            return sdl
        case {"errors": [{"message": str(message)}, *_]}:
            own = message if len(message) <= _LONGEST_ECHO else f"{message[:_LONGEST_ECHO]}…"
            raise SubgraphUnavailable(
                f"subgraph {name}: it does not tell its schema (HTTP status {response.status}): {' '.join(own.split())}"
            )
        case _:
            raise SubgraphUnavailable(
                f"subgraph {name}: expected an answer to {{_service{{sdl}}}}, found something else"
                f" (HTTP status {response.status})"
            )
