"""The public keys of one issuer: read from its JSON Web Key Set, and read again as they rotate.

A set is asked for when the first token comes, and again in the background when it has become old. A token whose key is
not in the set makes it be asked for at once, but only so often: tokens are anybody's to invent. Requests that wait for
the same answer wait together. What cannot be read again leaves the keys that there are, for a while.

https://www.rfc-editor.org/rfc/rfc7517
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

from jwt import PyJWK

from graphrouter.authentication.issuers import Authentication, Issuer
from graphrouter.authentication.key_set import PublicKey, read_keys
from graphrouter.transport.http import HttpTransport
from graphrouter.transport.port import SubgraphRequest, TransportError

_log = logging.getLogger("graphrouter.authentication")

_MAX_BYTES: Final = 256 * 1024


class NoKeys(Exception):
    """The issuer's keys cannot be read, and there are none that may still be trusted."""


class IssuerKeys:
    """The keys of one issuer, as fresh as `Authentication` wants them."""

    def __init__(self, issuer: Issuer, settings: Authentication) -> None:
        self._issuer = issuer
        self._settings = settings
        self._keys: tuple[PublicKey, ...] = ()
        self._made: dict[tuple[int, str], PyJWK] = {}
        self._read_at: float | None = None
        self._tried_at: float | None = None
        self._reading: asyncio.Task[None] | None = None
        is_url = issuer.keys.startswith(("http://", "https://"))
        self._transport = HttpTransport(issuer.keys, connections=1, max_response_bytes=_MAX_BYTES) if is_url else None
        self._is_text = issuer.keys.lstrip().startswith("{")
        if self._is_text:
            self._take(issuer.keys.encode())

    async def for_token(self, key_id: str | None, algorithm: str) -> list[PyJWK]:
        """The keys that may have signed a token with this header; none where the issuer has none such.

        Raises:
            NoKeys: the keys cannot be read.
        """
        await self._refresh_if_old()
        found = self._fitting(key_id, algorithm)
        if not found and not self._is_text and (self._reading is not None or self._may_try(self._settings.unknown_key)):
            await self._read()
            found = self._fitting(key_id, algorithm)
        return found

    async def _refresh_if_old(self) -> None:
        if self._is_text:
            return
        now = asyncio.get_running_loop().time()
        age = None if self._read_at is None else now - self._read_at
        if age is None or age > self._settings.trust:
            if self._reading is not None or self._may_try(self._settings.unknown_key):
                await self._read()
            if self._read_at is None or asyncio.get_running_loop().time() - self._read_at > self._settings.trust:
                raise NoKeys(f"the keys of the issuer {self._issuer.name[:100]} cannot be read")
        elif age > self._settings.refresh and self._may_try(self._settings.unknown_key):
            self._begin()

    def _may_try(self, pause: float) -> bool:
        """Whether the last attempt, good or bad, is long enough ago."""
        return self._tried_at is None or asyncio.get_running_loop().time() - self._tried_at >= pause

    def _begin(self) -> asyncio.Task[None]:
        if self._reading is None or self._reading.done():
            self._tried_at = asyncio.get_running_loop().time()
            self._reading = asyncio.create_task(self._ask())
        return self._reading

    async def _read(self) -> None:
        await asyncio.shield(self._begin())

    async def _ask(self) -> None:
        try:
            text = await self._text()
            self._take(text)
        except (TransportError, OSError, ValueError) as error:
            # Without the text: it is whatever stands behind the URL.
            _log.warning("the keys of the issuer %s cannot be read: %s", self._issuer.name[:100], str(error)[:200])
        else:
            self._read_at = asyncio.get_running_loop().time()
        finally:
            self._reading = None

    async def _text(self) -> bytes:
        if self._transport is None:
            return await asyncio.to_thread(_file, Path(self._issuer.keys))
        deadline = asyncio.get_running_loop().time() + self._settings.fetch_timeout
        answer = await self._transport.send(SubgraphRequest(b"", (), deadline, repeatable=True, get=self._issuer.keys))
        if answer.status != 200:
            raise ValueError(f"expected HTTP status 200, found {answer.status}")
        return answer.body

    def _take(self, text: bytes) -> None:
        """Raises ValueError where the text is no set of keys."""
        self._keys = read_keys(text)
        self._made = {}

    def _fitting(self, key_id: str | None, algorithm: str) -> list[PyJWK]:
        found: list[PyJWK] = []
        for number, key in enumerate(self._keys):
            if key.fits(algorithm) and (key_id is None or key.id == key_id):
                made = self._made.get((number, algorithm))
                if made is None:
                    made = self._made[number, algorithm] = PyJWK(dict(key.text), algorithm)
                found.append(made)
        return found

    async def aclose(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        if self._transport is not None:
            await self._transport.aclose()


def _file(path: Path) -> bytes:
    with path.open("rb") as file:
        text = file.read(_MAX_BYTES + 1)
    if len(text) > _MAX_BYTES:
        raise ValueError(f"expected at most {_MAX_BYTES} bytes, found more")
    return text
