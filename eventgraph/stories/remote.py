"""The facts of a subgraph that another process serves: `POST /story` there, asked by the router's process.

The body is `{"asked": {correlation}}` or `{"asked": {command}}`, answered with the events of the subgraph's log, or
`{"events": […]}`, answered with what has become of them. Where router and subgraphs have keys (the setting
`actor_keys`), the request is signed as who asks is for GraphQL, and nobody else is answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from ssl import SSLContext
from typing import Final, TypeVar
from urllib.parse import urljoin

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from eventgraph.stories.facts import Asked, Event, Facts, Found, Outcome, SubgraphTeller
from eventkernel.errors import KernelError, Unavailable
from graphrouter.http.actors import HEADER, Actor, ActorKeys, NotAnActor
from graphrouter.transport import SubgraphRequest, TransportError
from graphrouter.transport.http import HttpTransport

Read = TypeVar("Read")

SCOPE: Final = "console"
"""What the signed header allows."""
_ASKS: Final = Actor("router", frozenset({SCOPE}))
_SECONDS: Final = 15.0
_CLOCKS_DIFFER: Final = 30.0
"""Seconds that a subgraph's clock may be ahead of the router's, as for GraphQL."""
_LARGEST_BODY: Final = 4 * 1024 * 1024
_JSON: Final = "application/json"


class Question(Facts, frozen=True):
    """The body of a request: one of the two."""

    asked: Asked | None = None
    events: tuple[Event, ...] = ()


_question: Final = msgspec.json.Decoder(Question).decode
_found: Final = msgspec.json.Decoder(Found).decode
_outcomes: Final = msgspec.json.Decoder(tuple[Outcome, ...]).decode
_encode: Final = msgspec.json.Encoder().encode


def story_route(teller: SubgraphTeller, actors: ActorKeys | None) -> BaseRoute:
    """Tells what this process knows. Without `actors` everybody is answered, as they are by GraphQL."""

    async def answer(request: Request) -> Response:
        if actors is not None and not _is_signed(request.headers.get(HEADER, ""), actors):
            return _refused(401, "expected who asks, signed by a router of these keys, found no such header")
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > _LARGEST_BODY:
                return _refused(413, f"expected at most {_LARGEST_BODY} bytes, found more")
        try:
            question = _question(bytes(body))
            if question.asked is not None:
                return Response(_encode(await teller.events(question.asked)), media_type=_JSON)
            return Response(_encode(await teller.outcomes(question.events)), media_type=_JSON)
        except msgspec.MsgspecError as error:
            return _refused(400, f"the question: {error}")
        except KernelError as error:
            return _refused(503, str(error))

    return Route("/story", answer, methods=["POST"])


class RemoteTeller:
    """Asks the process at a subgraph's URL. `tls` gives what it has to show, where that is configured."""

    def __init__(
        self, name: str, url: str, actors: ActorKeys | None, tls: Callable[[], SSLContext | None] = lambda: None
    ) -> None:
        self._name = name
        self._url = urljoin(url, "story")
        self._actors = actors
        self._tls = tls

    @property
    def name(self) -> str:
        return self._name

    async def events(self, asked: Asked) -> Found:
        return self._read(await self._answer(Question(asked=asked)), _found)

    async def outcomes(self, events: Sequence[Event]) -> Sequence[Outcome]:
        return self._read(await self._answer(Question(events=tuple(events))), _outcomes)

    async def _answer(self, question: Question) -> bytes:
        headers = () if self._actors is None else ((HEADER, self._actors.sign(_ASKS, _SECONDS + _CLOCKS_DIFFER)),)
        transport = HttpTransport(self._url, tls=self._tls(), max_response_bytes=_LARGEST_BODY)
        deadline = asyncio.get_running_loop().time() + _SECONDS
        try:
            answer = await transport.send(SubgraphRequest(_encode(question), headers, deadline))
        except TransportError as error:
            raise Unavailable(f"the process of {self._name}: {error}") from error
        finally:
            await transport.aclose()
        if answer.status != 200:
            raise Unavailable(f"the process of {self._name} answers with HTTP status {answer.status}")
        return answer.body

    def _read(self, body: bytes, decode: Callable[[bytes], Read]) -> Read:
        try:
            return decode(body)
        except msgspec.MsgspecError as error:
            raise Unavailable(f"the process of {self._name} answers with something else: {error}") from error


def _is_signed(value: str, actors: ActorKeys) -> bool:
    try:
        return SCOPE in actors.read_actor(value).scopes
    except NotAnActor:
        return False


def _refused(status: int, message: str) -> Response:
    return Response(_encode({"error": message[:200]}), status, media_type=_JSON)
