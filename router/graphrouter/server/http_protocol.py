"""Where uvicorn reads HTTP: requests that offer to go on in another protocol are read whole.

A client may offer HTTP/2 with its first request (`Upgrade: h2c`: Java's HttpClient does so of itself, and
`curl --http2`), and a server that does not know it just answers (https://www.rfc-editor.org/rfc/rfc9110#section-7.8).
httptools takes what follows the head of such a request for the other protocol's, so that its body would be lost. h11
does not: a connection on which an upgrade is offered goes on with h11.
"""

from __future__ import annotations

import re
from typing import cast

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

# From the start of a request to the header of this name; a head that comes in pieces stays with httptools.
_OFFER = re.compile(rb"[A-Z]+ [^\r\n]+ HTTP/1\.1\r\n(?:[^\r\n]+\r\n)*?upgrade:", re.IGNORECASE)


class _ReadsOn(H11Protocol):
    def _unsupported_upgrade_warning(self) -> None:
        """An offer that is not taken up is nothing to warn of: some clients make it with every request."""


class HttpProtocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=HttpProtocol, ws="none")`."""

    def data_received(self, data: bytes) -> None:
        latest = cast("RequestResponseCycle | None", self.cycle)
        between_requests = latest is None or latest.response_complete
        if not (between_requests and _OFFER.match(data)):
            super().data_received(data)
            return
        self._unset_keepalive_if_required()
        self.connections.discard(self)
        successor = _ReadsOn(self.config, self.server_state, self.app_state)
        successor.connection_made(self.transport)
        self.transport.set_protocol(successor)
        successor.data_received(data)
