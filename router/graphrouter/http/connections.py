"""The connections of one server: how many there may be, and for how long each may take over what it does.

One clock tick a second looks at all of them. So a request costs no timer of its own, and a limit is kept to a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

_TICK_SECONDS: Final = 1.0

DRAINING: Final = "graphrouter.draining"
"""Stands in the `extensions` of a request's ASGI scope while the server drains."""

ENDLESS: Final = "graphrouter.endless"
"""Of ASGI's `http.response.start`: whether the answer has no end of its own, so that whoever stops ends it. Without it,
a stream of events has none."""


def is_draining(scope: Mapping[str, Any]) -> bool:
    """Whether the server that this request came to is going to stop."""
    return DRAINING in scope.get("extensions", ())


def is_endless(start: Mapping[str, Any]) -> bool:
    """Whether an answer that starts so has no end of its own."""
    if (said := start.get(ENDLESS)) is not None:
        return bool(said)
    for name, value in start.get("headers", ()):
        if value.startswith(b"text/event-stream") and name.lower() == b"content-type":
            return True
    return False


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The bounds of a server's connections, with their defaults."""

    connections: int = 1_000
    """Open at the same time. For one more the one that has been idle longest is closed; where none is idle, the new one
    gets HTTP 503."""
    head_bytes: int = 64 * 1024
    """Bytes of a request's line and headers, and of what stands between the parts of its body."""
    headers: int = 200
    """Header fields of a request."""
    head_seconds: float = 10.0
    """From the first byte of a request to the end of its headers."""
    body_seconds: float = 30.0
    """From the end of the headers to the end of the body."""
    idle_seconds: float = 75.0
    """How long a connection is kept without a request."""
    write_seconds: float = 30.0
    """How long a client may leave an answer lying."""
    message_bytes: int = 1024 * 1024
    """Bytes of a message over a WebSocket."""


class Watched(Protocol):
    """A connection as its server sees it."""

    deadline: float
    """When, on the event loop's clock, its patience ends; infinity for never."""

    def expire(self) -> None:
        """Its deadline has passed."""
        ...

    def evict(self) -> None:
        """It is idle, and another one needs its place."""
        ...


class Connections:
    """Those that are open; the ones that are idle in the order in which they became so."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.draining = False
        """Whether the server is going to stop: each answer then ends its connection, and health says not ready, so that
        clients and balancers go elsewhere before it stops."""
        self._open: set[Watched] = set()
        self._turned_away: set[Watched] = set()
        self.refused = 0
        """Connections that were turned away, since the start."""
        self._idle: dict[Watched, None] = {}
        self._tick: asyncio.TimerHandle | None = None

    def set_limits(self, limits: ConnectionLimits) -> None:
        """Sets the bounds of connections that are made from now on, and how many there may be."""
        self.limits = limits

    def admit(self, connection: Watched) -> bool:
        """Whether there is a place for it; it is to be told `leave` in both cases."""
        if len(self._open) >= self.limits.connections and self._idle:
            longest = next(iter(self._idle))
            self._idle.pop(longest)
            self._open.discard(longest)
            longest.evict()
        admitted = len(self._open) < self.limits.connections
        (self._open if admitted else self._turned_away).add(connection)
        self.refused += not admitted
        if self._tick is None:
            self._schedule()
        return admitted

    @property
    def open(self) -> int:
        """How many are open, without those that were turned away."""
        return len(self._open)

    @property
    def most(self) -> int:
        """How many there may be."""
        return self.limits.connections

    def replace(self, connection: Watched, by: Watched) -> None:
        """Gives the place of one that was admitted to another one, which goes on with it."""
        self.leave(connection)
        self._open.add(by)

    def room_to_say_so(self) -> bool:
        """Whether one that was not admitted may stay for as long as it takes to tell it."""
        return len(self._turned_away) <= max(16, self.limits.connections // 4)

    def leave(self, connection: Watched) -> None:
        self._open.discard(connection)
        self._turned_away.discard(connection)
        self._idle.pop(connection, None)

    def idle(self, connection: Watched) -> None:
        if connection in self._open:
            self._idle[connection] = None

    def busy(self, connection: Watched) -> None:
        self._idle.pop(connection, None)

    def expire(self, now: float) -> None:
        """Ends the patience with those whose deadline has passed."""
        for connection in [one for some in (self._open, self._turned_away) for one in some if one.deadline <= now]:
            connection.expire()

    def _schedule(self) -> None:
        self._tick = asyncio.get_running_loop().call_later(_TICK_SECONDS, self._on_tick)

    def _on_tick(self) -> None:
        self._tick = None
        self.expire(asyncio.get_running_loop().time())
        if self._open or self._turned_away:
            self._schedule()
