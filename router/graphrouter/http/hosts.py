"""By which names a server may be asked: the check of the `Host` header.

A page of `evil.example` can let that name lead to an address of the visitor's own machine or network (DNS rebinding),
and its scripts may then read whatever is served there. The name stands in `Host`, and no script can change it. An
address, or `localhost`, in its place was not got by rebinding.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send

from graphrouter.http.media_types import JSON
from graphrouter.http.refusal import HttpRefusal
from graphrouter.request import error_object

_HOST: Final = re.compile(rb"(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{0,5})?")
_REMEMBERED: Final = 1_000


_NAME: Final = re.compile(r"\*|(\*\.)?[A-Za-z0-9._-]{1,253}|\[?[0-9a-fA-F:.]{2,45}\]?")


def check_hosts(hosts: Sequence[str]) -> None:
    """ValueError where one is no name that a request can have, such as a URL, or a name with a port."""
    for host in hosts:
        if not _NAME.fullmatch(host):
            raise ValueError(f"hosts: expected a name such as api.example.com or *.example.com, found {host[:100]!r}")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what is served at a host."""
    found = _address(host.strip("[]"))
    return host == "localhost" if found is None else found.is_loopback


class HostCheck:
    """Middleware that answers only requests to a host of its own: HTTP 421 for another one, 400 for none or two.

    `hosts` are names, `*.example.com` for all below one, or `*` for any; addresses, `localhost` and what is below it
    are always answered. Without `hosts`, connections to a loopback address are answered by no other names, and
    connections to other addresses by all.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str] = ()) -> None:
        self._app = app
        self._any = "*" in hosts
        self._names = frozenset(host.lower() for host in hosts)
        self._below = tuple(host.lower()[1:] for host in hosts if host.startswith("*."))
        self._restricted = bool(hosts)
        self._accepted: set[tuple[bytes, str]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            try:
                self._check(scope)
            except HttpRefusal as refusal:
                await _refuse(send, scope, refusal)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        values = [value for name, value in scope["headers"] if name == b"host"]
        server = scope.get("server")
        address = str(server[0]) if server else ""
        if len(values) == 1:
            if (values[0], address) not in self._accepted:
                self._check_host(values[0], address)
                if len(self._accepted) >= _REMEMBERED:
                    self._accepted.clear()
                self._accepted.add((values[0], address))
        elif values:
            raise HttpRefusal(400, "BAD_REQUEST", "a request has one Host header, this one has several")
        elif address and scope.get("http_version") != "1.0":
            raise HttpRefusal(400, "BAD_REQUEST", "a request has a Host header, this one has none")

    def _check_host(self, value: bytes, address: str) -> None:
        found = _HOST.fullmatch(value)
        if found is None:
            raise HttpRefusal(400, "BAD_REQUEST", "the Host header is not a name or an address, with or without a port")
        host = found[1].decode().lower().rstrip(".")
        if self._any or host in self._names or host.endswith((".localhost", *self._below)) or host == "localhost":
            return
        if _address(host.strip("[]")) is not None:
            return
        served_at = _address(address)
        if self._restricted or (served_at is not None and served_at.is_loopback):
            raise HttpRefusal(421, "MISDIRECTED_REQUEST", f"this server does not serve the host {host[:100]}")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


async def _refuse(send: Send, scope: Scope, refusal: HttpRefusal) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    body = orjson.dumps({"errors": [error_object(str(refusal), refusal.code)]})
    headers = [(b"content-type", JSON), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
