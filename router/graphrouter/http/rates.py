"""How many requests a second one client may send.

Each client has a bucket that holds some requests and fills evenly, kept as the moment at which it will be full again
(the generic cell rate algorithm: https://www.itu.int/rec/T-REC-I.371, annex A).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.types import Scope


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The rate of each client of this process."""

    per_second: float
    """Requests a second that a client may go on sending."""
    burst: int = 50
    """Requests that it may send at once after a pause."""
    header: str = ""
    """The request header whose value names the client (`x-api-key`; `x-forwarded-for` behind a proxy
    that sets it). Requests without it, and all where this is empty, are counted by the address they come from."""
    clients: int = 100_000
    """Clients that are remembered; then the one that has been silent longest is forgotten."""

    def __post_init__(self) -> None:
        if not (self.per_second > 0 and self.burst >= 1 and self.clients >= 1):
            raise ValueError(
                f"a rate limit has per_second above 0, burst and clients of 1 at least; found {self.per_second}, "
                f"{self.burst} and {self.clients}"
            )


class Rates:
    """The rates of all clients."""

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        self._interval = 1 / limit.per_second
        self._header = limit.header.lower()
        self._full_at: OrderedDict[object, float] = OrderedDict()

    def wait(self, client: object, now: float) -> int:
        """0 where the client may send a request now, and has; else the seconds after which it may, a whole number."""
        full_at = max(self._full_at.get(client, now), now) + self._interval
        excess = full_at - now - self._limit.burst * self._interval
        if excess > 1e-9:
            return math.ceil(excess)
        self._full_at[client] = full_at
        self._full_at.move_to_end(client)
        if len(self._full_at) > self._limit.clients:
            self._full_at.popitem(last=False)
        return 0

    def client(self, scope: Scope, headers: Mapping[str, str]) -> object:
        """Whose request this is."""
        named = headers.get(self._header) if self._header else None
        if named is not None:
            return hash(named)  # a key is as long as its client likes
        address = scope.get("client")
        return address[0] if address else None
