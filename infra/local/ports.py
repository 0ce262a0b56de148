"""Ports for servers, and whether one is taken.

Free ports are drawn below the range from which systems take the ports of outgoing connections (from 32768 on Linux,
49152 elsewhere): a port that is free now stays free across a server's restarts.
"""

from __future__ import annotations

import random
import socket

_DRAWN_FROM = range(20_000, 32_000)


def taken(port: int) -> bool:
    """Whether something on this machine listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def free_ports(count: int) -> list[int]:
    """Different ports on which nobody listens."""
    found: list[int] = []
    while len(found) < count:
        port = random.choice(_DRAWN_FROM)  # noqa: S311 - a port is no secret
        if port not in found and not taken(port):
            found.append(port)
    return found
