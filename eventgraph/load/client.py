"""Sends a workload's operations over HTTP/1.1, with connections that are kept, and reads the codes of the answers."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
import msgspec

from eventgraph.errors import StartError
from eventgraph.load.drive import Answered, Lost
from eventgraph.load.pools import Pools
from eventgraph.load.workload import Json, Workload

_MOST_WAIT: Final = 60.0
"""Seconds that a server waits at most for a view to reach a bookmark."""
_NO_CODE: Final = "NO_CODE"
_NO_JSON: Final = "NO_JSON"


class _Extensions(msgspec.Struct, frozen=True):
    code: str = _NO_CODE
    bookmark: str = ""


class _Fault(msgspec.Struct, frozen=True):
    extensions: _Extensions = _Extensions()


class _Body(msgspec.Struct, frozen=True):
    """What every answer of GraphQL has."""

    data: msgspec.Raw = msgspec.Raw(b"null")
    errors: Sequence[_Fault] | None = None
    extensions: _Extensions = _Extensions()

    @property
    def has_data(self) -> bool:
        return bytes(self.data) != b"null"


_BODY: Final = msgspec.json.Decoder(_Body)
_NO_ANSWER: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding may raise of bytes that are no answer of GraphQL."""


class Client:
    """Sends operations to one endpoint."""

    def __init__(self, http: aiohttp.ClientSession, endpoint: str, workload: Workload, pools: Pools) -> None:
        self._http = http
        self._endpoint = endpoint
        self._pools = pools
        self._operations = {
            name: (operation.document, frozenset(operation.expected)) for name, operation in workload.operations.items()
        }

    @classmethod
    @asynccontextmanager
    async def open(
        cls, endpoint: str, workload: Workload, pools: Pools, *, at_most: int, timeout: float, token: str | None
    ) -> AsyncGenerator[Client]:
        """`token`: what the requests carry as their bearer's."""
        headers = {
            "content-type": "application/json",
            "accept": "application/graphql-response+json, application/json",
            "bookmark-timeout": f"{min(timeout, _MOST_WAIT):g}",
            **({"authorization": f"Bearer {token}"} if token else {}),
        }
        connector = aiohttp.TCPConnector(limit=at_most)
        # Each request's time is its sender's to keep.
        whole = aiohttp.ClientTimeout(total=None, sock_connect=timeout)
        async with aiohttp.ClientSession(connector=connector, timeout=whole, headers=headers) as http:
            yield cls(http, endpoint, workload, pools)

    async def send(self, operation: str) -> Answered:
        """Send an operation with variables of its own, and keep what the pools want of its answer.

        Raises:
            Lost: there was no answer of GraphQL's form.
        """
        document, expected = self._operations[operation]
        drawn = self._pools.draw(operation)
        request: dict[str, object] = {"query": document, "variables": drawn.variables}
        headers: Mapping[str, str] = {}
        if drawn.bookmarks:
            headers = {"bookmark": drawn.bookmarks[0]}
            if drawn.bookmarks[1:]:
                request["extensions"] = {"bookmark": drawn.bookmarks[1]}
        body = await self._post(msgspec.json.encode(request), headers)
        codes = frozenset(fault.extensions.code for fault in body.errors or ())
        if self._pools.feeds(operation) and body.has_data:
            try:
                data: Json = msgspec.json.decode(body.data)
            except _NO_ANSWER as error:
                raise Lost(_NO_JSON) from error
            self._pools.collect(operation, data, body.extensions.bookmark)
        return Answered(sorted(codes & expected), sorted(codes - expected))

    async def _post(self, body: bytes, headers: Mapping[str, str]) -> _Body:
        try:
            async with self._http.post(self._endpoint, data=body, headers=headers, allow_redirects=False) as response:
                content = await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise Lost(type(error).__name__) from error
        try:
            answer = _BODY.decode(content)
        except _NO_ANSWER as error:
            raise Lost(f"HTTP_{response.status}") from error
        if answer.errors is None and not answer.has_data:
            raise Lost(f"HTTP_{response.status}")
        return answer


def shown(endpoint: str) -> str:
    """An endpoint as it may be told, without the password that its URL may have."""
    return re.sub(r"//[^/?#]*@", "//", endpoint)


async def reach(endpoint: str, token: str | None, timeout: float) -> None:
    """
    Raises:
        StartError: nothing at the endpoint speaks GraphQL, or it does not take the token.
    """
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout), headers=headers) as http,
            http.post(endpoint, json={"query": "{ __typename }"}, allow_redirects=False) as response,
        ):
            found = await response.read()
        answer = _BODY.decode(found)
    except (aiohttp.ClientError, OSError, ValueError, msgspec.MsgspecError, RecursionError) as error:
        reason = str(error) or type(error).__name__
        place = shown(endpoint)
        raise StartError(f"{place}: expected a GraphQL API, such as the command `up` starts; {reason}") from error
    if not answer.has_data:
        codes = ", ".join(fault.extensions.code for fault in answer.errors or ()) or f"HTTP status {response.status}"
        raise StartError(f"{shown(endpoint)}: expected an answer to {{ __typename }}, found {codes}")
