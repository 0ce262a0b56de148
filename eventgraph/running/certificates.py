"""A server's certificate, and the authorities of those that its clients have to show; read again when files change.

The server listens with one context, which hands each handshake over to the latest one that could be read: so that a
renewed certificate, or another authority, holds for every new connection, and a wrong file changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import structlog

from eventgraph.errors import StartError

_LOOK_SECONDS: Final = 2.0

_Stamps: TypeAlias = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files: the server's certificate with those between it and its authority, its key (which may be in the same
    file), and the authorities of clients, of whom nothing is asked without any."""

    certificate: Path
    key: Path | None = None
    client_ca: Path | None = None

    def context(self) -> ssl.SSLContext:
        """ValueError where a file cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        key = self.key or self.certificate
        try:
            # Without a password OpenSSL asks for one at the terminal.
            context.load_cert_chain(self.certificate, key, password="")
        except ssl.SSLError as error:
            expected = "expected a certificate and its own key in PEM, without a password"
            raise ValueError(f"{expected}, found none in {self.certificate.name} and {key.name}") from error
        except OSError as error:
            raise ValueError(f"cannot read {self.certificate.name} or {key.name}: {error.strerror}") from error
        if self.client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            # A session that is resumed shows no certificate: it would outlive the authority that is taken away. TLS 1.3
            # has none without tickets; of TLS 1.2 OpenSSL keeps sessions besides.
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            try:
                context.load_verify_locations(cafile=self.client_ca)
            except ssl.SSLError as error:
                expected = "expected certificates of authorities in PEM"
                raise ValueError(f"{expected}, found none that can be read in {self.client_ca.name}") from error
            except OSError as error:
                raise ValueError(f"cannot read {self.client_ca.name}: {error.strerror}") from error
        return context

    def stamps(self) -> _Stamps:
        return tuple(_stamp(file) for file in (self.certificate, self.key, self.client_ca) if file is not None)


class Certificates:
    """What a server shows and asks for. `context` is what it listens with.

    Raises:
        StartError: a file cannot be used.
    """

    def __init__(self, files: CertificateFiles) -> None:
        self._files = files
        self._stamps = files.stamps()
        try:
            self.context = files.context()
        except ValueError as error:
            raise StartError(f"the server's certificate: {error}") from error
        self._latest = self.context
        self.context.sni_callback = self._hand_over

    def refresh(self) -> None:
        """Reads the files again if they have changed; what cannot be used is told, and the former ones stay."""
        stamps = self._files.stamps()
        if stamps == self._stamps:
            return
        self._stamps = stamps
        log = structlog.get_logger()
        try:
            self._latest = self._files.context()
        except ValueError as error:
            why = str(error)
            log.error("the server's certificate is refused, the former one stays", reason=why)  # noqa: TRY400 - it says all
        else:
            log.info("the server's certificate was read again")

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncGenerator[None]:
        """Looks at the files again and again meanwhile."""
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await asyncio.to_thread(self.refresh)

    def _hand_over(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        if self._latest is not self.context:
            connection.context = self._latest


def _stamp(file: Path) -> tuple[int, int, int] | None:
    """By what a change is known; None where the file cannot be looked at."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
