"""GraphQL over HTTP: one request at a time is sent until it is answered, with the same body every time.

A mutation carries an idempotency key, so that sending it again is safe whatever has happened to the first attempt.
Sent again is what had no GraphQL answer (a broken connection, a time-out, HTML from a proxy), what had none further
inside (a subgraph that the router did not reach), and what the API allows to send again: UNAVAILABLE, and OUT_OF_DATE
for a bookmark that the system did not reach in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Final, Generic

import aiohttp
import msgspec

from eventgraph.errors import StartError
from kithgraph.load.measure import Figures, Part
from kithgraph.load.operations import Body, Data, Operation

AGAIN: Final = frozenset(
    {"UNAVAILABLE", "OUT_OF_DATE", "NOT_READY", "REQUEST_TIMEOUT", "SUBREQUEST_FAILED", "SUBREQUEST_TIMEOUT"}
)
ATTEMPTS: Final = 8
FIRST_PAUSE: Final = 0.05
"""Seconds before the second attempt; each following pause is twice as long."""
TIMEOUT: Final = 30.0
"""Seconds for one attempt."""
_SHOWN: Final = 500
_ANY: Final = msgspec.json.Decoder(Body[object])

Variables = Mapping[str, object]


class NoAnswer(Exception):
    """All attempts ended without an answer; `found` says how the last one did."""

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.expected = "an answer"
        self.found = found


class WrongAnswer(Exception):
    """The answer is not of the shape that the schema promises."""

    def __init__(self, reason: str, body: bytes) -> None:
        super().__init__(reason)
        self.expected = f"the shape that the schema promises: {reason}"
        self.found = body[:_SHOWN].decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Answer(Generic[Data]):
    """What came back: data, or codes of errors, or both."""

    data: Data | None
    codes: Sequence[str]
    bookmark: str


class Client:
    """Sends operations to one endpoint and measures them."""

    def __init__(self, http: aiohttp.ClientSession, endpoint: str, figures: Figures, *, pause: float) -> None:
        self._http = http
        self._endpoint = endpoint
        self._figures = figures
        self._pause = pause

    @classmethod
    @asynccontextmanager
    async def open(
        cls, endpoint: str, figures: Figures, *, connections: int, pause: float = FIRST_PAUSE
    ) -> AsyncGenerator[Client]:
        connector = aiohttp.TCPConnector(limit=connections)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        headers = {"content-type": "application/json", "accept": "application/graphql-response+json, application/json"}
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as http:
            yield cls(http, endpoint, figures, pause=pause)

    async def ask(
        self,
        operation: Operation[Data],
        variables: Variables,
        *,
        part: Part,
        bookmark: str = "",
        another_bookmark: str = "",
    ) -> Answer[Data]:
        """The answer to an operation, no older than these bookmarks; one travels as header, the other as extension.

        Raises:
            NoAnswer: there was none after `ATTEMPTS` attempts.
            WrongAnswer: it has another shape than the schema.
        """
        request: dict[str, object] = {"query": operation.document, "variables": variables}
        if another_bookmark:
            request["extensions"] = {"bookmark": another_bookmark}
        body = msgspec.json.encode(request)
        headers = {"bookmark": bookmark} if bookmark else {}
        pause, trouble = self._pause, ""
        for attempt in range(1, ATTEMPTS + 1):
            begun = perf_counter()
            answer, trouble = await self._attempt(operation, body, headers)
            if answer is not None and (not trouble or attempt == ATTEMPTS):
                measured = self._figures.of(part, operation.name)
                measured.latencies.append(perf_counter() - begun)
                measured.codes.update(answer.codes)
                return answer
            if attempt < ATTEMPTS:
                self._figures.retries[trouble] += 1
                await asyncio.sleep(pause)
                pause *= 2
        raise NoAnswer(f"{trouble}, {ATTEMPTS} times")

    async def _attempt(
        self, operation: Operation[Data], body: bytes, headers: Mapping[str, str]
    ) -> tuple[Answer[Data] | None, str]:
        """An answer, or why there is none, or both where the answer says to ask again."""
        try:
            async with self._http.post(self._endpoint, data=body, headers=headers, allow_redirects=False) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return None, type(error).__name__
        if "json" not in response.content_type:
            return None, f"HTTP {response.status} {response.content_type}"
        answer = _read(operation, content, response.headers.get("bookmark", ""))
        again = AGAIN.intersection(answer.codes)
        return answer, min(again) if again else ""


def _read(operation: Operation[Data], content: bytes, header: str) -> Answer[Data]:
    try:
        body: Body[Data] = operation.answer.decode(content)
    except msgspec.MsgspecError as error:
        codes = _codes_beside_nulls(content)
        if not codes:
            raise WrongAnswer(str(error), content) from error
        return Answer(None, codes, header)
    if body.data is None and not body.errors:
        raise WrongAnswer("neither data nor errors", content)
    if body.data is not None and not body.extensions.bookmark:
        raise WrongAnswer("no bookmark in its extensions", content)
    if header != body.extensions.bookmark:
        raise WrongAnswer(f"the header Bookmark is {header!r}, the extension another", content)
    return Answer(body.data, [fault.extensions.code for fault in body.errors], body.extensions.bookmark)


def _codes_beside_nulls(content: bytes) -> Sequence[str]:
    """The codes of errors whose nulls are in the way of the data's shape; none where the answer tells of no error."""
    try:
        return [fault.extensions.code for fault in _ANY.decode(content).errors]
    except msgspec.MsgspecError:
        return []


async def reach(endpoint: str) -> None:
    """
    Raises:
        StartError: nothing at the endpoint speaks GraphQL.
    """
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT)) as http,
            http.post(endpoint, json={"query": "{ __typename }"}) as response,
        ):
            found = await response.read()
        _ANY.decode(found)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise StartError(f"{endpoint}: expected a GraphQL API, such as the command `up` starts; {reason}") from error
