"""Who may ask the console, and for what.

The pages themselves hold nothing of the system; whatever they show comes from `/console/api`, and there every request
has to pass. A page of another site that somebody happens to visit can send requests to this machine as well, and its
browser says so: in `Sec-Fetch-Site`, or in `Origin`, which no script can change. A site that lets its own name lead to
this machine (DNS rebinding) has that name in `Host`. Where callers have to prove who they are, a token with a scope of
its own is needed, and a browser adds none by itself.

https://www.w3.org/TR/fetch-metadata/
https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router

from eventgraph.console.mode import Mode
from eventgraph.errors import StartError
from eventkernel.errors import InvalidInput, KernelError, NotFound, Refusal
from eventkernel.reading.views import BuildRetired
from graphrouter.authentication import Authentication
from graphrouter.authentication.caller import Caller
from graphrouter.http.hosts import HostCheck
from graphrouter.http.refusal import HttpRefusal
from graphrouter.request import RequestRefused

if TYPE_CHECKING:
    from graphrouter.authentication.tokens import Tokens

SCOPE: Final = "console"
"""What a token has to allow."""

_JSON: Final = "application/json"
_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_LARGEST_BODY: Final = 16_384
_SHOWN: Final = 200
_STATUS_OF_TOKEN: Final = {"AUTHENTICATION_UNAVAILABLE": 503}


Answering = Callable[[Request], Awaitable[Response]]


class Access:
    """Lets requests through to the console's answers.

    `hosts` are the names that the server has; `*` among them is none here. `authentication` says who proves who asks:
    it may change while the system runs.
    """

    def __init__(
        self,
        mode: Mode,
        hosts: Sequence[str] = (),
        authentication: Callable[[], Authentication | None] = lambda: None,
    ) -> None:
        self.mode = mode
        # With no name at all, HostCheck would take any where the server is not on loopback.
        self._hosts = [host for host in hosts if host != "*"] or ["localhost"]
        self._authentication = authentication
        self._tokens: tuple[Authentication, Tokens] | None = None

    def api(self, looking: Mapping[str, Answering], acting: Mapping[str, Answering]) -> BaseRoute:
        """`/console/api`: what is got by a path, and what is ordered there."""
        routes = [
            *(
                Route(f"/{path}", self._guarded(answer, acts=False), methods=["GET"])
                for path, answer in looking.items()
            ),
            *(Route(f"/{path}", self._guarded(answer, acts=True), methods=["POST"]) for path, answer in acting.items()),
        ]
        return Mount("/console/api", HostCheck(Router(routes), self._hosts))

    @property
    def shows_data(self) -> bool:
        return self.mode is Mode.ON

    def _guarded(self, answer: Answering, *, acts: bool) -> Answering:
        async def guarded(request: Request) -> Response:
            try:
                check_same_origin(request)
                caller = await self._caller(request)
                request.state.caller = caller
                if acts:
                    self._check_acting(request)
                return await answer(request)
            except HttpRefusal as refusal:
                return refused(refusal.status, str(refusal))
            except RequestRefused as error:
                first = error.errors[0]
                return refused(_STATUS_OF_TOKEN.get(str(first["extensions"]["code"]), 401), first["message"])
            except StartError as error:
                return refused(400, str(error))
            except BuildRetired as error:
                return refused(503, f"the build {error} was replaced meanwhile: try again")
            except KernelError as error:
                return refused(_status_of(error), str(error))

        return guarded

    async def _caller(self, request: Request) -> Caller | None:
        settings = self._authentication()
        if settings is None:
            return None
        if self._tokens is None or self._tokens[0] is not settings:
            from graphrouter.authentication.tokens import Tokens  # noqa: PLC0415  # loads cryptography

            before, self._tokens = self._tokens, (settings, Tokens(settings))
            if before is not None:
                await before[1].aclose()
        caller = await self._tokens[1].caller(request.headers)
        if caller is None:
            raise HttpRefusal(401, "UNAUTHENTICATED", "expected a token in the header Authorization, found none")
        if SCOPE not in caller.scopes:
            raise HttpRefusal(403, "FORBIDDEN", f"expected a token with the scope {SCOPE!r}, found one without it")
        return caller

    def _check_acting(self, request: Request) -> None:
        if self.mode is not Mode.ON:
            raise HttpRefusal(403, "FORBIDDEN", "this console only shows: it is set to read-only")
        # Of another origin it cannot be sent without asking first. https://fetch.spec.whatwg.org/#cors-safelisted-request-header
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
            raise HttpRefusal(415, "UNSUPPORTED_MEDIA_TYPE", f"expected the content type {_JSON}, found another one")

    async def aclose(self) -> None:
        if self._tokens is not None:
            await self._tokens[1].aclose()


def check_same_origin(request: Request) -> None:
    """Raises HttpRefusal where a browser sends the request for a page of another origin.

    What is no browser sends neither header, and has to be trusted with what it reaches.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        ours = site in {"same-origin", "none"}
    else:
        origin = request.headers.get("origin")
        ours = origin is None or _netloc(origin) == request.headers.get("host", "").lower()
    if not ours:
        raise HttpRefusal(403, "CROSS_SITE", "this is for the console's own pages, not for those of another origin")


def _netloc(origin: str) -> str:
    """Empty, as no Host is, of what is no origin."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


async def body_of(request: Request) -> bytes:
    """Raises HttpRefusal for one that is longer than any order."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST_BODY:
            raise HttpRefusal(413, "REQUEST_TOO_LARGE", f"expected at most {_LARGEST_BODY} bytes, found more")
    return bytes(body)


def told(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type=_JSON, headers=_HEADERS)


def refused(status: int, message: str) -> Response:
    short = message if len(message) <= _SHOWN else f"{message[: _SHOWN - 1]}…"
    return told({"error": short}, status)


def _status_of(error: KernelError) -> int:
    match error:
        case NotFound():
            return 404
        case InvalidInput():
            return 400
        case Refusal():
            return 409
        case _:
            return 503
