"""A server that drains: between the signal to stop and its end, clients have time to go elsewhere.

SIGTERM, which process managers send, begins it. `/health/ready` then says that the server is not ready, and each answer
ends its connection; new connections and requests are served as before. Once the time has passed, no more are accepted,
and the requests that are under way come to their end. A second signal, or Ctrl-C, stops without it.
"""

from __future__ import annotations

import logging
import signal
import time
from types import FrameType
from typing import Any, cast

import uvicorn

from graphrouter.http.connection import HttpServer
from graphrouter.http.connections import ConnectionLimits, Connections

_log = logging.getLogger("graphrouter.server")


class DrainingServer(uvicorn.Server):
    """A uvicorn server over our connections. `seconds` is how long it drains; 0 stops at once."""

    def __init__(self, app: Any, limits: ConnectionLimits, seconds: float) -> None:
        self._connections = HttpServer(limits)
        self._seconds = seconds
        self._until: float | None = None
        # uvicorn takes whatever makes a protocol; its types want a class.
        http = cast("Any", self._connections)
        super().__init__(
            uvicorn.Config(app, http=http, ws="none", log_config=None, access_log=False, server_header=False)
        )

    @property
    def connections(self) -> Connections:
        return self._connections.connections

    def set_limits(self, limits: ConnectionLimits) -> None:
        """Sets the bounds of connections that are made from now on."""
        self._connections.connections.set_limits(limits)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        connections = self._connections.connections
        if sig != signal.SIGTERM or not self._seconds or connections.draining or not self.started:
            super().handle_exit(sig, frame)
            return
        connections.draining = True
        self._until = time.monotonic() + self._seconds
        _log.info("going to stop in %.1f s", self._seconds)

    async def on_tick(self, counter: int) -> bool:
        if self._until is not None and time.monotonic() >= self._until:
            self.should_exit = True
        return await super().on_tick(counter)
