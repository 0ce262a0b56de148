"""Listening sockets, and servers that a system's processes start and stop together (`graphrouter.server.servers`)."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import replace

from eventgraph.errors import StartError
from eventgraph.running.certificates import Certificates
from graphrouter.http.connections import ConnectionLimits
from graphrouter.server import servers
from graphrouter.server.servers import Endpoint, NotStarted

GRACE_SECONDS = 5
"""How long requests that are under way may go on after the signal to stop."""


class Servers(servers.Servers):
    """Those of one process of a system, each within the same limits."""

    def __init__(self, drain_seconds: float = 0.0, limits: ConnectionLimits | None = None) -> None:
        super().__init__(drain_seconds, GRACE_SECONDS)
        self._limits = limits

    async def start(self, endpoints: Sequence[Endpoint]) -> None:
        """As the base class.

        Raises:
            StartError: an app's lifespan failed.
        """
        try:
            await super().start([replace(endpoint, limits=self._limits) for endpoint in endpoints])
        except NotStarted as error:
            raise StartError(str(error)) from error


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; taken before anything else is opened, so that a second start harms nothing.

    Raises:
        StartError: the port is taken, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except (OSError, socket.gaierror) as error:
        listener.close()
        raise StartError(
            f"cannot listen on {host} port {port}: {error.strerror}; name another with --host and --port"
        ) from error
    listener.setblocking(False)
    return listener


def tls_of(certificates: Certificates | None) -> ssl.SSLContext | None:
    """What an endpoint listens with."""
    return None if certificates is None else certificates.context


def origin_of(listener: socket.socket, certificates: Certificates | None = None) -> str:
    """What URLs to it begin with."""
    host, port = listener.getsockname()[:2]
    scheme = "http" if certificates is None else "https"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def banner(first: str, rows: Mapping[str, str]) -> str:
    """What the person reads who has started something: where everything is."""
    width = max(map(len, rows))
    lines = [f"  {name:<{width}}  {value}" for name, value in rows.items()]
    return "\n".join([first, *lines, "Ctrl-C stops it."])
