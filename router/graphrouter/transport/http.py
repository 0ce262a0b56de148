"""Subgraphs behind HTTP: one connection pool per subgraph, kept alive, with limits on time and size."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import urljoin

import aiohttp

from graphrouter.transport.port import (
    GRAPHQL_ACCEPT,
    MAX_RESPONSE_BYTES,
    SubgraphRequest,
    SubgraphResponse,
    SubgraphResponseTooLarge,
    SubgraphTimedOut,
    SubgraphUnreachable,
)

_log = logging.getLogger("graphrouter.transport")

# Servers close idle connections after five seconds or more; closing ours first keeps requests out of that race.
_KEEPALIVE_SECONDS = 4.0

_HEADERS = {
    "content-type": "application/json",
    "accept": GRAPHQL_ACCEPT,
    # Near by, as subgraphs are, compressing costs more time than it saves.
    "accept-encoding": "identity",
    "user-agent": "graphrouter",
}


class HttpTransport:
    """A subgraph at a URL, over aiohttp.

    `connections` bounds how many are open at one time; more requests wait for one, within their deadline. The session
    is opened at the first use, in the event loop that uses it.
    """

    def __init__(self, url: str, *, connections: int = 256, max_response_bytes: int = MAX_RESPONSE_BYTES) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"a subgraph's URL begins with http:// or https://, found {url!r}")
        self._url = url
        self._connections = connections
        self._max_response_bytes = max_response_bytes
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def start(self) -> None:
        self._open()

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise SubgraphUnreachable("the subgraph's connection is closed")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._connections, keepalive_timeout=_KEEPALIVE_SECONDS, ttl_dns_cache=30
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                headers=_HEADERS,
            )
        return self._session

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        session = self._open()
        try:
            async with asyncio.timeout_at(request.deadline):
                try:
                    return await self._exchange(session, request)
                except (aiohttp.ServerDisconnectedError, aiohttp.ClientConnectionResetError):
                    if not request.repeatable:
                        raise
                    return await self._exchange(session, request)
        except TimeoutError as error:
            raise SubgraphTimedOut("the subgraph did not answer in time") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            _log.warning("request to %s failed: %s", self._url, type(error).__name__)
            raise SubgraphUnreachable("the subgraph could not be reached") from error

    async def _exchange(self, session: aiohttp.ClientSession, request: SubgraphRequest) -> SubgraphResponse:
        if request.get is not None:
            call = session.get(urljoin(self._url, request.get), headers=request.headers, allow_redirects=False)
        else:
            call = session.post(self._url, data=request.body, headers=request.headers, allow_redirects=False)
        async with call as response:
            return SubgraphResponse(response.status, response.headers, await self._read(response))

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        limit = self._max_response_bytes
        if response.content_length is not None and response.content_length > limit:
            raise SubgraphResponseTooLarge(f"the subgraph's answer is larger than {limit} bytes")
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > limit:
                raise SubgraphResponseTooLarge(f"the subgraph's answer is larger than {limit} bytes")
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def aclose(self) -> None:
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()
